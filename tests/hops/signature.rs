// SPDX-License-Identifier: Apache-2.0
//! Whose signature counts, for which trace, and for how long.

use std::thread;
use std::time::Duration;

use super::chain::Chain;
use super::gateway::{signing, trusting_ours};
use super::hop::Hop;
use super::service::{Manner, SERVICES};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: (&str, &str) = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

/// What a service behind the first gateway got in [`TRACE`], for whoever wants to present it elsewhere.
fn signed(chain: &Chain) -> Hop {
    let got = chain.pass(Manner::Faithful, &[PARENT]).got;
    Hop { span: SERVICES.to_owned(), ..got }
}

#[test]
fn a_stranger_gains_nothing_by_a_tracestate_that_it_has_seen() {
    let Some(chain) = Chain::start(&signing(1, None, "30s"), &trusting_ours(signing(1, None, "30s"))) else { return };
    let seen = signed(&chain);
    assert_eq!(chain.present(&seen).trace, TRACE, "in the trace that is signed it says that the trace passed a gateway of ours");
    let (member, mac) = seen.state.rsplit_once('.').unwrap();
    let other_digit = if mac.starts_with('0') { '1' } else { '0' };
    let forged = [
        // Another trace, by a digit.
        Hop { trace: TRACE.replacen('0', "1", 1), ..seen.clone() },
        Hop { trace: TRACE.chars().rev().collect(), ..seen.clone() },
        Hop { state: String::new(), ..seen.clone() },
        Hop { state: format!("tgate={}", seen.span), ..seen.clone() },
        Hop { state: format!("{member}.{other_digit}{}", &mac[1..]), ..seen.clone() },
        Hop { state: seen.state.replace(".k1.", ".k2."), ..seen.clone() },
        Hop { state: seen.state.replace("tgate=1.", "tgate=2."), ..seen.clone() },
        Hop { state: seen.state.replace("tgate=", "other="), ..seen.clone() },
        Hop { state: format!("{},{}", seen.state, seen.state), ..seen.clone() },
    ];
    for forged in forged {
        let reached = chain.present(&forged);
        assert!(reached.trace != forged.trace && reached.trace != TRACE, "{forged:?}: {reached:?}");
        assert_eq!(reached.assert_signed(1), "", "nothing of a stranger's goes on: {reached:?}");
    }
    // Among others, and under another span: services rewrite both.
    let handed_on = Hop { span: "c0ffeec0ffeec0ff".to_owned(), state: format!("x=1,{},y=2", seen.state), ..seen };
    let reached = chain.present(&handed_on);
    assert_eq!((reached.trace.as_str(), reached.assert_signed(1)), (TRACE, "x=1,y=2"));
}

#[test]
fn a_signature_that_has_expired_counts_for_nothing() {
    let Some(chain) = Chain::start(&signing(1, None, "1s"), &trusting_ours(signing(1, None, "1s"))) else { return };
    // Good for a second counted in whole ones, so it may end at once.
    let seen = (0..20).map(|_| signed(&chain)).find(|seen| chain.present(seen).trace == TRACE).expect("one of 20 is fresh");
    let ends = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(100));
        chain.present(&seen).trace != TRACE
    });
    assert!(ends, "it is good for ever: {seen:?}");
    assert_ne!(chain.present(&seen).trace, TRACE, "once expired, it stays so");
}

#[test]
fn while_keys_rotate_the_one_before_is_known_and_the_new_one_signs() {
    let Some(chain) = Chain::start(&signing(1, None, "30s"), &trusting_ours(signing(2, Some(1), "30s"))) else { return };
    let passage = chain.pass(Manner::WithMember, &[PARENT, ("tracestate", "a=1")]);
    assert_eq!((passage.got.trace.as_str(), passage.got.assert_signed(1)), (TRACE, "a=1"));
    assert_eq!((passage.reached.trace.as_str(), passage.reached.assert_signed(2)), (TRACE, "svc=1,a=1"));
    assert_eq!(chain.present(&passage.reached).trace, TRACE, "its own signature is known too");
    // After the rotation.
    let Some(chain) = Chain::start(&signing(1, None, "30s"), &trusting_ours(signing(2, None, "30s"))) else { return };
    let passage = chain.pass(Manner::Faithful, &[PARENT, ("tracestate", "a=1")]);
    assert_eq!((passage.got.trace.as_str(), passage.got.assert_signed(1)), (TRACE, "a=1"));
    assert_ne!(passage.reached.trace, TRACE);
    assert_eq!(passage.reached.assert_signed(2), "");
}
