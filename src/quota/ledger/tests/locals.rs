// SPDX-License-Identifier: Apache-2.0
//! What one gateway counts.

use super::*;

const RATE: &str = r#"{"limit": {"rate": {"requests": 100, "window": "60s", "burst": 20}}, "key": [{"header": "x-key"}],
    "key_absent": "skip", "enforcement": {"local": {"slots": 16}}}"#;

fn edits(verdict: &Verdict) -> usize {
    if let Verdict::Continue(edits) = verdict { edits.len() } else { 0 }
}

/// The response's edits, after a response with this status.
fn response(world: &mut World, at: (usize, usize), id: u32, status: &str) -> Vec<String> {
    let (mut exchange, lines) = world.open.remove(&(at.0, at.1, id)).unwrap();
    let line = [Header { name: b":status", value: status.as_bytes() }];
    let step = world.on(at, |gateway, inputs| exchange.step(gateway, Event::Response(Headers::new(&line)), inputs));
    world.open.insert((at.0, at.1, id), (exchange, lines));
    let Verdict::Continue(edits) = step.verdict else { panic!("{:?}", step.verdict) };
    let shown = edits.iter().map(|edit| match edit {
        crate::HeaderEdit::Replace { name, value } => format!("{name}: {}", String::from_utf8_lossy(value)),
        crate::HeaderEdit::Remove { name } => format!("-{name}"),
    });
    shown.collect()
}

#[test]
fn all_workers_count_as_one() {
    for vms in [1, 2, 4] {
        let mut world = World::new(RATE, 1, vms);
        let admitted = (0..100).filter(|request| status(&world.request((0, request % vms), GET).1.unwrap()) == 200).count();
        assert_eq!(admitted, 20, "{vms} VMs");
        world.pass(600 * MILLISECOND);
        let again = (0..5).filter(|request| status(&world.request((0, request % vms), GET).1.unwrap()) == 200).count();
        assert_eq!(again, 1, "one each 0.6 s");
    }
}

#[test]
fn two_machines_count_for_themselves() {
    let mut world = World::new(RATE, 2, 1);
    let admitted = (0..100).filter(|request| status(&world.request((request % 2, 0), GET).1.unwrap()) == 200).count();
    assert_eq!(admitted, 40);
}

#[test]
fn a_refusal_reads_as_api_managements_and_says_when_to_come_back() {
    let mut world = World::new(RATE, 1, 1);
    for _ in 0..20 {
        assert_eq!(status(&world.request((0, 0), GET).1.unwrap()), 200);
    }
    let refused = world.request((0, 0), GET).1.unwrap();
    let Verdict::Refuse(refusal) = &refused else { panic!("{refused:?}") };
    assert_eq!(refusal.body(), r#"{ "statusCode": 429, "message": "Rate limit is exceeded. Try again in 1 seconds." }"#);
    assert_eq!(header(&refused, "retry-after").as_deref(), Some("1"));
    assert_eq!(header(&refused, "ratelimit").as_deref(), Some("\"q\";r=0;t=1"));
    assert_eq!(header(&refused, "ratelimit-policy").as_deref(), Some("\"q\";q=100;w=60"));
    assert_eq!(world.counts(), BTreeMap::from([("admitted".to_owned(), 20), ("refused".to_owned(), 1)]));
}

#[test]
fn a_response_tells_how_the_limit_stands() {
    let mut world = World::new(RATE, 1, 1);
    let (id, verdict) = world.request((0, 0), GET);
    assert_eq!(edits(&verdict.unwrap()), 1, "a traceparent");
    assert_eq!(response(&mut world, (0, 0), id, "200"), ["ratelimit-policy: \"q\";q=100;w=60", "ratelimit: \"q\";r=19;t=1"]);
}

#[test]
fn who_has_no_key_is_treated_as_the_policy_says() {
    const NO_KEY: &[(&str, &str)] = &[(":method", "GET"), (":path", "/")];
    for (choice, expected) in [("skip", [200, 200]), ("refuse", [403, 403]), ("shared_bucket", [200, 429])] {
        let quota = RATE.replace("skip", choice).replace("\"burst\": 20", "\"burst\": 1");
        let mut world = World::new(&quota, 1, 1);
        let found = [0, 1].map(|_| status(&world.request((0, 0), NO_KEY).1.unwrap()));
        assert_eq!(found, expected, "{choice}");
        assert_eq!(status(&world.request((0, 0), GET).1.unwrap()), 200, "{choice}: others have a count of their own");
    }
}

#[test]
fn a_full_table_is_what_the_policy_makes_of_it_and_resets_nobody() {
    for (choice, stranger) in [("admit", [200, 200]), ("refuse", [503, 503]), ("shared_bucket", [200, 429])] {
        let quota = format!(
            r#"{{"limit": {{"fixed_window": {{"requests": 1, "window": "30m"}}}}, "key": [{{"header": "x-key"}}], "key_absent": "skip",
                "enforcement": {{"local": {{"slots": 1, "on_full": "{choice}"}}}}}}"#
        );
        let mut world = World::new(&quota, 1, 1);
        assert_eq!(status(&world.request((0, 0), GET).1.unwrap()), 200);
        for key in 0..7 {
            let key: &'static str = Box::leak(format!("k{key}").into_boxed_str());
            let lines: &'static [(&str, &str)] = Box::leak(Box::new([(":method", "GET"), (":path", "/"), ("x-key", key)]));
            assert_eq!(status(&world.request((0, 0), lines).1.unwrap()), 200);
        }
        let found = ["x", "y"].map(|key| {
            let lines: &'static [(&str, &str)] = Box::leak(Box::new([(":method", "GET"), (":path", "/"), ("x-key", key)]));
            status(&world.request((0, 0), lines).1.unwrap())
        });
        let expected = if choice == "shared_bucket" { [200, 403] } else { stranger };
        assert_eq!(found, expected, "{choice}");
        assert_eq!(status(&world.request((0, 0), GET).1.unwrap()), 403, "{choice}: the victim's count stands");
        assert_eq!(world.counts()["full"], 2, "{choice}");
    }
}

