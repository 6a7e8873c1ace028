// SPDX-License-Identifier: Apache-2.0
//! Shared data.

use wasmtime::Linker;

use super::{ENV, define};
use crate::host::memory::{self, Host, Return, Span};
use crate::host::state::State;
use crate::host::status::{Answer, Status};

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(linker, ENV, answer:
        "proxy_get_shared_data" => get, (key: u32, key_size: u32, return_data: u32, return_size: u32, return_cas: u32), hands_over;
        "proxy_set_shared_data" => set, (key: u32, key_size: u32, value: u32, value_size: u32, cas: u32);
    );
    Ok(())
}

fn get(host: &mut Host<'_>, place: u32, size: u32, data: u32, return_size: u32, return_cas: u32) -> Answer {
    let (key, state) = memory::read_beside(host, Span { place, size })?;
    let (value, cas) = state.shared.get(key).ok_or(Status::NotFound)?;
    // A fault's number is the version, not the buffer's place.
    let cas = host.data_mut().number.take().unwrap_or(cas);
    memory::hand_over(host, &value, Return { data, size: return_size })?;
    memory::write_word(host, return_cas, cas)
}

fn set(host: &mut Host<'_>, key: u32, key_size: u32, value: u32, value_size: u32, cas: u32) -> Answer {
    let (key, value, state) = memory::read_two(host, Span { place: key, size: key_size }, Span { place: value, size: value_size })?;
    state.shared.set(key, value, cas)
}
