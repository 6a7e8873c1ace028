// SPDX-License-Identifier: Apache-2.0
//! The log, the clock, ticks and foreign functions.

use wasmtime::Linker;

use super::{ENV, define};
use crate::host::log::LogLevel;
use crate::host::memory::{self, Host, Return, Span};
use crate::host::signature;
use crate::host::state::State;
use crate::host::status::{Answer, Status};

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(linker, ENV, answer:
        "proxy_log" => log, (level: u32, message: u32, size: u32);
        "proxy_get_log_level" => log_level, (return_level: u32);
        "proxy_get_current_time_nanoseconds" => time, (return_time: u32);
        "proxy_set_tick_period_milliseconds" => set_tick_period, (milliseconds: u32);
        "proxy_call_foreign_function" => call_foreign_function, (
            name: u32, name_size: u32, argument: u32, argument_size: u32, return_data: u32, return_size: u32
        ), hands_over;
    );
    Ok(())
}

fn log(host: &mut Host<'_>, level: u32, place: u32, size: u32) -> Answer {
    let level = LogLevel::from_abi(level).ok_or(Status::BadArgument)?;
    let (message, state) = memory::read_beside(host, Span { place, size })?;
    if level >= state.log_level {
        state.log.push(level, String::from_utf8_lossy(message).into_owned());
    }
    Ok(())
}

fn log_level(host: &mut Host<'_>, return_level: u32) -> Answer {
    let level = host.data().log_level as u32;
    memory::write_word(host, return_level, level)
}

fn time(host: &mut Host<'_>, return_time: u32) -> Answer {
    let now = host.data().now;
    memory::write(host, return_time, &now.to_le_bytes())
}

/// Sets the period of the effective context's root.
fn set_tick_period(host: &mut Host<'_>, milliseconds: u32) -> Answer {
    let contexts = &mut host.data_mut().contexts;
    let id = contexts.root_id();
    if let Some(root) = contexts.roots.get_mut(&id) {
        root.tick_period = milliseconds;
        root.tick_changes += 1;
    }
    Ok(())
}

fn call_foreign_function(
    host: &mut Host<'_>,
    name: u32,
    name_size: u32,
    argument: u32,
    argument_size: u32,
    data: u32,
    size: u32,
) -> Answer {
    let name = memory::read(host, Span { place: name, size: name_size })?;
    let argument = memory::read(host, Span { place: argument, size: argument_size })?;
    let result = match name {
        b"verify_signature" => signature::verify(argument, host.data().release),
        // Nothing here is cached by route.
        b"clear_route_cache" => Ok(Vec::new()),
        name if ELSEWHERE.contains(&name) => return Err(Status::Unimplemented),
        _ => return Err(Status::NotFound),
    };
    // Envoy tells where the result is even when there is none.
    memory::hand_over(host, result.as_deref().unwrap_or_default(), Return { data, size })?;
    result.map(drop)
}

/// Foreign functions that Envoy has and this host has not.
const ELSEWHERE: &[&[u8]] = &[
    b"compress",
    b"uncompress",
    b"sign",
    b"set_envoy_filter_state",
    b"declare_property",
    b"expr_create",
    b"expr_evaluate",
    b"expr_delete",
];
