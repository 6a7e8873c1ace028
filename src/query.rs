// SPDX-License-Identifier: Apache-2.0
//! Queries as services read them: `application/x-www-form-urlencoded`. A name that is spelt in another way is the same name.

use std::borrow::Cow;

/// The values of the parameters whose name `is` the one in question, decoded, in order.
pub(crate) fn values<'a>(target: &'a [u8], is: impl Fn(&[u8]) -> bool + Clone) -> impl Iterator<Item = Cow<'a, [u8]>> + Clone {
    parameters(target).filter_map(move |parameter| {
        let (name, value) = halves(parameter, b'=');
        is(&decoded(name)).then(|| decoded(value))
    })
}

/// The target without the parameters whose name `is` the one in question, the others byte for byte as they are; `None` where there is none.
pub(crate) fn without(target: &[u8], is: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let taken = |parameter: &&[u8]| is(&decoded(halves(parameter, b'=').0));
    if !parameters(target).any(|parameter| taken(&parameter)) {
        return None;
    }
    let (path, _) = halves(target, b'?');
    let mut rest = path.to_vec();
    for (index, parameter) in parameters(target).filter(|parameter| !taken(parameter)).enumerate() {
        rest.push(if index == 0 { b'?' } else { b'&' });
        rest.extend_from_slice(parameter);
    }
    Some(rest)
}

fn parameters(target: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let query = target.iter().position(|byte| *byte == b'?').and_then(|at| target.get(at.saturating_add(1)..));
    query.into_iter().flat_map(|query| query.split(|byte| *byte == b'&'))
}

/// What stands before and after the first `by`.
pub(crate) fn halves(text: &[u8], by: u8) -> (&[u8], &[u8]) {
    let at = text.iter().position(|byte| *byte == by).unwrap_or(text.len());
    (text.get(..at).unwrap_or_default(), text.get(at.saturating_add(1)..).unwrap_or_default())
}

fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex_digit(*high).zip(hex_digit(*low)).map(|(high, low)| (high << 4) | low),
            _ => None,
        };
        decoded.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    Cow::Owned(decoded)
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_and_taken_out_however_they_are_spelt() {
        for (target, found, rest) in [
            ("/a", &[][..], None),
            ("/a?", &[], None),
            ("/key=1", &[], None),
            ("/a?key=1", &["1"], Some("/a")),
            ("/a?key", &[""], Some("/a")),
            ("/a?x=%2f&key=1&&y", &["1"], Some("/a?x=%2f&&y")),
            ("/a?k%65y=a%20b+c%2&key=2", &["a b c%2", "2"], Some("/a")),
            ("/a?KEY=1", &[], None),
            ("/a?x?key=1&key=?", &["?"], Some("/a?x?key=1")),
        ] {
            let values: Vec<_> = values(target.as_bytes(), |name| name == b"key").map(|value| value.into_owned()).collect();
            assert_eq!(values, found.iter().map(|value| value.as_bytes()).collect::<Vec<_>>(), "{target}");
            let without = without(target.as_bytes(), |name| name == b"key");
            assert_eq!(without.as_deref(), rest.map(str::as_bytes), "{target}");
        }
    }
}
