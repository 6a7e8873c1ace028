// SPDX-License-Identifier: Apache-2.0
//! What was limited then and is now, window by window; and what another amount would have refused.

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_tests::{lines, stderr, stdout};

use super::html::read;
use super::{file, replay, summary, text};

/// What the log says of a request.
#[derive(Clone, Copy)]
enum Then {
    Admitted,
    Above(&'static str, &'static str),
}
use Then::Admitted;

const RATE: Then = Then::Above("rate-limit-by-key", "RateLimitExceeded");
const QUOTA: Then = Then::Above("quota-by-key", "QuotaExceeded");

/// A request of `caller`, the last number of its address, so many milliseconds after 09:00.
fn at(milliseconds: u64, caller: u8, then: Then) -> Value {
    let (minutes, seconds) = (milliseconds / 60_000, milliseconds / 1000 % 60);
    let apim = match then {
        Admitted => json!({"responseCode": 200, "backendResponseCode": 200}),
        Then::Above(source, reason) => {
            let code = if reason == "QuotaExceeded" { 403 } else { 429 };
            json!({"responseCode": code, "backendResponseCode": null, "lastError": {"source": source, "reason": reason}})
        }
    };
    json!({"time": format!("2026-11-22T09:{minutes:02}:{seconds:02}.{:03}Z", milliseconds % 1000),
        "request": {"method": "GET", "path": "/a", "source": format!("203.0.113.{caller}:1")}, "apim": apim})
}

/// A policy in which quotas, by name, limit every request.
fn policy(quotas: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = quotas.iter().map(|(name, _)| *name).collect();
    let quotas: serde_json::Map<String, Value> = quotas.iter().map(|(name, quota)| ((*name).to_owned(), quota.clone())).collect();
    json!({"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}, "quotas": quotas,
        "routes": [{"name": "all", "match": {"path": {"prefix": "/"}}, "quotas": names}]})
}

/// So much for each address.
fn by_source(limit: Value) -> Value {
    json!({"limit": limit, "key": ["source"], "key_absent": "refuse", "enforcement": {"local": {}}})
}

fn rate(requests: u64, window: &str) -> Value {
    by_source(json!({"rate": {"requests": requests, "window": window}}))
}

fn fixed(requests: u64, window: &str) -> Value {
    by_source(json!({"fixed_window": {"requests": requests, "window": window}}))
}

/// A replay of records with a policy.
struct Run {
    scratch: TempDir,
}

impl Run {
    fn of(records: &[Value], policy: &Value) -> Self {
        let scratch = TempDir::new().unwrap();
        file(&scratch, "log.ndjson", &records.iter().map(|record| format!("{record}\n")).collect::<String>());
        file(&scratch, "policy.json", &policy.to_string());
        Self { scratch }
    }

    fn with(&self, arguments: &[&str]) -> std::process::Output {
        let [log, policy] = ["log.ndjson", "policy.json"].map(|name| self.scratch.path().join(name));
        replay(&[&[text(&log), "--policy", text(&policy)], arguments].concat())
    }

    /// The exchanges, and the summary.
    fn json(&self, arguments: &[&str]) -> (Vec<Value>, Value) {
        let output = self.with(&[&["--format", "json"], arguments].concat());
        assert!(output.status.code() < Some(2), "{}", stderr(&output));
        let mut lines = lines(&output);
        let last = summary(&lines).clone();
        lines.pop();
        (lines, last)
    }
}

/// What one exchange came to: the decision, whether it agrees, what explains it.
fn told(line: &Value) -> Value {
    json!([line["decision"], line["agrees"], line["difference"]["explained_by"]])
}

/// A window: when it begins, and its six numbers.
fn windows(summary: &Value, limit: usize) -> Vec<Value> {
    let numbers = |row: &Value| ["exchanges", "then", "now", "both", "explained", "unexplained"].map(|name| row[name].clone());
    let windows = summary["limits"]["limits"][limit]["windows"].as_array().unwrap_or_else(|| panic!("{summary}"));
    windows.iter().map(|row| json!([row["start"], numbers(row)])).collect()
}

