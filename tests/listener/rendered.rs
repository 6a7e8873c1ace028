// SPDX-License-Identifier: Apache-2.0
//! Every example for Envoy, rendered by the command for the places of the test: it validates, starts, and does what its policy says, with the very
//! module that is released.

use std::fs;
use std::io::{Read, Write};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tracegate::identity::Algorithm;
use tracegate::trace::TraceParent;
use tracegate_harness::echo::Echo;
use tracegate_harness::envoy::Envoy;
use tracegate_harness::http::{Connection, Response};
use tracegate_harness::issuer::Issuer;
use tracegate_harness::server::Server;
use tracegate_tests::certificates::{Authority, Identity, host, uri};
use tracegate_tests::{binary, echoed, get_from, packaged, run, stderr, stdout, tls};

use super::gateway::version;
use super::shipped::Shipped;

const CALLERS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const ORDERS: &str = "spiffe://shop.example/orders";

/// What the shop's edge finds in its environment.
fn secrets_of_the_shop() -> Vec<(&'static str, String)> {
    ["TRACEGATE_HOP_KEY", "TRACEGATE_AUDIT_KEY", "TRACEGATE_DIGEST_KEY"].map(|name| (name, STANDARD.encode([7; 32]))).into()
}

/// A gateway that the command has rendered; it ends when dropped.
struct Rendered {
    envoy: Envoy,
    authority: Authority,
    client: Option<Identity>,
    _echo: Echo,
    _directory: tempfile::TempDir,
}

impl Rendered {
    /// Renders a shipped policy with these arguments more, and starts it; `None` where Envoy or the module that is released can't be had.
    fn start(shipped: Shipped, arguments: &[String], environment: &[(&str, String)]) -> Option<Self> {
        let (binary, module) = (binary(&version())?, packaged()?.join(format!("tracegate-{}.wasm", tracegate::VERSION)));
        let (authority, directory) = (Authority::new("shop"), tempfile::tempdir().expect("there is room"));
        authority.write_certificates(directory.path());
        let echo = Echo::start().expect("there is a free port");
        let mut command = vec!["render".to_owned(), "--for".to_owned(), "envoy".to_owned(), shipped.policy().to_owned()];
        let upstream = echo.address().to_string();
        let given = [("--listen", "127.0.0.1:0"), ("--admin", "127.0.0.1:0"), ("--upstream", &upstream)];
        command.extend(given.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_owned()]));
        command.extend(["--module".to_owned(), module.display().to_string()]);
        if shipped.asks_for_certificates() {
            command.extend(["--certificates".to_owned(), directory.path().display().to_string()]);
        }
        if shipped == Shipped::Shop {
            // Nobody answers there: the gateway counts, and keeps what it has for a collector.
            command.extend(["ratelimit", "otel"].into_iter().flat_map(|name| ["--cluster".to_owned(), format!("{name}=127.0.0.1:9")]));
        }
        command.extend_from_slice(arguments);
        let output = run(&command);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let file = directory.path().join("envoy.yaml");
        fs::write(&file, stdout(&output)).expect("there is room");
        let mut validation = Command::new(&binary);
        validation.args(["--mode", "validate", "--log-level", "error", "-c"]).arg(&file);
        let validated = validation.envs(environment.iter().map(|(name, value)| (name, value))).output().expect("it runs");
        assert!(validated.status.success(), "{}: {}", shipped.path(), String::from_utf8_lossy(&validated.stderr));
        let tree: Value = serde_saphyr::from_str(&stdout(&output)).expect("it is YAML");
        let envoy = Envoy::run_in(environment, &binary, &tree, 2, None).unwrap_or_else(|error| panic!("{}: {error}", shipped.path()));
        let client = shipped.asks_for_certificates().then(|| authority.vouch_for(uri(ORDERS)));
        Some(Self { envoy, authority, client, _echo: echo, _directory: directory })
    }

    /// Sends a request to `api.shop.example` as a client that may connect.
    fn get(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let request = get_from("api.shop.example", path, &fields);
        let listener = self.envoy.listener();
        match &self.client {
            None => send(Connection::open(listener).expect("Envoy listens"), &request),
            Some(client) => send(tls::connect(listener, &self.authority, Some(client)).expect("the gateway shakes hands"), &request),
        }
    }

    fn assert_refused(&self, path: &str, fields: &[(&str, &str)], status: u16, reason: &str) {
        let response = self.get(path, fields);
        let found = (response.status, response.field("tracegate-reason").map(String::from_utf8_lossy));
        assert_eq!(found, (status, Some(reason.into())), "{path} {fields:?}");
    }

    /// The one `traceparent` that reached the upstream.
    fn parent(&self, path: &str, fields: &[(&str, &str)]) -> TraceParent {
        let parents = echoed(&self.get(path, fields), "traceparent");
        let [parent] = parents.as_slice() else { panic!("{path}: {parents:?}") };
        parent.parse().expect("it is one")
    }

    /// What holds for every example.
    fn assert_sound(&self, path: &str) {
        let callers: TraceParent = CALLERS.parse().expect("it is one");
        assert_ne!(self.parent(path, &[("traceparent", CALLERS)]).parent_id(), callers.parent_id(), "a hop of its own");
        assert_ne!(self.parent(path, &[]).trace_id(), self.parent(path, &[]).trace_id(), "a trace for each call");
        for (spelt, status) in [("/a%2fb", 400), ("/a%5Cb", 400)] {
            assert_eq!(self.get(spelt, &[]).status, status, "{spelt}");
        }
        assert_eq!(self.get(path, &[("x_b3_traceid", "1")]).status, 400, "a name that some service reads as another");
        if self.client.is_some() {
            let stranger = Authority::new("stranger").vouch_for(uri(ORDERS));
            for client in [None, Some(&stranger)] {
                let answer = tls::connect(self.envoy.listener(), &self.authority, client).map(|mut connection| {
                    let _ = connection.send(&get_from("api.shop.example", path, &[]));
                    connection.read_response()
                });
                assert!(!matches!(answer, Ok(Ok(_))), "nobody gets in whom the authority doesn't vouch for");
            }
        }
        let log = self.envoy.log();
        assert!(!log.contains("panicked") && !log.contains("restricted"), "{log}");
    }
}

