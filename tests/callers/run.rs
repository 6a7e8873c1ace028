// SPDX-License-Identifier: Apache-2.0
//! The table through the module: in the native host, and in real Envoy.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tracegate_harness::host::{self, Always, HeaderMap, Message, Metering, Options, Proxy, Reply, Request};
use tracegate_harness::module;
use tracegate_tests::{Edge, lines_of, manager};

use super::policy::{REPLACEMENT, TOLD, VARIABLE, policy};
use super::table::{Expected, Row, Table};

/// 2026-01-01T00:00:00Z
const NOW: i64 = 1_767_225_600;

type Lines = Vec<(String, String)>;

/// What came of a request.
enum Outcome {
    /// What reached the upstream.
    Admitted(Lines),
    /// What the client got.
    Refused { status: u16, lines: Lines, body: String },
}

pub fn environment() -> Vec<(String, String)> {
    vec![(VARIABLE.to_owned(), REPLACEMENT.to_owned())]
}

#[test]
fn every_row_holds_in_the_native_host() {
    let table = Table::new(NOW);
    let module = host::compile_file(&module::build().unwrap(), Metering::Time).unwrap();
    let mut options = Options::new(&policy(&table.issuer).to_string(), 7);
    (options.clock, options.vm.environment) = (NOW * 1_000_000_000, environment());
    let upstream = Always(Reply::now(Message::response(200, [("x", "")], b"")));
    let mut proxy = Proxy::start(&module, options, upstream).unwrap_or_else(|error| panic!("{error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let lines = |head: &HeaderMap| -> Lines { head.iter().map(|line| (text(&line.name), text(&line.value))).collect() };
    let mut flaws = Vec::new();
    // The second time around, genuine tokens are known already.
    for row in table.rows().iter().chain(table.rows()) {
        let mut head: HeaderMap = [(":method", row.method), (":path", &row.path), (":authority", "api.example")].into_iter().collect();
        // The native host leaves the connection's own header to its caller, as Envoy's codec takes it away.
        row.lines.iter().filter(|(name, _)| name != "connection").for_each(|(name, value)| head.add(name.as_bytes(), value));
        let finished = proxy.exchange(Request { message: Message::request(head), ..Request::default() });
        assert_eq!(proxy.failure(), None, "{}", row.name);
        let response = finished.response.unwrap_or_else(|| panic!("{}: no response", row.name));
        let outcome = match finished.upstream {
            Some(upstream) => Outcome::Admitted(lines(&upstream.head)),
            None => Outcome::Refused { status: response.status(), lines: lines(&response.head), body: text(&response.body) },
        };
        flaws.extend(table.flaws(row, &outcome));
    }
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
    let said = proxy.vm().log().iter().map(|line| line.message.clone()).collect::<Vec<_>>().join("\n");
    assert_eq!(table.told(&said), None);
}

#[test]
fn every_row_holds_in_real_envoy() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let table = Table::new(i64::try_from(now).expect("it is before the end of time"));
    // As shipped, the listener refuses names with underscores itself: what the module does about them is to be seen.
    let allow = |tree: &mut Value| {
        let manager = manager(tree);
        let options = &mut manager["common_http_protocol_options"];
        assert_eq!(options["headers_with_underscores_action"], "REJECT_REQUEST");
        options["headers_with_underscores_action"] = json!("ALLOW");
        // Anything that a client sends in it passes the listener.
        manager["forward_client_cert_details"] = json!("ALWAYS_FORWARD_ONLY");
    };
    let Some(edge) = Edge::start_changed(&policy(&table.issuer).to_string(), &environment(), allow) else { return };
    let mut flaws = Vec::new();
    for row in table.rows() {
        let fields: Vec<(&str, &[u8])> = row.lines.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let mut connection = edge.connect();
        let request = tracegate_tests::get(&row.path, &fields);
        let request = [row.method.as_bytes(), request.strip_prefix(b"GET").expect("it is a GET")].concat();
        connection.send(&request).expect("Envoy takes a request");
        let response = connection.read_response().expect("Envoy answers");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let outcome = if response.status == 200 {
            Outcome::Admitted(lines_of(&response).into_iter().chain([(":path".to_owned(), path_of(&response.body))]).collect())
        } else {
            let lines = response.fields.iter().map(|(name, value)| (text(name), text(value))).collect();
            Outcome::Refused { status: response.status, lines, body: text(&response.body) }
        };
        flaws.extend(table.flaws(row, &outcome));
    }
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
    assert_eq!(table.told(&edge.envoy.log()), None);
    edge.assert_alive();
}

fn path_of(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).expect("the echo answers in JSON");
    body["path"].as_str().expect("the echo tells the path").to_owned()
}

/// The status that goes with a reason.
fn status(reason: &str) -> u16 {
    match reason {
        "AccessDenied" | "TokenClaimNotFound" | "TokenClaimValueNotAllowed" => 403,
        _ => 401,
    }
}

/// Letters and digits alone: what some service takes for the same name is the same.
fn alike(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' }).collect()
}

impl Table {
    /// What is wrong with an outcome.
    fn flaws(&self, row: &Row, outcome: &Outcome) -> Vec<String> {
        let flaw = |text: String| vec![format!("{}: {text}", row.name)];
        match (&row.expected, outcome) {
            (Expected::Refused(reason, challenges), Outcome::Refused { status: found, lines, body }) => {
                let values = |name: &str| -> Vec<&str> {
                    lines.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
                };
                let sound = *found == status(reason)
                    && values("tracegate-reason") == [*reason]
                    && values("www-authenticate") == challenges.iter().map(String::as_str).collect::<Vec<_>>();
                let said =
                    lines.iter().map(|(name, value)| format!("{name}: {value}")).chain([body.clone()]).collect::<Vec<_>>().join("\n");
                if !sound {
                    flaw(format!("expected {reason} {challenges:?}, found {found} {said}"))
                } else {
                    self.told(&said).into_iter().collect()
                }
            }
            (Expected::Admitted { told, others }, Outcome::Admitted(lines)) => {
                let guarded = |name: &str| TOLD.iter().chain(&["x-forwarded-client-cert"]).any(|told| alike(told) == alike(name));
                let mut found: Vec<(&str, &str)> =
                    lines.iter().filter(|(name, _)| guarded(name)).map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let mut expected: Vec<(&str, &str)> = told.iter().map(|(name, value)| (*name, value.as_str())).collect();
                found.sort_unstable();
                expected.sort_unstable();
                let missing = others.iter().find(|(name, value)| {
                    lines.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).ne([value.as_str()])
                });
                let all = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n");
                if found != expected {
                    flaw(format!("expected {expected:?}, found {found:?}"))
                } else if let Some(missing) = missing {
                    flaw(format!("expected {missing:?}, found {all}"))
                } else {
                    self.told(&all).into_iter().map(|told| format!("{}: {told}", row.name)).collect()
                }
            }
            (expected, Outcome::Admitted(_)) => flaw(format!("expected {expected:?}, found it admitted")),
            (expected, Outcome::Refused { status, lines, body }) => flaw(format!("expected {expected:?}, found {status} {lines:?} {body}")),
        }
    }

    /// What a text holds of the table's credentials: every one is stripped or replaced.
    fn told(&self, text: &str) -> Option<String> {
        let parts = self.credentials.iter().flat_map(|credential| credential.split('.')).filter(|part| part.len() >= 8);
        parts.into_iter().find(|part| text.contains(part)).map(|part| format!("{part:.40} is told: {text:.2000}"))
    }
}
