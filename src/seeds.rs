// SPDX-License-Identifier: Apache-2.0
//! The fuzz targets' seeds, whole, cut and changed at every byte: what fuzzing does, on stable and in seconds.

use std::fs;
use std::path::Path;

fn each(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let seed = fs::read(entry.unwrap().path()).unwrap();
        property(&seed);
        for at in 0..seed.len() {
            property(&seed[..at]);
            for byte in [0, b' ', b'"', b'%', b',', b'-', b'.', b':', b';', b'=', b'|', b'0', b'A', b'g', b'{', 0x7f, 0xff] {
                let mut changed = seed.clone();
                changed[at] = byte;
                property(&changed);
            }
        }
        seeds += 1;
    }
    assert!(seeds >= 3, "{target} has seeds");
}

#[test]
fn traceparent() {
    each("traceparent", crate::trace::fuzz_traceparent);
}

#[test]
fn tracestate() {
    each("tracestate", crate::trace::fuzz_tracestate);
}

#[test]
fn b3() {
    each("b3", crate::trace::fuzz_b3);
}

#[test]
fn b3multi() {
    each("b3multi", crate::trace::fuzz_b3multi);
}

#[test]
fn jaeger() {
    each("jaeger", crate::trace::fuzz_jaeger);
}

#[test]
fn ottrace() {
    each("ottrace", crate::trace::fuzz_ottrace);
}

#[test]
fn ot_span_context() {
    each("ot_span_context", crate::trace::fuzz_ot_span_context);
}

#[test]
fn xray() {
    each("xray", crate::trace::fuzz_xray);
}

#[test]
fn request_id() {
    each("request_id", crate::trace::fuzz_request_id);
}

#[test]
fn baggage() {
    each("baggage", crate::trace::fuzz_baggage);
}

#[test]
fn signed_hop() {
    each("signed_hop", crate::trace::fuzz_signed_hop);
}

#[test]
fn path() {
    each("path", crate::path::fuzz_path);
}

#[test]
fn policy() {
    each("policy", crate::config::fuzz_policy);
}

#[test]
fn token() {
    each("token", crate::identity::fuzz_token);
}

#[test]
fn rate_limit_answer() {
    each("rate_limit_answer", crate::quota::rls::fuzz_rate_limit_answer);
}
