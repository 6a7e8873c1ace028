// SPDX-License-Identifier: Apache-2.0
//! The host functions of ABI 0.2.1, with Envoy's semantics, and the few of WASI that it allows.
//!
//! <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>

use rand_chacha::rand_core::Rng;
use wasmtime::{Caller, Linker, Memory, Val};

use super::headers::HeaderMap;
use super::pairs;
use super::state::{LocalResponse, LogLevel, Metric, MetricKind, State, Stream};
use super::wasm_error;
use crate::error::{Error, Result};

type Host<'a> = Caller<'a, State>;

/// Links every import of `module` to a host function.
///
/// # Errors
///
/// When the module imports what ABI 0.2.1 doesn't have, by name.
pub(super) fn link(linker: &mut Linker<State>, module: &wasmtime::Module) -> Result<()> {
    let implemented = implement(linker).map_err(|error| wasm_error("can't define the host functions", &error));
    implemented?;
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        let known = (from == ENV && UNIMPLEMENTED.contains(&name)) || (from == WASI && WASI_UNIMPLEMENTED.contains(&name));
        if !known {
            continue;
        }
        let Some(signature) = import.ty().func().cloned() else {
            return Err(Error::new(format!("expected `{from}.{name}` to be a function")));
        };
        let answer = if from == ENV { Status::Unimplemented as i32 } else { WASI_NOSYS };
        let defined = linker.func_new(from, name, signature, move |_, _, results| {
            results.fill(Val::I32(answer));
            Ok(())
        });
        defined.map_err(|error| wasm_error("can't define the host functions", &error))?;
    }
    Ok(())
}

