// SPDX-License-Identifier: Apache-2.0
//! A VM that traps while it fetches: in the native host, since the module itself gives no occasion to.

use std::time::Duration;

use serde_json::json;
use tracegate::identity::Algorithm;
use tracegate_harness::host::{
    Callout, Cluster, ExchangeId, HeaderMap, Limits, Message, Metering, Module, Options, Proxy, Reply, Request, SharedData, World,
};
use tracegate_harness::issuer::Issuer;
use tracegate_harness::module;

use crate::{claims, policy};

/// An issuer that answers with these keys after a while.
struct Issuing {
    keys: String,
    asked: usize,
}

impl World for Issuing {
    fn upstream(&mut self, _: ExchangeId, _: &Message) -> Reply {
        Reply::now(Message::response(200, [("x", "1")], b""))
    }

    fn service(&mut self, _: &Callout) -> Reply {
        self.asked += 1;
        Reply::After(Duration::from_millis(300), Message::response(200, [("x", "1")], self.keys.as_bytes()))
    }
}

fn request(token: &str) -> HeaderMap {
    let authorization = format!("Bearer {token}");
    [(":method", "GET"), (":path", "/orders"), (":authority", "api.example"), ("authorization", &authorization)].into_iter().collect()
}

#[test]
fn a_vm_that_traps_while_it_fetches_delays_nobody_past_its_lease() {
    let mut issuer = Issuer::new(6).unwrap();
    let keys = issuer.key_set().to_string();
    let token = issuer.mint(Algorithm::Rs256, &claims()).unwrap();
    let wasm = std::fs::read(module::build().unwrap()).unwrap();
    let module = Module::compile(&wasm, Metering::Fuel).unwrap();
    let shared = SharedData::default();
    let start = |fuel: u64| {
        let mut options = Options::new(&policy(&json!({"timeout": "1s"})).to_string(), 0);
        options.vm.shared = shared.clone();
        options.vm.limits = Limits { callback_fuel: fuel, ..Limits::default() };
        options.clusters.insert("idp".to_owned(), Cluster::Reachable);
        options.clock = 1_700_000_000_000_000_000;
        Proxy::start(&module, options, Issuing { keys: keys.clone(), asked: 0 }).unwrap()
    };
    // As much fuel as it takes to start, and no more than that in one callback.
    let enough = start(Limits::default().callback_fuel).vm().fuel_used().unwrap();
    let (mut elected, mut other) = (start(enough), start(Limits::default().callback_fuel));
    let together = |elected: &mut Proxy<'_, Issuing>, other: &mut Proxy<'_, Issuing>, time| {
        elected.advance(time);
        other.advance(time);
    };
    let tick = Duration::from_millis(10);
    together(&mut elected, &mut other, tick);
    assert_eq!((elected.world_mut().asked, other.world_mut().asked), (1, 0), "one has been elected");
    // It traps before the answer comes.
    let mut head = request(&token);
    for line in 0..90_000 {
        head.add(format!("x-{line}").as_bytes(), b"1");
    }
    elected.exchange(Request { message: Message::request(head), ..Request::default() });
    assert!(elected.failure().is_some(), "it should have run out of fuel");
    let waiting = other.send(Request { message: Message::request(request(&token)), ..Request::default() });
    let mut waited = Duration::ZERO;
    while !other.is_over(waiting) && waited < Duration::from_secs(5) {
        other.advance(tick);
        waited += tick;
    }
    let finished = other.finish(waiting);
    assert_eq!(finished.response.map(|response| response.status()), Some(200), "{}", finished.details);
    // The lease is a fetch's second and half a one more; then comes the other's fetch.
    println!("admitted after {waited:?}");
    assert!(waited <= Duration::from_millis(1500 + 300 + 20), "{waited:?}");
    assert_eq!(other.world_mut().asked, 1);
    assert_eq!(other.failure(), None);
}
