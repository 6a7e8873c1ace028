// SPDX-License-Identifier: Apache-2.0
//! A request of one resource and one scope, as the module makes them.

use std::time::Duration;

use super::wire::{Malformed, Value, fields, malformed, put_bytes, put_fixed64, put_number};

/// A request of one resource and one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The field `resource` of a `ResourceSpans`.
    pub(super) resource: Vec<u8>,
    /// The field `scope` of a `ScopeSpans`.
    pub(super) scope: Vec<u8>,
    /// Each a message `Span`.
    spans: Vec<Vec<u8>>,
}

impl Request {
    /// Reads a request's body.
    ///
    /// # Errors
    ///
    /// [`Malformed`], where it isn't one of one resource and one scope.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        let resource_spans = only(body, RESOURCE_SPANS, "one resource")?;
        let resource = whole(resource_spans, RESOURCE)?;
        let scope_spans = only(resource_spans, SCOPE_SPANS, "one scope")?;
        let scope = whole(scope_spans, SCOPE)?;
        let mut spans = Vec::new();
        for field in fields(scope_spans) {
            let field = field?;
            if field.number == SPANS {
                spans.push(field.value.bytes()?.to_vec());
            }
        }
        Ok(Self { resource, scope, spans })
    }

    /// Its spans, each a message `Span`.
    #[must_use]
    pub fn spans(&self) -> &[Vec<u8>] {
        &self.spans
    }

    /// The span of this kind, if it has one: 2 for a server's, 3 for a client's.
    #[must_use]
    pub fn of_kind(&self, kind: u64) -> Option<&[u8]> {
        let is_it = |span: &&Vec<u8>| fields(span).flatten().any(|field| field.number == KIND && field.value == Value::Varint(kind));
        self.spans.iter().find(is_it).map(Vec::as_slice)
    }

    /// The same with another text of the same length in its resource.
    #[must_use]
    pub fn telling(mut self, text: &str, instead: &str) -> Self {
        debug_assert_eq!(text.len(), instead.len(), "what stands around it tells lengths");
        let place = memchr::memmem::find(&self.resource, instead.as_bytes());
        if let Some(told) = place.and_then(|at| self.resource.get_mut(at..at + instead.len()))
            && text.len() == instead.len()
        {
            told.copy_from_slice(text.as_bytes());
        }
        self
    }

    /// The same spans, lasting as long as was recorded: a replay's own last no time, as its backend answers at once. What isn't recorded stays.
    ///
    /// # Errors
    ///
    /// [`Malformed`], where a span is no message.
    pub fn lasting(mut self, total: Option<Duration>, backend: Option<Duration>) -> Result<Self, Malformed> {
        for span in &mut self.spans {
            *span = lasting(span, total, backend)?;
        }
        Ok(self)
    }
}

fn lasting(span: &[u8], total: Option<Duration>, backend: Option<Duration>) -> Result<Vec<u8>, Malformed> {
    let mut start = 0;
    let mut written = Vec::with_capacity(span.len() + 8);
    for field in fields(span) {
        let field = field?;
        match (field.number, total, backend) {
            (START_TIME, ..) => {
                start = field.value.number()?;
                written.extend_from_slice(field.whole);
            }
            (END_TIME, Some(total), _) => {
                let end = u64::try_from(total.as_nanos()).unwrap_or(u64::MAX);
                // It has waited for what the replay's own services took.
                put_fixed64(&mut written, END_TIME, field.value.number()?.max(start.saturating_add(end)));
            }
            (ATTRIBUTES, _, Some(backend)) if key(field.value.bytes()?)? == BACKEND => {
                let (mut number, mut attribute) = (Vec::new(), Vec::new());
                put_number(&mut number, INT_VALUE, u64::try_from(backend.as_micros()).unwrap_or(u64::MAX));
                put_bytes(&mut attribute, 1, BACKEND);
                put_bytes(&mut attribute, 2, &number);
                put_bytes(&mut written, ATTRIBUTES, &attribute);
            }
            _ => written.extend_from_slice(field.whole),
        }
    }
    Ok(written)
}

/// The key of an attribute.
fn key(attribute: &[u8]) -> Result<&[u8], Malformed> {
    for field in fields(attribute) {
        let field = field?;
        if field.number == 1 {
            return field.value.bytes();
        }
    }
    malformed("an attribute with a key")
}

/// The only field of this number.
fn only<'a>(message: &'a [u8], number: u64, expected: &'static str) -> Result<&'a [u8], Malformed> {
    let mut found = None;
    for field in fields(message) {
        let field = field?;
        if field.number == number && found.replace(field.value.bytes()?).is_some() {
            return malformed(expected);
        }
    }
    found.map_or_else(|| malformed(expected), Ok)
}

