// SPDX-License-Identifier: Apache-2.0
//! W3C Baggage, <https://www.w3.org/TR/baggage/>, and the baggage of OpenTracing, Jaeger and Application Insights, which is read as such.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::carrier::{Format, Lines};
use super::field::Field;
use crate::edits::HeaderEdits;
use crate::head::Header;
use crate::head::trim_ows;

/// What the policy says about baggage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaggagePolicy {
    /// The only keys that go on, compared byte for byte; `None` lets every key go on.
    pub allow: Option<BTreeSet<String>>,
}

/// Names and values that callers hand along beside a trace.
///
/// ```text
/// baggage-string = list-member *( OWS "," OWS list-member )
/// list-member    = key OWS "=" OWS value *( OWS ";" OWS property )
/// property       = key OWS "=" OWS value / key
/// key            = token                                  ; RFC 9110 section 5.6.2
/// value          = *baggage-octet
/// baggage-octet  = %x21 / %x23-2B / %x2D-3A / %x3C-5B / %x5D-7E
/// ```
///
/// At most 64 members and 8192 bytes, which is what everybody has to hand on (section 3.3.1): a member that doesn't fit beside those before it
/// goes, and so does one that breaks the grammar. No member is ever cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage<'a> {
    members: Vec<Member<'a>>,
    length: usize,
    dropped: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member<'a> {
    key: Cow<'a, [u8]>,
    /// Percent-encoded.
    value: Cow<'a, [u8]>,
    /// From the first `;` on, or empty.
    properties: &'a [u8],
}

impl<'a> Baggage<'a> {
    /// Reads what came with a request in the trace of `winner`.
    pub(super) fn read(lines: &Lines<'a>, winner: Option<Format>, policy: &BaggagePolicy) -> Self {
        let mut baggage = Self::default();
        baggage.read_lists(lines.values(Field::Baggage), policy);
        match winner {
            Some(Format::OtTrace) => baggage.read_names(lines.all(Field::OtBaggage), Field::OtBaggage, policy),
            Some(Format::Jaeger) => baggage.read_names(lines.all(Field::UberContext), Field::UberContext, policy),
            Some(Format::RequestId) => baggage.read_lists(lines.values(Field::CorrelationContext), policy),
            _ => {}
        }
        baggage
    }

    /// Members by commas, in any number of lines.
    fn read_lists(&mut self, lines: impl Iterator<Item = &'a [u8]>, policy: &BaggagePolicy) {
        for text in lines.flat_map(|line| line.split(|&byte| byte == b',')) {
            let text = trim_ows(text);
            if text.is_empty() {
                continue;
            }
            // Beyond the last that fits nothing is worth reading.
            let read = if self.members.len() < MAX_MEMBERS { Member::read(text) } else { None };
            match read {
                Some(member) => self.push(member, policy),
                None => self.dropped = self.dropped.saturating_add(1),
            }
        }
    }

    /// A member by header, its key the rest of the header's name.
    fn read_names(&mut self, lines: impl Iterator<Item = Header<'a>>, field: Field, policy: &BaggagePolicy) {
        for Header { name, value } in lines {
            let key = name.get(field.name().len()..).unwrap_or_default();
            if !is_token(key) {
                self.dropped = self.dropped.saturating_add(1);
                continue;
            }
            // Jaeger's clients encode, OpenTracing's don't.
            let encoded = encode(value, field == Field::UberContext);
            self.push(Member { key: Cow::Borrowed(key), value: encoded, properties: b"" }, policy);
        }
    }

    fn push(&mut self, member: Member<'a>, policy: &BaggagePolicy) {
        let allowed = policy.allow.as_ref().is_none_or(|keys| std::str::from_utf8(&member.key).is_ok_and(|key| keys.contains(key)));
        let comma = usize::from(!self.members.is_empty());
        let length = self.length.saturating_add(comma).saturating_add(member.length());
        if allowed && self.members.len() < MAX_MEMBERS && length <= MAX_LENGTH {
            self.length = length;
            self.members.push(member);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// How many members were left out.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }

    /// Whether there is no member.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The value of the `baggage` header.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encode_up_to(MAX_LENGTH)
    }

    /// As many members from the first on as fit into `length` bytes.
    fn encode_up_to(&self, length: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.length.min(length));
        for member in &self.members {
            let comma = usize::from(!text.is_empty());
            if text.len().saturating_add(comma).saturating_add(member.length()) > length {
                break;
            }
            if comma > 0 {
                text.push(b',');
            }
            text.extend_from_slice(&member.key);
            text.push(b'=');
            text.extend_from_slice(&member.value);
            text.extend_from_slice(member.properties);
        }
        text
    }

