// SPDX-License-Identifier: Apache-2.0
//! The table through the module: in the native host, and in real Envoy.

use std::collections::{BTreeMap, BTreeSet};

use tracegate_harness::host::faults::Faults;
use tracegate_harness::host::{self, Always, HeaderMap, Message, Metering, Options, Proxy, Reply, Request};
use tracegate_harness::module;
use tracegate_tests::Edge;

use super::forge::{Forge, SUBJECT};
use super::policy::{environment, policy};
use super::refusal::Refusal;
use super::table::{ADMITTED, Row, Table};

/// 2026-01-01T00:00:00Z
const NOW: i64 = 1_767_225_600;

/// What a caller got.
struct Answer {
    status: u16,
    /// Lines, and the body unless it is the upstream's.
    lines: Vec<(String, String)>,
    body: Option<String>,
}

#[test]
fn every_row_holds_where_the_host_verifies_too() {
    let counts = run_in_native_host(None);
    assert!(counts["tracegate.tokens.verified.by_host"] > 0, "RSA's and ECDSA's");
    assert!(counts["tracegate.tokens.verified.by_module"] > 0, "the others");
}

#[test]
fn every_row_holds_where_the_module_verifies_alone() {
    let counts = run_in_native_host(Some(Faults::only("proxy_call_foreign_function", 1, 1000)));
    assert_eq!(counts["tracegate.tokens.verified.by_host"], 0);
}

/// What has been counted.
fn run_in_native_host(faults: Option<Faults>) -> BTreeMap<String, u64> {
    let table = Table::new(Forge::new(NOW));
    let module = host::compile_file(&module::build().unwrap(), Metering::Time).unwrap();
    let mut options = Options::new(&policy(&table.forge).to_string(), 7);
    // The last moment of its second.
    options.clock = NOW * 1_000_000_000 + 999_999_999;
    (options.vm.environment, options.vm.faults) = (environment(), faults);
    let upstream = Always(Reply::now(Message::response(200, [("x", "")], b"")));
    let mut proxy = Proxy::start(&module, options, upstream).unwrap_or_else(|error| panic!("{error}"));
    let mut flaws = Vec::new();
    // The second time around, genuine tokens are known already.
    for row in table.rows().iter().chain(table.rows()) {
        let mut head: HeaderMap = [(":method", "GET"), (":path", &row.path), (":authority", "api.example")].into_iter().collect();
        row.lines.iter().for_each(|(name, value)| head.add(name.as_bytes(), value.as_bytes()));
        let finished = proxy.exchange(Request { message: Message::request(head), ..Request::default() });
        assert_eq!(proxy.failure(), None, "{}", row.name);
        if finished.upstream.is_some() != (row.expected == ADMITTED) {
            flaws.push(format!("{}: expected it to be {}", row.name, row.expected));
        }
        let response = finished.response.unwrap_or_else(|| panic!("{}: no response", row.name));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let lines = response.head.iter().map(|line| (text(&line.name), text(&line.value))).collect();
        flaws.extend(row.flaws(&Answer { status: response.status(), lines, body: Some(text(&response.body)) }));
    }
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
    proxy.tick();
    let counts = proxy.vm().metrics();
    assert_counts(&table.rows().iter().collect::<Vec<_>>(), 2, |name| counts.get(name).copied().unwrap_or(0));
    let said = proxy.vm().log().iter().map(|line| line.message.clone()).chain(counts.keys().cloned()).collect::<Vec<_>>().join("\n");
    assert_eq!(table.rows().iter().find_map(|row| row.told(&said)), None);
    counts
}

/// The rows in Envoy: what may be otherwise a second later can't be shown there.
#[test]
fn every_row_holds_in_real_envoy() {
    let table = Table::new(Forge::of_today());
    let Some(edge) = Edge::start_with_secrets(&policy(&table.forge).to_string(), &environment()) else { return };
    let rows: Vec<&Row> = table.rows().iter().filter(|row| !row.fleeting).collect();
    let mut flaws = Vec::new();
    for row in &rows {
        let fields: Vec<(&str, &[u8])> = row.lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let response = edge.get(&row.path, &fields);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let lines = response.fields.iter().map(|(name, value)| (text(name), text(value))).collect();
        // The upstream is an echo, which does tell.
        let body = (response.status != 200).then(|| text(&response.body));
        flaws.extend(row.flaws(&Answer { status: response.status, lines, body }));
    }
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
    assert_counts(&rows, 1, |name| edge.metric_when(name, |count| count == expected_count(&rows, name)));
    let stats = edge.envoy.stats("wasm").unwrap().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join("\n");
    let said = edge.envoy.log() + &stats;
    assert_eq!(rows.iter().find_map(|row| row.told(&said)), None);
    edge.assert_alive();
}

fn expected_count(rows: &[&Row], name: &str) -> u64 {
    rows.iter().map(|row| u64::from(counter(row.expected) == name)).sum()
}

fn counter(expected: &str) -> String {
    if expected == ADMITTED { "tracegate.requests.admitted.none".to_owned() } else { format!("tracegate.requests.refused.{expected}") }
}

/// Fails unless every row was counted `times`, under its reason.
fn assert_counts(rows: &[&Row], times: u64, count: impl Fn(&str) -> u64) {
    let expected: BTreeSet<&str> = rows.iter().map(|row| row.expected).collect();
    assert_eq!(expected, Refusal::codes().chain([ADMITTED]).collect(), "the table has every reason");
    for expected in expected {
        let name = counter(expected);
        assert_eq!(count(&name), times * expected_count(rows, &name), "{name}");
    }
}

impl Row {
    /// What is wrong with an answer.
    fn flaws(&self, answer: &Answer) -> Vec<String> {
        let values = |wanted: &str| -> Vec<&str> {
            answer.lines.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).collect()
        };
        let expected = match self.expected {
            ADMITTED => (200, vec![], vec![], None),
            code => {
                let (refusal, scheme) = (Refusal::of(code), if self.path.starts_with("/scheme") { "DPoP" } else { "Bearer" });
                (refusal.status, vec![code.to_owned()], vec![refusal.challenge(scheme)], Some(refusal.body()))
            }
        };
        let body = answer.body.clone().filter(|_| self.expected != ADMITTED);
        let owned = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect();
        let found = (answer.status, owned(values("tracegate-reason")), owned(values("www-authenticate")), body);
        let lines = answer.lines.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n");
        let said = format!("{lines}\n\n{}", answer.body.as_deref().unwrap_or_default());
        let wrong = (found != expected).then(|| format!("{}: expected {expected:?}, found {found:?}", self.name));
        let json = self.expected == ADMITTED || values("content-type") == ["application/json"];
        let other = (!json).then(|| format!("{}: {said}", self.name));
        wrong.into_iter().chain(other).chain(self.told(&said)).collect()
    }

    /// What a text holds of the row's tokens.
    fn told(&self, text: &str) -> Option<String> {
        // Every header and every payload begins with `{"`, in base64url `eyJ`.
        let parts = self.tokens.iter().flat_map(|token| token.split(['.', ' ', ','])).filter(|part| part.len() >= 8);
        let told = parts.chain(["eyJ", SUBJECT]).find(|part| text.contains(part))?;
        Some(format!("{}: {told:.40} is told: {text:.2000}", self.name))
    }
}
