// SPDX-License-Identifier: Apache-2.0
//! Application Insights' `Request-Id`, as it was before W3C Trace Context:
//! <https://github.com/dotnet/runtime/blob/main/src/libraries/System.Diagnostics.DiagnosticSource/src/HierarchicalRequestId.md>.

use super::carrier::{Context, InvalidCarrier, Lines, Reading, Sampling};
use super::field::Field;
use super::id::{SpanId, TraceId};

/// The `request-id` header.
///
/// ```text
/// request-id = "|" root "." *( node ( "." / "_" ) ) [ node "#" ]   ; at most 1024 bytes
/// root, node = *( ALPHA / DIGIT / "+" / "/" / "=" / "-" )
/// ```
///
/// A trace goes on where the root is 32 hexadecimal digits in lower case, not all zero: what Application Insights' SDKs write since 2019; the
/// caller's span is then the first node, if that is 16 such digits. Any other root names a trace that no id fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestId {
    /// A trace that goes on.
    Context(Context),
    /// A trace that can't.
    Foreign,
}

impl TryFrom<&[u8]> for RequestId {
    type Error = InvalidCarrier;

    fn try_from(value: &[u8]) -> Result<Self, InvalidCarrier> {
        if value.len() > MAX_LENGTH {
            return Err(InvalidCarrier { offset: MAX_LENGTH, expected: "at most 1024 bytes" });
        }
        let Some((b'|', rest)) = value.split_first() else {
            return Err(InvalidCarrier { offset: 0, expected: "a |" });
        };
        if let Some(wrong) = rest.iter().position(|&byte| !is_allowed(byte)) {
            return Err(InvalidCarrier { offset: wrong.saturating_add(1), expected: "a letter, a digit or one of + / = - . _ #" });
        }
        let mut nodes = rest.split(|byte| matches!(byte, b'.' | b'_' | b'#'));
        let root = nodes.next().unwrap_or_default();
        if root.len() == rest.len() {
            return Err(InvalidCarrier { offset: value.len(), expected: "a . after the root" });
        }
        let lower = |node: &[u8]| node.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let trace_id = if root.len() == 32 && lower(root) { TraceId::from_digits(root) } else { None };
        let span_id = nodes.next().filter(|node| node.len() == 16 && lower(node)).and_then(SpanId::from_digits);
        Ok(trace_id.map_or(Self::Foreign, |trace_id| Self::Context(Context { trace_id, span_id, sampling: Sampling::Deferred })))
    }
}

impl RequestId {
    pub(super) fn read(lines: &Lines<'_>) -> Reading {
        lines.single(Field::RequestId, |value| match Self::try_from(value) {
            Ok(Self::Context(context)) => Reading::Valid(context),
            Ok(Self::Foreign) => Reading::Unusable,
            Err(_) => Reading::Malformed,
        })
    }

    /// The header value for a span of a trace.
    #[must_use]
    pub fn encode(trace_id: TraceId, span_id: SpanId) -> Vec<u8> {
        [b"|", &trace_id.encode()[..], b".", &span_id.encode(), b"."].concat()
    }
}

const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'.' | b'_' | b'#')
}

const MAX_LENGTH: usize = 1024;

/// No bytes panic, and what is accepted reprints to what reads the same.
#[cfg(any(test, fuzzing))]
pub fn accepted_reprints(bytes: &[u8]) {
    let Ok(RequestId::Context(context)) = RequestId::try_from(bytes) else { return };
    let Some(span_id) = context.span_id else { return };
    let printed = RequestId::encode(context.trace_id, span_id);
    assert_eq!(RequestId::try_from(printed.as_slice()), Ok(RequestId::Context(context)), "what we print, we read");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const S: &str = "00f067aa0ba902b7";

    #[test]
    fn a_trace_goes_on_where_its_root_is_an_id() {
        for (value, span) in [
            (format!("|{T}.{S}."), Some(S)),
            (format!("|{T}.{S}_1a2b."), Some(S)),
            (format!("|{T}."), None),
            (format!("|{T}.1.2_"), None),
            (format!("|{T}.{S}.deadbeef#"), Some(S)),
        ] {
            let RequestId::Context(context) = RequestId::try_from(value.as_bytes()).unwrap() else { panic!("{value}") };
            assert_eq!(context.trace_id.to_string(), T);
            assert_eq!(context.span_id.map(|id| id.to_string()).as_deref(), span, "{value}");
        }
        for foreign in ["|guid-1234.1.", "|.", &format!("|{}.", "0".repeat(32)), &format!("|{}.", T.to_uppercase())] {
            assert_eq!(RequestId::try_from(foreign.as_bytes()), Ok(RequestId::Foreign), "{foreign}");
        }
        for (value, offset) in [
            ("", 0),
            ("abc", 0),
            ("|", 1),
            (&*format!("|{T}"), 33),
            ("|a b.", 2),
            ("|a.\u{e9}", 3),
            (&format!("|{}.", "a".repeat(1023)), 1024),
        ] {
            assert_eq!(RequestId::try_from(value.as_bytes()).map_err(|error| error.offset), Err(offset), "{value}");
        }
        let (trace, span) = (TraceId::from_digits(T.as_bytes()).unwrap(), SpanId::from_digits(S.as_bytes()).unwrap());
        assert_eq!(RequestId::encode(trace, span), format!("|{T}.{S}.").into_bytes());
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_accepted_reprints(text in "\\|?[0-9a-f]{31,33}[._#]([0-9a-f]{16}[._#])?|\\PC{0,9}") {
            accepted_reprints(text.as_bytes());
        }
    }
}