    /// Writes the `baggage` header, unless the request has it just so.
    pub(super) fn write(&self, lines: &Lines<'a>, edits: &mut HeaderEdits) {
        let value = self.encode();
        let mut received = lines.values(Field::Baggage);
        if value.is_empty() {
            if received.next().is_some() {
                edits.remove(Field::Baggage.name());
            }
        } else if received.next() != Some(&value) || received.next().is_some() {
            edits.replace(Field::Baggage.name(), value);
        }
    }

    /// Writes the members as `format` has them, if it has its own form; says which names are written.
    pub(super) fn write_as(&self, format: Format, edits: &mut HeaderEdits) -> Vec<String> {
        let field = match format {
            Format::OtTrace => Field::OtBaggage,
            Format::Jaeger => Field::UberContext,
            Format::RequestId => {
                let value = self.encode_up_to(MAX_CORRELATION_CONTEXT);
                if value.is_empty() {
                    return Vec::new();
                }
                edits.replace(Field::CorrelationContext.name(), value);
                return vec![Field::CorrelationContext.name().to_owned()];
            }
            _ => return Vec::new(),
        };
        let mut names = Vec::new();
        for member in &self.members {
            let value = if field == Field::OtBaggage { decoded(&member.value) } else { Some(member.value.to_vec()) };
            // A token is ASCII.
            let (Some(value), Ok(key)) = (value, std::str::from_utf8(&member.key)) else { continue };
            let name = format!("{}{}", field.name(), key.to_ascii_lowercase());
            edits.replace(name.clone(), value);
            names.push(name);
        }
        names
    }
}

impl<'a> Member<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        let end = text.iter().position(|&byte| byte == b';').unwrap_or(text.len());
        let (pair, properties) = text.split_at_checked(end)?;
        let mut halves = pair.splitn(2, |&byte| byte == b'=');
        let (key, value) = (trim_ows(halves.next()?), trim_ows(halves.next()?));
        let sound =
            is_token(key) && value.iter().all(|&byte| is_octet(byte)) && properties.split(|&byte| byte == b';').skip(1).all(is_property);
        sound.then_some(Self { key: Cow::Borrowed(key), value: Cow::Borrowed(value), properties })
    }

    fn length(&self) -> usize {
        [self.key.len(), 1, self.value.len(), self.properties.len()].into_iter().fold(0, usize::saturating_add)
    }
}

fn is_property(property: &[u8]) -> bool {
    let mut halves = property.splitn(2, |&byte| byte == b'=');
    let key = trim_ows(halves.next().unwrap_or_default());
    is_token(key) && halves.next().is_none_or(|value| trim_ows(value).iter().all(|&byte| is_octet(byte)))
}

/// Writes bytes as a value: what is no baggage-octet is percent-encoded, `%` too unless it is `encoded` already.
fn encode(value: &[u8], encoded: bool) -> Cow<'_, [u8]> {
    let plain = |byte: u8| is_octet(byte) && (encoded || byte != b'%');
    if value.iter().all(|&byte| plain(byte)) {
        return Cow::Borrowed(value);
    }
    let mut text = Vec::with_capacity(value.len());
    for &byte in value {
        if plain(byte) {
            text.push(byte);
        } else {
            text.push(b'%');
            let mut digits = [0; 2];
            let _ = hex::encode_to_slice([byte], &mut digits);
            text.extend(digits.map(|digit| digit.to_ascii_uppercase()));
        }
    }
    Cow::Owned(text)
}

