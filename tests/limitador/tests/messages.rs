// SPDX-License-Identifier: Apache-2.0
//! The core's messages of the rate-limit service, and the same ones as prost writes and reads them.

use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{DescriptorStatus, RateLimit};
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use envoy_types::pb::google::protobuf::Duration;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message as _;
use tracegate::quota::rls::{Answer, Code, Descriptor, MAX_STATUSES, Status, decode_response, encode_request};

fn request() -> impl Strategy<Value = RateLimitRequest> {
    let entry = (any::<String>(), any::<String>()).prop_map(|(key, value)| Entry { key, value });
    let entries = prop::collection::vec(entry, 0..4);
    let descriptor = entries.prop_map(|entries| RateLimitDescriptor { entries, ..RateLimitDescriptor::default() });
    let descriptors = prop::collection::vec(descriptor, 0..4);
    (any::<String>(), descriptors, prop_oneof![0_u32..300, any::<u32>()]).prop_map(|(domain, descriptors, hits_addend)| RateLimitRequest {
        domain,
        descriptors,
        hits_addend,
    })
}

/// Any answer, with what else may stand in one.
fn response() -> impl Strategy<Value = RateLimitResponse> {
    let header = || {
        let key = prop_oneof![prop::sample::select(NAMES).prop_map(str::to_owned), any::<String>()];
        let value = prop_oneof![any::<u64>().prop_map(|number| number.to_string()), "[ 0-9+-]{0,3}", any::<String>()];
        let raw_value = prop_oneof![Just(Vec::new()), "[0-9]{1,3}".prop_map(String::into_bytes), any::<Vec<u8>>()];
        (key, value, raw_value).prop_map(|(key, value, raw_value)| HeaderValue { key, value, raw_value })
    };
    let limit = (any::<u32>(), any::<i32>(), any::<String>());
    let limit = limit.prop_map(|(requests_per_unit, unit, name)| RateLimit { requests_per_unit, unit, name });
    let seconds = prop_oneof![0_i64..100, any::<i64>()];
    let duration = (seconds, any::<i32>()).prop_map(|(seconds, nanos)| Duration { seconds, nanos });
    let status = (code(), prop::option::of(limit), any::<u32>(), prop::option::of(duration));
    let status = status.prop_map(|(code, current_limit, limit_remaining, duration_until_reset)| DescriptorStatus {
        code,
        current_limit,
        limit_remaining,
        duration_until_reset,
        ..DescriptorStatus::default()
    });
    let statuses = prop_oneof![20 => prop::collection::vec(status.clone(), 0..4), 1 => prop::collection::vec(status, 60..70)];
    let headers = || prop::collection::vec(header(), 0..4);
    (code(), statuses, headers(), headers(), any::<Vec<u8>>()).prop_map(
        |(overall_code, statuses, response_headers_to_add, request_headers_to_add, raw_body)| RateLimitResponse {
            overall_code,
            statuses,
            response_headers_to_add,
            request_headers_to_add,
            raw_body,
            ..RateLimitResponse::default()
        },
    )
}

fn code() -> impl Strategy<Value = i32> + Clone {
    prop_oneof![0..4, any::<i32>()]
}

const NAMES: &[&str] = &["X-RateLimit-Remaining", "x-ratelimit-reset", "RateLimit-Remaining", "ratelimit-Reset", "X-RateLimit-Limit"];

/// What the core is to read in an answer.
fn expected(response: &RateLimitResponse) -> Answer {
    let code = |number| match number {
        1 => Code::Ok,
        2 => Code::OverLimit,
        _ => Code::Unknown,
    };
    let status = |status: &DescriptorStatus| Status {
        code: code(status.code),
        limit: status.current_limit.as_ref().map(|limit| limit.requests_per_unit),
        remaining: status.limit_remaining,
        until_reset: status.duration_until_reset.as_ref().map(|duration| {
            let whole = i128::from(duration.seconds) * 1_000_000_000 + i128::from(duration.nanos);
            whole.clamp(0, u64::MAX.into()).try_into().unwrap()
        }),
    };
    let header = |names: [&str; 2]| {
        let named = response.response_headers_to_add.iter().filter(|header| names.contains(&header.key.to_ascii_lowercase().as_str()));
        let mut values = named.filter_map(|header| {
            let value = if header.value.is_empty() { std::str::from_utf8(&header.raw_value).ok()? } else { &header.value };
            let digits = value.trim_matches([' ', '\t', '\r', '\n', '\x0c']);
            if digits.contains('+') { None } else { digits.parse::<u64>().ok() }
        });
        values.next_back()
    };
    Answer {
        code: code(response.overall_code),
        statuses: response.statuses.iter().take(MAX_STATUSES).map(status).collect(),
        remaining: header(["x-ratelimit-remaining", "ratelimit-remaining"]),
        until_reset: header(["x-ratelimit-reset", "ratelimit-reset"]).map(|seconds| seconds.saturating_mul(1_000_000_000)),
    }
}

/// A change to bytes.
#[derive(Clone, Debug)]
enum Change {
    Cut(Index),
    Put(Index, u8),
    Insert(Index, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    let unknown =
        prop::sample::select(vec![&b"\x78\x05"[..], b"\x7d\x01\x02\x03\x04", b"\x79\x01\x02\x03\x04\x05\x06\x07\x08", b"\x7a\x01\xff"]);
    prop_oneof![
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Put(at, byte)),
        (any::<Index>(), unknown).prop_map(|(at, bytes)| Change::Insert(at, bytes.to_vec())),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: Change) {
    let length = bytes.len();
    match change {
        Change::Cut(at) => bytes.truncate(at.index(length + 1)),
        Change::Put(at, byte) if length > 0 => bytes[at.index(length)] = byte,
        Change::Put(..) => {}
        Change::Insert(at, inserted) => drop(bytes.splice(at.index(length + 1)..at.index(length + 1), inserted)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn requests_are_written_as_prost_writes_them(request in request()) {
        let entries = |entries: &[Entry]| entries.iter().cloned().map(|entry| (entry.key, entry.value)).collect();
        let descriptors: Vec<_> = request.descriptors.iter().map(|descriptor| Descriptor { entries: entries(&descriptor.entries) }).collect();
        let written = encode_request(&request.domain, &descriptors, request.hits_addend);
        prop_assert_eq!(&written, &request.encode_to_vec());
        prop_assert_eq!(RateLimitRequest::decode(written.as_slice()), Ok(request));
    }

    #[test]
    fn answers_that_prost_writes_are_read(response in response()) {
        prop_assert_eq!(decode_response(&response.encode_to_vec()), Ok(expected(&response)));
    }

    /// Fields merge, repeated ones add up.
    #[test]
    fn two_answers_in_a_row_are_one(first in response(), second in response()) {
        let bytes = [first.encode_to_vec(), second.encode_to_vec()].concat();
        prop_assert_eq!(decode_response(&bytes), Ok(expected(&RateLimitResponse::decode(bytes.as_slice()).unwrap())));
    }

    /// Of broken bytes, what prost reads the core reads too, but for groups. Prost reads less: it looks at fields that say nothing to the core.
    #[test]
    fn what_prost_reads_of_broken_bytes_the_core_reads_too(response in response(), changes in prop::collection::vec(change(), 1..4)) {
        let mut bytes = response.encode_to_vec();
        for change in changes {
            apply(&mut bytes, change);
        }
        if let Ok(response) = RateLimitResponse::decode(bytes.as_slice()) {
            match decode_response(&bytes) {
                Err(error) if error.expected.contains("no group") => {}
                answer => prop_assert_eq!(answer, Ok(expected(&response))),
            }
        }
    }
}
