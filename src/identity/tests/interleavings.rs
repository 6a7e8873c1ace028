// SPDX-License-Identifier: Apache-2.0
//! VMs that get in each other's way, and clocks that differ.

use super::*;

/// Lets one VM's clock tick at another time than the process's.
fn tick_at(process: &mut Process, vm: usize, at: u64) {
    let now = std::mem::replace(&mut process.now, at);
    let woken = process.with(vm, |vm, inputs| vm.gateway.tick(inputs));
    process.follow(vm, woken);
    process.now = now;
}

#[test]
fn a_clock_that_was_read_a_moment_earlier_takes_no_lease_away() {
    let mut process = Process::new(&policy(&jwks("")), 2);
    let now = process.now;
    tick_at(&mut process, 0, now);
    tick_at(&mut process, 1, now - 1);
    assert_eq!(process.fetched, 1);
    process.answer(200, &key_set(&["k1"]));
    tick_at(&mut process, 1, now - 1);
    assert_eq!((process.request(1, &token("k1")).as_str(), process.fetched), ("admitted", 1));
}

#[test]
fn policies_that_ask_for_other_times_take_no_lease_away() {
    let mut process = Process::new(&policy(&jwks(r#","timeout":"5s""#)), 2);
    process.vms[1].gateway = Gateway::new(GatewayId(9), policy(&jwks(r#","timeout":"500ms""#)));
    process.tick();
    process.pass(SECOND, 10_000_000);
    assert_eq!(process.fetched, 1);
    process.answer(200, &key_set(&["k1"]));
    process.tick();
    for vm in 0..2 {
        assert_eq!(process.request(vm, &token("k1")), "admitted");
    }
}

#[test]
fn a_rotation_whose_fetch_fails_is_over_as_soon_as_the_issuer_is_well() {
    let mut process = Process::with_keys(&policy(&jwks("")), 2, &["k1"]);
    process.pass(MINUTE, SECOND);
    assert_eq!(process.request(0, &token("k2")), "wait");
    process.tick();
    process.answer(503, "");
    process.tick();
    assert_eq!(process.decided(), ["401 TokenSignatureKeyNotFound"]);
    process.pass(SECOND, SECOND);
    assert_eq!(process.request(0, &token("k2")), "wait", "a fetch that failed doesn't tell what the issuer has");
    process.tick();
    process.answer(200, &key_set(&["k1", "k2"]));
    assert_eq!(process.decided(), ["admitted"]);
}

#[test]
fn a_full_waiting_room_is_no_way_to_the_policys_choice() {
    let mut process = Process::new(&policy(&jwks(r#","on_unavailable":"admit""#)), 1);
    for _ in 0..1000 {
        assert_eq!(process.request(0, &token("k1")), "wait");
    }
    assert_eq!(process.request(0, &token("k1")), "503 TokenKeysUnavailable", "the first fetch has not even begun");
}

#[test]
fn a_clock_that_was_ahead_keeps_no_key_out() {
    let mut process = Process::with_keys(&policy(&jwks(r#","cache_duration":"24h""#)), 1, &["k1"]);
    let right = process.now;
    process.now += 30 * 24 * HOUR;
    process.tick();
    process.answer(200, &key_set(&["k1"]));
    let token = token_until("k2", 1 << 40);
    assert_eq!(process.request(0, &token), "wait");
    process.tick();
    process.answer(200, &key_set(&["k1"]));
    process.now = right;
    process.tick();
    process.answer(200, &key_set(&["k1"]));
    process.pass(MINUTE, SECOND);
    assert_eq!(process.request(0, &token), "wait");
}

#[test]
fn vms_that_die_one_after_the_other_wake_nobody_in_vain() {
    let text = jwks(r#","timeout":"1s","wait":"1m""#);
    let mut process = Process::new(&policy(&text), 3);
    for _ in 0..3 {
        process.pass(2 * SECOND, 10_000_000);
        // Whoever fetches dies, and is started anew.
        for (vm, _) in std::mem::take(&mut process.fetches) {
            process.vms[vm].gateway = Gateway::new(GatewayId(77), policy(&text));
            process.vms[vm].waiting.clear();
        }
    }
    let waits = (0..3).find(|vm| process.request(*vm, &token("k1")) == "wait").expect("one waits");
    let mut wakes = 0;
    for _ in 0..100 {
        process.now += 10_000_000;
        let woken = process.with(waits, |vm, inputs| vm.gateway.tick(inputs));
        wakes += woken.wake.len();
        process.follow(waits, woken);
    }
    assert!(wakes <= 2, "{wakes}");
}

/// A store in which something happens before the first write.
struct Interrupted<'a, F> {
    shared: &'a mut Shared,
    interruption: Option<F>,
}

impl<F: FnOnce(&mut Shared)> Store for Interrupted<'_, F> {
    fn get(&mut self, name: &str) -> Option<Stored> {
        self.shared.get(name)
    }

    fn set(&mut self, name: &str, value: &[u8], expected: Expected) -> Result<(), StoreError> {
        if let Some(interruption) = self.interruption.take() {
            interruption(self.shared);
        }
        self.shared.set(name, value, expected)
    }
}

fn lend<T>(now: u64, store: &mut dyn Store, run: impl FnOnce(&mut Inputs<'_>) -> T) -> T {
    let mut entropy = |bytes: &mut [u8]| {
        bytes.fill(7);
        Ok(())
    };
    let (peer, signatures) = (&mut UnknownPeer, &mut NoSignatures);
    run(&mut Inputs { now: i64::try_from(now).unwrap(), monotonic: now, entropy: &mut entropy, peer, store, signatures })
}

#[test]
fn two_that_publish_at_once_agree_on_the_keys_in_the_end() {
    let policy = policy(&jwks(r#","timeout":"1s","cache_duration":"1m","unknown_kid_interval":"24h""#));
    let mut process = Process::new(&policy, 3);
    process.tick();
    let (late, fetch) = process.fetches.remove(0);
    let other = (late + 1) % 3;
    // Its answer is there, and its lease over, when it goes on; while it writes, another one fetches and publishes too.
    process.now += 2 * SECOND;
    let now = process.now;
    let (old, new) = (key_set(&["k1"]), key_set(&["k2"]));
    let lines = [Header { name: b":status", value: b"200" }];
    let answer = |keys| Ok(Reply { headers: Headers::new(&lines), body: str::as_bytes(keys) });
    let mut quick = std::mem::replace(&mut process.vms[other].gateway, Gateway::new(GatewayId(50), policy.clone()));
    let interruption = |shared: &mut Shared| {
        lend(now, shared, |inputs| {
            let fetch = super::fetch(quick.tick(inputs).effects.remove(0));
            drop(quick.reply(fetch.call, answer(&new), inputs));
        });
    };
    let Process { shared, vms, .. } = &mut process;
    let mut store = Interrupted { shared, interruption: Some(interruption) };
    lend(now, &mut store, |inputs| drop(vms[late].gateway.reply(fetch.call, answer(&old), inputs)));
    process.vms[other].gateway = quick;
    // The issuer publishes the new key alone, and the VM that has it is the first to refresh.
    for _ in 0..3 {
        process.now += 50 * SECOND;
        for vm in [other, late, 3 - other - late] {
            let now = process.now;
            tick_at(&mut process, vm, now);
        }
        while !process.fetches.is_empty() {
            process.answer(200, &new);
        }
        process.tick();
    }
    for vm in 0..3 {
        assert_eq!(process.request(vm, &token("k2")), "admitted");
        assert_ne!(process.request(vm, &token("k1")), "admitted", "it is withdrawn");
    }
}