fn implement(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(ENV, "proxy_log", log)?;
    linker.func_wrap(ENV, "proxy_get_current_time_nanoseconds", get_current_time)?;
    linker.func_wrap(ENV, "proxy_set_tick_period_milliseconds", |_: Host<'_>, _period: u32| Status::Ok as u32)?;
    linker.func_wrap(ENV, "proxy_get_buffer_bytes", get_buffer_bytes)?;
    linker.func_wrap(ENV, "proxy_get_header_map_pairs", get_header_map_pairs)?;
    linker.func_wrap(ENV, "proxy_get_header_map_value", get_header_map_value)?;
    linker.func_wrap(
        ENV,
        "proxy_add_header_map_value",
        |host: Host<'_>, map: u32, name: u32, name_size: u32, value: u32, value_size: u32| {
            edit(host, map, (name, name_size), (value, value_size), HeaderMap::add)
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_replace_header_map_value",
        |host: Host<'_>, map: u32, name: u32, name_size: u32, value: u32, value_size: u32| {
            edit(host, map, (name, name_size), (value, value_size), HeaderMap::replace)
        },
    )?;
    linker.func_wrap(ENV, "proxy_remove_header_map_value", |host: Host<'_>, map: u32, name: u32, name_size: u32| {
        edit(host, map, (name, name_size), (0, 0), |map, name, _| map.remove(name))
    })?;
    linker.func_wrap(ENV, "proxy_send_local_response", send_local_response)?;
    linker.func_wrap(ENV, "proxy_define_metric", define_metric)?;
    linker.func_wrap(ENV, "proxy_increment_metric", increment_metric)?;
    linker.func_wrap(ENV, "proxy_record_metric", record_metric)?;
    linker.func_wrap(ENV, "proxy_get_metric", get_metric)?;
    linker.func_wrap(WASI, "random_get", random_get)?;
    linker.func_wrap(WASI, "fd_write", fd_write)?;
    linker.func_wrap(WASI, "environ_sizes_get", |host: Host<'_>, count: u32, size: u32| empty_list(host, count, size))?;
    linker.func_wrap(WASI, "args_sizes_get", |host: Host<'_>, count: u32, size: u32| empty_list(host, count, size))?;
    linker.func_wrap(WASI, "environ_get", |_: Host<'_>, _: u32, _: u32| WASI_OK)?;
    linker.func_wrap(WASI, "args_get", |_: Host<'_>, _: u32, _: u32| WASI_OK)?;
    linker.func_wrap(WASI, "clock_time_get", clock_time_get)?;
    linker.func_wrap(WASI, "proc_exit", |_: Host<'_>, code: i32| -> wasmtime::Result<()> {
        Err(wasmtime::Error::msg(format!("the module exited with code {code}")))
    })?;
    Ok(())
}

/// `proxy_status_t`
#[derive(Clone, Copy)]
enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    InvalidMemoryAccess = 6,
    InternalFailure = 10,
    Unimplemented = 12,
}

fn status(result: std::result::Result<(), Status>) -> u32 {
    match result {
        Ok(()) => Status::Ok as u32,
        Err(status) => status as u32,
    }
}

fn log(mut host: Host<'_>, level: u32, message: u32, size: u32) -> u32 {
    status((|| {
        let level = LogLevel::from_abi(level).ok_or(Status::BadArgument)?;
        let message = String::from_utf8_lossy(read(&host, message, size)?).into_owned();
        host.data_mut().log(level, message);
        Ok(())
    })())
}

fn get_current_time(mut host: Host<'_>, place: u32) -> u32 {
    let now = host.data().now;
    status(write(&mut host, place, &now.to_le_bytes()))
}

fn get_buffer_bytes(mut host: Host<'_>, buffer: u32, start: u32, max_size: u32, return_data: u32, return_size: u32) -> u32 {
    const PLUGIN_CONFIGURATION: u32 = 7;
    status((|| {
        if buffer != PLUGIN_CONFIGURATION {
            return Err(Status::NotFound);
        }
        let bytes = &host.data().configuration;
        let bytes = bytes.get(index(start)..).ok_or(Status::BadArgument)?;
        let bytes = bytes.get(..bytes.len().min(index(max_size))).unwrap_or_default().to_vec();
        hand_over(&mut host, &bytes, return_data, return_size)
    })())
}

fn get_header_map_pairs(mut host: Host<'_>, map: u32, return_data: u32, return_size: u32) -> u32 {
    status((|| {
        let bytes = pairs::write(&stream(&mut host, map)?.request);
        hand_over(&mut host, &bytes, return_data, return_size)
    })())
}

fn get_header_map_value(mut host: Host<'_>, map: u32, name: u32, name_size: u32, return_data: u32, return_size: u32) -> u32 {
    status((|| {
        let name = read(&host, name, name_size)?.to_vec();
        let value = stream(&mut host, map)?.request.first(&name).ok_or(Status::NotFound)?.to_vec();
        hand_over(&mut host, &value, return_data, return_size)
    })())
}

fn edit(mut host: Host<'_>, map: u32, name: (u32, u32), value: (u32, u32), edit: impl FnOnce(&mut HeaderMap, &[u8], &[u8])) -> u32 {
    status((|| {
        let name = read(&host, name.0, name.1)?.to_vec();
        let value = read(&host, value.0, value.1)?.to_vec();
        edit(&mut stream(&mut host, map)?.request, &name, &value);
        Ok(())
    })())
}

#[expect(clippy::too_many_arguments, reason = "the ABI's signature")]
fn send_local_response(
    mut host: Host<'_>,
    code: u32,
    details: u32,
    details_size: u32,
    body: u32,
    body_size: u32,
    headers: u32,
    headers_size: u32,
    _grpc_status: i32,
) -> u32 {
    status((|| {
        let details = read(&host, details, details_size)?.to_vec();
        let body = read(&host, body, body_size)?.to_vec();
        let headers = read(&host, headers, headers_size)?;
        let headers = if headers.is_empty() { HeaderMap::default() } else { pairs::read(headers).ok_or(Status::BadArgument)? };
        let effective = host.data().effective;
        let stream = host.data_mut().streams.get_mut(&effective).ok_or(Status::BadArgument)?;
        // Envoy sends the first and ignores the others.
        stream.local_response.get_or_insert(LocalResponse { status: code, details, headers, body });
        Ok(())
    })())
}

fn define_metric(mut host: Host<'_>, kind: u32, name: u32, name_size: u32, return_id: u32) -> u32 {
    status((|| {
        let kind = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Histogram,
            _ => return Err(Status::BadArgument),
        };
        let name = String::from_utf8_lossy(read(&host, name, name_size)?).into_owned();
        let metrics = &mut host.data_mut().metrics;
        let id = metrics.iter().position(|metric| metric.name == name && metric.kind == kind).unwrap_or_else(|| {
            metrics.push(Metric { name, kind, value: 0 });
            metrics.len() - 1
        });
        write(&mut host, return_id, &u32::try_from(id).unwrap_or(u32::MAX).to_le_bytes())
    })())
}

fn increment_metric(mut host: Host<'_>, id: u32, offset: i64) -> u32 {
    status((|| {
        let metric = host.data_mut().metrics.get_mut(index(id)).ok_or(Status::NotFound)?;
        match metric.kind {
            MetricKind::Counter if offset < 0 => return Err(Status::BadArgument),
            MetricKind::Counter | MetricKind::Gauge => metric.value = metric.value.saturating_add_signed(offset),
            MetricKind::Histogram => return Err(Status::BadArgument),
        }
        Ok(())
    })())
}

fn record_metric(mut host: Host<'_>, id: u32, value: u64) -> u32 {
    status((|| {
        let metric = host.data_mut().metrics.get_mut(index(id)).ok_or(Status::NotFound)?;
        match metric.kind {
            MetricKind::Counter => metric.value = metric.value.saturating_add(value),
            MetricKind::Gauge | MetricKind::Histogram => metric.value = value,
        }
        Ok(())
    })())
}

fn get_metric(mut host: Host<'_>, id: u32, return_value: u32) -> u32 {
    status((|| {
        let value = host.data().metrics.get(index(id)).ok_or(Status::NotFound)?.value;
        write(&mut host, return_value, &value.to_le_bytes())
    })())
}