/// A percent-encoded value as a header value; `None` where it holds what a header value doesn't. What is no escape stands for itself.
fn decoded(value: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, others)) = rest.split_first() {
        let mut byte = [0];
        let digits = others.get(..2).filter(|_| first == b'%');
        if digits.is_some_and(|digits| hex::decode_to_slice(digits, &mut byte).is_ok()) {
            plain.extend(byte);
            rest = others.get(2..).unwrap_or_default();
        } else {
            plain.push(first);
            rest = others;
        }
    }
    let inner = plain.iter().all(|&byte| byte >= 0x20 && byte != 0x7f);
    (inner && plain.trim_ascii().len() == plain.len()).then_some(plain)
}

/// Whether bytes are a key of baggage: a token (RFC 9110 section 5.6.2).
#[must_use]
pub fn is_token(key: &[u8]) -> bool {
    !key.is_empty() && key.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

const fn is_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// Section 3.3.1: members and bytes that everybody has to hand on.
const MAX_MEMBERS: usize = 64;
const MAX_LENGTH: usize = 8192;
/// What Application Insights reads.
const MAX_CORRELATION_CONTEXT: usize = 1024;

/// No bytes panic, limits hold, and what we print, we read.
#[cfg(any(test, fuzzing))]
pub fn accepted_reprints(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        let lines = [Header { name: b"baggage", value: bytes }];
        let baggage = Baggage::read(&Lines::read(crate::Headers::new(&lines)), None, &BaggagePolicy::default());
        (baggage.encode(), baggage.members.len(), baggage.dropped())
    };
    let (printed, members, _) = read(bytes);
    assert!(printed.len() <= MAX_LENGTH && members <= MAX_MEMBERS);
    assert_eq!(read(&printed), (printed.clone(), members, 0), "what we print, we read");
    let received: Vec<&[u8]> = bytes.split(|&byte| byte == b',').collect();
    assert!(printed.is_empty() || printed.split(|&byte| byte == b',').count() <= received.len(), "whole members only");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edits::HeaderEdit;
    use crate::head::Headers;

    fn policy(allow: Option<&[&str]>) -> BaggagePolicy {
        BaggagePolicy { allow: allow.map(|keys| keys.iter().map(|&key| key.to_owned()).collect()) }
    }

    /// What is written for these lines, and how many members are left out.
    fn written(lines: &[(&str, &str)], winner: Option<Format>, inject: &[Format], allow: Option<&[&str]>) -> (Vec<String>, usize) {
        let lines: Vec<Header<'_>> = lines.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
        let lines = Lines::read(Headers::new(&lines));
        let baggage = Baggage::read(&lines, winner, &policy(allow));
        let mut edits = HeaderEdits::none();
        baggage.write(&lines, &mut edits);
        for format in inject {
            baggage.write_as(*format, &mut edits);
        }
        let edits = edits.iter().map(|edit| match edit {
            HeaderEdit::Replace { name, value } => format!("{name}: {}", String::from_utf8_lossy(value)),
            HeaderEdit::Remove { name } => format!("-{name}"),
        });
        (edits.collect(), baggage.dropped())
    }

    fn w3c(value: &str, allow: Option<&[&str]>) -> (Vec<String>, usize) {
        written(&[("baggage", value)], None, &[], allow)
    }

    #[test]
    fn what_is_sound_goes_on_untouched() {
        for value in ["a=1", "a=", "a=1,b=2;p;q=3", "a=x=y", "Tenant=caf%C3%A9", "a=1,a=2", "a=!#$%&'()*+-./:<=>?@[]^_`{|}~", "a=1; p = 2"]
        {
            assert_eq!(w3c(value, None), (vec![], 0), "{value}");
        }
    }

    #[test]
    fn what_is_not_sound_goes_member_by_member() {
        let replaced = |value: &str| vec![format!("baggage: {value}")];
        for (value, expected, dropped) in [
            ("a=1,b", replaced("a=1"), 1),
            ("a=1, b = 2 ,,", replaced("a=1,b=2"), 0),
            ("a b=1,c=3", replaced("c=3"), 1),
            ("a=\"1\",c=3", replaced("c=3"), 1),
            ("a=1 2,c=3", replaced("c=3"), 1),
            ("a=1\\,c=3", replaced("c=3"), 1),
            ("a=1;,c=3", replaced("c=3"), 1),
            ("a=1;p q,c=3", replaced("c=3"), 1),
            ("=1", vec!["-baggage".to_owned()], 1),
            ("\u{e9}=1", vec!["-baggage".to_owned()], 1),
            ("a=\u{e9}", vec!["-baggage".to_owned()], 1),
            ("", vec!["-baggage".to_owned()], 0),
        ] {
            assert_eq!(w3c(value, None), (expected, dropped), "{value}");
        }
    }

    #[test]
    fn only_what_is_allowed_goes_on() {
        assert_eq!(w3c("tenant=7,role=admin;x,tenant=8", Some(&["tenant"])), (vec!["baggage: tenant=7,tenant=8".to_owned()], 1));
        assert_eq!(w3c("Tenant=7", Some(&["tenant"])), (vec!["-baggage".to_owned()], 1));
        assert_eq!(w3c("tenant=7", Some(&[])), (vec!["-baggage".to_owned()], 1));
        assert_eq!(w3c("tenant=7", Some(&["tenant", "other"])), (vec![], 0));
    }

    #[test]
    fn limits_cut_whole_members_from_the_end() {
        let members = |count: usize| (0..count).map(|index| format!("k{index}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(w3c(&members(64), None), (vec![], 0));
        assert_eq!(w3c(&members(66), None), (vec![format!("baggage: {}", members(64))], 2));
        let exact = format!("a={}", "x".repeat(8190));
        assert_eq!(w3c(&exact, None), (vec![], 0));
        assert_eq!(w3c(&format!("{exact}x"), None), (vec!["-baggage".to_owned()], 1));
        assert_eq!(w3c(&format!("{exact},b=1"), None), (vec![format!("baggage: {exact}")], 1));
        let lines: Vec<(&str, &str)> = vec![("baggage", "a=1"); 100];
        assert_eq!(written(&lines, None, &[], None), (vec![format!("baggage: {}", vec!["a=1"; 64].join(","))], 36));
    }

    #[test]
    fn other_formats_baggage_is_read_with_their_trace_only_and_written_where_asked_for() {
        let lines = [("ot-baggage-test", "value 123%"), ("OT-Baggage-x", "1"), ("uberctx-y", "a%20b")];
        assert_eq!(written(&lines, None, &[], None).0, Vec::<String>::new());
        assert_eq!(written(&lines, Some(Format::OtTrace), &[], None).0, ["baggage: test=value%20123%25,x=1"]);
        assert_eq!(written(&lines, Some(Format::Jaeger), &[], None).0, ["baggage: y=a%20b"]);
        assert_eq!(
            written(&lines, Some(Format::OtTrace), &[Format::OtTrace, Format::Jaeger, Format::RequestId], Some(&["test"])).0,
            [
                "baggage: test=value%20123%25",
                "ot-baggage-test: value 123%",
                "uberctx-test: value%20123%25",
                "correlation-context: test=value%20123%25"
            ]
        );
        assert_eq!(written(&[("correlation-context", "a=1,b=2")], Some(Format::RequestId), &[], None).0, ["baggage: a=1,b=2"]);
        // What no header can hold isn't written as one.
        assert_eq!(written(&[("baggage", "a=%0d%0Ax,b=%zz,c=%20")], None, &[Format::OtTrace], None).0, ["ot-baggage-b: %zz"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            accepted_reprints(&bytes);
        }

        #[test]
        fn nearly_right_bytes_too(text in "([a-z%]{0,3}[ =]{0,2}[a-z\"%]{0,4}(;[a-z=]{0,3})?,){0,80}") {
            accepted_reprints(text.as_bytes());
        }

        #[test]
        fn what_is_encoded_decodes(value in proptest::collection::vec(0x21_u8.., 0..20)) {
            prop_assume!(!value.contains(&0x7f));
            prop_assert_eq!(decoded(&encode(&value, false)), Some(value));
        }
    }
}
