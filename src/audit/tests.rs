// SPDX-License-Identifier: Apache-2.0
//! A gateway's records: which decisions they tell of, what they tell, and how they hang together.

use serde_json::{Value, json};

use super::*;
use crate::config::Policy;
use crate::decision::Reason;
use crate::effect::{Effect, ExchangeId, GatewayId, Verdict};
use crate::event::{Event, HostFailure};
use crate::gateway::Gateway;
use crate::head::{Header, Headers};
use crate::inputs::{EntropyUnavailable, Inputs, NoSignatures, NoStore, UnknownPeer};
use crate::quota::Totals;
use crate::secret::{MIN_KEY, SecretKey};

/// A gateway, and what time it is.
struct World {
    gateway: Gateway,
    now: i64,
    has_entropy: bool,
}

const SECOND: i64 = 1_000_000_000;
/// Of `SecretKey`, in base64.
const KEY: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=";

impl World {
    /// A gateway with this section `audit`.
    fn new(audit: &Value) -> Self {
        let deny = json!([{"name": "nobody", "require": "deny"}]);
        let trial = json!([{"name": "all-may", "require": "anonymous"}, {"name": "trial", "require": "deny", "mode": "shadow"}]);
        let policy = json!({
            "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
            "secrets": {"audit-key": {"environment": {"name": "AUDIT_KEY"}}},
            "routes": [
                {"name": "open", "match": {"path": {"prefix": "/open"}}},
                {"name": "trial", "match": {"path": {"prefix": "/trial"}}, "rules": trial},
                {"name": "watched", "match": {"path": {"prefix": "/watched"}}},
                {"name": "closed", "match": {"path": {"prefix": "/closed"}}, "rules": deny},
            ],
            "export": {
                "logs": {"otel": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/logs", "batch": {"schedule_delay": "100ms"}}}},
            },
            "audit": audit,
        });
        let policy = Policy::from_json(policy.to_string().as_bytes()).unwrap_or_else(|findings| panic!("{findings:?}")).policy;
        let mut gateway = Gateway::new(GatewayId(1), policy);
        gateway.provide(&mut |_: &str| Some(KEY.to_owned())).unwrap();
        Self { gateway, now: 1_796_169_599 * SECOND, has_entropy: true }
    }

    fn with<T>(&mut self, run: impl FnOnce(&mut Gateway, &mut Inputs<'_>) -> T) -> T {
        let has_entropy = self.has_entropy;
        let mut entropy = |bytes: &mut [u8]| {
            bytes.fill(0x2a);
            if has_entropy { Ok(()) } else { Err(EntropyUnavailable) }
        };
        let (peer, store, signatures) = (&mut UnknownPeer, &mut NoStore, &mut NoSignatures);
        let monotonic = u64::try_from(self.now).unwrap();
        run(&mut self.gateway, &mut Inputs { now: self.now, monotonic, entropy: &mut entropy, peer, store, signatures })
    }

    /// A request for each of these paths, to its end.
    fn ask(&mut self, paths: &[&str]) {
        for path in paths {
            self.with(|gateway, inputs| {
                let mut exchange = gateway.open(ExchangeId(7));
                let head = [Header { name: b":method", value: b"GET" }, Header { name: b":path", value: path.as_bytes() }];
                let _ = exchange.step(gateway, Event::Request(Headers::new(&head)), inputs);
                let _ = exchange.step(gateway, Event::Closed(Totals::default()), inputs);
            });
        }
    }

    fn tick(&mut self, seconds: i64) -> Vec<Effect> {
        self.now += seconds * SECOND;
        self.with(|gateway, inputs| gateway.tick(inputs).effects)
    }

    fn lines(&mut self) -> Vec<String> {
        self.gateway.drain_lines()
    }

    /// How many records have been counted since the last time: as recorded, and as dropped.
    fn counted(&mut self) -> (u64, u64) {
        let counts = self.counts();
        let of = |name: &str| counts.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count);
        (of("tracegate.audit.recorded.none"), of("tracegate.audit.dropped.no_room"))
    }

    /// What has been counted since the last time, by name.
    fn counts(&mut self) -> Vec<(String, u64)> {
        let names = self.gateway.counter_names();
        self.gateway.drain_counts().map(|(index, count)| (names[index].clone(), count)).collect()
    }

    fn end(&mut self) {
        self.with(|gateway, inputs| drop(gateway.end(inputs)));
    }

    fn read(&mut self) -> Vec<Value> {
        self.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn chained() -> Value {
    json!({"chain": {"key": {"secret": "audit-key"}, "checkpoint_interval": "10s"}})
}

#[test]
fn refusals_are_on_record_and_what_the_policy_names_beside_them() {
    let paths = ["/open", "/trial", "/watched", "/closed", "/nowhere", "/%2f"];
    let always = vec!["refused closed nobody AccessDenied", "refused - - OperationNotFound", "refused - - RequestPathAmbiguous"];
    for (records, besides) in [
        (json!({}), vec![]),
        (json!({"decisions": ["refused"]}), vec![]),
        (json!({"decisions": ["shadowed"]}), vec!["admitted trial trial AccessDenied"]),
        (json!({"routes": ["watched"]}), vec!["admitted watched - -"]),
        (json!({"decisions": ["admitted"]}), vec!["admitted open - -", "admitted trial trial AccessDenied", "admitted watched - -"]),
    ] {
        let mut world = World::new(&json!({"records": records}));
        world.ask(&paths);
        let told = |record: &Value| {
            let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            let why = if record["decision"] == "refused" { text("reason") } else { text("shadow") };
            format!("{} {} {} {why}", text("decision"), text("route"), text("rule"))
        };
        let decisions: Vec<String> = world.read().iter().filter(|record| record["audit"] == "decision").map(told).collect();
        assert_eq!(decisions, [besides, always.clone()].concat(), "{records}");
        assert!(world.lines().is_empty(), "a line leaves once");
    }
}

#[test]
fn a_record_tells_when_what_and_whose_and_nothing_of_the_path() {
    let mut world = World::new(&chained());
    world.ask(&["/closed/s3cret?key=s3cret"]);
    let lines = world.lines();
    let [genesis, decision] = lines.as_slice() else { panic!("{lines:?}") };
    let fingerprint = hex::encode(world.gateway.policy().fingerprint.to_bytes());
    let version = crate::VERSION;
    let expected = format!(
        "{{\"audit\":\"genesis\",\"time\":\"2026-12-01T23:59:59.000000Z\",\"instance\":\"2a2a2a2a-2a2a-4a2a-aa2a-2a2a2a2a2a2a\",\"sequence\":0,\
        \"service\":\"edge\",\"version\":\"{version}\",\"policy\":\"{fingerprint}\",\"key\":\"1a614850\",\"mac\":\""
    );
    assert!(genesis.starts_with(&expected), "{genesis}");
    assert!(!decision.contains("s3cret"), "{decision}");
    let (genesis, decision): (Value, Value) = (serde_json::from_str(genesis).unwrap(), serde_json::from_str(decision).unwrap());
    assert_eq!(
        decision,
        json!({
            "audit": "decision", "time": "2026-12-01T23:59:59.000000Z", "instance": "2a2a2a2a-2a2a-4a2a-aa2a-2a2a2a2a2a2a", "sequence": 1,
            "previous": genesis["mac"], "id": "2a2a2a2a-2a2a-4a2a-aa2a-2a2a2a2a2a2a/1", "decision": "refused", "reason": "AccessDenied",
            "status": 403, "route": "closed", "rule": "nobody", "trace_id": "2a".repeat(16), "span_id": "2a".repeat(8), "sampled": true,
            "policy": fingerprint, "key": "1a614850", "mac": decision["mac"],
        })
    );
}

#[test]
fn a_key_verifies_what_it_chained_and_nothing_else() {
    let key = |text: &str| AuditKey::new(&SecretKey::read(text, MIN_KEY).unwrap()).unwrap();
    let (own, other) = (key(KEY), key("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTM="));
    assert_eq!(own.id(), "1a614850");
    let line = "{\"audit\":\"genesis\",\"time\":\"2026-12-01T23:59:59.000000Z\",\"instance\":\"2a2a2a2a-2a2a-4a2a-aa2a-2a2a2a2a2a2a\",\"sequence\":0";
    let mac = "d9f46cea6ce3040c7a537cb859dd55c9a3ac3407e90d227056aaf5b6084ceccf";
    assert_eq!(own.mac(line), mac, "as Python's hmac has it");
    assert!(own.verifies(line, mac));
    assert!(!other.verifies(line, mac) && !own.verifies("", mac));
    for wrong in ["", "d9", "zz", &mac[2..], &mac.replacen('d', "e", 1), &mac.to_ascii_uppercase()] {
        assert!(!own.verifies(line, wrong), "{wrong}");
    }
    assert_eq!(format!("{own:?}"), "AuditKey { id: \"1a614850\", .. }");
}

#[test]
fn records_are_chained_from_the_genesis_to_the_end() {
    let mut world = World::new(&chained());
    world.ask(&["/closed", "/open", "/nowhere"]);
    let _ = world.tick(9);
    let _ = world.tick(1);
    let _ = world.tick(60);
    world.ask(&["/closed"]);
    let _ = world.tick(10);
    world.end();
    let read = world.read();
    let kinds: Vec<&str> = read.iter().map(|record| record["audit"].as_str().unwrap()).collect();
    // A checkpoint follows records once, however long nothing comes.
    assert_eq!(kinds, ["genesis", "decision", "decision", "checkpoint", "decision", "checkpoint", "end"]);
    assert_eq!((&read[3]["decisions"], &read[5]["decisions"], &read[6]["decisions"]), (&json!(2), &json!(3), &json!(3)));
    for (place, record) in read.iter().enumerate() {
        assert_eq!(record["sequence"], place);
        let before = place.checked_sub(1).map_or(&Value::Null, |before| &read[before]["mac"]);
        assert_eq!(&record["previous"], before);
        assert!(record["mac"].as_str().is_some_and(|mac| mac.len() == 64), "{record}");
    }
}

#[test]
fn a_gateway_that_has_decided_nothing_has_no_trail() {
    let mut world = World::new(&chained());
    world.ask(&["/open"]);
    let _ = world.tick(60);
    world.end();
    assert!(world.lines().is_empty());
}

#[test]
fn without_a_key_records_have_no_mac_and_without_randomness_no_trace() {
    let mut world = World::new(&json!({}));
    world.has_entropy = false;
    world.ask(&["/closed"]);
    let _ = world.tick(60);
    let read = world.read();
    assert_eq!(read.len(), 2, "without a chain there is nothing to check");
    assert_eq!((&read[1]["instance"], &read[1]["id"]), (&json!("unknown"), &json!("unknown/1")));
    for name in ["mac", "key", "previous", "trace_id", "span_id", "sampled"] {
        assert_eq!(read[1].get(name), None, "{name}");
    }
}

#[test]
fn records_go_where_the_policy_says() {
    for (outputs, logged, exported) in [(json!(["log"]), true, false), (json!(["otlp"]), false, true), (json!(["log", "otlp"]), true, true)]
    {
        let mut world = World::new(&json!({"outputs": outputs}));
        world.ask(&["/closed"]);
        assert_eq!(!world.lines().is_empty(), logged, "{outputs}");
        let effects = world.tick(1);
        assert_eq!(matches!(effects.as_slice(), [Effect::Export(_)]), exported, "{outputs} {effects:?}");
        let counts = world.counts();
        assert!(counts.contains(&("tracegate.audit.recorded.none".to_owned(), 2)), "{counts:?}");
        assert_eq!(counts.contains(&("tracegate.logs.recorded.otel".to_owned(), 2)), exported, "{counts:?}");
    }
}

/// A key that is fetched: what comes before it waits, within bounds, and is chained then.
#[test]
fn records_wait_for_a_key_that_has_still_to_come() {
    let source = |world: &World| {
        let gateway = &world.gateway;
        (gateway.policy().service.clone(), gateway.policy().fingerprint)
    };
    let mut world = World::new(&chained());
    let (service, fingerprint) = source(&world);
    let policy = world.gateway.policy().audit.clone().unwrap();
    let chain = policy.chain.as_ref();
    let mut instance = crate::instance::Instance::default();
    world.with(|_, inputs| instance.draw(inputs.entropy));
    let source = crate::export::Source { service: &service, fingerprint, instance: &instance };
    let (caller, spans) = (crate::caller::Caller::unknown(), crate::span::SpanPolicy::default());
    let decision = crate::decision::Decision::Admitted { shadow: None };
    let decided = Decided {
        decision: &decision,
        route: None,
        rule: None,
        caller: &caller,
        providers: &[],
        spans: &spans,
        digest_key: None,
        sent: None,
        server: None,
        failure: None,
        after: None,
    };
    for (decisions, kept) in [(3_u64, 4), (5000, 1024)] {
        let mut trail = Trail::default();
        world.with(|_, inputs| (0..decisions).for_each(|_| drop(trail.record(&decided, &policy, source, inputs))));
        assert_eq!(trail.next(chain, &instance), None, "without the key nothing leaves");
        trail.provide(Some(&SecretKey::read(KEY, MIN_KEY).unwrap()));
        let left: Vec<Value> =
            std::iter::from_fn(|| trail.next(chain, &instance)).map(|entry| serde_json::from_str(&entry.line).unwrap()).collect();
        assert_eq!(left.len(), kept);
        for (place, record) in left.iter().enumerate() {
            assert_eq!((&record["sequence"], &record["key"]), (&json!(place), &json!("1a614850")));
            assert_eq!(record["previous"], place.checked_sub(1).map_or(Value::Null, |before| left[before]["mac"].clone()));
        }
        assert_eq!(trail.take_dropped(), decisions + 1 - u64::try_from(kept).unwrap());
        // What found no room is a gap.
        world.with(|_, inputs| drop(trail.record(&decided, &policy, source, inputs)));
        let next: Value = serde_json::from_str(&trail.next(chain, &instance).unwrap().line).unwrap();
        assert_eq!(next["sequence"], decisions + 1);
    }
    // One that never comes holds nothing back in the end.
    let mut trail = Trail::default();
    world.with(|_, inputs| drop(trail.record(&decided, &policy, source, inputs)));
    world.with(|_, inputs| trail.end(&policy, source, inputs));
    assert_eq!(std::iter::from_fn(|| trail.next(chain, &instance)).count(), 3);
}

/// `recorded + dropped`, and what still waits, are as many as there are records, to the unit.
#[test]
fn each_record_is_counted_once_as_recorded_or_as_dropped() {
    // The host takes no lines: what a collector got too is dropped all the same, and once.
    let mut world = World::new(&json!({"outputs": ["log", "otlp"]}));
    let closed = vec!["/closed"; 5000];
    world.ask(&closed);
    assert_eq!(world.counted(), (4096, 905), "5000 decisions and their genesis");
    assert_eq!(world.lines().len(), 4096);
    world.ask(&["/closed"]);
    assert_eq!((world.counted(), world.lines().len()), ((1, 0), 1));
    // Nobody is named, so nothing leaves until the gateway ends.
    let mut world = World::new(&chained());
    world.has_entropy = false;
    world.ask(&closed[..2000]);
    assert_eq!(world.counted(), (0, 977));
    world.end();
    assert_eq!((world.counted(), world.lines().len()), ((1024, 1), 1024), "2000 decisions, their genesis and their end");
}

#[test]
fn no_chain_begins_before_there_is_randomness_to_name_it_by() {
    let mut world = World::new(&chained());
    world.has_entropy = false;
    world.ask(&["/closed", "/nowhere"]);
    let _ = world.tick(1);
    assert!(world.lines().is_empty());
    world.has_entropy = true;
    let _ = world.tick(1);
    let read = world.read();
    let kinds: Vec<&str> = read.iter().map(|record| record["audit"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["genesis", "decision", "decision"]);
    for (place, record) in read.iter().enumerate() {
        assert_eq!((&record["instance"], &record["sequence"]), (&json!("2a2a2a2a-2a2a-4a2a-aa2a-2a2a2a2a2a2a"), &json!(place)));
        assert_eq!(record["previous"], place.checked_sub(1).map_or(Value::Null, |before| read[before]["mac"].clone()));
        assert_eq!(record["time"], "2026-12-01T23:59:59.000000Z", "when it was written");
    }
    assert_eq!(read[2]["id"], "2a2a2a2a-2a2a-4a2a-aa2a-2a2a2a2a2a2a/2");
}

#[test]
fn what_never_had_a_name_is_chained_to_nothing() {
    let mut world = World::new(&chained());
    world.has_entropy = false;
    world.ask(&["/closed"]);
    let _ = world.tick(60);
    world.end();
    let read = world.read();
    assert_eq!(read.len(), 4, "genesis, decision, checkpoint, end");
    for record in read {
        assert_eq!((&record["instance"], record.get("mac"), record.get("key")), (&json!("unknown"), None, None), "{record}");
    }
}

#[test]
fn a_gateway_that_gets_its_name_late_begins_anew() {
    let mut world = World::new(&json!({}));
    world.has_entropy = false;
    world.ask(&["/closed"]);
    world.has_entropy = true;
    world.ask(&["/closed"]);
    let told: Vec<String> = world
        .read()
        .iter()
        .map(|record| {
            format!("{} {} {}", record["audit"].as_str().unwrap(), &record["instance"].as_str().unwrap()[..7], record["sequence"])
        })
        .collect();
    assert_eq!(told, ["genesis unknown 0", "decision unknown 1", "genesis 2a2a2a2 0", "decision 2a2a2a2 1"]);
}

/// What becomes of a request whose host fails: its records, and what is counted of requests.
fn fail(before: &[&str], failure: HostFailure) -> (Vec<Value>, Vec<(String, u64)>) {
    let mut world = World::new(&json!({"records": {"decisions": ["admitted"]}}));
    world.with(|gateway, inputs| {
        let mut exchange = gateway.open(ExchangeId(7));
        for path in before {
            let head = [Header { name: b":method", value: b"GET" }, Header { name: b":path", value: path.as_bytes() }];
            let _ = exchange.step(gateway, Event::Request(Headers::new(&head)), inputs);
        }
        for _ in 0..2 {
            let Verdict::Refuse(refusal) = exchange.step(gateway, Event::HostFailed(failure), inputs).verdict else {
                panic!("{failure:?}")
            };
            assert_eq!((refusal.status(), refusal.reason()), (503, Reason::HostFailure));
        }
        let _ = exchange.step(gateway, Event::Closed(Totals::default()), inputs);
    });
    let decisions = world.read().into_iter().filter(|record| record["audit"] == "decision").collect();
    (decisions, world.counts().into_iter().filter(|(name, _)| name.starts_with("tracegate.requests.")).collect())
}

#[test]
fn a_request_that_its_host_fails_is_on_record_as_refused() {
    let failed = ("tracegate.requests.refused.HostFailure".to_owned(), 1);
    // The head was admitted and didn't go on: it is counted as refused, and as nothing else.
    let (records, counts) = fail(&["/trial"], HostFailure::HeadNotEdited);
    let [admitted, refused] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((&admitted["decision"], &admitted["shadow"]), (&json!("admitted"), &json!("AccessDenied")));
    let told = ["decision", "reason", "status", "failure", "after", "route", "trace_id", "span_id"].map(|name| refused[name].clone());
    let expected =
        json!(["refused", "HostFailure", 503, "head_not_edited", admitted["id"], "trial", admitted["trace_id"], admitted["span_id"]]);
    assert_eq!(json!(told), expected);
    assert_eq!(counts, std::slice::from_ref(&failed));
    // It had gone on when its trailers couldn't be read.
    let (records, counts) = fail(&["/open"], HostFailure::TrailersUnreadable);
    assert_eq!((records.len(), &records[1]["failure"]), (2, &json!("trailers_unreadable")));
    assert_eq!(counts, [("tracegate.requests.admitted.none".to_owned(), 1), failed.clone()]);
    // Nothing is known of it.
    let (records, counts) = fail(&[], HostFailure::CalledBack);
    assert_eq!((records.len(), &records[0]["failure"], records[0].get("route")), (1, &json!("called_back"), None));
    assert_eq!(counts, [failed]);
    // Who is refused is refused once.
    let (records, counts) = fail(&["/closed"], HostFailure::TrailersUnreadable);
    assert_eq!((records.len(), counts.len()), (1, 1));
}

#[test]
fn a_second_head_is_on_record() {
    let world = |paths: [&str; 2]| {
        let mut world = World::new(&json!({"records": {"routes": ["watched"]}}));
        world.with(|gateway, inputs| {
            let mut exchange = gateway.open(ExchangeId(7));
            for path in paths {
                let head = [Header { name: b":method", value: b"GET" }, Header { name: b":path", value: path.as_bytes() }];
                let _ = exchange.step(gateway, Event::Request(Headers::new(&head)), inputs);
            }
        });
        world
    };
    let counted = |world: &mut World| world.counts().iter().any(|(name, _)| name == "tracegate.requests.refused.RequestHeadersUnreadable");
    let mut after_one_that_went_on = world(["/watched", "/closed"]);
    let read = after_one_that_went_on.read();
    assert_eq!((read.len(), &read[1]["decision"]), (3, &json!("admitted")));
    assert_eq!((&read[2]["decision"], &read[2]["reason"]), (&json!("refused"), &json!("RequestHeadersUnreadable")));
    assert_eq!(read[2].get("after"), Some(&read[1]["id"]));
    assert!(counted(&mut after_one_that_went_on));
    // Who is refused is refused once.
    let mut after_one_that_was_refused = world(["/closed", "/open"]);
    let read = after_one_that_was_refused.read();
    assert_eq!((read.len(), &read[1]["decision"]), (2, &json!("refused")));
    assert!(!counted(&mut after_one_that_was_refused));
}
