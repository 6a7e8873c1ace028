// SPDX-License-Identifier: Apache-2.0
//! A service that is gone, slow, or talks nonsense: no request waits for longer than its policy says, and each is decided as that says.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracegate_harness::http::Connection;

use super::across::{global, service};
use super::{ask, metric, outcomes, policy, start, storm};

/// A port where nobody listens.
fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound")
}

fn modes() -> [Value; 2] {
    [json!("exact"), json!({"lease": {"max_slice": 10}})]
}

#[test]
fn a_service_that_is_gone_is_what_the_policy_makes_of_it() {
    for mode in modes() {
        for (choice, expected) in [
            (json!("admit"), outcomes([("200", 80)])),
            (json!("refuse"), outcomes([("503 QuotaUnavailable", 80)])),
            (json!({"local": {"share": 0.5}}), outcomes([("200", 20), ("403 QuotaExceeded", 60)])),
        ] {
            let more =
                json!({"mode": mode, "on_unavailable": choice, "timeout": "100ms", "breaker": {"failures": 2, "retry_after": "10m"}});
            let Some(envoy) = start(&policy(&global(40, &more)), 2, Some(nowhere())) else { return };
            assert_eq!(storm(&[envoy.listener()], 4, 20, "alice"), expected, "{mode} {choice}");
            assert_eq!(metric(&envoy, "unavailable", |count| count == 80), 80);
            // Each worker finds out for itself; those that were under way may fail too.
            let failed = metric(&envoy, "failed", |count| count >= 2);
            assert!((2..=12).contains(&failed), "{failed}");
            assert!(envoy.log().contains("rate-limit service of quota q: it doesn't answer, and counts as down"), "{}", envoy.log());
        }
    }
}

#[test]
fn a_slow_service_costs_its_timeout_until_it_counts_as_down() {
    let more = json!({"on_unavailable": "admit", "timeout": "100ms", "breaker": {"failures": 3, "retry_after": "10m"}});
    let policy = policy(&global(40, &more));
    let service = service(&policy, &["--delay", "5s"]);
    let Some(envoy) = start(&policy, 1, Some(service.address())) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    for request in 0..20 {
        let started = Instant::now();
        assert_eq!(ask(&mut connection, "alice"), "200");
        let taken = started.elapsed();
        if request < 3 {
            assert!(taken >= Duration::from_millis(90), "{request}: {taken:?}");
        }
        assert!(taken < Duration::from_secs(3), "{request}: {taken:?}");
    }
    assert_eq!(metric(&envoy, "failed", |count| count == 3), 3, "the fourth isn't asked about any more");
}

#[test]
fn nonsense_is_no_answer() {
    for arguments in [&["--garbage"][..], &["--fail", "8"], &["--fail", "13"]] {
        let policy = policy(&global(40, &json!({"timeout": "1s"})));
        let service = service(&policy, arguments);
        let Some(envoy) = start(&policy, 2, Some(service.address())) else { return };
        assert_eq!(storm(&[envoy.listener()], 2, 10, "alice"), outcomes([("503 QuotaUnavailable", 20)]), "{arguments:?}");
    }
}

#[test]
fn who_leaves_while_waiting_harms_nobody() {
    let more = json!({"on_unavailable": "refuse", "timeout": "500ms", "breaker": {"failures": 2, "retry_after": "10m"}});
    for mode in modes() {
        let mut more = more.clone();
        more["mode"] = mode;
        let policy = policy(&global(40, &more));
        let service = service(&policy, &["--delay", "50ms"]);
        let Some(envoy) = start(&policy, 1, Some(service.address())) else { return };
        for _ in 0..10 {
            let mut connection = Connection::open(envoy.listener()).unwrap();
            connection.send(&tracegate_tests::get("/orders", &[("x-key", b"alice")])).unwrap();
            std::thread::sleep(Duration::from_millis(10));
            drop(connection);
        }
        std::thread::sleep(Duration::from_millis(700));
        let mut connection = Connection::open(envoy.listener()).unwrap();
        assert_eq!(ask(&mut connection, "alice"), "200", "it doesn't count as down");
        assert_eq!(metric(&envoy, "failed", |_| true), 0);
    }
}
