// SPDX-License-Identifier: Apache-2.0
//! One fetch for all VMs.

use super::*;

#[test]
fn the_first_keys_are_fetched_once_for_all_vms_and_requests_wait_for_them() {
    let mut process = Process::new(&policy(&jwks("")), 3);
    assert_eq!(process.request(2, &token("k1")), "wait", "before the first tick");
    process.tick();
    assert_eq!((process.fetched, process.fetches.len()), (1, 1));
    for vm in 0..3 {
        assert_eq!(process.request(vm, &token("k1")), "wait");
    }
    process.pass(SECOND, 10_000_000);
    assert_eq!(process.decided(), [] as [&str; 0]);
    process.answer(200, &key_set(&["k1"]));
    assert_eq!(process.decided(), ["admitted"], "the VM that fetched, at once");
    process.tick();
    assert_eq!(process.decided(), ["admitted"; 3], "the others at their next tick");
    assert_eq!(process.fetched, 1);
    for vm in 0..3 {
        assert_eq!(process.request(vm, &token("k1")), "admitted");
    }
}

#[test]
fn a_rotation_costs_one_fetch_and_no_refusal() {
    let mut process = Process::with_keys(&policy(&jwks("")), 3, &["k1"]);
    process.pass(10 * MINUTE, SECOND);
    assert_eq!(process.fetched, 1);
    for vm in 0..3 {
        assert_eq!(process.request(vm, &token("k2")), "wait");
        assert_eq!(process.request(vm, &token("k1")), "admitted", "known keys wait for nothing");
    }
    process.tick();
    assert_eq!(process.fetched, 2);
    process.pass(SECOND, 10_000_000);
    process.answer(200, &key_set(&["k1", "k2"]));
    process.tick();
    assert_eq!(process.decided(), ["admitted"; 3]);
    process.pass(10 * MINUTE, SECOND);
    assert_eq!(process.fetched, 2);
}

#[test]
fn a_flood_of_bogus_keys_costs_one_fetch_in_five_minutes() {
    let mut process = Process::with_keys(&policy(&jwks("")), 2, &["k1"]);
    for bogus in 0..100 {
        assert_eq!(process.request(bogus % 2, &token(&format!("bogus-{bogus}"))), "wait");
    }
    process.tick();
    process.answer(200, &key_set(&["k1"]));
    process.tick();
    assert_eq!(process.decided(), ["401 TokenSignatureKeyNotFound"; 100]);
    assert_eq!(process.fetched, 2);
    for second in 0..298 {
        process.pass(SECOND, SECOND);
        assert_eq!(process.request(second % 2, &token(&format!("other-{second}"))), "401 TokenSignatureKeyNotFound", "at once");
    }
    assert_eq!(process.fetched, 2);
    process.pass(3 * SECOND, SECOND);
    assert_eq!(process.request(0, &token("other")), "wait", "five minutes are over");
}

#[test]
fn a_key_that_never_comes_makes_us_fetch_ever_more_seldom() {
    let mut process = Process::with_keys(&policy(&jwks(r#","cache_duration":"24h""#)), 1, &["k1"]);
    let mut fetched_at = vec![];
    for minute in 0..120 {
        if process.request(0, &token_until("gone", 36_000)) == "wait" {
            fetched_at.push(minute);
            process.tick();
            process.answer(200, &key_set(&["k1"]));
        }
        process.pass(MINUTE, MINUTE);
    }
    assert_eq!(fetched_at, [0, 5, 15, 35, 55, 75, 95, 115]);
}

#[test]
fn a_vm_that_dies_while_it_fetches_delays_nobody_past_its_lease() {
    let mut process = Process::new(&policy(&jwks(r#","timeout":"1s""#)), 2);
    process.tick();
    let (elected, _) = process.fetches.remove(0);
    process.vms[elected].alive = false;
    let other = 1 - elected;
    assert_eq!(process.request(other, &token("k1")), "wait");
    process.pass(1_490_000_000, 10_000_000);
    assert_eq!(process.fetched, 1, "the lease is a fetch's time and half a second");
    process.pass(10_000_000, 10_000_000);
    assert_eq!(process.fetched, 2);
    process.answer(200, &key_set(&["k1"]));
    assert_eq!(process.decided(), ["admitted"]);
}

#[test]
fn a_vm_that_comes_late_changes_nothing() {
    let mut process = Process::new(&policy(&jwks(r#","timeout":"1s""#)), 2);
    process.tick();
    let slow = process.fetches.remove(0);
    // It hangs: its clock doesn't tick.
    process.vms[slow.0].alive = false;
    process.pass(2 * SECOND, 10_000_000);
    process.answer(200, &key_set(&["k2"]));
    process.vms[slow.0].alive = true;
    process.fetches.push(slow);
    process.answer(200, &key_set(&["k1"]));
    process.tick();
    for vm in 0..2 {
        assert_eq!(process.request(vm, &token("k2")), "admitted");
    }
    assert_eq!(process.notes, ["expected an answer before the lease ended, found it afterwards"]);
}

#[test]
fn two_configurations_with_one_issuer_share_its_keys() {
    let mut process = Process::with_keys(&policy(&jwks("")), 1, &["k1"]);
    let mut other = Process::new(&policy(&jwks(r#","wait":"1s""#)), 1);
    std::mem::swap(&mut process.shared, &mut other.shared);
    other.now = process.now;
    assert_eq!(other.request(0, &token("k1")), "admitted", "it looks before it waits");
    assert_eq!(other.fetched, 0);
}

#[test]
fn records_that_another_version_wrote_are_replaced() {
    let mut process = Process::with_keys(&policy(&jwks("")), 1, &["k1"]);
    for (value, _) in process.shared.0.values_mut() {
        value[0] = 99;
    }
    let mut fresh = Process::new(&policy(&jwks("")), 1);
    std::mem::swap(&mut process.shared, &mut fresh.shared);
    fresh.tick();
    fresh.answer(200, &key_set(&["k2"]));
    assert_eq!(fresh.request(0, &token("k2")), "admitted");
}

#[test]
fn who_waits_is_counted_and_who_has_gone_is_forgotten() {
    let mut process = Process::new(&policy(&jwks("")), 1);
    for _ in 0..1000 {
        assert_eq!(process.request(0, &token("k1")), "wait");
    }
    assert_eq!(process.request(0, &token("k1")), "503 TokenKeysUnavailable", "no room");
    process.with(0, |vm, inputs| {
        let (_, (mut exchange, _)) = vm.waiting.pop_first().unwrap();
        assert_eq!(exchange.step(&mut vm.gateway, Event::Closed(crate::quota::Totals::default()), inputs).verdict, Verdict::Wait);
    });
    assert_eq!(process.request(0, &token("k1")), "wait", "the client that has gone makes room");
}
