// SPDX-License-Identifier: Apache-2.0
//! Events in and out of order.

use super::*;
use crate::config::Policy;
use crate::effect::{CallId, Effect, GatewayId, Woken};
use crate::event::{CallFailed, HostFailure};
use crate::head::Header;
use crate::inputs::{NoSignatures, NoStore, UnknownPeer};
use crate::quota::Totals;

const POLICY: &[u8] = br#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"}, "routes": [
    {"name": "open", "match": {"path": {"prefix": "/open"}}},
    {"name": "trial", "match": {"path": {"prefix": "/trial"}}, "rules": [{"name": "no", "require": "deny", "mode": "shadow"}]}]}"#;

fn gateway() -> Gateway {
    Gateway::new(GatewayId(1), Policy::from_json(POLICY).unwrap().policy)
}

fn step(exchange: &mut Exchange, gateway: &mut Gateway, event: Event<'_>) -> Verdict {
    let mut entropy = |bytes: &mut [u8]| {
        bytes.fill(0x5a);
        Ok(())
    };
    exchange
        .step(
            gateway,
            event,
            &mut Inputs {
                now: 0,
                monotonic: 0,
                entropy: &mut entropy,
                peer: &mut UnknownPeer,
                store: &mut NoStore,
                signatures: &mut NoSignatures,
            },
        )
        .verdict
}

fn head(path: &str) -> [Header<'_>; 2] {
    [Header { name: b":method", value: b"GET" }, Header { name: b":path", value: path.as_bytes() }]
}

