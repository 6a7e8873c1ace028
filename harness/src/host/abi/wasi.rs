// SPDX-License-Identifier: Apache-2.0
//! The few functions of WASI that the ABI allows.

use rand_chacha::rand_core::Rng;
use wasmtime::Linker;

use super::{WASI, define, inject};
use crate::host::faults::Fault;
use crate::host::limits::MAX_KEPT;
use crate::host::log::LogLevel;
use crate::host::memory::{self, Host, Span};
use crate::host::state::State;
use crate::host::status::Status;

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(linker, WASI, wasi_answer:
        "random_get" => random_get, (place: u32, size: u32);
        "fd_write" => fd_write, (descriptor: u32, vectors: u32, count: u32, return_written: u32);
        "fd_fdstat_get" => fd_fdstat_get, (descriptor: u32, place: u32);
        "clock_time_get" => clock_time_get, (clock: u32, precision: u64, return_time: u32);
        "environ_sizes_get" => environ_sizes_get, (return_count: u32, return_size: u32);
        "environ_get" => environ_get, (places: u32, buffer: u32);
        "args_sizes_get" => no_list, (return_count: u32, return_size: u32);
        "args_get" => nothing, (places: u32, buffer: u32);
        "fd_close" => fd_close, (descriptor: u32);
        "fd_read" => no_read, (descriptor: u32, vectors: u32, count: u32, return_read: u32);
        "fd_seek" => no_seek, (descriptor: u32, offset: i64, whence: u32, return_offset: u32);
    );
    linker.func_wrap(WASI, "proc_exit", |_: Host<'_>, code: i32| -> wasmtime::Result<()> {
        Err(wasmtime::Error::msg(format!("the module exited with code {code}")))
    })?;
    Ok(())
}

/// `errno` of WASI.
type Errno = i32;

