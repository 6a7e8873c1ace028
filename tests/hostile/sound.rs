// SPDX-License-Identifier: Apache-2.0
//! What the upstream may be told, whatever was sent.

use std::collections::BTreeMap;

use tracegate::trace::{B3, OtSpanContext, RequestId, TraceParent, TraceState, UberTraceId, XRayTraceId};

/// Fails unless every carrier is there once, as its format says, and baggage keeps to its limits.
pub fn assert_sound(what: &str, lines: &[(Vec<u8>, Vec<u8>)]) {
    let mut by_name: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    for (name, value) in lines {
        by_name.entry(std::str::from_utf8(name).expect("names are tokens")).or_default().push(value);
    }
    for (name, values) in &by_name {
        let Some(is_sound) = rule(name) else { continue };
        let shown = values.iter().take(3).map(|value| value.get(..100).unwrap_or(value).escape_ascii().to_string()).collect::<Vec<_>>();
        assert!(values.len() == 1 && is_sound(values[0]), "{what}: {name}: {} lines: {shown:?}", values.len());
    }
    for name in TOLD {
        assert!(by_name.contains_key(name), "{what}: the upstream is told nothing in {name}");
    }
    let decisions = ["x-b3-sampled", "x-b3-flags"].map(|name| usize::from(by_name.contains_key(name)));
    assert_eq!(decisions[0] + decisions[1], 1, "{what}: one decision of B3's");
    assert!(!by_name.contains_key("x-b3-parentspanid"), "{what}: a parent that was dropped");
    for prefix in ["uberctx-", "ot-baggage-"] {
        assert!(by_name.keys().filter(|name| name.starts_with(prefix)).count() <= 64, "{what}: {prefix}");
    }
}

/// What the upstream is told in.
const TOLD: [&str; 12] = [
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "uber-trace-id",
    "ot-tracer-traceid",
    "ot-tracer-spanid",
    "ot-tracer-sampled",
    "x-ot-span-context",
    "x-amzn-trace-id",
    "request-id",
];

/// What a header's value must be; `None` for one that carries nothing, or nothing that is read: `request-context` says which
/// application called, in the caller's words.
fn rule(name: &str) -> Option<fn(&[u8]) -> bool> {
    Some(match name {
        "traceparent" => |value| TraceParent::try_from(value).is_ok(),
        "tracestate" => |value| TraceState::try_from(value).is_ok_and(|state| !state.is_empty()) && value.starts_with(b"tgate="),
        "b3" => |value| matches!(B3::try_from(value), Ok(B3::Context(_))),
        "x-b3-traceid" => |value| is_id(value, 32),
        "x-b3-spanid" | "ot-tracer-traceid" | "ot-tracer-spanid" => |value| is_id(value, 16),
        "x-b3-sampled" | "x-b3-flags" => |value| matches!(value, b"0" | b"1"),
        "ot-tracer-sampled" => |value| matches!(value, b"true" | b"false"),
        "uber-trace-id" => |value| UberTraceId::try_from(value).is_ok(),
        "x-ot-span-context" => |value| OtSpanContext::try_from(value).is_ok(),
        "x-amzn-trace-id" => |value| XRayTraceId::try_from(value).is_ok(),
        "request-id" => |value| matches!(RequestId::try_from(value), Ok(RequestId::Context(_))),
        "baggage" => |value| is_baggage(value, 8192),
        "correlation-context" => |value| is_baggage(value, 1024),
        name if name.starts_with("uberctx-") || name.starts_with("ot-baggage-") => |value| value.len() <= 8192,
        _ => return None,
    })
}

fn is_id(value: &[u8], length: usize) -> bool {
    value.len() == length && value.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_baggage(value: &[u8], limit: usize) -> bool {
    let members = value.split(|&byte| byte == b',');
    let whole = |member: &[u8]| member.iter().position(|&byte| byte == b'=').is_some_and(|equals| equals > 0);
    value.is_ascii() && value.len() <= limit && members.clone().count() <= 64 && members.into_iter().all(whole)
}
