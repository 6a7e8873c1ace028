// SPDX-License-Identifier: Apache-2.0
//! The module in the native host, with issuers that publish their keys and mint tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tracegate::config::Loaded;
use tracegate::identity::Algorithm;
use tracegate_harness::host::{
    self, Callout, Cluster, ExchangeId, Finished, GrpcCall, HeaderMap, Message, Metering, Module, Options, Proxy, Reply, Request, World,
};
use tracegate_harness::issuer::Issuer;
use tracegate_harness::{keys, module};

use crate::caller::{Caller, Credential, items, text};

/// Who mints a provider's tokens.
pub struct Minting {
    pub issuer: Issuer,
    pub algorithm: Algorithm,
    /// What each of its tokens claims.
    pub claims: Value,
    /// The header that carries them, and what stands before them.
    pub header: (String, &'static str),
}

/// What clusters answer, by cluster and path.
pub type Documents = BTreeMap<(String, String), Value>;

/// What was sent somewhere but to the upstream: the cluster, the path and the body.
pub type Sent = Vec<(String, String, Vec<u8>)>;

struct Around {
    documents: Documents,
    sent: Sent,
}

impl World for Around {
    fn upstream(&mut self, _: ExchangeId, _: &Message) -> Reply {
        Reply::now(Message::response(200, [("x", "1")], b""))
    }

    fn service(&mut self, callout: &Callout) -> Reply {
        let path = String::from_utf8_lossy(callout.request.head.first(b":path").expect("a call has a path")).into_owned();
        self.sent.push((callout.cluster.clone(), path.clone(), callout.request.body.clone()));
        if callout.cluster == "otel" {
            // A collector that takes all there is.
            return Reply::now(Message::response(200, [("content-type", "application/x-protobuf")], b""));
        }
        let document =
            self.documents.get(&(callout.cluster.clone(), path.clone())).unwrap_or_else(|| panic!("{} has no {path}", callout.cluster));
        Reply::now(Message::response(200, [("content-type", "application/json")], document.to_string().as_bytes()))
    }

    /// A rate-limit service that has enough of everything: `overall_code: OK`.
    fn grpc(&mut self, callout: &Callout, _: &GrpcCall) -> Reply {
        self.sent.push((callout.cluster.clone(), String::new(), Vec::new()));
        Reply::now(Message::grpc(&[8, 1]))
    }
}

/// The module, compiled for the native host.
pub fn compiled() -> Module {
    host::compile_file(&module::build().unwrap(), Metering::Time).unwrap()
}

/// A gateway with a policy.
pub struct Edge<'m> {
    proxy: Proxy<'m, Around>,
    minting: BTreeMap<String, Minting>,
    /// By provider and claims.
    tokens: BTreeMap<(String, String), String>,
}

impl<'m> Edge<'m> {
    pub fn start(
        module: &'m Module,
        Loaded { policy, canonical, .. }: &Loaded,
        documents: Documents,
        minting: BTreeMap<String, Minting>,
    ) -> Self {
        let mut options = Options::new(canonical, 7);
        options.clock = NOW * 1_000_000_000;
        options.vm.environment = keys::environment(policy, 0);
        options.clusters.extend(policy.clusters().into_iter().map(|cluster| (cluster.to_owned(), Cluster::Reachable)));
        let around = Around { documents, sent: Sent::new() };
        let proxy = Proxy::start(module, options, around).unwrap_or_else(|error| panic!("{error}"));
        Self { proxy, minting, tokens: BTreeMap::new() }
    }

    /// All that has been sent once so much time has passed.
    pub fn sent(&mut self, after: Duration) -> Sent {
        self.proxy.advance(after);
        self.proxy.run_until_idle();
        self.proxy.world_mut().sent.clone()
    }

    /// What becomes of a request that a route is for, from this caller, with these lines too.
    pub fn send(&mut self, route: &Value, caller: &Caller, more: &[(&str, &str)]) -> Finished {
        let (method, host, path) = request(&route["match"]);
        let mut head: HeaderMap =
            [(":method", &*method), (":path", &*path), (":authority", &*host), (":scheme", "https")].into_iter().collect();
        for (provider, credential) in &caller.0 {
            let (name, value) = match credential {
                Credential::Key((_, _, key)) => ("ocp-apim-subscription-key".to_owned(), (*key).to_owned()),
                Credential::Token(claims) => self.token(provider, claims),
            };
            head.add(name.as_bytes(), value.as_bytes());
        }
        more.iter().for_each(|(name, value)| head.add(name.as_bytes(), value.as_bytes()));
        let finished = self.proxy.exchange(Request { message: Message::request(head), ..Request::default() });
        assert_eq!(self.proxy.failure(), None);
        let status = finished.response.as_ref().map(Message::status);
        assert_eq!(finished.upstream.is_some(), status == Some(200), "{}", finished.details);
        finished
    }

    pub fn admits(&mut self, route: &Value, caller: &Caller, more: &[(&str, &str)]) -> bool {
        self.send(route, caller, more).upstream.is_some()
    }

    /// The line with a token.
    fn token(&mut self, provider: &str, claims: &Value) -> (String, String) {
        let minting = self.minting.get_mut(provider).unwrap_or_else(|| panic!("nobody mints for {provider}"));
        let token = self.tokens.entry((provider.to_owned(), claims.to_string())).or_insert_with(|| {
            let mut all = minting.claims.clone();
            let both = all.as_object_mut().zip(claims.as_object()).expect("claims are objects");
            both.0.extend(both.1.clone());
            minting.issuer.mint(minting.algorithm, &all).unwrap()
        });
        let (name, before) = &minting.header;
        (name.clone(), format!("{before}{token}"))
    }
}

/// A method, a host and a path that a route is for.
fn request(matches: &Value) -> (String, String, String) {
    let first = |list: &Value, default: &str| items(list).first().map_or(default.to_owned(), |one| text(one).to_owned());
    let host = match items(&matches["hosts"]).first() {
        None => "any.example".to_owned(),
        Some(host) => host.get("exact").map_or_else(|| format!("x{}", text(&host["suffix"])), |exact| text(exact).to_owned()),
    };
    let path = match &matches["path"] {
        Value::Null => "/any".to_owned(),
        path if path.get("prefix").is_some() => format!("{}/below", text(&path["prefix"])),
        path if path.get("exact").is_some() => text(&path["exact"]).to_owned(),
        path => {
            let segments = text(&path["template"]).split('/').map(|segment| if segment.starts_with('{') { "7" } else { segment });
            segments.collect::<Vec<_>>().join("/")
        }
    };
    (first(&matches["methods"], "GET"), host, path)
}

/// The claims that any token of an issuer's has.
pub fn claims(issuer: &str, audience: &str) -> Value {
    json!({"iss": issuer, "aud": audience, "sub": "7", "iat": NOW, "exp": NOW + 3600})
}

/// 2026-01-01T00:00:00Z
const NOW: i64 = 1_767_225_600;
