// SPDX-License-Identifier: Apache-2.0
//! The ops: each makes one host call and says what came of it.

use std::cell::RefCell;

use crate::contexts::{self, Context};
use crate::host;
use crate::program::{Argument, Fault, Op};
use crate::text::{shown, shown_pairs};

/// What an op came to.
pub struct Outcome {
    /// The host's status.
    pub status: u32,
    /// The result as it is logged.
    pub result: Option<String>,
    /// The number that a variable takes.
    pub number: i64,
}

/// An address or size that no memory reaches.
const NOWHERE: u32 = 0xFFFF_FFF0;
const TOO_LONG: u32 = 0xFFFF_FFFF;
const MOST_RANDOM: usize = 1 << 20;
const INFO: u32 = 2;
const OK: u32 = 0;

thread_local! {
    /// What the host has asked for and nobody has taken back: address and bytes.
    static ALLOCATED: RefCell<Vec<(u32, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
}

/// Memory for the host to write a result to.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: u32) -> u32 {
    let mut bytes = vec![0; size as usize];
    let address = bytes.as_mut_ptr().expose_provenance() as u32;
    ALLOCATED.with_borrow_mut(|allocated| allocated.push((address, bytes)));
    address
}

/// Writes a line to the host's log.
pub fn log(line: &str) {
    let (line, size) = Pointers(None).input(line.as_bytes());
    // SAFETY: the address and size are a live string's.
    unsafe { host::proxy_log(INFO, line, size) };
}

/// A header of the request; `None` where the host has none.
pub fn request_header(name: &str) -> Option<Vec<u8>> {
    let mut at = Pointers(None);
    let (name, size) = at.input(name.as_bytes());
    let mut value = Returned::default();
    // SAFETY: the addresses are those of live values.
    let status = unsafe { host::proxy_get_header_map_value(0, name, size, at.output(&mut value.address), at.output(&mut value.size)) };
    (status == OK).then(|| value.take().ok()).flatten()
}

/// The plugin's configuration; `None` where the host has none to give.
pub fn configuration() -> Option<Vec<u8>> {
    let mut at = Pointers(None);
    let mut value = Returned::default();
    // SAFETY: the addresses are those of live values.
    let status = unsafe { host::proxy_get_buffer_bytes(7, 0, 1 << 20, at.output(&mut value.address), at.output(&mut value.size)) };
    (status == OK).then(|| value.take().ok()).flatten()
}

/// Makes a context the one that host calls are about.
pub fn set_effective_context(id: u32) {
    // SAFETY: the call takes no address.
    unsafe { host::proxy_set_effective_context(id) };
}

