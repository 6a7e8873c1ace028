// SPDX-License-Identifier: Apache-2.0
//! A service that answers a request by calling out with a span of its own, and tells what it got and what came back.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tracegate_harness::http::Connection;
use tracegate_harness::server::Server;
use tracegate_tests::lines_of;

use super::hop::Hop;

/// What the service makes of the trace context that it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A child span, the rest handed on.
    Faithful,
    /// The same, with a member of its own first.
    WithMember,
    /// The same, and it doesn't record.
    Unsampled,
    /// A `traceparent` in upper case.
    UpperCase,
    /// Two lines of `traceparent`.
    Twice,
    /// A `tracestate` with a key in upper case behind what it got.
    BrokenState,
    /// Another trace, with the `tracestate` that it got.
    OtherTrace,
    /// No `tracestate`.
    Stateless,
    /// No trace context.
    Silent,
}

impl Manner {
    fn named(name: &str) -> Self {
        let all = [
            Self::Faithful,
            Self::WithMember,
            Self::Unsampled,
            Self::UpperCase,
            Self::Twice,
            Self::BrokenState,
            Self::OtherTrace,
            Self::Stateless,
            Self::Silent,
        ];
        all.into_iter().find(|manner| format!("{manner:?}") == name).unwrap_or(Self::Faithful)
    }

    /// The lines with which the service calls out.
    fn lines(self, got: &Hop) -> Vec<(String, String)> {
        let mut child = Hop { span: SERVICES.to_owned(), ..got.clone() };
        match self {
            Self::WithMember => child.state = format!("svc=1,{}", got.state),
            Self::Unsampled => child.flags &= !1,
            Self::BrokenState => child.state = format!("{},B=2", got.state),
            Self::OtherTrace => child.trace = got.trace.chars().rev().collect(),
            Self::Stateless => child.state.clear(),
            _ => {}
        }
        let mut lines = child.lines();
        match self {
            Self::UpperCase => lines[0].1.make_ascii_uppercase(),
            Self::Twice => lines.insert(1, lines[0].clone()),
            Self::Silent => lines.clear(),
            _ => {}
        }
        lines
    }
}

/// The service's own span.
pub const SERVICES: &str = "5e5e5e5e5e5e5e5e";

/// Starts one that calls out to `outbound`. The line `x-manner` says how it behaves.
pub fn start(outbound: SocketAddr) -> Server {
    Server::start(move |mut connection| {
        while let Ok(Some(request)) = connection.read_request() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let got: Vec<(String, String)> = request.fields.iter().map(|(name, value)| (text(name), text(value))).collect();
            let answer = serve(&got, outbound).to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
            if connection.send([head.as_bytes(), answer.as_bytes()].concat().as_slice()).is_err() {
                return;
            }
        }
    })
    .expect("there is a free port")
}

fn serve(got: &[(String, String)], outbound: SocketAddr) -> Value {
    let manner = got.iter().find(|(name, _)| name == "x-manner").map_or("", |(_, manner)| manner);
    let called = Manner::named(manner).lines(&Hop::read(got));
    let fields: Vec<(&str, &[u8])> = called.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let mut connection = Connection::open(outbound).expect("the gateway listens");
    connection.send(&tracegate_tests::get("/", &fields)).expect("the gateway takes a request");
    let response = connection.read_response().expect("the gateway answers");
    let told = response.field("traceresponse").map(|value| String::from_utf8_lossy(value).into_owned());
    json!({"got": got, "called": called, "reached": lines_of(&response), "told": told})
}