fn send<S: Read + Write>(mut connection: Connection<S>, request: &[u8]) -> Response {
    connection.send(request).expect("Envoy takes a request");
    connection.read_response().expect("Envoy answers")
}

#[test]
fn the_plain_edge_traces_every_call() {
    let Some(edge) = Rendered::start(Shipped::Plain, &[], &[]) else { return };
    edge.assert_sound("/orders/7");
    let response = edge.get("/orders/7", &[("traceparent", CALLERS)]);
    let states = echoed(&response, "tracestate");
    assert!(states.len() == 1 && states[0].starts_with("tgate="), "{states:?}");
}

#[test]
fn the_edge_with_certificates_believes_its_mesh() {
    let Some(mut edge) = Rendered::start(Shipped::MutualTls, &[], &[]) else { return };
    edge.assert_sound("/orders/7");
    let callers: TraceParent = CALLERS.parse().unwrap();
    assert_eq!(edge.parent("/", &[("traceparent", CALLERS)]).trace_id(), callers.trace_id());
    edge.client = Some(edge.authority.vouch_for(uri("spiffe://elsewhere.example/orders")));
    assert_ne!(edge.parent("/", &[("traceparent", CALLERS)]).trace_id(), callers.trace_id());
}

#[test]
fn the_edge_behind_api_management_tells_callers_apart() {
    let Some(edge) = Rendered::start(Shipped::BehindApiManagement, &[], &[]) else { return };
    for (path, status, reason) in [("/orders/7", 401, "TokenNotPresent"), ("/", 404, "OperationNotFound")] {
        edge.assert_refused(path, &[("x-api-version", "2")], status, reason);
    }
    let manager = edge.envoy.ask_admin("GET", "/config_dump").unwrap();
    assert!(String::from_utf8_lossy(&manager.body).contains("\"xff_num_trusted_hops\": 1"));
}