/// A gateway of this policy, in a world that has randomness and nothing else.
fn under(policy: &str, run: impl FnOnce(&mut Gateway, &mut Inputs<'_>)) {
    let mut gateway = Gateway::new(GatewayId(1), Policy::from_json(policy.as_bytes()).unwrap().policy);
    let mut entropy = |bytes: &mut [u8]| {
        bytes.fill(0x5a);
        Ok(())
    };
    let (peer, store, signatures) = (&mut UnknownPeer, &mut NoStore, &mut NoSignatures);
    run(&mut gateway, &mut Inputs { now: 0, monotonic: 0, entropy: &mut entropy, peer, store, signatures });
}

fn counts(gateway: &mut Gateway) -> Vec<(String, u64)> {
    let names = gateway.counter_names();
    gateway.drain_counts().map(|(index, count)| (names[index].clone(), count)).collect()
}

#[test]
fn a_request_is_decided_once_and_counted_once() {
    let mut gateway = gateway();
    for (path, refused) in [("/open/1", None), ("/trial", None), ("/other", Some(404)), ("/%2f", Some(400))] {
        let mut exchange = gateway.open(ExchangeId(7));
        match step(&mut exchange, &mut gateway, Event::Request(Headers::new(&head(path)))) {
            Verdict::Continue(edits) => assert_eq!((edits.len(), refused), (1, None), "{path}"),
            Verdict::Refuse(refusal) => assert_eq!(Some(refusal.status()), refused, "{path}"),
            Verdict::Wait => panic!("{path} waits"),
        }
        assert_eq!(step(&mut exchange, &mut gateway, Event::Response(Headers::default())), Verdict::Continue(HeaderEdits::none()));
        assert_eq!(step(&mut exchange, &mut gateway, Event::Closed(Totals::default())), Verdict::Wait);
    }
    let expected = [
        ("tracegate.requests.admitted.none", 2),
        ("tracegate.traces.restarted.absent", 4),
        ("tracegate.requests.refused.RequestPathAmbiguous", 1),
        ("tracegate.requests.refused.OperationNotFound", 1),
        ("tracegate.requests.shadowed.AccessDenied", 1),
    ];
    assert_eq!(counts(&mut gateway), expected.map(|(name, count)| (name.to_owned(), count)));
    assert_eq!(counts(&mut gateway), []);
}

#[test]
fn an_unreadable_head_is_refused_with_its_own_reason() {
    let mut gateway = gateway();
    for lines in [&[][..], &[Header { name: b":path", value: b"/open" }]] {
        let mut exchange = gateway.open(ExchangeId(7));
        let verdict = step(&mut exchange, &mut gateway, Event::Request(Headers::new(lines)));
        assert_eq!(verdict, Verdict::Refuse(Refusal::new(431, Reason::RequestHeadersUnreadable)));
    }
}

#[test]
fn events_that_nothing_waits_for_change_nothing() {
    let mut gateway = gateway();
    let mut exchange = gateway.open(ExchangeId(7));
    let call = CallId { gateway: GatewayId(1), serial: 3 };
    for event in [Event::Wake(Headers::default()), Event::Reply(call, Err(CallFailed::TimedOut))] {
        assert_eq!(step(&mut exchange, &mut gateway, event), Verdict::Wait);
    }
    assert!(matches!(step(&mut exchange, &mut gateway, Event::Request(Headers::new(&head("/open")))), Verdict::Continue(_)));
    assert_eq!(step(&mut exchange, &mut gateway, Event::Wake(Headers::default())), Verdict::Wait);
    // A second head is no second chance.
    assert!(matches!(step(&mut exchange, &mut gateway, Event::Request(Headers::new(&head("/open")))), Verdict::Refuse(_)));
    let mut entropy = |_: &mut [u8]| Ok(());
    let (peer, store, signatures) = (&mut UnknownPeer, &mut NoStore, &mut NoSignatures);
    let mut inputs = Inputs { now: 0, monotonic: 0, entropy: &mut entropy, peer, store, signatures };
    assert_eq!(gateway.reply(call, Err(CallFailed::Refused), &mut inputs), Woken::default());
    assert_eq!(gateway.tick(&mut inputs), Woken::default());
}

/// What a request's span and its access log tell, where it is admitted and its host fails then.
#[test]
fn a_span_and_the_access_log_tell_of_a_host_that_failed() {
    let otel = r#"{"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/traces"}}"#;
    let text = format!(
        r#"{{"schema": 1, "service": {{"name": "edge"}}, "default": {{"action": "admit"}}, "audit": {{}},
            "export": {{"traces": {{"otel": {otel}}}, "spans": {{"client": true}}, "access_log_properties": ["decision", "reason"]}}}}"#
    );
    for (failure, spans) in [(HostFailure::HeadNotEdited, 1), (HostFailure::TrailersNotEdited, 2)] {
        under(&text, |gateway, inputs| {
            let mut exchange = gateway.open(ExchangeId(7));
            let _ = exchange.step(gateway, Event::Request(Headers::new(&head("/open"))), inputs);
            let Step { properties, .. } = exchange.step(gateway, Event::HostFailed(failure), inputs);
            let told: Vec<&str> = properties.iter().map(|property| property.value.as_str()).collect();
            assert_eq!(told, ["refused", "HostFailure"]);
            let _ = exchange.step(gateway, Event::Response(Headers::new(&[Header { name: b":status", value: b"503" }])), inputs);
            let _ = exchange.step(gateway, Event::Closed(Totals::default()), inputs);
            inputs.monotonic = 60_000_000_000;
            let effects = gateway.tick(inputs).effects;
            let [Effect::Export(export)] = effects.as_slice() else { panic!("{effects:?}") };
            let body = String::from_utf8_lossy(&export.body).into_owned();
            assert_eq!(body.matches("http.request.method").count(), spans, "{failure:?}");
            assert!(body.contains("error.type") && body.contains("tracegate.reason") && body.contains("refused"), "{body:?}");
            assert!(body.contains("HostFailure") && !body.contains("admitted"), "{body:?}");
            assert!(body.contains("tracegate.audit.id") && body.contains("5a5a5a5a-5a5a-4a5a-9a5a-5a5a5a5a5a5a/1"), "{body:?}");
        });
    }
}

