// SPDX-License-Identifier: Apache-2.0
//! Collectors that fail. No request fails or waits for it, and every span is accounted for.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::json;
use tracegate_harness::collector::{Answer, Collector};
use tracegate_harness::http::Connection;

use super::{ask, fates, ledger, ledger_until, often, policy, spans_until, start};

fn with(status: u16, fields: &[(&str, &str)], body: &[u8]) -> Answer {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer::With { status, fields, body: body.to_vec() }
}

/// One after the other, each for one batch, and what becomes of its five spans.
#[test]
fn every_answer_has_its_fate() {
    for (what, answers, expected) in [
        ("bad request", vec![with(400, &[], b"")], fates([("recorded", 5), ("dropped_refused", 5)])),
        (
            "HTML",
            vec![with(200, &[("content-type", "text/html")], b"<html>welcome</html>")],
            fates([("recorded", 5), ("dropped_refused", 5)]),
        ),
        (
            "partial success",
            vec![with(200, &[], b"\x0a\x02\x08\x02")],
            fates([("recorded", 5), ("acknowledged", 3), ("dropped_rejected", 2)]),
        ),
        ("closed", vec![Answer::Closed], fates([("recorded", 5), ("acknowledged", 5)])),
        ("closed within the answer", vec![Answer::Broken], fates([("recorded", 5), ("acknowledged", 5)])),
        ("slow", vec![Answer::Late(Duration::from_millis(800))], fates([("recorded", 5), ("acknowledged", 5)])),
        // The first answer comes too late, the second in time.
        ("too slow", vec![Answer::Late(Duration::from_millis(2500))], fates([("recorded", 5), ("acknowledged", 5)])),
    ] {
        let collector = Collector::start().unwrap();
        collector.answer_next(answers);
        let Some(envoy) = start(&policy(&json!({"schedule_delay": "300ms", "export_timeout": "2s"})), 1, collector.address()) else {
            return;
        };
        let mut connection = Connection::open(envoy.listener()).unwrap();
        (0..5).for_each(|id| assert_eq!(ask(&mut connection, &format!("/orders/{id}"), &[]).status, 200));
        let settled = |found: &std::collections::BTreeMap<String, u64>| {
            found.get("recorded") == Some(&5)
                && found.iter().filter(|(fate, _)| *fate != "recorded" && *fate != "queued").map(|(_, count)| count).sum::<u64>() == 5
        };
        assert_eq!(ledger_until(&envoy, Duration::from_secs(20), settled), expected, "{what}");
    }
}

/// In both forms, and longer than anybody would wait of its own accord: spans come again once that is over.
#[test]
fn a_collector_that_asks_for_time_gets_it() {
    for (status, as_date) in [(429, false), (503, true)] {
        let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8);
        let asked = if as_date { until.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string() } else { "7".to_owned() };
        let (collector, begun) = (Collector::start().unwrap(), Instant::now());
        collector.answer_next([with(status, &[("retry-after", &asked)], b"")]);
        let Some(envoy) = start(&policy(&often()), 1, collector.address()) else { return };
        let mut connection = Connection::open(envoy.listener()).unwrap();
        assert_eq!(ask(&mut connection, "/orders/7", &[]).status, 200);
        let found = ledger_until(&envoy, Duration::from_secs(20), |found| found.get("acknowledged") == Some(&1));
        assert_eq!(found, fates([("recorded", 1), ("acknowledged", 1)]), "{asked}");
        assert!(begun.elapsed() > Duration::from_secs(6), "{asked}: {:?}", begun.elapsed());
    }
}

/// For half a minute nobody listens: requests are answered as ever, what finds no room is counted, and what is kept leaves when somebody listens
/// again.
#[test]
fn a_collector_that_is_down_for_half_a_minute() {
    // A port that is taken and refuses.
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let mut batch = often();
    batch["max_queue_size"] = json!(1000);
    let Some(envoy) = start(&policy(&batch), 2, address) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    let (begun, mut sent, mut slowest) = (Instant::now(), 0_u64, Duration::ZERO);
    while begun.elapsed() < Duration::from_secs(30) {
        let asked = Instant::now();
        assert_eq!(ask(&mut connection, "/orders/7", &[]).status, 200);
        slowest = slowest.max(asked.elapsed());
        sent += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    let found = ledger_until(&envoy, Duration::from_secs(10), |found| found.get("recorded") == Some(&sent));
    let dropped = found.get("dropped_queue_full").copied().unwrap_or(0);
    println!("{sent} requests, the slowest in {slowest:?}: {found:?}");
    assert!(dropped > 0 && slowest < Duration::from_secs(1), "{found:?}");
    assert_eq!(found.get("queued"), Some(&1000));
    assert_eq!(dropped + 1000, sent);
    assert_eq!(ledger(&envoy).get("acknowledged"), None);
}

/// A collector that comes back gets what was kept.
#[test]
fn what_is_kept_leaves_when_the_collector_is_back() {
    let collector = Collector::start().unwrap();
    collector.answer_next((0..3).map(|_| with(503, &[("retry-after", "1")], b"")));
    let Some(envoy) = start(&policy(&often()), 1, collector.address()) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    for id in 0..40 {
        assert_eq!(ask(&mut connection, &format!("/orders/{id}"), &[]).status, 200);
        std::thread::sleep(Duration::from_millis(50));
    }
    let found = ledger_until(&envoy, Duration::from_secs(20), |found| found.get("acknowledged") == Some(&40));
    assert_eq!(found, fates([("recorded", 40), ("acknowledged", 40)]));
    // Those that were refused were sent again.
    let spans = spans_until(&collector, 41);
    let distinct: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(distinct.len(), 40);
}
