// SPDX-License-Identifier: Apache-2.0
//! Two machines, one limit: two real Envoys with a real service between them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_harness::envoy::Envoy;
use tracegate_harness::rate_limit_service::RateLimitService;

use super::{limit, metric, outcomes, policy, start, storm};

/// A service with the limits of a policy, as `render --for limitador` has them.
pub(crate) fn service(policy: &Value, arguments: &[&str]) -> RateLimitService {
    let folder = TempDir::new().unwrap();
    let limits = limits(policy, folder.path());
    RateLimitService::start(&limits, arguments).unwrap_or_else(|error| panic!("{error}"))
}

/// A service's file of limits.
pub(crate) fn limits(policy: &Value, folder: &Path) -> PathBuf {
    let (source, limits) = (folder.join("policy.json"), folder.join("limits.yaml"));
    fs::write(&source, policy.to_string()).unwrap();
    let rendered = tracegate_tests::run(["render", "--for", "limitador"].map(std::ffi::OsStr::new).into_iter().chain([source.as_os_str()]));
    assert!(rendered.status.success(), "{}", tracegate_tests::stderr(&rendered));
    fs::write(&limits, &rendered.stdout).unwrap();
    limits
}

/// A limit that the service counts.
pub(crate) fn global(requests: u64, more: &Value) -> Value {
    let mut global = json!({"cluster": "limits", "domain": "shop", "timeout": "2s", "on_unavailable": "refuse"});
    if let (Some(global), Some(more)) = (global.as_object_mut(), more.as_object()) {
        global.extend(more.clone());
    }
    limit(requests, &json!({"enforcement": {"global": global}}))
}

fn both(policy: &Value, service: &RateLimitService) -> Option<[Envoy; 2]> {
    Some([start(policy, 2, Some(service.address()))?, start(policy, 2, Some(service.address()))?])
}

#[test]
fn two_machines_admit_exactly_the_limit_between_them() {
    let policy = policy(&global(500, &json!({})));
    let service = service(&policy, &["--rate-limit-headers", "draft03"]);
    let Some(edges) = both(&policy, &service) else { return };
    let listeners = edges.each_ref().map(Envoy::listener);
    let found = storm(&listeners, 8, 150, "alice");
    println!("exact: {found:?}");
    assert_eq!(found, outcomes([("200", 500), ("403 QuotaExceeded", 700)]));
    assert_eq!(storm(&listeners, 2, 10, "bob"), outcomes([("200", 20)]), "others have a count of their own");
    // Each has half of the clients.
    let waited = edges.each_ref().map(|edge| metric(edge, "waited", |count| count == 610));
    assert_eq!(waited, [610, 610], "each request waits for its answer");
}

#[test]
fn two_machines_with_slices_never_admit_more_and_next_to_nobody_waits() {
    let policy = policy(&global(20_000, &json!({"mode": {"lease": {"max_slice": 1000, "duration": "10s"}}})));
    let service = service(&policy, &["--rate-limit-headers", "draft03"]);
    let Some(edges) = both(&policy, &service) else { return };
    let listeners = edges.each_ref().map(Envoy::listener);
    let started = Instant::now();
    let found = storm(&listeners, 8, 4000, "alice");
    let (admitted, taken) = (found["200"], started.elapsed());
    let sum = |name: &str| -> u64 {
        std::thread::sleep(Duration::from_millis(1200));
        edges.iter().map(|edge| metric(edge, name, |_| true)).sum()
    };
    let (waited, leased) = (sum("waited"), sum("leased"));
    println!("lease: {found:?} in {taken:?}; {waited} waited, {leased} slices");
    assert!(admitted <= 20_000, "{admitted}");
    assert!(admitted >= 18_000, "at most a slice for each machine is stranded: {admitted}");
    assert!(waited * 100 <= admitted, "{waited} of {admitted} waited");
    assert!(leased * 20 <= admitted, "{leased} questions for {admitted} requests");
}

#[test]
fn a_key_is_as_long_as_a_header_may_be() {
    let policy = policy(&global(2, &json!({})));
    let service = service(&policy, &[]);
    let Some(edges) = both(&policy, &service) else { return };
    let listeners = edges.each_ref().map(Envoy::listener);
    let (long, other) = ("x".repeat(50_000), format!("{}y", "x".repeat(49_999)));
    assert_eq!(storm(&listeners, 2, 3, &long), outcomes([("200", 2), ("403 QuotaExceeded", 4)]));
    assert_eq!(storm(&listeners, 2, 1, &other), outcomes([("200", 2)]), "its last byte counts");
}

#[test]
fn what_a_machine_keeps_is_all_that_is_stranded() {
    let policy = policy(&global(100, &json!({"mode": {"lease": {"max_slice": 20, "duration": "10s"}}})));
    let service = service(&policy, &[]);
    let Some(edges) = both(&policy, &service) else { return };
    let listeners = edges.each_ref().map(Envoy::listener);
    let found = storm(&listeners, 4, 100, "alice");
    println!("lease without headers: {found:?}");
    assert_eq!(found, outcomes([("200", 100), ("403 QuotaExceeded", 300)]), "both are asked until all of it is spent");
}
