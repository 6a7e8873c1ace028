// SPDX-License-Identifier: Apache-2.0
//! Serialised header maps, as they cross the boundary between host and module (ABI 0.2.1, *Serialized maps*).

use super::headers::HeaderMap;

/// What the module is handed: all of it. Envoy's limits hold for what modules hand over, see [`read`].
pub(super) fn write(map: &HeaderMap) -> Vec<u8> {
    let size: usize = 4 + map.iter().map(|line| 8 + line.name.len() + line.value.len() + 2).sum::<usize>();
    let mut buffer = Vec::with_capacity(size);
    put_length(&mut buffer, map.len());
    for line in map.iter() {
        put_length(&mut buffer, line.name.len());
        put_length(&mut buffer, line.value.len());
    }
    for text in map.iter().flat_map(|line| [&line.name, &line.value]) {
        buffer.extend_from_slice(text);
        buffer.push(0);
    }
    buffer
}

/// What the module hands over; `None` where its lengths lie. Above Envoy's limits a map counts as empty.
pub(super) fn read(mut buffer: &[u8]) -> Option<HeaderMap> {
    if buffer.len() > MAX_SIZE {
        return Some(HeaderMap::default());
    }
    let count = take_length(&mut buffer)?;
    if count > MAX_PAIRS {
        return Some(HeaderMap::default());
    }
    let mut lengths = buffer.get(..count.checked_mul(8)?)?;
    let mut text = buffer.get(lengths.len()..)?;
    let mut map = HeaderMap::default();
    for _ in 0..count {
        let (name, value) = (take_length(&mut lengths)?, take_length(&mut lengths)?);
        let name = take_text(&mut text, name)?;
        let value = take_text(&mut text, value)?;
        map.add(name, value);
    }
    Some(map)
}

fn put_length(buffer: &mut Vec<u8>, length: usize) {
    buffer.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn take_length(buffer: &mut &[u8]) -> Option<usize> {
    let (length, rest) = buffer.split_first_chunk::<4>()?;
    *buffer = rest;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

fn take_text<'a>(buffer: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (text, rest) = buffer.split_at_checked(length)?;
    *buffer = rest.strip_prefix(&[0])?;
    Some(text)
}

const MAX_PAIRS: usize = 1024;
const MAX_SIZE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let map: HeaderMap = [(&b"a"[..], &b"\xff,1"[..]), (b"a", b""), (b"b", b"2")].into_iter().collect();
        let buffer = write(&map);
        assert_eq!(read(&buffer), Some(map));
        for cut in 0..buffer.len() {
            assert_eq!(read(&buffer[..cut]), None, "cut to {cut}");
        }
    }

    #[test]
    fn above_the_limits_what_a_module_hands_over_counts_as_empty() {
        let lines = |count: usize| read(&write(&(0..count).map(|index| (index.to_string(), "v")).collect())).map(|map| map.len());
        assert_eq!((lines(1024), lines(1025)), (Some(1024), Some(0)));
        assert_eq!(read(&write(&[("a", "v".repeat(1 << 20))].into_iter().collect())), Some(HeaderMap::default()));
    }
}