/// A field with its tag; nothing where there is none.
fn whole(message: &[u8], number: u64) -> Result<Vec<u8>, Malformed> {
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            return Ok(field.whole.to_vec());
        }
    }
    Ok(Vec::new())
}

/// Of the request.
pub(super) const RESOURCE_SPANS: u64 = 1;
// Of a `ResourceSpans`.
const RESOURCE: u64 = 1;
pub(super) const SCOPE_SPANS: u64 = 2;
// Of a `ScopeSpans`.
const SCOPE: u64 = 1;
pub(super) const SPANS: u64 = 2;
// Of a `Span`.
const KIND: u64 = 6;
const START_TIME: u64 = 7;
const END_TIME: u64 = 8;
const ATTRIBUTES: u64 = 9;
/// Of an `AnyValue`.
const INT_VALUE: u64 = 3;
/// How long the backend took, in microseconds.
const BACKEND: &[u8] = b"tracegate.backend_us";

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A request with a server's span and a client's.
    pub(in crate::otlp) fn body() -> Vec<u8> {
        let (mut attribute, mut number) = (Vec::new(), Vec::new());
        put_number(&mut number, INT_VALUE, 0);
        put_bytes(&mut attribute, 1, BACKEND);
        put_bytes(&mut attribute, 2, &number);
        let span = |kind| {
            let mut span = Vec::new();
            put_number(&mut span, KIND, kind);
            put_fixed64(&mut span, START_TIME, 1_000);
            put_fixed64(&mut span, END_TIME, 1_500);
            put_bytes(&mut span, ATTRIBUTES, &attribute);
            span
        };
        let (mut scope_spans, mut resource_spans, mut body) = (Vec::new(), Vec::new(), Vec::new());
        put_bytes(&mut scope_spans, SCOPE, b"\x0a\x09tracegate");
        put_bytes(&mut scope_spans, SPANS, &span(2));
        put_bytes(&mut scope_spans, SPANS, &span(3));
        put_bytes(&mut resource_spans, RESOURCE, b"\x0a\x040123");
        put_bytes(&mut resource_spans, SCOPE_SPANS, &scope_spans);
        put_bytes(&mut body, RESOURCE_SPANS, &resource_spans);
        body
    }

    fn times(span: &[u8]) -> (u64, Vec<u64>) {
        let number = |number| fields(span).flatten().find(|field| field.number == number).unwrap().value.number().unwrap();
        let attributes = fields(span).flatten().filter(|field| field.number == ATTRIBUTES);
        let value = |attribute: &[u8]| {
            let value = fields(attribute).flatten().find(|field| field.number == 2).unwrap().value.bytes().unwrap();
            fields(value).flatten().next().unwrap().value.number().unwrap()
        };
        (number(END_TIME), attributes.map(|attribute| value(attribute.value.bytes().unwrap())).collect())
    }

    #[test]
    fn spans_last_as_long_as_was_recorded() {
        let request = Request::read(&body()).unwrap();
        let (millisecond, microsecond) = (Duration::from_millis(1), Duration::from_micros(300));
        for (total, backend, expected) in [
            (None, None, (1_500, vec![0])),
            (Some(millisecond), None, (1_001_000, vec![0])),
            (Some(Duration::ZERO), Some(microsecond), (1_500, vec![300])),
        ] {
            let lasting = request.clone().lasting(total, backend).unwrap();
            assert_eq!(times(lasting.of_kind(2).unwrap()), expected);
            assert_eq!(times(lasting.of_kind(3).unwrap()), expected);
        }
    }

    #[test]
    fn a_resource_tells_another_text_of_the_same_length() {
        let request = Request::read(&body()).unwrap();
        assert_eq!(request.clone().telling("4567", "0123").resource, b"\x0a\x06\x0a\x044567");
        assert_eq!(request.clone().telling("4567", "9999"), request, "what isn't told isn't replaced");
    }

    #[test]
    fn what_is_no_request_of_one_resource_is_refused() {
        let twice = [body(), body()].concat();
        for (bytes, expected) in
            [(&b""[..], "one resource"), (&twice, "one resource"), (b"\x0a\x00", "one scope"), (b"\x0a", "a varint of 64 bits")]
        {
            let error = Request::read(bytes).unwrap_err().to_string();
            assert_eq!(error, format!("OTLP in protobuf: expected {expected}, found something else"));
        }
    }
}
