// SPDX-License-Identifier: Apache-2.0
//! One list of cases, `differential/cases.yaml`, run in real Envoy and in the native host: what either lets be seen is
//! the same.

use std::sync::Mutex;

use differential::case::List;
use differential::in_native::Modules;
use differential::observed::differences;
use differential::{in_envoy, in_native};
use tracegate_harness::envoy;
use tracegate_harness::host::Release;
use tracegate_tests::folder;

mod differential {
    pub mod case;
    pub mod gateway;
    pub mod in_envoy;
    pub mod in_native;
    pub mod ingress;
    pub mod loopback;
    pub mod observed;
    pub mod service;
    pub mod upstream;
}

#[test]
fn the_native_host_does_as_envoy_does() {
    let version = std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned());
    let Some(binary) = tracegate_tests::binary(&version) else { return };
    let release = Release::of(&version).unwrap_or_else(|| panic!("the native host is held to no Envoy {version}"));
    // For a look at single gateways while working on the host.
    let only = std::env::var("DIFFERENTIAL_GATEWAY").ok();
    let prints = std::env::var_os("DIFFERENTIAL_PRINT").is_some();
    let list = List::read(&std::fs::read_to_string(folder("differential/cases.yaml")).unwrap());
    let address = in_envoy::address(&binary);
    let modules = Modules::build();
    let gateways = list.gateways.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == *name));
    let waiting = Mutex::new(gateways.collect::<Vec<_>>());
    let compare = || {
        let (mut compared, mut differ) = (0, Vec::new());
        while let Some((name, gateway)) = { waiting.lock().unwrap().pop() } {
            let cases = list.cases_of(name);
            let expected = in_envoy::run(&binary, gateway, &cases);
            let found = in_native::run(&modules, gateway, &cases, &address, release);
            assert_eq!(expected.len(), found.len(), "{name}: as many cases run in either host");
            for ((case, expected), (same, found)) in expected.into_iter().zip(found) {
                assert_eq!(case, same, "{name}: cases run in one order");
                let sent = cases.iter().find(|known| known.name == case).map(|case| case.bytes()).unwrap_or_default();
                let (expected, found) = (expected.settled(&address, &sent), found.settled(&address, &sent));
                if prints {
                    println!("{name}/{case}\n{expected}");
                }
                compared += 1;
                let wrong = expected.log.iter().filter(|line| line.starts_with("bad program")).cloned();
                let lines: Vec<String> = wrong.chain(differences(&expected, &found)).collect();
                if !lines.is_empty() {
                    differ.push(format!("{name}/{case}\n    {}", lines.join("\n    ")));
                }
            }
        }
        (compared, differ)
    };
    // Most of the time an Envoy waits: for timeouts, delays and its own start.
    let (compared, differ) = std::thread::scope(|scope| {
        let others = [scope.spawn(compare), scope.spawn(compare)];
        others.into_iter().map(|other| other.join().unwrap()).fold((0, Vec::new()), |(sum, mut all), (compared, differ)| {
            all.extend(differ);
            (sum + compared, all)
        })
    });
    assert!(compared >= 300 || only.is_some(), "expected at least 300 cases, found {compared}");
    assert!(
        differ.is_empty(),
        "{} of {compared} cases differ between Envoy {version} (expected) and the native host (found):\n{}",
        differ.len(),
        differ.join("\n")
    );
    println!("{compared} cases are alike in Envoy {version} and in the native host");
}
