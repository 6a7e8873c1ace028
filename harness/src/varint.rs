// SPDX-License-Identifier: Apache-2.0
//! Unsigned LEB128 numbers, as WebAssembly and protobuf write them.

/// Takes a number off the front; `None` where it has no end within 64 bits.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
