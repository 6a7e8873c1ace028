// SPDX-License-Identifier: Apache-2.0
//! Whether two edges decide alike.
//!
//! What counts is the decision, the client's status, the reason, and what reaches the upstream. Ids that an edge draws are
//! no difference: the first new id of one edge stands for the first of the other, and so on.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::agreement::{Agreement, Difference};
use super::decided::Decided;
use super::edge::head;
use crate::Redactor;
use crate::host::HeaderMap;
use crate::recording::Request;

/// Compares `decided` with what another edge decided about the same request. Credentials in what is shown are redacted.
pub(super) fn compare(request: &Request, against: &Decided, decided: &Decided, redactor: &Redactor) -> Agreement {
    let different = |field, expected: Value, found: Value| (expected != found).then_some(Difference { field, expected, found });
    different("decision", json!(against.name()), json!(decided.name()))
        .or_else(|| different("status", json!(against.status()), json!(decided.status())))
        .or_else(|| different("reason", json!(against.reason()), json!(decided.reason())))
        .or_else(|| {
            let (expected, found) = (against.upstream()?, decided.upstream()?);
            let name = first_difference(&head(request), expected, found)?;
            let shown = |headers| shown(&name, headers, redactor);
            Some(Difference { field: "upstream_headers", expected: shown(expected), found: shown(found) })
        })
        .map_or(Agreement::Agrees, Agreement::Differs)
}

/// The first name, in alphabetical order, whose lines differ by more than new ids.
fn first_difference(received: &HeaderMap, expected: &HeaderMap, found: &HeaderMap) -> Option<Vec<u8>> {
    let names: BTreeSet<&[u8]> = expected.iter().chain(found.iter()).map(|line| line.name.as_slice()).collect();
    let mut ids = NewIds { received, pairs: Vec::new() };
    let mut differs = |name: &[u8]| {
        let (expected, found) = (expected.values(name), found.values(name));
        if !is_carrier(name) {
            return !expected.eq(found);
        }
        let (expected, found): (Vec<_>, Vec<_>) = (expected.collect(), found.collect());
        expected.len() != found.len() || !expected.into_iter().zip(found).all(|(expected, found)| ids.same_line(expected, found))
    };
    names.into_iter().find(|name| differs(name)).map(<[u8]>::to_vec)
}

/// Which id that one edge drew stands for which of the other's.
struct NewIds<'a> {
    received: &'a HeaderMap,
    pairs: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> NewIds<'a> {
    /// Whether two lines are the same but for new ids.
    fn same_line(&mut self, expected: &'a [u8], found: &'a [u8]) -> bool {
        let (expected, found) = (words(expected), words(found));
        expected.len() == found.len() && expected.into_iter().zip(found).all(|(expected, found)| self.same_word(expected, found))
    }

    fn same_word(&mut self, expected: &'a [u8], found: &'a [u8]) -> bool {
        if !is_id(expected) || !is_id(found) || expected.len() != found.len() || self.was_received(expected) || self.was_received(found) {
            return expected == found;
        }
        match self.pairs.iter().find(|(one, other)| *one == expected || *other == found) {
            Some(&pair) => pair == (expected, found),
            None => {
                self.pairs.push((expected, found));
                true
            }
        }
    }

    /// Whether an id is one that the request came with.
    fn was_received(&self, id: &[u8]) -> bool {
        self.received.iter().any(|line| words(&line.value).iter().any(|word| word.eq_ignore_ascii_case(id)))
    }
}

/// A line in words of letters and digits, and what stands between them.
fn words(line: &[u8]) -> Vec<&[u8]> {
    line.chunk_by(|one, next| one.is_ascii_alphanumeric() == next.is_ascii_alphanumeric()).collect()
}

/// Whether a word may be a trace or span id in hexadecimal digits.
fn is_id(word: &[u8]) -> bool {
    matches!(word.len(), 16 | 24 | 32) && word.iter().all(u8::is_ascii_hexdigit)
}

/// Whether a header carries trace context, and so new ids.
pub(super) fn is_carrier(name: &[u8]) -> bool {
    CARRIERS.iter().any(|carrier| name.eq_ignore_ascii_case(carrier.as_bytes()))
}

