// SPDX-License-Identifier: Apache-2.0
//! Envoy with a policy that uses all there is, whatever it talks to, and what leaves it.

use std::fs;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracegate::identity::Algorithm;
use tracegate_harness::cluster::Cluster;
use tracegate_harness::collector::Collector;
use tracegate_harness::envoy::{self, Envoy, Options, Plugin};
use tracegate_harness::http::{Connection, Field, Request, Response};
use tracegate_harness::issuer::Issuer;
use tracegate_harness::module;
use tracegate_harness::server::Server;
use tracegate_tests::certificates::{Authority, Identity, host, uri};
use tracegate_tests::{binary, manager, tls};

use super::Secret;
use super::limits;

/// A gateway and what it talks to.
pub struct Gateway<'s> {
    secrets: &'s [Secret],
    envoy: Envoy,
    collector: Collector,
    upstream: Server,
    /// Requests that reached the upstream.
    reached: Arc<Mutex<Vec<Request>>>,
    _limits: Server,
    /// All that the rate-limit service was sent.
    asked: Arc<Mutex<Vec<u8>>>,
    /// Vouches for the gateway, and for its client.
    authority: Authority,
    client: Identity,
    /// What was sent, and what came back.
    exchanged: Mutex<(Vec<Field>, Vec<Response>)>,
    directory: tempfile::TempDir,
}

/// The text of the secret that is planted there.
#[track_caller]
fn at<'s>(secrets: &'s [Secret], place: &str) -> &'s str {
    secrets.iter().find(|secret| secret.place == place).map_or_else(|| panic!("no secret at {place:?}"), |secret| secret.text.as_str())
}

