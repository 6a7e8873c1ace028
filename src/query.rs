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

/// The target without the parameters whose name `is` the one in question, and isn't our `own` to keep, the others byte for byte as they are;
/// `None` where there is none. Some services part parameters by `;` too: what stands behind one is never our own.
pub(crate) fn without(target: &[u8], is: impl Fn(&[u8]) -> bool, own: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let kept_whole = |parameter: &[u8]| own(&name(parameter));
    let taken = |part: &[u8]| is(&name(part));
    if parameters(target).all(|parameter| kept_whole(parameter) || !(taken(parameter) || parts(parameter).any(taken))) {
        return None;
    }
    let kept = |parameter: &[u8]| -> Option<Vec<u8>> {
        if kept_whole(parameter) {
            return Some(parameter.to_vec());
        }
        let rest: Vec<&[u8]> = parts(parameter).filter(|part| !taken(part)).collect();
        (!taken(parameter) && !rest.is_empty()).then(|| rest.join(&b";"[..]))
    };
    let (path, _) = halves(target, b'?');
    let mut rest = path.to_vec();
    for (index, parameter) in parameters(target).filter_map(kept).enumerate() {
        rest.push(if index == 0 { b'?' } else { b'&' });
        rest.extend_from_slice(&parameter);
    }
    Some(rest)
}

/// Whether some service takes a parameter's name for this one. Some have no case, or know names as variables: PHP drops spaces before them and what
/// follows a NUL, and writes `_` for dots, spaces and an open bracket; and `name[]` is one of several of that name.
pub(crate) fn reads_as(found: &[u8], own: &[u8]) -> bool {
    let start = found.iter().position(|byte| *byte != b' ').unwrap_or(found.len());
    let found = halves(found.get(start..).unwrap_or_default(), 0).0;
    let letter = |byte: &u8| if matches!(byte, b'.' | b' ' | b'[') { b'_' } else { byte.to_ascii_lowercase() };
    let same = |found: &[u8]| found.iter().map(letter).eq(own.iter().map(letter));
    same(found) || same(halves(found, b'[').0)
}

/// The values of the parameters that some service takes for those of this name, and that aren't called so.
pub(crate) fn alike<'a, 'n>(target: &'a [u8], own: &'n [u8]) -> impl Iterator<Item = Cow<'a, [u8]>> + Clone + use<'a, 'n> {
    let others = parameters(target).filter(move |parameter| *name(parameter) != *own).flat_map(parts);
    others.filter(move |part| reads_as(&name(part), own)).map(|part| decoded(halves(part, b'=').1))
}

/// A parameter's name, decoded.
fn name(parameter: &[u8]) -> Cow<'_, [u8]> {
    decoded(halves(parameter, b'=').0)
}

/// What services take for parameters that part them by `;` too.
fn parts(parameter: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    parameter.split(|byte| *byte == b';')
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
            let without = without(target.as_bytes(), |name| name == b"key", |_| false);
            assert_eq!(without.as_deref(), rest.map(str::as_bytes), "{target}");
        }
    }
}