fn shown(name: &[u8], headers: &HeaderMap, redactor: &Redactor) -> Value {
    let lines: Vec<Value> = headers.values(name).map(|line| redactor.header(name, line)).collect();
    let lines = if lines.is_empty() { Value::Null } else { Value::Array(lines) };
    Value::Object(Map::from_iter([(String::from_utf8_lossy(name).into_owned(), lines)]))
}

/// The headers in which tracing systems hand on their ids.
const CARRIERS: &[&str] = &[
    "b3",
    "ot-tracer-spanid",
    "ot-tracer-traceid",
    "request-id",
    "traceparent",
    "tracestate",
    "uber-trace-id",
    "x-amzn-trace-id",
    "x-b3-parentspanid",
    "x-b3-spanid",
    "x-b3-traceid",
];

#[cfg(test)]
mod tests {
    use super::*;

    const CALLERS: &str = "0af7651916cd43dd8448eb211c80319c";

    /// The first header that differs between what two upstreams receive of a request in the trace [`CALLERS`].
    fn difference(expected: &[(&str, &str)], found: &[(&str, &str)]) -> Option<String> {
        let map = |lines: &[(&str, &str)]| lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect::<HeaderMap>();
        let received = map(&[(":path", "/"), ("traceparent", &format!("00-{CALLERS}-b7ad6b7169203331-01"))]);
        first_difference(&received, &map(expected), &map(found)).map(|name| String::from_utf8(name).unwrap())
    }

    #[test]
    fn new_ids_stand_for_each_other_in_order_of_appearance() {
        let (one, other) = ("1".repeat(32), "2".repeat(32));
        for (what, expected, found, differs) in [
            ("the same", [&*one, "a", "a"], [&*one, "a", "a"], None),
            ("another new trace", [&one, "a", "a"], [&other, "b", "b"], None),
            ("another span of the caller's trace", [CALLERS, "a", "a"], [CALLERS, "b", "b"], None),
            ("a trace that no longer goes on", [CALLERS, "a", "a"], [&other, "a", "a"], Some("traceparent")),
            ("a trace that goes on now", [&one, "a", "a"], [CALLERS, "a", "a"], Some("traceparent")),
            ("a member that is not the span", [&one, "a", "a"], [&other, "b", "c"], Some("tracestate")),
            ("two ids where there was one", [&one, "a", "c"], [&other, "b", "b"], Some("tracestate")),
        ] {
            let line =
                |[trace, span, member]: [&str; 3]| [format!("00-{trace}-{}-01", span.repeat(16)), format!("tgate={}", member.repeat(16))];
            let [[parent, state], [other_parent, other_state]] = [line(expected), line(found)];
            let expected = [("traceparent", parent.as_str()), ("tracestate", &state)];
            let found = [("traceparent", other_parent.as_str()), ("tracestate", &other_state)];
            assert_eq!(difference(&expected, &found).as_deref(), differs, "{what}");
        }
    }

    #[test]
    fn all_but_new_ids_must_be_the_same() {
        let (a, b) = ("a".repeat(16), "b".repeat(16));
        for (what, expected, found, differs) in [
            ("an id in a header that carries none", ("x-policy", &*a), ("x-policy", &*b), Some("x-policy")),
            ("other flags", ("b3", "0"), ("b3", "1"), Some("b3")),
            ("an id of another length", ("b3", &a), ("b3", "bbbb"), Some("b3")),
            ("another name", ("a", "1"), ("b", "1"), Some("a")),
            ("another path", (":path", "/a"), (":path", "/b"), Some(":path")),
        ] {
            assert_eq!(difference(&[expected], &[found]).as_deref(), differs, "{what}");
        }
        assert_eq!(difference(&[("a", "1"), ("a", "2")], &[("a", "2"), ("a", "1")]).as_deref(), Some("a"), "another order of lines");
        assert_eq!(difference(&[("a", "1"), ("b", "2")], &[("b", "2"), ("a", "1")]), None, "another order of names");
    }
}
