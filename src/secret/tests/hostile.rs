// SPDX-License-Identifier: Apache-2.0
//! Answers that are none: they change nothing, and nothing of them is quoted.

use proptest::prelude::*;

use super::*;

#[test]
fn answers_of_endpoints_that_are_no_secret_change_nothing() {
    let huge = "A".repeat(65_537);
    let long = format!("{}=", "A".repeat(25_600));
    let lines = format!("{ONE}\r\n{TWO}");
    let page = "<!DOCTYPE html><title>hunter2</title>";
    for (status, body, note) in [
        (500, TWO, "expected status 200, found 500"),
        (204, "", "expected status 200, found 204"),
        (302, TWO, "expected status 200, found 302"),
        (200, "", "expected at least 32 bytes in base64, found fewer"),
        (200, "aHVudGVyMg==", "expected at least 32 bytes in base64, found fewer"),
        (200, "hunter2!", "expected at least 32 bytes in base64, found something else"),
        (200, &lines, "expected at least 32 bytes in base64, found something else"),
        (200, page, "expected a secret, found a page of HTML"),
        (200, " \n<HTML>hunter2", "expected a secret, found a page of HTML"),
        (200, &huge, "expected at most 65536 bytes, found more"),
        (200, &long, "expected a secret of at most 25600 bytes, found more"),
        (200, r#"{"value":"hunter2"}"#, "expected at least 32 bytes in base64, found something else"),
    ] {
        let mut world = World::new(signing(&http(r#","refresh_interval":"10m""#)));
        world.tick();
        world.answer(200, ONE);
        let state = world.hop();
        world.pass(10 * MINUTE);
        world.answer(status, body);
        assert_eq!(world.notes, [format!("secret hop: {note}")], "{body:.60}");
        assert_eq!(world.counted(), ["secrets.fetched.hop 1", "secrets.failed.hop 1"], "{body:.60}");
        assert!(world.continues(&state), "{body:.60}");
    }
    for (headers, body, note) in [
        (
            &[(":status", "200"), ("content-type", "Text/HTML; charset=utf-8")][..],
            ONE.as_bytes(),
            "expected a secret, found a page of HTML",
        ),
        (&[(":status", "200")], b"\xff\xfe", "expected a secret, found no text"),
        (&[], ONE.as_bytes(), "expected status 200, found "),
    ] {
        let mut world = World::new(signing(&http("")));
        world.tick();
        let lines: Vec<Header<'_>> =
            headers.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
        world.conclude(Ok(Reply { headers: Headers::new(&lines), body }));
        assert_eq!(world.notes, [format!("secret hop: {note}")]);
        assert!(!is_signed(&world.hop()));
    }
}

#[test]
fn answers_of_vaults_that_are_no_secret_change_nothing() {
    let nested = format!(r#"{{"value":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let (none, text) = ("expected a secret of Key Vault's, found no JSON", "expected a secret of Key Vault's, found no text `value`");
    let twice = format!(r#"{{"value":"{TWO}","value":"{ONE}"}}"#);
    for (body, note) in [
        ("", none),
        (TWO, none),
        ("<html>hunter2</html>", none),
        (&nested, none),
        ("{}", text),
        ("[]", text),
        ("null", text),
        (r#"{"value":null}"#, text),
        (r#"{"value":7}"#, text),
        (r#"{"value":["hunter2"]}"#, text),
        (r#"{"error":{"code":"Forbidden","message":"hunter2"}}"#, text),
        (&twice, text),
        (r#"{"value":""}"#, "expected at least 32 bytes in base64, found fewer"),
        (r#"{"value":"hunter2"}"#, "expected at least 32 bytes in base64, found something else"),
        (r#"{"value":"a\u0000b"}"#, "expected at least 32 bytes in base64, found something else"),
    ] {
        let mut world = World::new(signing(&key_vault("hop", r#","refresh_interval":"10m""#)));
        world.tick();
        world.answer(200, &token("t1", 86_400));
        world.answer(200, &bundle(ONE));
        let state = world.hop();
        world.pass(10 * MINUTE);
        world.answer(200, body);
        assert_eq!(world.notes, [format!("secret hop: {note}")], "{body:.60}");
        assert!(world.continues(&state), "{body:.60}");
    }
}

#[test]
fn answers_of_the_metadata_service_that_are_no_token_lead_nowhere() {
    let seconds = "managed identity: expected `expires_in` from 1 to 172800 seconds, found something else";
    let absent = "managed identity: expected a token, found no `access_token` that can stand in a header";
    for (body, note) in [
        ("<html>", "managed identity: expected a token, found no JSON"),
        ("{}", absent),
        (r#"{"access_token":7,"expires_in":"60"}"#, absent),
        (r#"{"access_token":"","expires_in":"60"}"#, absent),
        (r#"{"access_token":"a b","expires_in":"60"}"#, absent),
        (r#"{"access_token":"a\r\nx-admin: 1","expires_in":"60"}"#, absent),
        (r#"{"access_token":"caf\u00e9","expires_in":"60"}"#, absent),
        (r#"{"access_token":"t"}"#, seconds),
        (r#"{"access_token":"t","expires_in":"0"}"#, seconds),
        (r#"{"access_token":"t","expires_in":0}"#, seconds),
        (r#"{"access_token":"t","expires_in":-1}"#, seconds),
        (r#"{"access_token":"t","expires_in":1e3}"#, seconds),
        (r#"{"access_token":"t","expires_in":"9223372036854775808"}"#, seconds),
        (r#"{"access_token":"t","expires_in":"99999999999999999999999"}"#, seconds),
        (r#"{"access_token":"t","expires_in":"tomorrow"}"#, seconds),
    ] {
        let mut world = World::new(signing(&key_vault("hop", "")));
        world.tick();
        world.answer(200, body);
        assert_eq!(world.notes, [format!("secret hop: {note}")], "{body}");
        assert_eq!(world.asks(), "", "{body}");
    }
    // A number of seconds is as good as a text of them.
    let mut world = World::new(signing(&key_vault("hop", "")));
    world.tick();
    world.answer(200, r#"{"access_token":"t","expires_in":3600}"#);
    assert!(world.asks().starts_with("vault "));
}

#[test]
fn a_header_takes_one_line_of_printable_ascii_alone() {
    let collector = r#","export":{"traces":{"otel":{"otlp":{"cluster":"otel","uri":"http://otel:4318/v1/traces","headers":{"x-key":{"secret":"hop"}}}}}}"#;
    for body in ["a\r\nx-admin: 1", "a\nb", "a\0b", "caf\u{e9}", " \n ", "\u{7f}"] {
        let mut world = World::new(policy(&format!(r#""hop":{}"#, http("")), collector));
        world.tick();
        world.answer(200, body);
        let note = "secret hop: expected printable ASCII, found something else";
        assert_eq!(world.notes, [note], "{body:?}");
        assert_eq!(world.counted(), ["secrets.failed.hop 1"], "{body:?}");
    }
}

proptest! {
    /// Whatever comes in whatever order, nothing panics, nothing is asked twice at once, and a note never quotes an answer.
    #[test]
    fn no_answers_panic(steps in prop::collection::vec(("\\PC{0,40}|[ -~]{0,20}|\\{\"(value|access_token)\":\"hunter2[a-z]*\"(,\"expires_in\":(\"?[0-9]{1,25}\"?))?\\}", any::<u16>(), 0_u8..6, any::<u32>()), 0..40)) {
        let mut world = World::new(signing(&key_vault("hop", r#","refresh_interval":"1s""#)));
        for (body, status, what, time) in steps {
            world.tick();
            prop_assert!(world.fetches.len() <= 1, "{}", world.asks());
            if !world.fetches.is_empty() {
                match what {
                    0 => world.conclude(Err(CallFailed::TimedOut)),
                    1 => world.answer(status, &body),
                    2 => world.answer(401, &body),
                    3 => world.fetches.clear(),
                    _ => world.answer(200, &body),
                }
            }
            world.now = world.now.wrapping_add(u64::from(time) * u64::from(what) * 1000).min(u64::MAX / 4);
            // One that was given up is forgotten here too.
            if world.fetches.is_empty() {
                world.now += 40 * SECOND;
            }
        }
        prop_assert!(world.notes.iter().all(|note| !note.contains("hunter2")), "{:?}", world.notes);
    }
}
