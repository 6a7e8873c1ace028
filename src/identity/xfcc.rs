// SPDX-License-Identifier: Apache-2.0
//! `x-forwarded-client-cert`, in which a proxy tells of its peer's certificate:
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert>.

use crate::head::Headers;
use crate::inputs::PeerFact;

/// What one proxy tells of its peer's certificate. Of several URI or DNS names the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    uri: Option<String>,
    dns: Option<String>,
    subject: Option<String>,
    hash: Option<String>,
}

impl Element {
    pub(super) fn fact(&self, fact: PeerFact) -> Option<&str> {
        let known = match fact {
            PeerFact::SourceAddress => &None,
            PeerFact::UriSan => &self.uri,
            PeerFact::DnsSan => &self.dns,
            PeerFact::Subject => &self.subject,
            PeerFact::Sha256 => &self.hash,
        };
        known.as_deref()
    }
}

/// The last element, which is the nearest proxy's; where our own listener has added one about that proxy, whose digest is `own`, the one before.
/// `None` where there is none, or the header can't be read: an element is as good as its neighbours.
pub(super) fn last(headers: Headers<'_>, own: Option<&[u8]>) -> Option<Element> {
    let mut elements = Vec::new();
    for line in headers.values(HEADER) {
        for element in split(line, b',')? {
            elements.push(read(element)?);
        }
    }
    let last = elements.pop()?;
    let is_own = own.is_some_and(|own| last.hash.as_deref().is_some_and(|hash| hash.as_bytes().eq_ignore_ascii_case(own)));
    if is_own { elements.pop() } else { Some(last) }
}

fn read(text: &[u8]) -> Option<Element> {
    let mut element = Element::default();
    for pair in split(text, b';')? {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair.get(..at)?, pair.get(at.saturating_add(1)..)?);
        // Of every field: a quote that opens in one and closes in another would swallow what stands between them.
        let value = unquoted(value)?;
        let field = match name.to_ascii_lowercase().as_slice() {
            b"uri" => &mut element.uri,
            b"dns" => &mut element.dns,
            b"subject" => &mut element.subject,
            b"hash" => &mut element.hash,
            _ => continue,
        };
        if field.is_none() && !value.is_empty() {
            *field = Some(value);
        }
    }
    Some(element)
}

/// The parts, where quotes are closed.
fn split(text: &[u8], by: u8) -> Option<Vec<&[u8]>> {
    let (mut parts, mut start) = (Vec::new(), 0_usize);
    let (mut quoted, mut escaped) = (false, false);
    for (place, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte if *byte == by && !quoted => {
                parts.push(text.get(start..place)?.trim_ascii());
                start = place.saturating_add(1);
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?.trim_ascii());
    (!quoted && !escaped).then_some(parts)
}

/// A value without its quotes. Backslashes stay: Envoy writes a subject as RFC 2253 escapes it, as it tells of the connection's own, and without
/// them `CN=a\,O=b` would pass for `CN=a,O=b`.
fn unquoted(value: &[u8]) -> Option<String> {
    let Some(inner) = value.strip_prefix(b"\"") else {
        return String::from_utf8(value.to_vec()).ok().filter(|value| !value.contains('"'));
    };
    let (inner, mut escaped) = (inner.strip_suffix(b"\"")?, false);
    for byte in inner {
        escaped = match byte {
            b'"' if !escaped => return None,
            byte => *byte == b'\\' && !escaped,
        };
    }
    if escaped { None } else { String::from_utf8(inner.to_vec()).ok() }
}

/// The header.
pub(super) const HEADER: &str = "x-forwarded-client-cert";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Header;

    #[test]
    fn the_nearest_proxys_element_counts() {
        let one = r#"By=spiffe://shop.example/edge;Hash=AB12;Subject="CN=billing,O=\"Shop, Ltd\"";URI=spiffe://shop.example/billing;DNS=a.example;DNS=b.example"#;
        let two = "Hash=cd34;URI=spiffe://shop.example/orders";
        let read = |lines: &[&str], own: Option<&str>| {
            let lines: Vec<Header<'_>> = lines.iter().map(|line| Header { name: HEADER.as_bytes(), value: line.as_bytes() }).collect();
            last(Headers::new(&lines), own.map(str::as_bytes))
        };
        let billing = Element {
            uri: Some("spiffe://shop.example/billing".into()),
            dns: Some("a.example".into()),
            subject: Some(r#"CN=billing,O=\"Shop, Ltd\""#.into()),
            hash: Some("AB12".into()),
        };
        let orders = Element { uri: Some("spiffe://shop.example/orders".into()), hash: Some("cd34".into()), ..Element::default() };
        assert_eq!(read(&[one], None), Some(billing.clone()));
        assert_eq!(read(&[&format!("{one}, {two}")], None), Some(orders.clone()));
        assert_eq!(read(&[one, two], None), Some(orders.clone()));
        assert_eq!(read(&[two, one], Some("ab12")), Some(orders), "our listener appended what it saw of the proxy");
        assert_eq!(read(&[one], Some("ab12")), None, "the proxy's peer showed none");
        assert_eq!(read(&["URI=;URI=x"], None).and_then(|element| element.uri), Some("x".into()));
        for broken in ["", "URI", "Hash=\"ab", "Hash=ab\"", "Hash=\"a\"b", "Hash=\"a\\", "URI=\"a\"\"b\"", "Hash=ab,", "x;Hash=ab"] {
            assert_eq!(read(&[broken], None), None, "{broken}");
            assert_eq!(read(&[broken, one], None), None, "an element is as good as its neighbours");
        }
        assert_eq!(read(&[], None), None);
        let subject = |line| read(&[line], None).and_then(|element| element.subject);
        assert_eq!(subject(r#"Subject="CN=a\,O=b""#).as_deref(), Some(r"CN=a\,O=b"), "one attribute doesn't pass for two");
        // A client's own text, and behind it what a proxy has appended of a subject with a quote in it.
        let swallowed = r#"Hash=aa;URI=spiffe://shop.example/billing;x=",By=spiffe://p;Hash=bb;Subject="CN=\"x";URI=spiffe://q"#;
        assert_eq!(read(&[swallowed], None), None, "a quote ends in the field in which it begins");
    }
}
