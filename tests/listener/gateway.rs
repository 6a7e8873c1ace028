// SPDX-License-Identifier: Apache-2.0
//! A gateway: real Envoy with a shipped configuration and its policy, the probe behind the module, and an echo behind both.

use std::cell::Cell;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tracegate_harness::echo::Echo;
use tracegate_harness::envoy::{self, Envoy, Options, Plugin};
use tracegate_harness::http::{Connection, Response};
use tracegate_harness::module;
use tracegate_tests::{binary, get};

use super::probe;
use super::shipped::Shipped;

/// A running gateway; it ends when dropped.
pub struct Gateway {
    /// Its Envoy.
    pub envoy: Envoy,
    _echo: Echo,
    asked: Cell<u32>,
}

/// What came of a request.
pub struct Answer {
    /// What the client got: the echo, which tells what reached it.
    pub response: Response,
    /// What the probe read behind the module, in order; `None` where there was nothing.
    pub read: Vec<Option<String>>,
}

impl Gateway {
    /// Starts one with a policy that ships, and with what `change` makes of its configuration; `None` where Envoy can't be had.
    pub fn start(shipped: Shipped, change: impl FnOnce(&mut Value)) -> Option<Self> {
        let binary = binary(&version())?;
        let echo = Echo::start().expect("there is a free port");
        let upstream = Some((echo.address().ip().to_string(), echo.address().port()));
        let mut tree = shipped.read();
        let configuration = policy(&mut tree).as_str().expect("what ships has a policy").to_owned();
        let plugin = Plugin::Wasm { module: module::build().expect("the module builds"), configuration };
        let certificates = shipped.asks_for_certificates().then(|| "certificates".to_owned());
        let options = Options { upstream, certificates, ..Options::new(binary, plugin) };
        let mut tree = options.bootstrap().unwrap_or_else(|error| panic!("{error}"));
        add_probe(&mut tree);
        change(&mut tree);
        let envoy = Envoy::run(&options.binary, &tree, options.workers, options.cpu).unwrap_or_else(|error| panic!("{error}"));
        Some(Self { envoy, _echo: echo, asked: Cell::new(0) })
    }

    /// A connection without TLS.
    pub fn connect(&self) -> Connection {
        Connection::open(self.envoy.listener()).expect("Envoy listens")
    }

    /// Sends a GET with these lines and has the probe make these host calls.
    pub fn ask<S: Read + Write>(&self, mut connection: Connection<S>, fields: &[(&str, &[u8])], calls: &[&str]) -> Answer {
        self.asked.set(self.asked.get() + 1);
        let case = format!("ask-{}", self.asked.get());
        let program = probe::program(calls);
        let mut lines = vec![("x-case", case.as_bytes()), ("x-program", program.as_bytes())];
        lines.extend_from_slice(fields);
        connection.send(&get("/", &lines)).expect("Envoy takes a request");
        let response = connection.read_response().expect("Envoy answers");
        assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
        // The probe ran before the request went on, so that its lines are there.
        Answer { response, read: probe::results(&self.envoy.log(), &case, calls.len()) }
    }

    /// The sum of the statistics whose names end so, once it is as expected: Envoy may count after it has answered.
    pub fn count_when(&self, ending: &str, is_expected: impl Fn(u64) -> bool) -> u64 {
        let mut sum = 0;
        for _ in 0..100 {
            let stats = self.envoy.stats(ending).expect("Envoy has statistics");
            sum = stats.iter().filter(|(name, _)| name.ends_with(ending)).map(|(_, value)| value).sum();
            if is_expected(sum) {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        sum
    }
}

/// The version of Envoy that is tested.
pub fn version() -> String {
    std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned())
}

/// The HTTP connection manager's settings.
pub fn manager(tree: &mut Value) -> &mut Value {
    &mut tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
}

/// The policy that the module gets.
pub fn policy(tree: &mut Value) -> &mut Value {
    &mut manager(tree)["http_filters"][0]["typed_config"]["config"]["configuration"]["value"]
}

fn add_probe(tree: &mut Value) {
    let filters = manager(tree)["http_filters"].as_array_mut().expect("there are filters");
    let mut probe = filters[0].clone();
    probe["name"] = json!("probe");
    let config = &mut probe["typed_config"]["config"];
    (config["name"], config["root_id"], config["vm_config"]["vm_id"]) = (json!("probe"), json!("probe"), json!("probe"));
    config["vm_config"]["code"]["local"]["filename"] = json!(module::build_probe().expect("the probe builds"));
    config["configuration"]["value"] = json!("");
    // It tries what ours never does.
    config.as_object_mut().expect("it is an object").remove("capability_restriction_config");
    filters.insert(1, probe);
}
