// SPDX-License-Identifier: Apache-2.0
//! Trailers, which some services merge into headers (RFC 9110 section 6.5.1): what a client may not say in a header, it may not say there.

use serde_json::{Value, json};
use tracegate_harness::host::{self, Always, HeaderMap, Message, Metering, Options, Part, Proxy, Reply, Request};
use tracegate_harness::issuer::Issuer;
use tracegate_harness::module;
use tracegate_tests::{Edge, manager};

use super::policy::policy;
use super::run::environment;

const SENT: [(&str, &str); 6] = [
    ("x-user-id", "admin"),
    ("X-Caller-Subscription", "contoso"),
    ("x.user.roles", "admin"),
    ("x-forwarded-client-cert", "Hash=ab"),
    ("authorization", "Bearer a.b.c"),
    ("x-checksum", "7"),
];

#[test]
fn trailers_tell_nothing_of_callers_in_the_native_host() {
    let issuer = Issuer::new(5).expect("there are such keys");
    let module = host::compile_file(&module::build().unwrap(), Metering::Time).unwrap();
    let mut options = Options::new(&policy(&issuer).to_string(), 7);
    options.vm.environment = environment();
    let upstream = Always(Reply::now(Message::response(200, [("x", "")], b"")));
    let mut proxy = Proxy::start(&module, options, upstream).unwrap_or_else(|error| panic!("{error}"));
    for path in ["/unmatched", "/open"] {
        let head: HeaderMap = [(":method", "POST"), (":path", path), (":authority", "api.example")].into_iter().collect();
        let trailers = HeaderMap::received(Part::RequestTrailers, SENT);
        let message = Message { body: b"body".to_vec(), trailers: Some(trailers), ..Message::request(head) };
        let finished = proxy.exchange(Request { message, ..Request::default() });
        assert_eq!(proxy.failure(), None, "{path}");
        let upstream = finished.upstream.expect("it is admitted");
        let trailers = upstream.trailers.expect("there are trailers");
        let names: Vec<_> = trailers.iter().map(|line| String::from_utf8_lossy(&line.name).into_owned()).collect();
        assert_eq!((names, upstream.body.as_slice()), (vec!["x-checksum".to_owned()], &b"body"[..]), "{path}");
    }
}

#[test]
fn trailers_tell_nothing_of_callers_in_real_envoy() {
    let issuer = Issuer::new(5).expect("there are such keys");
    let with_trailers = |tree: &mut Value| {
        manager(tree)["http_protocol_options"] = json!({"enable_trailers": true});
        tree["static_resources"]["clusters"][0]["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
            }
        });
    };
    let Some(edge) = Edge::start_changed(&policy(&issuer).to_string(), &environment(), with_trailers) else { return };
    for path in ["/unmatched", "/open"] {
        let mut connection = edge.connect();
        let lines: String = SENT.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("POST {path} HTTP/1.1\r\nhost: api.example\r\ntransfer-encoding: chunked\r\n\r\n");
        connection.send(format!("{head}4\r\nbody\r\n0\r\n{lines}\r\n").as_bytes()).expect("Envoy takes a request");
        let response = connection.read_response().expect("Envoy answers");
        let body: Value = serde_json::from_slice(&response.body).expect("the echo answers in JSON");
        assert_eq!((response.status, &body["trailers"]), (200, &json!([["x-checksum", "7"]])), "{path}: {body}");
    }
    edge.assert_alive();
}