#[test]
fn a_host_without_a_store_is_a_full_table() {
    for (choice, expected) in [("admit", 200), ("refuse", 503), ("shared_bucket", 503)] {
        let quota = RATE.replace("\"slots\": 16", &format!("\"on_full\": \"{choice}\""));
        let mut world = World::new(&quota, 1, 1);
        let mut exchange = world.on((0, 0), |gateway, _| gateway.open(ExchangeId(9)));
        let lines: Vec<Header<'_>> = GET.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
        let verdict = world.on((0, 0), |gateway, inputs| {
            let Inputs { now, monotonic, .. } = *inputs;
            let (entropy, peer, signatures) = (&mut *inputs.entropy, &mut *inputs.peer, &mut *inputs.signatures);
            let inputs = &mut Inputs { now, monotonic, entropy, peer, store: &mut crate::NoStore, signatures };
            exchange.step(gateway, Event::Request(Headers::new(&lines)), inputs).verdict
        });
        assert_eq!(status(&verdict), expected, "{choice}");
    }
}

#[test]
fn a_limit_in_shadow_refuses_nobody_and_counts_whom_it_would_have() {
    let mut world = World::new(&RATE.replace("\"key_absent\"", "\"mode\": \"shadow\", \"key_absent\""), 1, 1);
    for _ in 0..25 {
        let (id, verdict) = world.request((0, 0), GET);
        assert_eq!(status(&verdict.unwrap()), 200);
        assert!(response(&mut world, (0, 0), id, "200").is_empty(), "it tells nothing");
    }
    assert_eq!(world.counts(), BTreeMap::from([("admitted".to_owned(), 20), ("would_refuse".to_owned(), 5)]));
}

#[test]
fn a_number_of_the_hosts_route_is_read_as_hosts_write_it() {
    for (bytes, expected) in [
        (&b"7"[..], Some(7)),
        (b"500", Some(100)),
        (b"0", None),
        (b"-1", None),
        (b"", None),
        (&7.0_f64.to_le_bytes(), Some(7)),
        (&7.9_f64.to_le_bytes(), Some(7)),
        (&0.9_f64.to_le_bytes(), None),
        (&(-7.0_f64).to_le_bytes(), None),
        (&1e300_f64.to_le_bytes(), None),
        (&f64::NAN.to_le_bytes(), None),
        (&f64::from(u32::MAX).to_le_bytes(), Some(100)),
    ] {
        assert_eq!(own_limit::route_limit(bytes, 100), expected, "{bytes:?}");
    }
}

/// A victim at its limit, and then `keys` strangers: nobody who was counted is forgotten, and memory stays as it is.
fn flood(keys: u32) {
    let quota = r#"{"limit": {"fixed_window": {"requests": 2, "window": "30m"}}, "key": [{"header": "x-key"}], "key_absent": "skip",
        "enforcement": {"local": {"slots": 1024, "on_full": "refuse"}}}"#;
    let mut world = World::new(quota, 1, 2);
    assert_eq!([GET, GET, GET].map(|lines| status(&world.request((0, 0), lines).1.unwrap())), [200, 200, 403]);
    let (mut admitted, mut filled) = (0, None);
    for stranger in 0..keys {
        let key = stranger.to_string();
        let lines = [(":method", "GET"), (":path", "/"), ("x-key", &key)];
        let mut exchange = world.on((0, 0), |gateway, _| gateway.open(ExchangeId(stranger)));
        let at = (0, usize::try_from(stranger % 2).unwrap());
        admitted += u32::from(status(&world.step(at, &mut exchange, &lines, false)) == 200);
        if stranger == keys / 2 {
            filled = Some(bytes(&world));
        }
    }
    assert!(admitted < 1024 * 8, "{admitted}");
    println!("{keys} keys: {admitted} found room, {} bytes of shared memory", bytes(&world));
    assert_eq!(filled, Some(bytes(&world)), "full is full");
    assert_eq!(status(&world.request((0, 1), GET).1.unwrap()), 403, "the victim's count stands");
}

/// What the store holds, names and values.
fn bytes(world: &World) -> usize {
    world.machines[0].store.values.iter().map(|(name, (value, _))| name.len() + value.len()).sum()
}

#[test]
fn a_flood_of_keys_takes_no_more_memory() {
    flood(200_000);
}

/// Takes a minute or two.
#[test]
#[ignore = "the long suite's"]
fn ten_million_keys_take_no_more_memory() {
    flood(10_000_000);
}