fn random_get(mut host: Host<'_>, place: u32, size: u32) -> i32 {
    // As Envoy: at most 64 KiB at once.
    if size > 64 * 1024 {
        return WASI_INVAL;
    }
    let mut bytes = vec![0; index(size)];
    host.data_mut().randomness.fill_bytes(&mut bytes);
    if write(&mut host, place, &bytes).is_ok() { WASI_OK } else { WASI_FAULT }
}

/// Standard output and error become log lines, as in Envoy.
fn fd_write(mut host: Host<'_>, descriptor: u32, vectors: u32, count: u32, return_written: u32) -> i32 {
    let level = match descriptor {
        1 => LogLevel::Info,
        2 => LogLevel::Error,
        _ => return WASI_BADF,
    };
    let mut message = Vec::new();
    for vector in 0..count.min(MAX_VECTORS) {
        let place = vectors.saturating_add(vector.saturating_mul(8));
        let Some((data, size)) = read(&host, place, 8).ok().and_then(two_words) else { return WASI_FAULT };
        let Ok(part) = read(&host, data, size) else { return WASI_FAULT };
        message.extend_from_slice(part);
    }
    let written = u32::try_from(message.len()).unwrap_or(u32::MAX);
    host.data_mut().log(level, String::from_utf8_lossy(&message).into_owned());
    if write(&mut host, return_written, &written.to_le_bytes()).is_ok() { WASI_OK } else { WASI_FAULT }
}

fn clock_time_get(mut host: Host<'_>, _clock: u32, _precision: u64, return_time: u32) -> i32 {
    let now = host.data().now;
    if write(&mut host, return_time, &now.to_le_bytes()).is_ok() { WASI_OK } else { WASI_FAULT }
}

fn empty_list(mut host: Host<'_>, count: u32, size: u32) -> i32 {
    let written = write(&mut host, count, &[0; 4]).and_then(|()| write(&mut host, size, &[0; 4]));
    if written.is_ok() { WASI_OK } else { WASI_FAULT }
}

/// The stream that a header map of type `map` belongs to.
fn stream<'a>(host: &'a mut Host<'_>, map: u32) -> std::result::Result<&'a mut Stream, Status> {
    const HTTP_REQUEST_HEADERS: u32 = 0;
    if map != HTTP_REQUEST_HEADERS {
        return Err(Status::BadArgument);
    }
    let effective = host.data().effective;
    host.data_mut().streams.get_mut(&effective).ok_or(Status::BadArgument)
}

fn memory(host: &Host<'_>) -> std::result::Result<Memory, Status> {
    host.data().memory.ok_or(Status::InternalFailure)
}

fn read<'a>(host: &'a Host<'_>, place: u32, size: u32) -> std::result::Result<&'a [u8], Status> {
    let memory = memory(host)?;
    let start = index(place);
    memory.data(host).get(start..start.saturating_add(index(size))).ok_or(Status::InvalidMemoryAccess)
}

fn write(host: &mut Host<'_>, place: u32, bytes: &[u8]) -> std::result::Result<(), Status> {
    memory(host)?.write(host, index(place), bytes).map_err(|_| Status::InvalidMemoryAccess)
}

/// Gives the module a buffer of its own that holds `bytes`. Nothing is allocated for none.
fn hand_over(host: &mut Host<'_>, bytes: &[u8], return_data: u32, return_size: u32) -> std::result::Result<(), Status> {
    let size = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
    let mut place = 0;
    if size > 0 {
        let allocate = host.data().allocate.clone().ok_or(Status::InternalFailure)?;
        place = allocate.call(&mut *host, size).map_err(|_| Status::InternalFailure)?;
        write(host, place, bytes)?;
    }
    write(host, return_data, &place.to_le_bytes())?;
    write(host, return_size, &size.to_le_bytes())
}

fn two_words(bytes: &[u8]) -> Option<(u32, u32)> {
    let (first, rest) = bytes.split_first_chunk::<4>()?;
    let second = rest.first_chunk::<4>()?;
    Some((u32::from_le_bytes(*first), u32::from_le_bytes(*second)))
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

const ENV: &str = "env";
const WASI: &str = "wasi_snapshot_preview1";
const WASI_OK: i32 = 0;
const WASI_BADF: i32 = 8;
const WASI_FAULT: i32 = 21;
const WASI_INVAL: i32 = 28;
const WASI_NOSYS: i32 = 52;
const MAX_VECTORS: u32 = 1024;

/// What ABI 0.2.1 has beside what is implemented above.
const UNIMPLEMENTED: &[&str] = &[
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_status",
    "proxy_get_header_map_size",
    "proxy_get_log_level",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_register_shared_queue",
    "proxy_resolve_shared_queue",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
];

/// What Rust's standard library may import, and hosts leave out.
const WASI_UNIMPLEMENTED: &[&str] = &["fd_close", "fd_fdstat_get", "fd_read", "fd_seek", "path_open", "poll_oneoff", "sched_yield"];
