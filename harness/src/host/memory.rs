// SPDX-License-Identifier: Apache-2.0
//! The module's memory, as host functions read and write it.

use wasmtime::Caller;

use super::state::State;
use super::status::{Answer, Status};

/// A host function's view of the VM.
pub(super) type Host<'a> = Caller<'a, State>;

/// A pointer and a size that the module gave.
#[derive(Clone, Copy)]
pub(super) struct Span {
    /// Where it begins.
    pub(super) place: u32,
    /// How many bytes it has.
    pub(super) size: u32,
}

/// Two places that the module gave, where it looks for a pointer and a size.
#[derive(Clone, Copy)]
pub(super) struct Return {
    /// For the pointer.
    pub(super) data: u32,
    /// For the size.
    pub(super) size: u32,
}

/// Lends what the module points to.
pub(super) fn read<'a>(host: &'a Host<'_>, span: Span) -> Answer<&'a [u8]> {
    let memory = host.data().memory.ok_or(Status::InternalFailure)?;
    let start = index(span.place);
    memory.data(host).get(start..start.saturating_add(index(span.size))).ok_or(Status::InvalidMemoryAccess)
}

/// Lends what the module points to, together with the host's state.
pub(super) fn read_beside<'a>(host: &'a mut Host<'_>, span: Span) -> Answer<(&'a [u8], &'a mut State)> {
    let memory = host.data().memory.ok_or(Status::InternalFailure)?;
    let (data, state) = memory.data_and_store_mut(host);
    let start = index(span.place);
    let bytes = data.get(start..start.saturating_add(index(span.size))).ok_or(Status::InvalidMemoryAccess)?;
    Ok((bytes, state))
}

/// As [`read_beside`], of two places.
pub(super) fn read_two<'a>(host: &'a mut Host<'_>, first: Span, second: Span) -> Answer<(&'a [u8], &'a [u8], &'a mut State)> {
    let memory = host.data().memory.ok_or(Status::InternalFailure)?;
    let (data, state) = memory.data_and_store_mut(host);
    let lend = |span: Span| {
        let start = index(span.place);
        data.get(start..start.saturating_add(index(span.size))).ok_or(Status::InvalidMemoryAccess)
    };
    Ok((lend(first)?, lend(second)?, state))
}

/// Writes where the module points to.
pub(super) fn write(host: &mut Host<'_>, place: u32, bytes: &[u8]) -> Answer {
    let memory = host.data().memory.ok_or(Status::InternalFailure)?;
    memory.write(host, index(place), bytes).map_err(|_| Status::InvalidMemoryAccess)
}

/// Writes a number where the module points to.
pub(super) fn write_word(host: &mut Host<'_>, place: u32, number: u32) -> Answer {
    let number = host.data_mut().number.take().unwrap_or(number);
    write(host, place, &number.to_le_bytes())
}

/// Gives the module a buffer of its own that holds `bytes`. Nothing is allocated for none.
pub(super) fn hand_over(host: &mut Host<'_>, bytes: &[u8], at: Return) -> Answer {
    hand_over_with(host, bytes.len(), at, |_, buffer| buffer.copy_from_slice(bytes))
}

/// Gives the module a buffer of its own, `size` bytes filled in place.
pub(super) fn hand_over_with(host: &mut Host<'_>, size: usize, at: Return, fill: impl FnOnce(&State, &mut [u8])) -> Answer {
    let mut place = 0;
    let mut told = length(size);
    if size > 0 {
        let allocate = host.data().allocate.clone().ok_or(Status::InvalidMemoryAccess)?;
        place = allocate.call(&mut *host, told).map_err(|error| {
            host.data_mut().trapped = Some(error);
            Status::InvalidMemoryAccess
        })?;
        let memory = host.data().memory.ok_or(Status::InternalFailure)?;
        let (data, state) = memory.data_and_store_mut(&mut *host);
        let start = index(place);
        let buffer = data.get_mut(start..start.saturating_add(size)).filter(|_| place != 0).ok_or(Status::InvalidMemoryAccess)?;
        fill(state, buffer);
        if let Some(mangle) = state.mangle.take() {
            (place, told) = mangle.apply(place, buffer);
        }
    }
    write_word(host, at.data, place)?;
    write_word(host, at.size, told)
}

/// A number of the module's as an index.
pub(super) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A length as the module reads it.
pub(super) fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
