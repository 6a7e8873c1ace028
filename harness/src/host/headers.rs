// SPDX-License-Identifier: Apache-2.0
//! A header map with Envoy's semantics: names in lower case, lines in order, repeated lines kept apart, except for those
//! names whose lines Envoy joins into one.

use super::limits::{MAX_LINES, MAX_MAP};

/// One header line, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name, in lower case.
    pub name: Vec<u8>,
    /// The value, without white space around it where it came over the wire.
    pub value: Vec<u8>,
}

/// What a map is the head or the tail of. Envoy joins the lines of other names in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// A request's head.
    #[default]
    Request,
    /// A response's head.
    Response,
    /// A request's trailers.
    RequestTrailers,
    /// A response's trailers.
    ResponseTrailers,
}

/// Header lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderMap {
    part: Part,
    lines: Vec<Line>,
    /// A plugin put a line in that no HTTP message can have.
    suspect: bool,
    /// The bytes of all names and values.
    size: usize,
}

impl HeaderMap {
    /// An empty map.
    #[must_use]
    pub const fn new(part: Part) -> Self {
        Self { part, lines: Vec::new(), suspect: false, size: 0 }
    }

    /// The lines as they come over the wire, white space around values stripped.
    pub fn received<N: AsRef<[u8]>, V: AsRef<[u8]>>(part: Part, lines: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut map = Self::new(part);
        for (name, value) in lines {
            map.add(name.as_ref(), value.as_ref().trim_ascii());
        }
        map
    }

    /// All lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }

    /// How many lines there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The bytes of all names and values.
    #[must_use]
    pub const fn byte_size(&self) -> usize {
        self.size
    }

    /// The first line's value: what `proxy_get_header_map_value` gives in Envoy.
    #[must_use]
    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// Every line's value.
    pub fn values<'a, 'n>(&'a self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let name = self.canonical(name);
        self.lines.iter().filter(move |line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value.as_slice())
    }

    /// Whether there is room for `more` bytes of a plugin's.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.lines.len() < MAX_LINES && self.size.saturating_add(more) < MAX_MAP
    }

    /// Appends a line, or to the line where Envoy keeps one line of this name.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let name = self.canonical(name).to_ascii_lowercase();
        if let Some(delimiter) = self.delimiter(&name)
            && let Some(line) = self.lines.iter_mut().find(|line| line.name == name)
        {
            let before = line.value.len();
            if !line.value.is_empty() && !value.is_empty() {
                line.value.extend_from_slice(delimiter);
            }
            line.value.extend_from_slice(value);
            self.size += line.value.len() - before;
            return;
        }
        self.size += name.len() + value.len();
        let line = Line { value: value.to_vec(), name };
        if line.name.starts_with(b":") {
            let behind = self.lines.iter().position(|line| !line.name.starts_with(b":")).unwrap_or(self.lines.len());
            self.lines.insert(behind, line);
        } else {
            self.lines.push(line);
        }
    }

    /// Sets the value of a name in place, as a proxy does for itself, or appends it.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        let name = self.canonical(name);
        match self.lines.iter_mut().find(|line| line.name.eq_ignore_ascii_case(name)) {
            Some(line) => {
                self.size = self.size - line.value.len() + value.len();
                line.value = value.to_vec();
            }
            None => self.add(name, value),
        }
    }

    /// Makes all lines of a name one, which goes last.
    pub fn replace(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    /// Deletes every line of a name.
    pub fn remove(&mut self, name: &[u8]) {
        let name = self.canonical(name);
        let size = &mut self.size;
        self.lines.retain(|line| {
            let keep = !line.name.eq_ignore_ascii_case(name);
            *size -= if keep { 0 } else { line.name.len() + line.value.len() };
            keep
        });
    }

    /// Notes what a plugin put in.
    pub(super) fn examine(&mut self, name: &[u8], value: &[u8]) {
        self.suspect |= !is_name(name) || !is_value(value);
    }

    /// Whether Envoy starts to send a callout with this head: every name is one.
    pub(super) fn sendable(&self) -> bool {
        self.lines.iter().all(|line| is_name(&line.name))
    }

    /// What keeps Envoy from sending a request with this head upstream.
    pub(super) fn flaw(&self) -> Option<String> {
        if self.first(b":method").is_none() {
            return Some("missing required header: :method".to_owned());
        }
        let mut lines = self.lines.iter().filter(|_| self.suspect);
        lines.find_map(|line| match (is_name(&line.name), is_value(&line.value)) {
            (false, _) => Some(format!("invalid header name: {}", line.name.escape_ascii())),
            (true, false) => Some(format!("invalid header value for: {}", line.name.escape_ascii())),
            (true, true) => None,
        })
    }

    /// Deletes every line.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.size = 0;
    }

    /// The name that a line goes by: in a request, `host` is `:authority`.
    fn canonical<'n>(&self, name: &'n [u8]) -> &'n [u8] {
        if self.part == Part::Request && name.eq_ignore_ascii_case(b"host") { b":authority" } else { name }
    }

    /// What Envoy puts between the values of a name of which it keeps one line.
    fn delimiter(&self, name: &[u8]) -> Option<&'static [u8]> {
        let joined = match self.part {
            Part::Request => is_among(JOINED_IN_REQUESTS, name),
            Part::Response => is_among(JOINED_IN_RESPONSES, name),
            Part::RequestTrailers => false,
            Part::ResponseTrailers => matches!(name, b"grpc-status" | b"grpc-message"),
        };
        joined.then_some(b",")
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderMap {
    /// A request's head as received.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(lines: I) -> Self {
        Self::received(Part::Request, lines)
    }
}