/// Runs one op for a context.
#[expect(clippy::too_many_lines, reason = "one arm for each function of the ABI")]
pub fn run(op: &Op, caller: &Context) -> Outcome {
    let number = |index: usize| match op.arguments.get(index) {
        Some(Argument::Number(number)) => *number,
        Some(Argument::Variable(variable)) => contexts::variable(*variable),
        Some(Argument::Me) => i64::from(caller.id),
        Some(Argument::Root) => i64::from(caller.root),
        Some(Argument::Bytes(_)) | None => 0,
    };
    let n = |index: usize| number(index) as u32;
    let bytes = |index: usize| match op.arguments.get(index) {
        Some(Argument::Bytes(bytes)) => bytes.as_slice(),
        _ => &[],
    };
    let mut at = Pointers(op.fault);
    let (mut value, mut small, mut second, mut wide) = (Returned::default(), 0_u32, 0_u32, 0_u64);
    // SAFETY: but for the faults asked for, which the host has to survive, addresses are those of live values.
    unsafe {
        match op.name {
            "get_header_map_value" => {
                let (name, size) = at.input(bytes(1));
                let status = host::proxy_get_header_map_value(n(0), name, size, at.output(&mut value.address), at.output(&mut value.size));
                with_bytes(status, value)
            }
            "get_header_map_pairs" => {
                let status = host::proxy_get_header_map_pairs(n(0), at.output(&mut value.address), at.output(&mut value.size));
                with(status, value.take().map_or_else(|words| words, |bytes| shown_pairs(&bytes)), 0)
            }
            "set_header_map_pairs" => {
                let (pairs, size) = at.input(bytes(1));
                bare(host::proxy_set_header_map_pairs(n(0), pairs, size))
            }
            "add_header_map_value" | "replace_header_map_value" => {
                let ((name, name_size), (value, size)) = (at.input(bytes(1)), at.input(bytes(2)));
                let function =
                    if op.name.starts_with("add") { host::proxy_add_header_map_value } else { host::proxy_replace_header_map_value };
                bare(function(n(0), name, name_size, value, size))
            }
            "remove_header_map_value" => {
                let (name, size) = at.input(bytes(1));
                bare(host::proxy_remove_header_map_value(n(0), name, size))
            }
            "get_header_map_size" => with_number(host::proxy_get_header_map_size(n(0), at.output(&mut small)), small),
            "get_buffer_bytes" => {
                let (address, size) = (at.output(&mut value.address), at.output(&mut value.size));
                with_bytes(host::proxy_get_buffer_bytes(n(0), n(1), n(2), address, size), value)
            }
            "get_buffer_status" => {
                let status = host::proxy_get_buffer_status(n(0), at.output(&mut small), at.output(&mut second));
                with(status, format!("{small} {second}"), i64::from(small))
            }
            "set_buffer_bytes" => {
                let (data, size) = at.input(bytes(3));
                bare(host::proxy_set_buffer_bytes(n(0), n(1), n(2), data, size))
            }
            "get_property" => {
                let (path, size) = at.input(bytes(0));
                let status = host::proxy_get_property(path, size, at.output(&mut value.address), at.output(&mut value.size));
                with_bytes(status, value)
            }
            "set_property" => {
                let ((path, path_size), (value, size)) = (at.input(bytes(0)), at.input(bytes(1)));
                bare(host::proxy_set_property(path, path_size, value, size))
            }
            "get_shared_data" => {
                let (key, key_size) = at.input(bytes(0));
                let (address, size) = (at.output(&mut value.address), at.output(&mut value.size));
                let status = host::proxy_get_shared_data(key, key_size, address, size, at.output(&mut small));
                let cas = if small == 0 { "0" } else { "cas" };
                with(status, format!("{} {cas}", value.shown()), i64::from(small))
            }
            "set_shared_data" => {
                let ((key, key_size), (value, size)) = (at.input(bytes(0)), at.input(bytes(1)));
                bare(host::proxy_set_shared_data(key, key_size, value, size, n(2)))
            }
            "define_metric" => {
                let (name, size) = at.input(bytes(1));
                let status = host::proxy_define_metric(n(0), name, size, at.output(&mut small));
                with(status, if status == OK { "id" } else { "none" }.to_owned(), i64::from(small))
            }
            "increment_metric" => bare(host::proxy_increment_metric(n(0), number(1))),
            "record_metric" => bare(host::proxy_record_metric(n(0), number(1).cast_unsigned())),
            "get_metric" => {
                let status = host::proxy_get_metric(n(0), at.output(&mut wide));
                with(status, wide.to_string(), wide.cast_signed())
            }
            "http_call" => {
                let (cluster, cluster_size) = at.input(bytes(0));
                let (headers, headers_size) = at.input(bytes(1));
                let (body, body_size) = at.input(bytes(2));
                let (trailers, trailers_size) = at.input(bytes(3));
                let token = at.output(&mut small);
                let status = host::proxy_http_call(
                    cluster,
                    cluster_size,
                    headers,
                    headers_size,
                    body,
                    body_size,
                    trailers,
                    trailers_size,
                    n(4),
                    token,
                );
                let known = if status == OK { contexts::called(caller, small) } else { "none".to_owned() };
                with(status, known, i64::from(small))
            }
            "grpc_call" => {
                let (cluster, cluster_size) = at.input(bytes(0));
                let (service, service_size) = at.input(bytes(1));
                let (method, method_size) = at.input(bytes(2));
                let (metadata, metadata_size) = at.input(bytes(3));
                let (message, message_size) = at.input(bytes(4));
                let token = at.output(&mut small);
                let status = host::proxy_grpc_call(
                    cluster,
                    cluster_size,
                    service,
                    service_size,
                    method,
                    method_size,
                    metadata,
                    metadata_size,
                    message,
                    message_size,
                    n(5),
                    token,
                );
                let known = if status == OK { contexts::called(caller, small) } else { contexts::refused() };
                with(status, known, i64::from(small))
            }
            "grpc_cancel" => bare(host::proxy_grpc_cancel(n(0))),
            "grpc_close" => bare(host::proxy_grpc_close(n(0))),
            "continue_stream" => bare(host::proxy_continue_stream(n(0))),
            "close_stream" => bare(host::proxy_close_stream(n(0))),
            "send_local_response" => {
                let (details, details_size) = at.input(bytes(1));
                let (body, body_size) = at.input(bytes(2));
                let (headers, headers_size) = at.input(bytes(3));
                let grpc_status = number(4) as i32;
                bare(host::proxy_send_local_response(n(0), details, details_size, body, body_size, headers, headers_size, grpc_status))
            }
            "set_effective_context" => bare(host::proxy_set_effective_context(n(0))),
            "set_tick_period_milliseconds" => bare(host::proxy_set_tick_period_milliseconds(n(0))),
            "get_current_time_nanoseconds" => with_time(host::proxy_get_current_time_nanoseconds(at.output(&mut wide)), wide),
            "get_log_level" => with_number(host::proxy_get_log_level(at.output(&mut small)), small),
            "log" => {
                let (message, size) = at.input(bytes(1));
                bare(host::proxy_log(n(0), message, size))
            }
            "get_status" => {
                let (address, size) = (at.output(&mut value.address), at.output(&mut value.size));
                let status = host::proxy_get_status(at.output(&mut small), address, size);
                with(status, format!("{small} {}", value.shown()), i64::from(small))
            }
            "done" => bare(host::proxy_done()),
            "call_foreign_function" => {
                let ((name, name_size), (argument, argument_size)) = (at.input(bytes(0)), at.input(bytes(1)));
                let (address, size) = (at.output(&mut value.address), at.output(&mut value.size));
                let status = host::proxy_call_foreign_function(name, name_size, argument, argument_size, address, size);
                with_bytes(status, value)
            }
            "fd_write" => {
                let (text, size) = at.input(bytes(1));
                let vector = [text, size];
                let status = host::fd_write(n(0), (&raw const vector).expose_provenance() as u32, 1, at.output(&mut small));
                with_number(status, small)
            }
            "clock_time_get" => with_time(host::clock_time_get(n(0), 0, at.output(&mut wide)), wide),
            "random_get" => {
                let mut random = vec![0_u8; MOST_RANDOM.min(n(0) as usize)];
                bare(host::random_get(random.as_mut_ptr().expose_provenance() as u32, random.len() as u32))
            }
            "environ_sizes_get" | "args_sizes_get" => {
                let function = if op.name.starts_with("environ") { host::environ_sizes_get } else { host::args_sizes_get };
                let status = function(at.output(&mut small), at.output(&mut second));
                with(status, format!("{small} {second}"), i64::from(small))
            }
            "fill" => {
                let mut status = OK;
                for index in 0..number(0) {
                    let name = [bytes(1), format!("-{index}").as_bytes()].concat();
                    let ((name, name_size), (value, size)) = (at.input(&name), at.input(b"v"));
                    status = host::proxy_add_header_map_value(0, name, name_size, value, size);
                }
                bare(status)
            }
            // The other ops make no call: see `contexts::run`.
            _ => bare(OK),
        }
    }
}

