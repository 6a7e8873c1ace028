// SPDX-License-Identifier: Apache-2.0
//! The parts of what was read whole, each with its own line.

use serde_json::value::RawValue;

use super::frame::Frame;
use super::table::Columns;

/// Values that stand in a text, in their order, each as a frame. `first_line` is that of the text.
pub(super) fn parts(text: &[u8], values: &[&RawValue], first_line: u64, columns: Option<&Columns>) -> Vec<Frame> {
    let (mut line, mut counted) = (first_line, 0);
    let mut part = |value: &RawValue| {
        let offset = value.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
        let passed = text.get(counted..offset).unwrap_or_default();
        line += passed.iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
        counted = offset;
        Frame { line, bytes: value.get().as_bytes().to_vec(), columns: columns.cloned() }
    };
    values.iter().map(|value| part(value)).collect()
}
