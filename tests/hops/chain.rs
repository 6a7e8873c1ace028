// SPDX-License-Identifier: Apache-2.0
//! A caller, the gateway before a service, the service, the gateway before what that calls, and an echo there.

use serde_json::Value;
use tracegate_harness::echo::Echo;
use tracegate_harness::envoy::Envoy;
use tracegate_harness::http::Connection;
use tracegate_harness::server::Server;
use tracegate_tests::{get, lines_of};

use super::gateway::{self, environment};
use super::hop::Hop;
use super::service::{self, Manner};

/// The whole of it; it ends when dropped.
pub struct Chain {
    inbound: Envoy,
    outbound: Envoy,
    _service: Server,
    _echo: Echo,
}

/// What one request was on each of its hops.
#[derive(Debug)]
pub struct Passage {
    /// What the service got.
    pub got: Hop,
    /// The lines with which it called out.
    pub called: Vec<(String, String)>,
    /// What reached the echo.
    pub reached: Hop,
    /// What the second gateway told the service in `traceresponse`.
    pub told: Option<String>,
}

impl Chain {
    /// Starts it with the policies of both gateways, each of which has both keys at hand; `None` where Envoy can't be had.
    pub fn start(inbound: &Value, outbound: &Value) -> Option<Self> {
        let echo = Echo::start().expect("there is a free port");
        let start = |policy: &Value, upstream| {
            let started = gateway::start(policy, &environment(&[1, 2]), upstream)?;
            Some(started.unwrap_or_else(|error| panic!("{error}")))
        };
        let outbound = start(outbound, echo.address())?;
        let service = service::start(outbound.listener());
        let inbound = start(inbound, service.address())?;
        Some(Self { inbound, outbound, _service: service, _echo: echo })
    }

    /// A request of somebody outside.
    pub fn pass(&self, manner: Manner, lines: &[(&str, &str)]) -> Passage {
        let manner = format!("{manner:?}");
        let mut fields = vec![("x-manner", manner.as_bytes())];
        fields.extend(lines.iter().map(|(name, value)| (*name, value.as_bytes())));
        let mut connection = Connection::open(self.inbound.listener()).expect("the gateway listens");
        connection.send(&get("/", &fields)).expect("the gateway takes a request");
        let response = connection.read_response().expect("the gateway answers");
        assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
        let answer: Value = serde_json::from_slice(&response.body).expect("the service answers in JSON");
        let lines = |name: &str| -> Vec<(String, String)> { serde_json::from_value(answer[name].clone()).expect("it tells lines") };
        Passage {
            got: Hop::read(&lines("got")),
            called: lines("called"),
            reached: Hop::read(&lines("reached")),
            told: answer["told"].as_str().map(str::to_owned),
        }
    }

    /// What reaches the echo for somebody who calls the second gateway with this context.
    pub fn present(&self, hop: &Hop) -> Hop {
        let lines = hop.lines();
        let fields: Vec<(&str, &[u8])> = lines.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let mut connection = Connection::open(self.outbound.listener()).expect("the gateway listens");
        connection.send(&get("/", &fields)).expect("the gateway takes a request");
        Hop::read(&lines_of(&connection.read_response().expect("the gateway answers")))
    }
}
