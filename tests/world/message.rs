// SPDX-License-Identifier: Apache-2.0
//! A head and a body, kept: a request, an answer, or a call's reply.

use std::fmt;

use tracegate::trace::TraceParent;
use tracegate::{Header, HeaderEdit, HeaderEdits, Refusal};
use tracegate_harness::host::HeaderMap;

/// A request, an answer, or a call's reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    head: HeaderMap,
    body: Vec<u8>,
}

/// A GET to `api.example`.
#[must_use]
pub fn get(path: &str) -> Message {
    Message::default().with(":method", "GET").with(":scheme", "https").with(":authority", "api.example").with(":path", path)
}

impl Message {
    /// An answer with this status.
    #[must_use]
    pub fn answer(status: u16) -> Self {
        Self::default().with(":status", status.to_string())
    }

    /// The answer that a refused client gets.
    pub(super) fn refusal(refusal: Refusal) -> Self {
        let answer = refusal.headers().fold(Self::answer(refusal.status()), |answer, (name, value)| answer.with(name, value));
        answer.with_body(refusal.body())
    }

    /// Appends a line.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.add(name.as_bytes(), value.as_ref());
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// An answer's status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.one(":status").parse().expect("a status is a number")
    }

    /// The values of every line of a name, in order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        self.head.values(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The value of the only line of a name.
    #[must_use]
    pub fn one(&self, name: &str) -> String {
        let mut values = self.values(name);
        assert_eq!(values.len(), 1, "expected one line `{name}`, found {values:?}");
        values.remove(0)
    }

    /// The trace that it belongs to.
    #[must_use]
    pub fn trace(&self) -> TraceParent {
        let value = self.one("traceparent");
        value.parse().unwrap_or_else(|error| panic!("{value}: {error}"))
    }

    /// The names of all lines, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.head.iter().map(|line| String::from_utf8_lossy(&line.name).into_owned()).collect()
    }

    /// The body, which scenarios keep to text.
    #[must_use]
    pub fn body(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a scenario's bodies are text")
    }

    /// Lends the head to the core.
    pub(super) fn lines(&self) -> Vec<Header<'_>> {
        self.head.iter().map(|line| Header { name: &line.name, value: &line.value }).collect()
    }

    pub(super) fn body_bytes(&self) -> &[u8] {
        &self.body
    }

    /// Makes the core's edits, as a gateway does.
    pub(super) fn edit(&mut self, edits: &HeaderEdits) {
        for edit in edits.iter() {
            match edit {
                HeaderEdit::Replace { name, value } => self.head.replace(name.as_bytes(), value),
                HeaderEdit::Remove { name } => self.head.remove(name.as_bytes()),
            }
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head.iter().try_for_each(|line| write!(formatter, " {}={}", line.name.escape_ascii(), line.value.escape_ascii()))?;
        write!(formatter, " and {} bytes", self.body.len())
    }
}