fn is_name(name: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    name.strip_prefix(b":").unwrap_or(name).iter().all(is_token)
}

fn is_value(value: &[u8]) -> bool {
    !value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}

/// Whether a list in order of length, then of the alphabet, has a name.
fn is_among(list: &[&[u8]], name: &[u8]) -> bool {
    list.binary_search_by(|known| known.len().cmp(&name.len()).then_with(|| (*known).cmp(name))).is_ok()
}

/// Request headers of which Envoy keeps one line, in order.
const JOINED_IN_REQUESTS: &[&[u8]] = &[
    b"te",
    b"via",
    b":path",
    b"accept",
    b"origin",
    b"pragma",
    b":method",
    b":scheme",
    b"referer",
    b"upgrade",
    b"if-match",
    b"if-range",
    b":protocol",
    b":authority",
    b"connection",
    b"keep-alive",
    b"user-agent",
    b"content-type",
    b"grpc-timeout",
    b"x-request-id",
    b"authorization",
    b"cache-control",
    b"if-none-match",
    b"content-length",
    b"accept-encoding",
    b"x-forwarded-for",
    b"content-encoding",
    b"proxy-connection",
    b"x-envoy-internal",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"if-modified-since",
    b"transfer-encoding",
    b"x-client-trace-id",
    b"x-forwarded-proto",
    b"if-unmodified-since",
    b"grpc-accept-encoding",
    b"x-forwarded-client-cert",
    b"x-envoy-external-address",
    b"x-envoy-decorator-operation",
    b"access-control-request-method",
    b"access-control-request-headers",
    b"x-envoy-expected-rq-timeout-ms",
];

/// Response headers of which Envoy keeps one line, in order.
const JOINED_IN_RESPONSES: &[&[u8]] = &[
    b"age",
    b"via",
    b"date",
    b"etag",
    b"vary",
    b"server",
    b":status",
    b"expires",
    b"upgrade",
    b"location",
    b"connection",
    b"keep-alive",
    b"grpc-status",
    b"content-type",
    b"grpc-message",
    b"x-request-id",
    b"cache-control",
    b"last-modified",
    b"content-length",
    b"content-encoding",
    b"proxy-connection",
    b"x-envoy-degraded",
    b"transfer-encoding",
    b"access-control-max-age",
    b"access-control-allow-origin",
    b"x-envoy-decorator-operation",
    b"access-control-allow-headers",
    b"access-control-allow-methods",
    b"access-control-expose-headers",
    b"access-control-allow-credentials",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> HeaderMap {
        [("A", "1"), ("b", " 2\t"), ("a", "3"), ("c", "4")].into_iter().collect()
    }

    fn lines(map: &HeaderMap) -> Vec<(&str, &str)> {
        map.iter().map(|line| (std::str::from_utf8(&line.name).unwrap_or("?"), std::str::from_utf8(&line.value).unwrap_or("?"))).collect()
    }

    #[test]
    fn repeated_lines_stay_apart_and_names_are_found_in_any_case() {
        assert_eq!(lines(&map()), [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")]);
        assert_eq!(map().first(b"a"), Some(&b"1"[..]));
        assert_eq!(map().first(b"x"), None);
    }

    #[test]
    fn replace_makes_one_line_that_goes_last_add_appends_remove_deletes_all() {
        let mut replaced = map();
        replaced.replace(b"A", b"9");
        assert_eq!(lines(&replaced), [("b", "2"), ("c", "4"), ("a", "9")]);
        replaced.replace(b"d", b"5");
        assert_eq!(lines(&replaced), [("b", "2"), ("c", "4"), ("a", "9"), ("d", "5")]);
        replaced.replace(b":path", b"/");
        assert_eq!(lines(&replaced).first(), Some(&(":path", "/")), "pseudo-headers stay before the others");
        let mut removed = map();
        removed.remove(b"a");
        assert_eq!(lines(&removed), [("b", "2"), ("c", "4")]);
        removed.add(b"C", b"6");
        assert_eq!(lines(&removed), [("b", "2"), ("c", "4"), ("c", "6")]);
    }

    #[test]
    fn lines_that_envoy_keeps_as_one_are_joined() {
        let joined: HeaderMap = [("Accept", "a"), ("x", "1"), ("accept", ""), ("accept", "b")].into_iter().collect();
        assert_eq!(lines(&joined), [("accept", "a,b"), ("x", "1")]);
        let host: HeaderMap = [("host", "a.example")].into_iter().collect();
        assert_eq!((lines(&host), host.first(b"Host")), (vec![(":authority", "a.example")], Some(&b"a.example"[..])));
    }

    #[test]
    fn the_joined_names_can_be_searched() {
        for list in [JOINED_IN_REQUESTS, JOINED_IN_RESPONSES] {
            assert!(list.is_sorted_by_key(|name| (name.len(), *name)));
            assert!(list.iter().all(|name| is_among(list, name)) && !is_among(list, b"x-unknown"));
        }
    }
}