/// Whoever shows a certificate proves it; whoever shows none gets as far as the rules let anybody.
#[test]
fn certificates_may_be_optional() {
    let Some(edge) = Rendered::start(Shipped::Shop, &["--optional-client-certificates".to_owned()], &secrets_of_the_shop()) else { return };
    let listener = edge.envoy.listener();
    let get = |client: Option<&Identity>| {
        let mut connection = tls::connect(listener, &edge.authority, client).ok()?;
        connection.send(&get_from("api.shop.example", "/healthz", &[("traceparent", CALLERS.as_bytes())])).ok()?;
        let response = connection.read_response().ok()?;
        Some(echoed(&response, "traceparent")[0].contains("0af7651916cd43dd8448eb211c80319c"))
    };
    assert_eq!(get(None), Some(false), "a stranger, whose trace doesn't go on");
    assert_eq!(get(edge.client.as_ref()), Some(true), "one of ours");
    assert_eq!(get(Some(&Authority::new("stranger").vouch_for(uri(ORDERS)))), None, "an impostor");
    assert_eq!(tls::negotiated(listener, &edge.authority, None).unwrap().as_deref(), Some(&b"h2"[..]));
}

/// The whole of it: secrets, a cluster that is reached by TLS and proves its name, a token that is verified with the keys it publishes.
#[test]
fn the_shops_edge_fetches_keys_by_tls_from_whom_proves_its_name() {
    let mut issuer = Issuer::new(1).unwrap();
    let roots = tempfile::tempdir().unwrap();
    let authority = Authority::new("public");
    let trusted = roots.path().join("roots.pem");
    fs::write(&trusted, authority.certificate().pem()).unwrap();
    let exp = 4_102_444_800_u64;
    let claims = json!({"iss": "https://sso.partner.example", "aud": "orders-api", "sub": "7", "tier": "gold", "exp": exp});
    let token = format!("Bearer {}", issuer.mint(Algorithm::Rs256, &claims).unwrap());
    let fields = [("authorization", token.as_str()), ("ocp-apim-subscription-key", "contoso-primary-key"), ("x-api-version", "2")];
    for (name, admitted) in [("localhost", true), ("impostor.example", false)] {
        let server = serve_keys(&authority.vouch_for(host(name)), &issuer.key_set().to_string());
        let cluster = format!("partner-idp=https://localhost:{}", server.address().port());
        let arguments = ["--cluster".to_owned(), cluster, "--trusted-ca".to_owned(), trusted.display().to_string()];
        let Some(edge) = Rendered::start(Shipped::Shop, &arguments, &secrets_of_the_shop()) else { return };
        if !admitted {
            edge.assert_refused("/orders/7", &fields, 503, "TokenKeysUnavailable");
            continue;
        }
        edge.assert_sound("/healthz");
        let response = edge.get("/orders/7", &fields);
        assert_eq!(echoed(&response, "x-user-id"), ["7"]);
        assert_eq!(echoed(&response, "authorization"), [""; 0]);
        // It signs with the secret of its environment.
        let states = echoed(&response, "tracestate");
        assert!(states[0].starts_with("tgate=") && states[0].contains("k2"), "{states:?}");
        edge.assert_refused("/orders/7", &[("ocp-apim-subscription-key", "contoso-primary-key")], 401, "TokenNotPresent");
        edge.assert_refused("/admin/users", &[], 401, "TokenNotPresent");
        edge.assert_refused("/elsewhere", &[], 404, "OperationNotFound");
        // It puts refusals on record, and neither orders nor callers.
        let log = edge.envoy.log();
        let records: Vec<&str> = log.lines().filter(|line| line.contains("{\"audit\":\"decision\"")).collect();
        assert!(records.iter().any(|line| line.contains("\"reason\":\"OperationNotFound\"") && line.contains("\"mac\":\"")), "{log}");
        assert!(!records.iter().any(|line| line.contains("/orders/7") || line.contains("contoso-primary-key")), "{records:?}");
    }
}

/// A server that answers everything with these keys, by TLS.
fn serve_keys(identity: &Identity, keys: &str) -> Server {
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{keys}", keys.len());
    tls::serve(identity, move |_| answer.clone().into_bytes())
}