/// Runs a function of WASI, unless a fault takes its place.
pub(super) fn answer(
    host: &mut Host<'_>,
    name: &'static str,
    hands_over: bool,
    run: impl FnOnce(&mut Host<'_>) -> Result<(), Errno>,
) -> Errno {
    if host.data().faults.is_some() {
        match inject(host, name, hands_over) {
            Some(Fault::Status(status)) => return status.cast_signed(),
            Some(Fault::Silent) => return SUCCESS,
            Some(_) | None => {}
        }
    }
    let result = run(host);
    match result {
        Ok(()) => SUCCESS,
        Err(errno) => errno,
    }
}

fn random_get(host: &mut Host<'_>, place: u32, size: u32) -> Result<(), Errno> {
    if size > MAX_RANDOM {
        return Err(INVAL);
    }
    let mut bytes = vec![0; memory::index(size)];
    let state = host.data_mut();
    let lent = state.lent_randomness.len().min(bytes.len());
    let (before, after) = bytes.split_at_mut(lent);
    before.iter_mut().zip(state.lent_randomness.drain(..lent)).for_each(|(byte, lent)| *byte = lent);
    state.randomness.fill_bytes(after);
    memory::write(host, place, &bytes).map_err(fault)
}

/// Standard output and error become log lines.
fn fd_write(host: &mut Host<'_>, descriptor: u32, vectors: u32, count: u32, return_written: u32) -> Result<(), Errno> {
    let level = match descriptor {
        1 => LogLevel::Info,
        2 => LogLevel::Error,
        _ => return Err(BADF),
    };
    let mut message = Vec::new();
    for vector in 0..count.min(MAX_VECTORS) {
        let place = vectors.saturating_add(vector.saturating_mul(8));
        let (place, size) = memory::read(host, Span { place, size: 8 }).ok().and_then(two_words).ok_or(FAULT)?;
        let part = memory::read(host, Span { place, size }).map_err(fault)?;
        if message.len() + part.len() > MAX_KEPT {
            return Err(INVAL);
        }
        message.extend_from_slice(part);
    }
    let written = memory::length(message.len());
    if written > 0 {
        let line = message.strip_suffix(b"\n").unwrap_or(&message);
        let line = String::from_utf8_lossy(line).into_owned();
        let state = host.data_mut();
        if level >= state.log_level {
            state.log.push(level, line);
        }
    }
    memory::write_word(host, return_written, written).map_err(fault)
}

/// Tells that standard output and error can be written to.
fn fd_fdstat_get(host: &mut Host<'_>, descriptor: u32, place: u32) -> Result<(), Errno> {
    const FD_WRITE: u8 = 64;
    if descriptor != 1 && descriptor != 2 {
        return Err(BADF);
    }
    let mut stat = [0; 24];
    stat[8] = FD_WRITE;
    memory::write(host, place, &stat).map_err(fault)
}

fn clock_time_get(host: &mut Host<'_>, clock: u32, _precision: u64, return_time: u32) -> Result<(), Errno> {
    const REALTIME: u32 = 0;
    const MONOTONIC: u32 = 1;
    if clock != REALTIME && clock != MONOTONIC {
        return Err(NOTSUP);
    }
    let state = host.data();
    let time = if clock == REALTIME { state.now.to_le_bytes() } else { state.elapsed.to_le_bytes() };
    memory::write(host, return_time, &time).map_err(fault)
}

fn environ_sizes_get(host: &mut Host<'_>, return_count: u32, return_size: u32) -> Result<(), Errno> {
    let environment = &host.data().environment;
    let (count, size) = (memory::length(environment.len()), memory::length(environment.iter().map(Vec::len).sum()));
    memory::write_word(host, return_count, count).and_then(|()| memory::write_word(host, return_size, size)).map_err(fault)
}

/// Each variable as `name=value` with a zero byte behind it.
fn environ_get(host: &mut Host<'_>, places: u32, buffer: u32) -> Result<(), Errno> {
    let environment = host.data().environment.clone();
    let (mut place, mut at) = (places, buffer);
    for variable in environment {
        memory::write_word(host, place, at).and_then(|()| memory::write(host, at, &variable)).map_err(fault)?;
        place = place.saturating_add(4);
        at = at.saturating_add(memory::length(variable.len()));
    }
    Ok(())
}

fn no_list(host: &mut Host<'_>, return_count: u32, return_size: u32) -> Result<(), Errno> {
    memory::write_word(host, return_count, 0).and_then(|()| memory::write_word(host, return_size, 0)).map_err(fault)
}

const fn nothing(_: &mut Host<'_>, _places: u32, _buffer: u32) -> Result<(), Errno> {
    Ok(())
}

const fn fd_close(_: &mut Host<'_>, _descriptor: u32) -> Result<(), Errno> {
    Ok(())
}

const fn no_read(_: &mut Host<'_>, _descriptor: u32, _vectors: u32, _count: u32, _return_read: u32) -> Result<(), Errno> {
    Err(NOSYS)
}

const fn no_seek(_: &mut Host<'_>, _descriptor: u32, _offset: i64, _whence: u32, _return_offset: u32) -> Result<(), Errno> {
    Ok(())
}

const fn fault(_: Status) -> Errno {
    FAULT
}

fn two_words(bytes: &[u8]) -> Option<(u32, u32)> {
    let (first, rest) = bytes.split_first_chunk::<4>()?;
    let second = rest.first_chunk::<4>()?;
    Some((u32::from_le_bytes(*first), u32::from_le_bytes(*second)))
}

const SUCCESS: Errno = 0;
const BADF: Errno = 8;
const FAULT: Errno = 21;
const INVAL: Errno = 28;
/// There is no such function.
pub(super) const NOSYS: Errno = 52;
const NOTSUP: Errno = 58;
/// Bytes of randomness at once.
const MAX_RANDOM: u32 = 64 * 1024;
const MAX_VECTORS: u32 = 1024;

/// What Rust's standard library may import beside, and hosts leave out.
pub(super) const UNIMPLEMENTED: &[&str] = &["path_open", "poll_oneoff", "sched_yield"];