impl<'s> Gateway<'s> {
    /// `None` where Envoy can't be had.
    pub fn start(secrets: &'s [Secret]) -> Option<Self> {
        let version = std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned());
        let binary = binary(&version)?;
        let collector = Collector::start().expect("there is a free port");
        let (reached, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let heard = Arc::clone(&asked);
        let told = limits::Told {
            headers: at(secrets, "header of the rate-limit service").to_owned(),
            message: at(secrets, "message of the rate-limit service").to_owned(),
        };
        let limits = Server::start_on_streams(move |stream: TcpStream| limits::serve(stream, &told, &heard));
        let (limits, upstream) = (limits.expect("there is a free port"), upstream(secrets, Arc::clone(&reached)));
        let clusters = [("otel", collector.address()), ("limits", limits.address())];
        let clusters = clusters.map(|(name, address)| Cluster::at(name, &address.to_string()).expect("an address is one")).into();
        let plugin = Plugin::Wasm { module: module::build().expect("the module builds"), configuration: policy(secrets).to_string() };
        let behind = Some((upstream.address().ip().to_string(), upstream.address().port()));
        let options = Options { upstream: behind, clusters, ..Options::new(binary, plugin) };
        let mut tree = options.bootstrap().unwrap_or_else(|error| panic!("{error}"));
        let directory = tempfile::tempdir().expect("there is room");
        let manager = manager(&mut tree);
        manager["access_log"][0]["typed_config"]["path"] = json!(directory.path().join("access.log"));
        // What clients say of certificates reaches the module.
        manager["forward_client_cert_details"] = json!("ALWAYS_FORWARD_ONLY");
        let variables: serde_json::Map<String, Value> =
            VARIABLES.iter().map(|(name, place)| ((*name).to_owned(), json!(variable(secrets, place)))).collect();
        manager["http_filters"][0]["typed_config"]["config"]["vm_config"]["environment_variables"] = json!({ "key_values": variables });
        let authority = Authority::new("shop");
        authority.write_certificates(directory.path());
        let file = |name: &str| json!({"filename": directory.path().join(name)});
        tree["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"] = json!({"name": "tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", "require_client_certificate": true,
            "common_tls_context": {
                "tls_certificates": [{"certificate_chain": file("server.pem"), "private_key": file("server-key.pem")}],
                "validation_context": {"trusted_ca": file("clients-ca.pem")},
            },
        }});
        let names = [
            uri("spiffe://shop.example/orders"),
            uri(&format!("spiffe://shop.example/{}", at(secrets, "URI of the client's certificate"))),
            host(&format!("{}.example", at(secrets, "host of the client's certificate"))),
        ];
        let client = authority.vouch_for_all(at(secrets, "subject of the client's certificate"), names);
        let envoy = Envoy::run(&options.binary, &tree, 1, None).unwrap_or_else(|error| panic!("{error}"));
        let logging = envoy.ask_admin("POST", "/logging?wasm=debug").expect("Envoy has an admin interface");
        assert_eq!(logging.status, 200);
        let (limits, exchanged) = (limits, Mutex::default());
        Some(Self { secrets, envoy, collector, upstream, reached, _limits: limits, asked, authority, client, exchanged, directory })
    }

    /// Sends requests of every fate, with secrets wherever there is room for one.
    pub fn exchange(&self) {
        let at = |place: &str| at(self.secrets, place);
        let mut issuer = Issuer::new(1).expect("an issuer has keys").sharing(shared(self.secrets));
        let claims = json!({"iss": "https://id.shop.example/", "aud": "files", "exp": 4_102_444_800_u64, "sub": at("claim that the upstream is told"),
            "tid": at("claim that spans tell"), "email": at("claim that nothing names")});
        let token = format!("Bearer {}", issuer.mint(Algorithm::Hs256, &claims).expect("it has the secret"));
        let unknown = format!("Bearer {}", at("authorization of somebody unknown"));
        let key = at("subscription key in a header");
        let file = format!("/files/{}/{}?token={}", at("path parameter told as a digest"), at("path parameter told as it is"), at("query"));
        let none = format!("/nowhere/{}?a={}", at("path without a route"), at("query"));
        let with_key = format!("{file}&subscription-key={}", at("subscription key in the query"));
        let host = format!("user:{}@files.example", at("user information"));
        for (path, host, credential, status) in [
            (&file, "files.example", ("authorization", token.as_str()), 200),
            (&file, "files.example", ("ocp-apim-subscription-key", key), 200),
            (&file, "files.example", ("authorization", &unknown), 401),
            (&with_key, "files.example", ("x", "y"), 401),
            // The certificate of the connection is enough.
            (&"/by-certificate".to_owned(), "files.example", ("x", "y"), 200),
            (&none, "files.example", ("authorization", &token), 404),
            (&"/closed".to_owned(), "files.example", ("authorization", &token), 403),
            (&file, &host, ("authorization", &token), 400),
        ] {
            let response = self.send(path, host, credential);
            assert_eq!(
                response.status,
                status,
                "{path} {host}: {}",
                String::from_utf8_lossy(&[lines(response.fields.iter()), response.body.clone()].concat())
            );
        }
    }

    /// Calls that the rate-limit service has answered.
    pub fn answered(&self) -> u64 {
        let stats = self.envoy.stats("cluster.limits.upstream_rq_completed").expect("Envoy has statistics");
        stats.iter().map(|(_, count)| *count).sum()
    }

    fn send(&self, path: &str, host: &str, credential: (&str, &str)) -> Response {
        let at = |place: &str| at(self.secrets, place);
        let lines = [
            credential,
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("cookie", &format!("sid={}", at("cookie"))),
            ("baggage", &format!("tenant={},user={}", at("baggage that goes on"), at("baggage that doesn't"))),
            ("tracestate", &format!("vendor={}", at("tracestate of others"))),
            ("x-forwarded-client-cert", &format!("By=a;Hash={};Subject=\"CN=b\"", at("forwarded client certificate"))),
            ("x-forwarded-host", at("forwarded header")),
            ("x-api-version", at("any header")),
            ("user-agent", at("user agent")),
            ("x-shop", at("header that limits go by")),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let fields: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (body, trailer) = (at("request body"), at("request trailer"));
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\n{fields}transfer-encoding: chunked\r\ntrailer: x-check\r\n\r\n{:x}\r\n{body}\r\n0\r\nx-check: {trailer}\r\n\r\n",
            body.len()
        );
        let mut connection = tls::connect(self.envoy.listener(), &self.authority, Some(&self.client)).expect("the gateway shakes hands");
        connection.send(request.as_bytes()).expect("Envoy takes a request");
        let response = connection.read_response().expect("Envoy answers");
        let mut exchanged = self.exchanged.lock().expect("no thread has panicked");
        exchanged.0.extend(lines.map(|(name, value)| (name.into_bytes(), value.into_bytes())));
        exchanged.1.push(Response {
            status: response.status,
            fields: response.fields.clone(),
            body: response.body.clone(),
            trailers: response.trailers.clone(),
        });
        response
    }

    /// All that leaves, by name: a kind of output more is a line more here.
    pub fn outputs(&self) -> Vec<(&'static str, Vec<u8>)> {
        let collected = self.collected();
        let bodies = |signal: &str| {
            let ours = collected.iter().filter(|request| request.target.ends_with(signal));
            ours.flat_map(|request| request.body.clone()).collect()
        };
        vec![
            ("spans", bodies("traces")),
            ("records", bodies("logs")),
            ("collector", lines(collected.iter().flat_map(|request| &request.fields))),
            ("limits", self.asked.lock().expect("no thread has panicked").clone()),
            ("upstream", self.added_to_requests()),
            ("responses", self.added_to_responses()),
            ("access log", self.access_log()),
            ("metrics", self.envoy.ask_admin("GET", "/stats/prometheus?filter=tracegate").expect("Envoy has statistics").body),
            ("Envoy's log", self.envoy.log().into_bytes()),
        ]
    }

    /// What the collector has been sent, once all of it is there: eight server spans, and three of calls to the upstream; and a genesis, eight
    /// decisions and a checkpoint.
    fn collected(&self) -> Vec<Request> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let stats = self.envoy.stats("wasmcustom.tracegate.(spans|logs).acknowledged").expect("Envoy has statistics");
            let taken = |signal: &str| stats.iter().filter(|(name, _)| name.contains(signal)).map(|(_, taken)| *taken).sum::<u64>();
            if (taken("spans"), taken("logs")) == (11, 10) {
                return self.collector.requests();
            }
            assert!(Instant::now() < deadline, "{stats:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn access_log(&self) -> Vec<u8> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let log = fs::read(self.directory.path().join("access.log")).unwrap_or_default();
            if log.iter().filter(|byte| **byte == b'\n').count() == 8 {
                return log;
            }
            assert!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&log));
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The lines with which requests reached the upstream that their client hadn't sent, and credentials that it had.
    fn added_to_requests(&self) -> Vec<u8> {
        let exchanged = self.exchanged.lock().expect("no thread has panicked");
        let reached = self.reached.lock().expect("no thread has panicked");
        assert_eq!(reached.len(), 3, "three are admitted, and reach {}", self.upstream.address());
        let taken =
            |field: &Field| matches!(field.0.as_slice(), b"authorization" | b"ocp-apim-subscription-key" | b"x-forwarded-client-cert");
        lines(reached.iter().flat_map(|request| &request.fields).filter(|field| taken(field) || !exchanged.0.contains(field)))
    }

    /// What of responses isn't the upstream's.
    fn added_to_responses(&self) -> Vec<u8> {
        let exchanged = self.exchanged.lock().expect("no thread has panicked");
        let upstreams = response_fields(self.secrets).map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes()));
        let mut bytes = Vec::new();
        for response in &exchanged.1 {
            bytes.extend(lines(response.fields.iter().filter(|field| !upstreams.contains(field))));
            if response.status != 200 {
                bytes.extend_from_slice(&response.body);
            }
        }
        bytes
    }
}