/// Three in ten seconds. API Management's classic tier admits the first three and then none until the first of them is ten seconds old. The
/// token bucket has another token every 3⅓ s: after 0, 1 and 2 s one at 3⅓ s, taken at 4 s, one at 6⅔ s, taken at 8 s, one at 10 s, taken at 10.5 s; at
/// 11.5 s there is none, where the sliding window holds only those of 2 s and 10.5 s.
fn two_algorithms() -> Vec<Value> {
    vec![
        at(0, 7, Admitted),
        at(1000, 7, Admitted),
        at(2000, 7, Admitted),
        at(3000, 7, RATE),
        at(4000, 7, RATE),
        at(5000, 7, RATE),
        at(8000, 7, RATE),
        at(10_500, 7, Admitted),
        at(11_500, 7, Admitted),
    ]
}

#[test]
fn what_two_algorithms_limit_otherwise_is_explained_and_no_finding() {
    let run = Run::of(&two_algorithms(), &policy(&[("per-caller", rate(3, "10s"))]));
    let (exchanges, summary) = run.json(&[]);
    let [admitted, refused] = ["admitted", "refused"];
    let agrees = |decision: &str| json!([decision, true, null]);
    let explained = |decision: &str| json!([decision, false, "algorithm"]);
    let expected = [
        agrees(admitted),
        agrees(admitted),
        agrees(admitted),
        agrees(refused),
        explained(admitted),
        agrees(refused),
        explained(admitted),
        agrees(admitted),
        explained(refused),
    ];
    assert_eq!(exchanges.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(
        exchanges[4]["difference"],
        json!({"field": "decision", "expected": "refused", "found": "admitted", "explained_by": "algorithm"})
    );
    assert_eq!(exchanges.iter().map(|line| line["line"].as_u64().unwrap()).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>(), "in order");
    let rows = [json!(["2026-11-22T09:00:00Z", [7, 4, 2, 2, 2, 0]]), json!(["2026-11-22T09:00:10Z", [2, 0, 1, 0, 1, 0]])];
    assert_eq!(windows(&summary, 0), rows, "{summary}");
    assert_eq!((&summary["limits"]["explained"], &summary["limits"]["unexplained"]), (&json!(3), &json!(0)));
    let totals = ["exchanges", "agreed", "differed", "undecidable"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!(totals, [9, 6, 0, 0], "three count apart: {summary}");

    let output = run.with(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let table = stdout(&output);
    let heading =
        "limits, then and now, by windows that begin at (UTC): 3 exchanges limited by one side only, 3 of them explained by the algorithms";
    let (before, section) = table.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{table}"));
    assert_eq!(before.lines().next().unwrap().split_whitespace().last(), Some("explained"), "{table}");
    assert_eq!(before.lines().find(|line| line.starts_with("all ")).unwrap().split_whitespace().last(), Some("3"), "{table}");
    let shown: Vec<Vec<&str>> = section.lines().skip(2).take(3).map(|line| line.split_whitespace().collect()).collect();
    let expected = [
        ["per-caller", "2026-11-22T09:00:00Z", "7", "4", "2", "2", "2", "0"],
        ["per-caller", "2026-11-22T09:00:10Z", "2", "0", "1", "0", "1", "0"],
        ["per-caller", "all", "9", "4", "3", "2", "3", "0"],
    ];
    assert_eq!(shown, expected, "{table}");
    let page = read(&stdout(&run.with(&["--format", "html"])));
    assert_eq!(page["tables"][heading].as_array().unwrap()[1..], expected.map(|row| json!(row)));
}

/// There the record isn't what counts; nor is it where the policy limits nothing.
#[test]
fn a_search_and_a_comparison_of_two_edges_say_nothing_of_windows() {
    let run = Run::of(&two_algorithms(), &policy(&[("per-caller", rate(3, "10s"))]));
    let policy = run.scratch.path().join("policy.json");
    for arguments in [&["--find", "path=/a"][..], &["--against", text(&policy)]] {
        let (_, summary) = run.json(arguments);
        assert_eq!(summary["limits"], Value::Null, "{arguments:?}");
    }
    let open = Run::of(&two_algorithms(), &json!({"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}));
    let (exchanges, summary) = open.json(&[]);
    assert_eq!((&summary["limits"], &summary["undecidable"]), (&Value::Null, &json!(4)), "a policy without limits");
    assert_eq!(exchanges[3]["undecidable"], "incomplete_log");
}

/// One at once and one more in ten seconds, for each address: so two may differ by two at most.
#[test]
fn what_no_algorithm_explains_differs() {
    let limit = policy(&[("per-caller", rate(1, "10s"))]);
    let unlimited: Vec<Value> = (0..3).map(|second| at(second * 1000, 7, Admitted)).collect();
    let others: Vec<Value> = unlimited.iter().cloned().chain([at(3000, 8, RATE)]).collect();
    let own = |count: u64| -> Vec<Value> { (0..count).map(|tenth| at(tenth * 100, 7, Admitted)).chain([at(5000, 7, RATE)]).collect() };
    for (what, records, row) in [
        ("nobody was limited then", unlimited, [3, 0, 2, 0, 0, 2]),
        // The other caller is admitted here, which an incomplete log would explain.
        ("another caller was", others, [4, 1, 2, 0, 0, 3]),
        // 3 more are limited now, of which the record has none.
        ("fewer were", own(4), [5, 1, 4, 1, 0, 3]),
        ("about as many were", own(3), [4, 1, 3, 1, 2, 0]),
    ] {
        let run = Run::of(&records, &limit);
        let (exchanges, summary) = run.json(&[]);
        assert_eq!(windows(&summary, 0), [json!(["2026-11-22T09:00:00Z", row])], "{what}: {summary}");
        let differed = exchanges.iter().filter(|line| told(line) == json!(["refused", false, null])).count();
        assert_eq!(summary["differed"], differed, "{what}");
        assert_eq!(run.with(&[]).status.code(), Some(i32::from(differed > 0)), "{what}");
    }
}

/// Two in ten seconds: both sides count a quota alike, so one refusal more is a finding; another one of two is not.
#[test]
fn of_a_quota_no_algorithm_explains_one_more() {
    let limit = policy(&[("per-caller", fixed(2, "10s"))]);
    let records = |thens: &[Then]| -> Vec<Value> { (0..).zip(thens).map(|(second, then)| at(second * 1000, 7, *then)).collect() };
    for (what, thens, row) in [
        ("one more now", &[Admitted, Admitted, Admitted, QUOTA][..], [4, 1, 2, 1, 0, 1]),
        ("one more then", &[Admitted, QUOTA, QUOTA, QUOTA], [4, 3, 2, 2, 0, 1]),
        ("another one", &[Admitted, QUOTA, Admitted], [3, 1, 1, 0, 2, 0]),
    ] {
        let (_, summary) = Run::of(&records(thens), &limit).json(&[]);
        assert_eq!(windows(&summary, 0), [json!(["2026-11-22T09:00:00Z", row])], "{what}: {summary}");
    }
}

/// A recorded refusal that the policy's limit doesn't come near: the log need not hold all that was counted.
#[test]
fn what_was_limited_then_alone_stays_undecidable_unless_it_is_explained() {
    let run = Run::of(&[at(0, 7, Admitted), at(1000, 7, RATE)], &policy(&[("per-caller", rate(100, "10s"))]));
    let (exchanges, summary) = run.json(&[]);
    assert_eq!((&exchanges[1]["agrees"], &exchanges[1]["undecidable"]), (&Value::Null, &json!("incomplete_log")));
    assert_eq!(windows(&summary, 0), [json!(["2026-11-22T09:00:00Z", [2, 1, 0, 0, 0, 1]])]);
    assert_eq!(run.with(&[]).status.code(), Some(0));
}

/// A window explains the ones beside it and no other. Windows are half open: the last nanosecond before 09:00:20 is of the one at 09:00:10.
#[test]
fn windows_end_where_the_next_begins() {
    let records = |second: &str| {
        let mut last = at(0, 7, Admitted);
        last["time"] = json!(format!("2026-11-22T09:00:{second}Z"));
        // Two at once, where one was the limit: exactly the second is refused now, and was admitted then.
        vec![at(0, 7, Admitted), at(5000, 7, RATE), last.clone(), last]
    };
    for (second, start, explained) in [
        ("15", "2026-11-22T09:00:10Z", true),
        ("19.999999999", "2026-11-22T09:00:10Z", true),
        ("20", "2026-11-22T09:00:20Z", false),
        ("20.000000001", "2026-11-22T09:00:20Z", false),
    ] {
        let (exchanges, summary) = Run::of(&records(second), &policy(&[("per-caller", rate(1, "10s"))])).json(&[]);
        let by = if explained { json!("algorithm") } else { Value::Null };
        assert_eq!(told(&exchanges[3]), json!(["refused", false, by]), "{second}: {exchanges:?}");
        let [explained, unexplained] = [u64::from(explained), u64::from(!explained)];
        let expected = [json!(["2026-11-22T09:00:00Z", [2, 1, 1, 1, 0, 0]]), json!([start, [2, 0, 1, 0, explained, unexplained]])];
        assert_eq!(windows(&summary, 0), expected, "{second}");
    }
}

#[test]
fn quotas_have_their_own_periods_and_rates_are_no_quotas() {
    let quota = |limit: Value| {
        let mut quota = by_source(limit);
        quota["enforcement"]["local"]["volatile"] = json!(true);
        quota
    };
    let shifted = quota(json!({"fixed_window": {"requests": 2, "window": "5m", "first_period_start": "2026-01-01T00:01:00Z"}}));
    let daily = quota(json!({"calendar": {"requests": 4, "period": "day", "time_zone": "Asia/Kolkata"}}));
    let policy = policy(&[("a-shifted", shifted), ("b-daily", daily), ("c-rate", rate(1000, "1s"))]);
    let records = [
        at(0, 7, Admitted),
        at(1000, 7, Admitted),
        // The first period ends at 09:01.
        at(59_999, 7, QUOTA),
        at(60_000, 7, Admitted),
        at(61_000, 7, Admitted),
        // Above both; the one by day has counted 4. The first in the policy's order refuses.
        at(62_000, 7, QUOTA),
        // The next period: it is the day's quota that refuses.
        at(360_000, 7, RATE),
    ];
    let (exchanges, summary) = Run::of(&records, &policy).json(&[]);
    let decisions: Vec<&str> = exchanges.iter().map(|line| line["decision"].as_str().unwrap()).collect();
    assert_eq!(decisions, ["admitted", "admitted", "refused", "admitted", "admitted", "refused", "refused"]);
    assert_eq!((&exchanges[5]["reason"], &exchanges[6]["reason"]), (&json!("QuotaExceeded"), &json!("QuotaExceeded")));
    let expected = [json!(["2026-11-22T08:56:00Z", [3, 1, 1, 1, 0, 0]]), json!(["2026-11-22T09:01:00Z", [3, 1, 1, 1, 0, 0]])];
    assert_eq!(windows(&summary, 0), expected, "{summary}");
    // Midnight in Kolkata; what it refused was recorded as above a rate, which is the rate's.
    assert_eq!(windows(&summary, 1), [json!(["2026-11-21T18:30:00Z", [7, 0, 1, 0, 0, 0]])], "{summary}");
    assert_eq!(windows(&summary, 2), [json!(["2026-11-22T09:06:00Z", [1, 1, 0, 0, 0, 0]])], "{summary}");
}

/// 1000 bytes a minute, of requests and responses together, as the record tells them; charged when the exchange is over.
#[test]
fn bytes_are_those_of_the_record() {
    let policy = policy(&[("volume", by_source(json!({"fixed_window": {"bytes": 1000, "window": "1m"}})))]);
    let native = |request: u64, response: u64| {
        let mut records: Vec<Value> = (0..3).map(|second| at(second * 1000, 7, Admitted)).collect();
        records[0]["response"] = json!({"request_bytes": request, "response_bytes": response});
        records[1]["response"] = json!({"response_bytes": 1});
        records
    };
    // API Management's own counts, which a record of our own may quote.
    let logged: Vec<Value> = native(0, 0)
        .into_iter()
        .map(|mut record| {
            record["apim"]["requestSize"] = json!(400);
            record["apim"]["responseSize"] = json!(100);
            record["response"] = json!({});
            record
        })
        .collect();
    for (what, records, expected) in [
        ("all at once", native(400, 600), ["admitted", "refused", "refused"]),
        ("one byte is left", native(400, 599), ["admitted", "admitted", "refused"]),
        ("two are left", native(400, 598), ["admitted", "admitted", "admitted"]),
        ("as logged", logged, ["admitted", "admitted", "refused"]),
    ] {
        let (exchanges, _) = Run::of(&records, &policy).json(&[]);
        let decisions: Vec<&str> = exchanges.iter().map(|line| line["decision"].as_str().unwrap()).collect();
        assert_eq!(decisions, expected, "{what}: {exchanges:?}");
    }
}

#[test]
fn a_limit_in_shadow_mode_is_told_like_any_other() {
    let mut limit = rate(3, "10s");
    limit["mode"] = json!("shadow");
    let run = Run::of(&two_algorithms(), &policy(&[("per-caller", limit)]));
    let (exchanges, summary) = run.json(&[]);
    assert!(exchanges.iter().all(|line| line["decision"] == "admitted"), "{exchanges:?}");
    // What both limit is none of the differences. What this edge alone would limit it admits, as the record has it.
    let rows = [json!(["2026-11-22T09:00:00Z", [7, 4, 2, 2, 2, 0]]), json!(["2026-11-22T09:00:10Z", [2, 0, 1, 0, 0, 0]])];
    assert_eq!(windows(&summary, 0), rows, "{summary}");
    assert_eq!(summary["limits"]["limits"][0]["mode"], "shadow");
    let table = stdout(&run.with(&[]));
    assert!(table.lines().any(|line| line.starts_with("per-caller (shadow)  all ")), "{table}");
}

/// What is recorded under other settings is decided natively, where limits count too.
#[test]
fn the_core_natively_limits_what_the_module_does() {
    let by_bytes = by_source(json!({"fixed_window": {"bytes": 10, "window": "10s"}}));
    let mut by_status = fixed(2, "10s");
    by_status["cost"] = json!({"response": {"not_status": [404]}});
    for (what, limit) in [("a rate", rate(3, "10s")), ("bytes", by_bytes), ("a status", by_status)] {
        let mut records: Vec<Value> = (0..40).map(|second| at(second * 700, 7, Admitted)).collect();
        for (index, record) in records.iter_mut().enumerate() {
            record["response"] = json!({"status": if index % 3 == 0 { 404 } else { 200 }, "request_bytes": 1, "response_bytes": 2});
        }
        let mut policy = policy(&[("per-caller", limit)]);
        policy["trace"] = json!({"sampling": {"root": {"probability": 0.5}, "always_record": ["refused"]}});
        let (exchanges, summary) = Run::of(&records, &policy).json(&[]);
        let refused = exchanges.iter().filter(|line| line["decision"] == "refused").count();
        assert!((5..35).contains(&refused), "{what}: {refused}");
        assert_eq!(summary["sampling"]["core_agrees"], true, "{what}: {summary}");
        // Every refused one is recorded under every setting, be it by probability.
        for row in summary["sampling"]["settings"].as_array().unwrap() {
            assert!(row["recorded"].as_u64().unwrap() >= u64::try_from(refused).unwrap(), "{what}: {row}");
        }
    }
}

/// Three a minute for each address: five calls of one, two of another, four of a third.
fn three_callers() -> Vec<Value> {
    let calls = [(7, 5), (8, 2), (9, 4)];
    let calls =
        calls.into_iter().flat_map(|(caller, count)| (0..count).map(move |second| at(second * 1000 + u64::from(caller), caller, Admitted)));
    calls.collect()
}

#[test]
fn another_amount_refuses_by_key() {
    let run = Run::of(&three_callers(), &policy(&[("per-caller", fixed(3, "1m")), ("others", fixed(100, "1m"))]));
    let refused = |exchanges: u64, refused: u64, own: u64| json!({"exchanges": exchanges, "refused": refused, "policy_refused": own});
    let with = |mut whole: Value, more: Value| {
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole
    };
    let source = |caller: u8, calls: Value| with(json!({"key": format!("source 203.0.113.{caller}")}), calls);
    // With 1 each keeps one call; with 4 only the first has one too many; with 5 nobody has.
    for (amount, all, keys) in [
        ("1", refused(11, 8, 3), vec![source(7, refused(5, 4, 2)), source(9, refused(4, 3, 1)), source(8, refused(2, 1, 0))]),
        ("4", refused(11, 1, 3), vec![source(7, refused(5, 1, 2))]),
        ("5", refused(11, 0, 3), vec![]),
    ] {
        let (exchanges, summary) = run.json(&["--what-if", &format!("per-caller={amount}")]);
        let amount: u64 = amount.parse().unwrap();
        let expected = with(json!({"quota": "per-caller", "amount": amount, "policy_amount": 3, "keys": keys}), all);
        assert_eq!(summary["what_if"], json!([expected]), "{amount}");
        let decided = exchanges.iter().filter(|line| line["decision"] == "refused").count();
        assert_eq!(decided, 3, "the replay itself is the policy's");
    }
    let table = stdout(&run.with(&["--what-if", "per-caller=1"]));
    let heading = "what if per-caller allowed 1 instead of 3: 8 of 11 calls refused, 3 by the policy's own amount";
    let (_, section) = table.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{table}"));
    let shown: Vec<Vec<&str>> = section.lines().skip(2).take(3).map(|line| line.split_whitespace().collect()).collect();
    let expected =
        [["source", "203.0.113.7", "5", "4", "2"], ["source", "203.0.113.9", "4", "3", "1"], ["source", "203.0.113.8", "2", "1", "0"]];
    assert_eq!(shown, expected, "{table}");
    let page = read(&stdout(&run.with(&["--what-if", "per-caller=1", "--format", "html"])));
    assert_eq!(page["tables"][heading][1], json!(["source 203.0.113.7", "5", "4", "2"]), "{page}");
    let (_, summary) = run.json(&["--what-if", "others=2", "--what-if", "per-caller=4"]);
    let told: Vec<Value> = summary["what_if"].as_array().unwrap().iter().map(|one| json!([one["quota"], one["refused"]])).collect();
    // What one limit refuses is given back to the other: of 5, 2 and 4 calls all but 2 are refused, by the first that has none left.
    assert_eq!(told, [json!(["others", 5]), json!(["per-caller", 0])], "{summary}");
}

#[test]
fn the_ten_keys_that_are_refused_most_are_shown() {
    // The first address calls twice, the twelfth 13 times.
    let calls =
        (1..=12_u8).flat_map(|caller| (0..=u64::from(caller)).map(move |second| at(second * 1000 + u64::from(caller), caller, Admitted)));
    let run = Run::of(&calls.collect::<Vec<_>>(), &policy(&[("per-caller", fixed(100, "1m"))]));
    let table = stdout(&run.with(&["--what-if", "per-caller=1"]));
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("source ")).collect();
    assert_eq!((rows.len(), rows[0].split_whitespace().nth(3)), (10, Some("12")), "{table}");
    assert!(rows[9].starts_with("source 203.0.113.3 ") && table.contains("\n… and 2 more keys (--format json has all)\n"), "{table}");
    let (_, summary) = run.json(&["--what-if", "per-caller=1"]);
    assert_eq!(summary["what_if"][0]["keys"].as_array().unwrap().len(), 12);
}

/// Parts of a key are told as the record has them, and credentials never.
#[test]
fn keys_are_told_as_the_record_has_them() {
    let mut quota = fixed(100, "1m");
    quota["key"] = json!(["route", "method", {"source": {"ipv4_prefix": 24, "ipv6_prefix": 64}}, {"header": "x-tenant"}, {"header": "x-api-key"},
        {"query": "page[size]"}, {"literal": "one"}]);
    quota["key_absent"] = json!("shared_bucket");
    let mut record = at(0, 7, Admitted);
    record["request"]["path"] = json!("/a?page%5Bsize%5D=10");
    record["request"]["headers"] = json!([["x-tenant", "contoso"], ["x-api-key", "s3cret-7f3a9"]]);
    let output = Run::of(&[record.clone(), record, at(1000, 8, Admitted), at(1000, 8, Admitted)], &policy(&[("q", quota)]))
        .with(&["--what-if", "q=1"]);
    let table = stdout(&output);
    assert!(!table.contains("s3cret"), "{table}");
    let keys: Vec<&str> = table.lines().filter(|line| line.starts_with("route all, ")).collect();
    assert!(
        keys.iter()
            .any(|key| key
                .starts_with("route all, method GET, source 203.0.113.0/24, header x-tenant contoso, header x-api-key {\"redacted\":")),
        "{table}"
    );
    assert!(keys.iter().any(|key| key.contains("header x-tenant ?, header x-api-key ?, query page[size] ?, one  ")), "{table}");
}

#[test]
fn what_cannot_be_asked_is_code_2() {
    let run = Run::of(&three_callers(), &policy(&[("per-caller", fixed(3, "1m")), ("others", rate(3, "1m"))]));
    let policy = run.scratch.path().join("policy.json");
    for (arguments, message) in [
        (
            &["--what-if", "per-client=1"][..],
            "--what-if per-client=1: expected a quota of the policy's (`others`, `per-caller`), found \"per-client\"",
        ),
        (
            &["--what-if", "per-caller=1", "--what-if", "per-caller=2"],
            "--what-if per-caller=2: expected one amount for per-caller, found another before",
        ),
        (&["--what-if", "per-caller"], "expected QUOTA=AMOUNT, as in per-caller=100"),
        (&["--what-if", "per-caller=0"], "expected an amount from 1 to 9007199254740991 behind the '=', found \"0\""),
        (&["--what-if", "per-caller=9007199254740992"], "found \"9007199254740992\""),
        (&["--what-if", "per-caller=+1"], "found \"+1\""),
        (&["--what-if", "per-caller=1/2"], "found \"1/2\""),
        (&["--what-if", "per-caller=1", "--against", text(&policy)], "--against"),
        (&["--what-if", "per-caller=1", "--find", "path=/a"], "--find"),
    ] {
        let output = run.with(arguments);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{arguments:?}");
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    }
    let output = replay(&["--what-if", "per-caller=1"]);
    assert!(
        output.status.code() == Some(2) && stderr(&output).contains("expected a policy with quotas, found \"per-caller\""),
        "{}",
        stderr(&output)
    );
    // What the amount must go with: a burst is filled again within a year.
    let mut slow = rate(1000, "24h");
    slow["limit"]["rate"]["burst"] = json!(1000);
    slow["enforcement"]["local"]["volatile"] = json!(true);
    let run = Run::of(&three_callers(), &self::policy(&[("slow", slow)]));
    let output = run.with(&["--what-if", "slow=1"]);
    let expected = "--what-if: quotas.slow.limit.rate.burst: expected a burst that the rate fills again within 365 days";
    assert!(output.status.code() == Some(2) && stderr(&output).contains(expected), "{}", stderr(&output));
}