fn bare(status: u32) -> Outcome {
    Outcome { status, result: None, number: 0 }
}

fn with(status: u32, result: String, number: i64) -> Outcome {
    Outcome { status, result: Some(result), number }
}

fn with_number(status: u32, number: u32) -> Outcome {
    with(status, number.to_string(), i64::from(number))
}

fn with_time(status: u32, time: u64) -> Outcome {
    with(status, if time == 0 { "zero" } else { "nonzero" }.to_owned(), time.cast_signed())
}

fn with_bytes(status: u32, value: Returned) -> Outcome {
    with(status, value.shown(), 0)
}

/// Makes addresses of what a call takes, the first of them spoilt where that is asked for.
struct Pointers(Option<Fault>);

impl Pointers {
    fn input(&mut self, bytes: &[u8]) -> (u32, u32) {
        let (address, size) = (bytes.as_ptr().expose_provenance() as u32, bytes.len() as u32);
        match self.0.take_if(|fault| *fault != Fault::Output) {
            Some(Fault::Input) => (NOWHERE, size),
            Some(_) => (address, TOO_LONG),
            None => (address, size),
        }
    }

    fn output<T>(&mut self, value: &mut T) -> u32 {
        match self.0.take_if(|fault| *fault == Fault::Output) {
            Some(_) => NOWHERE,
            None => std::ptr::from_mut(value).expose_provenance() as u32,
        }
    }
}

/// Where the host puts the address and size of what it returns.
#[derive(Default)]
struct Returned {
    address: u32,
    size: u32,
}

impl Returned {
    /// The bytes, given back; an error in words where they don't lie in what was allocated for the host.
    fn take(self) -> Result<Vec<u8>, String> {
        if self.size == 0 {
            return Ok(Vec::new());
        }
        ALLOCATED.with_borrow_mut(|allocated| {
            let known = allocated.iter().position(|(address, bytes)| *address == self.address && bytes.len() >= self.size as usize);
            let (_, mut bytes) = allocated.swap_remove(known.ok_or_else(|| format!("astray:{}", self.size))?);
            bytes.truncate(self.size as usize);
            Ok(bytes)
        })
    }

    fn shown(self) -> String {
        self.take().map_or_else(|words| words, |bytes| shown(&bytes))
    }
}