fn lines<'f>(fields: impl Iterator<Item = &'f Field>) -> Vec<u8> {
    fields.flat_map(|(name, value)| [name.as_slice(), b": ", value, b"\n"].concat()).collect()
}

fn response_fields(secrets: &[Secret]) -> [(&'static str, String); 3] {
    [
        ("x-internal", at(secrets, "response header").to_owned()),
        ("set-cookie", format!("sid={}", at(secrets, "set-cookie"))),
        ("www-authenticate", format!("Basic realm=\"{}\"", at(secrets, "www-authenticate"))),
    ]
}

/// An upstream that keeps what reaches it, and answers with secrets of its own.
fn upstream(secrets: &[Secret], reached: Arc<Mutex<Vec<Request>>>) -> Server {
    let fields: String = response_fields(secrets).map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    let body = at(secrets, "response body");
    let response = format!("HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\n\r\n{body}", body.len());
    let serve = move |mut connection: Connection| {
        while let Ok(Some(request)) = connection.read_request() {
            reached.lock().expect("no thread has panicked").push(request);
            if connection.send(response.as_bytes()).is_err() {
                return;
            }
        }
    };
    Server::start(serve).expect("there is a free port")
}

/// The environment's variables, and which secret is in each.
const VARIABLES: [(&str, &str); 5] = [
    ("TOKENS", "secret of tokens"),
    ("DIGESTS", "secret of digests"),
    ("HOPS", "secret of hops"),
    ("TENANT", "secret for the collector"),
    ("AUDIT", "secret of the audit"),
];

/// Keys stand in the environment in base64, texts as they are.
fn variable(secrets: &[Secret], place: &str) -> String {
    let text = at(secrets, place);
    if place == "secret for the collector" { text.to_owned() } else { STANDARD.encode(text) }
}

fn shared(secrets: &[Secret]) -> Vec<u8> {
    at(secrets, "secret of tokens").as_bytes().to_vec()
}

/// All that the module can do that sends something somewhere.
fn policy(secrets: &[Secret]) -> Value {
    let secret = |name: &str| json!({"environment": {"name": name}});
    let key = hex::encode(Sha256::digest(at(secrets, "subscription key in a header")));
    let limit = |enforcement: Value| json!({"limit": {"fixed_window": {"requests": 99, "window": "1m"}}, "key": [{"header": "x-shop"}], "key_absent": "skip", "enforcement": enforcement});
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"}, "listener": {"forwarded_client_cert": "remove", "client_certificates": "verified"},
        "secrets": {"tokens": secret("TOKENS"), "digests": secret("DIGESTS"), "hops": secret("HOPS"), "tenant": secret("TENANT"), "audit": secret("AUDIT")},
        "trace": {
            "propagation": {"baggage": {"allow": ["tenant"]}}, "tracestate": {"member": "tgate"},
            "signed_hop": {"active": {"id": "k", "key": {"secret": "hops"}}},
            "trust": [{"name": "all", "context": "continue", "traceresponse": true}],
        },
        "identity": {
            "providers": {
                "users": {"jwt": {"issuer": "https://id.shop.example/", "audiences": ["files"], "algorithms": ["HS256"], "keys": {"secrets": [{"kid": "secret-1", "key": {"secret": "tokens"}}]}}},
                "services": {"client_certificate": {"services": [{"name": "orders", "peer": {"uri_san": {"exact": "spiffe://shop.example/orders"}}}]}},
                "partners": {"subscription_keys": {"subscriptions": [{"id": "contoso", "keys_sha256": [key]}]}},
            },
            "claim_to_headers": [{"claim": "sub", "header": "x-user-id"}],
            "caller_to_headers": [{"caller": "service", "header": "x-service"}, {"caller": "provider", "header": "x-vouched"}],
        },
        "quotas": {
            "here": limit(json!({"local": {}})),
            "there": limit(json!({"global": {"cluster": "limits", "domain": "edge", "timeout": "5s", "on_unavailable": "admit"}})),
            "by-caller": {
                "limit": {"fixed_window": {"requests": 99, "window": "1m"}}, "key": ["caller"], "key_absent": "skip",
                "enforcement": {"global": {"cluster": "limits", "domain": "edge", "timeout": "5s", "on_unavailable": "admit"}},
            },
        },
        "routes": [
            {"name": "files", "match": {"path": {"template": "/files/{file_id}/{part}"}}, "attributes": {"path": {"file_id": "digest", "part": "raw"}},
                "rules": [{"name": "who", "require": {"any_of": [{"caller": {"provider": "users"}}, {"caller": {"provider": "partners"}}]}}], "quotas": ["here", "there"]},
            {"name": "by-certificate", "match": {"path": {"prefix": "/by-certificate"}}, "rules": [{"name": "who", "require": {"caller": {"provider": "services"}}}], "quotas": ["here", "there", "by-caller"]},
            {"name": "closed", "match": {"path": {"prefix": "/closed"}}, "rules": [{"name": "nobody", "require": "deny"}]},
        ],
        "export": {
            "traces": {"otel": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/traces", "headers": {"x-tenant": {"secret": "tenant"}}, "batch": {"schedule_delay": "100ms"}}}},
            "spans": {"client": true, "attributes": ["client.address", "user_agent.original", "server.address"], "claims": [{"path": "tid"}], "digest_key": {"secret": "digests"}},
            "logs": {"records": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/logs", "headers": {"x-tenant": {"secret": "tenant"}}, "batch": {"schedule_delay": "100ms"}}}},
            "metrics": {"request_durations": true},
            "access_log_properties": ["trace_id", "span_id", "decision", "reason", "caller", "remaining"],
        },
        "audit": {"records": {"decisions": ["refused", "shadowed", "admitted"]}, "outputs": ["log", "otlp"], "chain": {"key": {"secret": "audit"}, "checkpoint_interval": "1s"}},
    })
}