/// A second head is refused each time, and told of once: in counts, records, the span and the access log.
#[test]
fn who_sends_several_heads_is_refused_once() {
    let text = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}, "audit": {},
        "export": {"access_log_properties": ["decision", "reason"]}}"#;
    under(text, |gateway, inputs| {
        let mut exchange = gateway.open(ExchangeId(7));
        let first = exchange.step(gateway, Event::Request(Headers::new(&head("/open"))), inputs);
        assert!(matches!(first.verdict, Verdict::Continue(_)));
        let mut told = Vec::new();
        for _ in 0..3 {
            let Step { verdict, properties, .. } = exchange.step(gateway, Event::Request(Headers::new(&head("/open"))), inputs);
            assert!(matches!(verdict, Verdict::Refuse(refusal) if refusal.status() == 431));
            told.extend(properties.into_iter().map(|property| property.value));
        }
        let failed = exchange.step(gateway, Event::HostFailed(HostFailure::TrailersNotEdited), inputs);
        assert!(matches!(failed.verdict, Verdict::Refuse(_)) && failed.properties.is_empty());
        assert_eq!(told, ["refused", "RequestHeadersUnreadable"]);
        assert_eq!(gateway.drain_lines().iter().filter(|line| line.contains("\"decision\":\"refused\"")).count(), 1);
        let refused: u64 = counts(gateway).iter().filter(|(name, _)| name.contains("refused")).map(|(_, count)| count).sum();
        assert_eq!(refused, 1);
    });
}

/// Who a caller is hangs on its provider's name, not on its place among the policy's: what was counted stays counted where another comes before it.
#[test]
fn a_provider_more_leaves_what_callers_were_counted() {
    let keys = |name: &str, digest: &str| {
        format!(r#""{name}": {{"subscription_keys": {{"subscriptions": [{{"id": "contoso", "keys_sha256": ["{digest}"]}}]}}}}"#)
    };
    let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"; // of `secret`
    let (shop, another) = (keys("shop", digest), keys("another", &"ab".repeat(32)));
    let store = &mut crate::quota::Memory::default();
    let mut decide = |providers: &str| {
        let text = format!(
            r#"{{"schema": 1, "service": {{"name": "edge"}}, "default": {{"action": "refuse"}}, "identity": {{"providers": {{{providers}}}}},
                "quotas": {{"each": {{"limit": {{"rate": {{"requests": 1, "window": "1h"}}}}, "key": ["caller"], "key_absent": "refuse", "enforcement": {{"local": {{"volatile": true}}}}}}}},
                "routes": [{{"name": "all", "quotas": ["each"], "rules": [{{"name": "who", "require": {{"caller": {{"provider": "shop"}}}}}}]}}]}}"#
        );
        let loaded = Policy::from_json(text.as_bytes()).unwrap_or_else(|findings| panic!("{findings}"));
        let mut gateway = Gateway::new(GatewayId(1), loaded.policy);
        let mut entropy = |bytes: &mut [u8]| {
            bytes.fill(0x5a);
            Ok(())
        };
        let (peer, signatures) = (&mut UnknownPeer, &mut NoSignatures);
        let mut inputs = Inputs { now: 0, monotonic: 0, entropy: &mut entropy, peer, store: &mut *store, signatures };
        let lines =
            [head("/"), [Header { name: b":scheme", value: b"http" }, Header { name: b"ocp-apim-subscription-key", value: b"secret" }]]
                .concat();
        match gateway.open(ExchangeId(7)).step(&mut gateway, Event::Request(Headers::new(&lines)), &mut inputs).verdict {
            Verdict::Refuse(refusal) => Some(refusal.status()),
            Verdict::Continue(_) | Verdict::Wait => None,
        }
    };
    assert_eq!(decide(&shop), None);
    assert_eq!(decide(&format!("{another}, {shop}")), Some(429));
}
