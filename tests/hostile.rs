// SPDX-License-Identifier: Apache-2.0
//! Trace context that is sent to do harm: as large as a head may be, of any bytes, over thousands of lines, in every
//! carrier. Nothing traps, nothing malformed goes on, and the work grows with the bytes and no faster.

mod hostile {
    mod cost;
    mod head;
    mod in_envoy;
    mod sound;
}

/// Reads and writes every format.
const EVERYTHING: &str = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}, "trace": {
    "tracestate": {"member": "tgate"}, "propagation": {
    "extract": ["tracecontext", "b3", "b3multi", "jaeger", "ottrace", "ot_span_context", "xray", "request_id"],
    "inject": ["tracecontext", "b3", "b3multi", "jaeger", "ottrace", "ot_span_context", "xray", "request_id"]}}}"#;
