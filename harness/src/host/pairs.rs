// SPDX-License-Identifier: Apache-2.0
//! Serialised header maps, as they cross the boundary between host and module (ABI 0.2.1, *Serialized maps*).

use super::headers::HeaderMap;

/// The bytes that [`write`] fills: all lines, whatever their number. Envoy's limits hold for what modules hand over, see
/// [`read`].
pub(super) fn size(map: &HeaderMap) -> usize {
    if map.is_empty() { 0 } else { 4 + map.iter().map(|line| 8 + line.name.len() + line.value.len() + 2).sum::<usize>() }
}

/// Serialises a map into a buffer of its [`size`].
pub(super) fn write(map: &HeaderMap, mut buffer: &mut [u8]) {
    if map.is_empty() {
        return;
    }
    put_length(&mut buffer, map.len());
    for line in map.iter() {
        put_length(&mut buffer, line.name.len());
        put_length(&mut buffer, line.value.len());
    }
    for text in map.iter().flat_map(|line| [&line.name, &line.value]) {
        put(&mut buffer, text);
        put(&mut buffer, &[0]);
    }
}

/// The pairs that the module hands over. Above Envoy's limits, and where the lengths lie, it reads none.
pub(super) fn read(buffer: &[u8]) -> Vec<(&[u8], &[u8])> {
    parse(buffer).unwrap_or_default()
}

fn parse(mut buffer: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    if buffer.len() > MAX_SIZE {
        return None;
    }
    let count = take_length(&mut buffer).filter(|count| *count <= MAX_PAIRS)?;
    let (mut lengths, mut text) = buffer.split_at_checked(count.checked_mul(8)?)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let (name, value) = (take_length(&mut lengths)?, take_length(&mut lengths)?);
        pairs.push((take_text(&mut text, name)?, take_text(&mut text, value)?));
    }
    text.is_empty().then_some(pairs)
}

fn put(buffer: &mut &mut [u8], bytes: &[u8]) {
    if let Some((here, rest)) = std::mem::take(buffer).split_at_mut_checked(bytes.len()) {
        here.copy_from_slice(bytes);
        *buffer = rest;
    }
}

fn put_length(buffer: &mut &mut [u8], length: usize) {
    put(buffer, &u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
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

/// A map without lines, where Envoy writes one down all the same.
pub(super) const NONE: &[u8] = &[0; 4];
const MAX_PAIRS: usize = 1024;
const MAX_SIZE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(map: &HeaderMap) -> Vec<u8> {
        let mut buffer = vec![0xaa; size(map)];
        write(map, &mut buffer);
        buffer
    }

    #[test]
    fn what_is_written_is_read() {
        let map: HeaderMap = [(&b"a"[..], &b"\xff,1"[..]), (b"a", b""), (b"b", b"2")].into_iter().collect();
        let buffer = written(&map);
        assert_eq!(read(&buffer), [(&b"a"[..], &b"\xff,1"[..]), (b"a", b""), (b"b", b"2")]);
        for cut in 0..buffer.len() {
            assert!(read(&buffer[..cut]).is_empty(), "cut to {cut}");
        }
        assert!(written(&HeaderMap::default()).is_empty());
    }

    #[test]
    fn above_the_limits_what_a_module_hands_over_counts_as_empty() {
        let lines = |count: usize| read(&written(&(0..count).map(|index| (index.to_string(), "v")).collect())).len();
        assert_eq!((lines(1024), lines(1025)), (1024, 0));
        assert!(read(&written(&[("a", "v".repeat(1 << 20))].into_iter().collect())).is_empty());
    }
}
