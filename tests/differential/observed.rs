// SPDX-License-Identifier: Apache-2.0
//! What a host lets be seen of a case, and where two hosts differ.

use std::fmt;

use tracegate_harness::http::{Field, Request, Response};

/// All that is seen of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// What the probe logged, behind `PROBE <case> `.
    pub log: Vec<String>,
    /// What reached the upstream.
    pub upstream: Vec<Seen>,
    /// What reached the service.
    pub callouts: Vec<Seen>,
    /// What the client got; `None` when the connection ended without a response.
    pub response: Option<Seen>,
}

/// A message as seen on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `GET /path` or `200`.
    pub start: String,
    /// Header lines, in order, names as received.
    pub fields: Vec<Field>,
    /// The body.
    pub body: Vec<u8>,
    /// Lines behind it.
    pub trailers: Vec<Field>,
}

/// What each case of a gateway came to, by name, in order. Root programs come first, as `root:<name>`.
pub type Run = Vec<(String, Observed)>;

/// Response headers that are left out of what is seen: one tells the time, the other is about the client's connection.
pub const LEFT_OUT: &[&str] = &["date", "connection"];

/// What stands for this machine's address.
const ADDRESS: &str = "<address>";

/// What comes before the milliseconds that a callout took.
const SERVICE_TIME: &str = "x-envoy-upstream-service-time=";

impl Seen {
    /// A request.
    #[must_use]
    pub fn request(request: &Request) -> Self {
        let Request { method, target, fields, body, trailers } = request.clone();
        Self { start: format!("{method} {target}"), fields, body, trailers }
    }

    /// A response, without the fields that are left out.
    #[must_use]
    pub fn response(response: &Response) -> Self {
        let Response { status, mut fields, body, trailers } = response.clone();
        fields.retain(|(name, _)| !LEFT_OUT.iter().any(|left_out| name == left_out.as_bytes()));
        Self { start: status.to_string(), fields, body, trailers }
    }

    /// Puts a word in place of each id in `traceparent` that the client didn't send, and of its repetition in `tracestate`.
    fn forget_fresh_ids(&mut self, sent: &[u8]) {
        let parents = self.fields.iter().filter(|(name, _)| name == b"traceparent");
        let ids: Vec<String> =
            parents.flat_map(|(_, value)| String::from_utf8_lossy(value).split('-').map(str::to_owned).collect::<Vec<_>>()).collect();
        let is_fresh = |id: &&String| id.len() >= 16 && !sent.windows(id.len()).any(|window| window == id.as_bytes());
        for (_, value) in self.fields.iter_mut().filter(|(name, _)| name == b"traceparent" || name == b"tracestate") {
            for id in ids.iter().filter(is_fresh) {
                let word = if id.len() == 32 { "<fresh trace>" } else { "<fresh span>" };
                *value = String::from_utf8_lossy(value).replace(id.as_str(), word).into_bytes();
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let field = |kind: &str, (name, value): &Field| format!("{kind} {}: {}", name.escape_ascii(), value.escape_ascii());
        let mut lines = vec![self.start.clone()];
        lines.extend(self.fields.iter().map(|line| field("  ", line)));
        lines.push(match self.body.len() {
            0..=200 => format!("   body: {}", self.body.escape_ascii()),
            length => format!("   body of {length} bytes"),
        });
        lines.extend(self.trailers.iter().map(|line| field("   trailer", line)));
        lines
    }
}

impl Observed {
    /// The same without what no two runs agree on: this machine's address, which Envoy puts into `x-forwarded-for` when a
    /// client is on loopback, how long a callout took, and the ids that the module drew. `sent` is what the client sent.
    #[must_use]
    pub fn settled(mut self, address: &str, sent: &[u8]) -> Self {
        for seen in &mut self.upstream {
            seen.forget_fresh_ids(sent);
        }
        // Callouts that are under way at once arrive in any order.
        self.callouts.sort_by(|one, other| one.start.cmp(&other.start));
        for line in &mut self.log {
            *line = without_number(&line.replace(address, ADDRESS), SERVICE_TIME);
        }
        for (_, value) in self.upstream.iter_mut().flat_map(|seen| &mut seen.fields).filter(|(name, _)| name == b"x-forwarded-for") {
            if let Some(before) = value.strip_suffix(address.as_bytes()) {
                *value = [before, ADDRESS.as_bytes()].concat();
            }
        }
        self
    }

    fn sections(&self) -> [(&'static str, Vec<String>); 4] {
        let all = |seen: &[Seen]| seen.iter().flat_map(Seen::lines).collect();
        let response = self.response.as_ref().map_or_else(|| vec!["none".to_owned()], Seen::lines);
        [("log", self.log.clone()), ("upstream", all(&self.upstream)), ("callouts", all(&self.callouts)), ("response", response)]
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (section, lines) in self.sections() {
            for line in lines {
                writeln!(formatter, "  {section:9}{line}")?;
            }
        }
        Ok(())
    }
}

/// A line with `<ms>` for each number behind `mark`.
fn without_number(line: &str, mark: &str) -> String {
    let mut parts = line.split(mark);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, part| line + mark + "<ms>" + part.trim_start_matches(|digit: char| digit.is_ascii_digit()))
}

/// Where two hosts differ: empty where they don't. The first lines of each section that differ, side by side.
#[must_use]
pub fn differences(expected: &Observed, found: &Observed) -> Vec<String> {
    if expected == found {
        return Vec::new();
    }
    let mut differences = Vec::new();
    for ((section, expected), (_, found)) in expected.sections().iter().zip(&found.sections()) {
        let line = |lines: &[String], index: usize| lines.get(index).map_or_else(|| "(nothing)".to_owned(), Clone::clone);
        let pairs = (0..expected.len().max(found.len())).map(|index| (index + 1, line(expected, index), line(found, index)));
        for (number, expected, found) in pairs.filter(|(_, expected, found)| expected != found).take(MOST) {
            differences.push(format!("{section}:{number}: expected {expected}\n    {section}:{number}: found    {found}"));
        }
    }
    if differences.is_empty() {
        differences.push("bodies of one length differ".to_owned());
    }
    differences
}

/// Lines of a section that a difference shows.
const MOST: usize = 4;
