// SPDX-License-Identifier: Apache-2.0
//! The module in real Envoy, up to what its codec takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tracegate_harness::http::Response;
use tracegate_tests::{Edge, get};

use super::head::{heads, random, seeded};
use super::sound::assert_sound;
use crate::EVERYTHING;

/// Envoy takes heads of 60 KiB, here of up to 3,000 lines.
#[test]
fn nothing_traps_and_nothing_malformed_goes_on_in_real_envoy() {
    let Some(edge) = Edge::start_with(EVERYTHING, Some(3000), None) else { return };
    let admissible: Vec<u8> = (0..=u8::MAX).filter(|byte| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..)).collect();
    let mut seeded = seeded(4);
    let all = heads(58 << 10).into_iter().filter(|head| head.lines.len() < 2900);
    let (mut connection, mut forwarded) = (edge.connect(), 0);
    for head in all.chain((0..2000).map(|_| random(&mut seeded, &admissible))) {
        let fields: Vec<(&str, &[u8])> = head.lines.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        connection.send(&get("/", &fields)).unwrap();
        let response = connection.read_response().unwrap_or_else(|error| panic!("{}: {error}", head.what));
        assert_eq!(response.status, 200, "{}", head.what);
        assert_sound(&head.what, &received(&response));
        forwarded += 1;
    }
    assert_eq!(edge.metric_when("tracegate.requests.admitted.none", |count| count == forwarded), forwarded);
    edge.assert_alive();
}

/// What the echo says has reached it, byte for byte.
fn received(response: &Response) -> Vec<(Vec<u8>, Vec<u8>)> {
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let bytes = |value: &Value| match value.as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => STANDARD.decode(value["base64"].as_str().unwrap()).unwrap(),
    };
    body["headers"].as_array().unwrap().iter().map(|line| (bytes(&line[0]), bytes(&line[1]))).collect()
}
