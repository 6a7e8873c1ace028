// SPDX-License-Identifier: Apache-2.0
//! How bytes are written: percent coding, a hash for long ones, and the ABI's lists of pairs.

use std::fmt::Write;

/// Results longer than this are shown as their length and hash.
const LONGEST: usize = 400;

/// Bytes as they are logged: `~` when empty, `#<length>:<hash>` when long, else percent-encoded.
pub fn shown(bytes: &[u8]) -> String {
    match bytes.len() {
        0 => "~".to_owned(),
        1..=LONGEST => encoded(bytes),
        length => format!("#{length}:{:016x}", fnv1a64(bytes)),
    }
}

/// A serialised list of pairs as it is logged: `<count>[name=value,…]`.
pub fn shown_pairs(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "~".to_owned();
    }
    let Some(pairs) = read_pairs(bytes) else { return format!("malformed:{}", shown(bytes)) };
    let listed: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let text = format!("{}[{}]", pairs.len(), listed.join(","));
    if text.len() > LONGEST { shown(text.as_bytes()) } else { text }
}

/// The bytes that a token stands for: `~` is none.
pub fn decoded(token: &str) -> Vec<u8> {
    if token == "~" {
        return Vec::new();
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

/// `k=v,k=v` as the ABI serialises it: count, lengths, then each text with a NUL behind it.
pub fn decoded_pairs(token: &str) -> Vec<u8> {
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = match token {
        "~" => Vec::new(),
        _ => token.split(',').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decoded(k), decoded(v))).collect(),
    };
    let mut bytes = word(pairs.len()).to_vec();
    for (name, value) in &pairs {
        bytes.extend([word(name.len()), word(value.len())].concat());
    }
    for (name, value) in &pairs {
        bytes.extend([name.as_slice(), &[0], value, &[0]].concat());
    }
    bytes
}

fn read_pairs(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let number = |index: usize| {
        let at = index.checked_mul(4)?;
        Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize)
    };
    let count = number(0)?;
    let mut at = count.checked_mul(8)?.checked_add(4)?;
    let mut take = |length: usize| {
        let taken = bytes.get(at..at.checked_add(length)?)?;
        at = at.checked_add(length)?.checked_add(1)?;
        Some(taken)
    };
    (0..count).map(|pair| Some((take(number(1 + 2 * pair)?)?, take(number(2 + 2 * pair)?)?))).collect()
}

fn encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.:/=,".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn word(number: usize) -> [u8; 4] {
    (number as u32).to_le_bytes()
}
