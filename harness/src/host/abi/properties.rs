// SPDX-License-Identifier: Apache-2.0
//! Properties.

use wasmtime::Linker;

use super::{ENV, define};
use crate::host::memory::{self, Host, Return, Span};
use crate::host::property;
use crate::host::state::State;
use crate::host::status::{Answer, Status};

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(linker, ENV, answer:
        "proxy_get_property" => get, (path: u32, path_size: u32, return_data: u32, return_size: u32), hands_over;
        "proxy_set_property" => set, (path: u32, path_size: u32, value: u32, value_size: u32);
    );
    Ok(())
}

fn get(host: &mut Host<'_>, place: u32, size: u32, data: u32, return_size: u32) -> Answer {
    let (path, state) = memory::read_beside(host, Span { place, size })?;
    let value = property::read(state, path)?;
    memory::hand_over(host, &value, Return { data, size: return_size })
}

/// Leaves a value for later callbacks and filters. A path of several segments is one name that nothing reads.
fn set(host: &mut Host<'_>, path: u32, path_size: u32, value: u32, value_size: u32) -> Answer {
    let (path, value, state) = memory::read_two(host, Span { place: path, size: path_size }, Span { place: value, size: value_size })?;
    let (_, exchange) = state.contexts.stream_mut().ok_or(Status::NotFound)?;
    exchange.filter_state.set(path, value)
}
