// SPDX-License-Identifier: Apache-2.0
//! Header and trailer maps.

use wasmtime::Linker;

use super::{ENV, define};
use crate::host::headers::HeaderMap;
use crate::host::memory::{self, Host, Return, Span};
use crate::host::pairs;
use crate::host::state::{State, check_map};
use crate::host::status::{Answer, Status};

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(linker, ENV, answer:
        "proxy_get_header_map_size" => size, (map: u32, return_size: u32);
        "proxy_get_header_map_pairs" => get_all, (map: u32, return_data: u32, return_size: u32), hands_over;
        "proxy_set_header_map_pairs" => set_all, (map: u32, data: u32, size: u32);
        "proxy_get_header_map_value" => get, (map: u32, name: u32, name_size: u32, return_data: u32, return_size: u32), hands_over;
        "proxy_add_header_map_value" => add, (map: u32, name: u32, name_size: u32, value: u32, value_size: u32);
        "proxy_replace_header_map_value" => replace, (map: u32, name: u32, name_size: u32, value: u32, value_size: u32);
        "proxy_remove_header_map_value" => remove, (map: u32, name: u32, name_size: u32);
    );
    Ok(())
}

fn size(host: &mut Host<'_>, map: u32, return_size: u32) -> Answer {
    let size = memory::length(host.data_mut().map_mut(map)?.byte_size());
    memory::write_word(host, return_size, size)
}

fn get_all(host: &mut Host<'_>, map: u32, data: u32, size: u32) -> Answer {
    let at = Return { data, size };
    check_map(map)?;
    // A map that isn't there reads as empty.
    let length = host.data().map(map).map_or(0, pairs::size);
    memory::hand_over_with(host, length, at, |state, buffer| {
        if let Ok(lines) = state.map(map) {
            pairs::write(lines, buffer);
        }
    })
}

fn set_all(host: &mut Host<'_>, map: u32, place: u32, size: u32) -> Answer {
    check_map(map)?;
    let (bytes, state) = memory::read_beside(host, Span { place, size })?;
    let lines = state.map_mut(map)?;
    lines.clear();
    for (name, value) in pairs::read(bytes) {
        lines.add(name, value);
        lines.examine(name, value);
    }
    Ok(())
}

fn get(host: &mut Host<'_>, map: u32, place: u32, size: u32, data: u32, return_size: u32) -> Answer {
    check_map(map)?;
    let (name, state) = memory::read_beside(host, Span { place, size })?;
    let value = state.map(map)?.first(name).ok_or(Status::NotFound)?.to_vec();
    memory::hand_over(host, &value, Return { data, size: return_size })
}

fn add(host: &mut Host<'_>, map: u32, name: u32, name_size: u32, value: u32, value_size: u32) -> Answer {
    edit(host, map, Span { place: name, size: name_size }, Span { place: value, size: value_size }, HeaderMap::add)
}

fn replace(host: &mut Host<'_>, map: u32, name: u32, name_size: u32, value: u32, value_size: u32) -> Answer {
    edit(host, map, Span { place: name, size: name_size }, Span { place: value, size: value_size }, HeaderMap::replace)
}

fn edit(host: &mut Host<'_>, map: u32, name: Span, value: Span, edit: impl FnOnce(&mut HeaderMap, &[u8], &[u8])) -> Answer {
    check_map(map)?;
    let (name, value, state) = memory::read_two(host, name, value)?;
    let lines = state.map_mut(map)?;
    if !lines.has_room(name.len() + value.len()) {
        return Err(Status::InternalFailure);
    }
    edit(lines, name, value);
    lines.examine(name, value);
    Ok(())
}

fn remove(host: &mut Host<'_>, map: u32, place: u32, size: u32) -> Answer {
    check_map(map)?;
    let (name, state) = memory::read_beside(host, Span { place, size })?;
    state.map_mut(map)?.remove(name);
    Ok(())
}
