// SPDX-License-Identifier: Apache-2.0
//! Who gets an answer from the gateway itself.

use std::collections::BTreeMap;

use tracegate_tests::world::{Message, World, answers, get, ms};

use crate::{
    ADMITTED, AMBIGUOUS_PATH, CONTINUED, DENIED, MALFORMED, MALFORMED_CARRIER, NOT_FOUND, PARENT, POLICY, RESTARTED, SHADOWED, UNREADABLE,
};

#[test]
fn a_refusal_reaches_the_client_and_never_the_upstream_and_has_a_trace() {
    let mut world = World::new(POLICY).with_upstream(answers(200).after(ms(5)));
    let denied = world.send(get("/admin/users").with("traceparent", PARENT));
    let unknown = world.send(get("/nowhere"));
    let ambiguous = world.send(get("/orders%2f..%2fadmin").with("traceparent", "x"));
    world.finish();
    for (request, status, reason, message) in [
        (denied, 403, "AccessDenied", "Access denied."),
        (unknown, 404, "OperationNotFound", "Resource not found"),
        (ambiguous, 400, "RequestPathAmbiguous", "Request path is ambiguous."),
    ] {
        let answer = world.client(request);
        assert_eq!((answer.status(), answer.one("tracegate-reason").as_str()), (status, reason));
        assert_eq!(answer.body(), format!(r#"{{ "statusCode": {status}, "message": "{message}" }}"#));
        assert_eq!(world.outcome(request).upstream(), None);
        assert_eq!(world.outcome(request).told(), ["request", "response", "closed"]);
    }
    let refused = [(DENIED, 1), (NOT_FOUND, 1), (AMBIGUOUS_PATH, 1)];
    let expected = [(CONTINUED, 1), (RESTARTED, 1), (MALFORMED, 1), (MALFORMED_CARRIER, 1)].into_iter().chain(refused).collect();
    assert_eq!(world.counts(world.newest()), expected);
}

#[test]
fn a_rule_in_shadow_mode_is_counted_and_hinders_nobody() {
    let mut world = World::new(POLICY);
    let trial = world.send(get("/trial/1"));
    let order = world.send(get("/orders/1"));
    world.finish();
    for request in [trial, order] {
        assert_eq!(world.client(request).status(), 200);
        assert_eq!(world.upstream(request).values("traceparent").len(), 1);
    }
    assert_eq!(world.counts(world.newest()), BTreeMap::from([(ADMITTED, 2), (SHADOWED, 1), (RESTARTED, 2)]));
}

#[test]
fn a_head_that_is_none_is_refused_even_where_everything_is_admitted() {
    let mut world = World::new(tracegate_tests::OPEN);
    let empty = world.send(Message::default());
    let without_method = world.send(Message::default().with(":path", "/").with("traceparent", PARENT));
    world.finish();
    for request in [empty, without_method] {
        assert_eq!(world.client(request).status(), 431);
        assert_eq!(world.client(request).one("tracegate-reason"), "RequestHeadersUnreadable");
        assert_eq!(world.outcome(request).upstream(), None);
    }
    assert_eq!(world.counts(world.newest()), BTreeMap::from([(UNREADABLE, 2), (RESTARTED, 1), (CONTINUED, 1)]));
}
