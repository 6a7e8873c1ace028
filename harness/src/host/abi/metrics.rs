// SPDX-License-Identifier: Apache-2.0
//! Metrics.

use wasmtime::Linker;

use super::{ENV, define};
use crate::host::memory::{self, Host, Span};
use crate::host::state::State;
use crate::host::status::Answer;

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(linker, ENV, answer:
        "proxy_define_metric" => create, (kind: u32, name: u32, name_size: u32, return_id: u32);
        "proxy_increment_metric" => increment, (id: u32, offset: i64);
        "proxy_record_metric" => record, (id: u32, value: u64);
        "proxy_get_metric" => get, (id: u32, return_value: u32);
    );
    Ok(())
}

fn create(host: &mut Host<'_>, kind: u32, place: u32, size: u32, return_id: u32) -> Answer {
    let (name, state) = memory::read_beside(host, Span { place, size })?;
    let id = state.metrics.define(kind, &String::from_utf8_lossy(name))?;
    memory::write_word(host, return_id, id)
}

fn increment(host: &mut Host<'_>, id: u32, offset: i64) -> Answer {
    host.data_mut().metrics.increment(id, offset)
}

fn record(host: &mut Host<'_>, id: u32, value: u64) -> Answer {
    host.data_mut().metrics.record(id, value)
}

fn get(host: &mut Host<'_>, id: u32, return_value: u32) -> Answer {
    let value = host.data_mut().metrics.get(id)?;
    memory::write(host, return_value, &value.to_le_bytes())
}
