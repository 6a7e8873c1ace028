// SPDX-License-Identifier: Apache-2.0
//! What a span tells of a request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::document::{Route, SecretName};
use super::sampling::Sampled;
use super::words::{any, join, word};

/// The section `export.spans` of a policy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpanPolicy {
    client: bool,
    url_path: UrlPath,
    attributes: Vec<String>,
    claims: Vec<SpanClaim>,
    digest_key: Option<SecretName>,
    request_id_header: Option<String>,
}

/// What stands in `url.path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum UrlPath {
    Full,
    Template,
}

/// A claim that is told, and whose.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SpanClaim {
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    path: String,
}

/// How a path parameter is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum PathTold {
    Raw,
    Digest,
}

/// What is told of a route's requests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteAttributes {
    path: BTreeMap<String, PathTold>,
}

/// The section `service`: whose spans they are.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    attributes: BTreeMap<String, String>,
}

/// What a span tells.
#[derive(Debug, Serialize)]
pub(super) struct Spans {
    pub(super) sampled: Sampled,
    resource: Service,
    /// A second one tells of the call to the upstream.
    client: bool,
    url_path: UrlPath,
    path_parameters: Vec<Parameter>,
    /// Those that a policy may leave out.
    attributes: Vec<String>,
    claims: Vec<SpanClaim>,
    /// The secret that digests are made with; without one no caller's digest is told.
    digest_key: Option<String>,
    request_id_header: Option<String>,
    #[serde(skip)]
    has_providers: bool,
}

/// A path parameter that is told.
#[derive(Debug, Serialize)]
struct Parameter {
    route: String,
    parameter: String,
    told: PathTold,
}

impl Spans {
    pub(super) fn new(policy: SpanPolicy, resource: Service, sampled: Sampled, routes: &[Route], has_providers: bool) -> Self {
        let SpanPolicy { client, url_path, attributes, claims, digest_key, request_id_header } = policy;
        let parameters = routes.iter().flat_map(|route| {
            let told = route.attributes.path.iter();
            told.map(|(parameter, told)| Parameter { route: route.name.clone(), parameter: parameter.clone(), told: *told })
        });
        Self {
            sampled,
            resource,
            client,
            url_path,
            path_parameters: parameters.collect(),
            attributes,
            claims,
            digest_key: digest_key.map(|SecretName { secret }| secret),
            request_id_header,
            has_providers,
        }
    }

    /// What there is to tell, by attribute.
    pub(super) fn words(&self) -> Vec<(String, Vec<String>)> {
        let mut rows = vec![
            ("(whose)".to_owned(), self.resource()),
            row("http.request.method*", "the method; one that isn't known as it came, up to 32 bytes"),
            row("url.scheme", "http or https"),
            ("url.path".to_owned(), self.path()),
            row("http.route", "the route's template"),
            row("http.response.status_code, error.type", "the response's status"),
        ];
        for (asked, name, what) in OPTIONAL {
            let has = self.attributes.iter().any(|known| known == asked);
            rows.extend(has.then(|| row(name, what)));
        }
        for Parameter { route, parameter, told } in &self.path_parameters {
            let how = match told {
                PathTold::Raw => "as it is".to_owned(),
                PathTold::Digest => format!("a digest{}", self.with_key()),
            };
            rows.push(row(&format!("tracegate.path.{parameter}"), format!("on {}, {how}", word(route))));
        }
        rows.extend(
            self.request_id_header.as_ref().map(|name| row("tracegate.request_id", format!("header {}, where it is an id", word(name)))),
        );
        rows.push(("tracegate.caller.*".to_owned(), self.caller()));
        let ours = ["the route's name, the decision and its reason, what limits leave", "the audit record's id, and how long what took"];
        rows.push(("tracegate.*".to_owned(), ours.map(str::to_owned).into()));
        rows.push(row("(parent and links)", "trace and span ids of the caller's, where its context goes on or is linked"));
        if self.client {
            let what = [
                "in a second span, of the call to the upstream: the same path behind scheme and host",
                "it has method, status, host and port too",
            ];
            rows.push(("url.full".to_owned(), what.map(str::to_owned).into()));
        }
        rows.push(row("(never)", "queries, bodies, trailers, credentials, and headers but those named here"));
        rows
    }

    /// What is told of who calls.
    pub(super) fn caller(&self) -> Vec<String> {
        if !self.has_providers {
            return vec!["nothing: the policy has no providers".to_owned()];
        }
        let mut lines = vec!["provider, service, subscription and product, by the policy's names".to_owned()];
        lines.push(match &self.digest_key {
            Some(_) => format!("a digest of what tells the caller from others{}", self.with_key()),
            None => "no digest: the policy has no `digest_key`".to_owned(),
        });
        for SpanClaim { provider, path } in &self.claims {
            let of = provider.as_ref().map(|provider| format!(" of {}", word(provider))).unwrap_or_default();
            lines.push(format!("claim {}{of}, as it is", word(path)));
        }
        lines
    }

    fn with_key(&self) -> String {
        self.digest_key.as_ref().map(|key| format!(", by HMAC with the secret {}", word(key))).unwrap_or_default()
    }

    fn resource(&self) -> Vec<String> {
        let Service { name, namespace, attributes } = &self.resource;
        let namespace = namespace.iter().map(|namespace| format!("service.namespace {}", word(namespace)));
        let others = attributes.iter().map(|(key, value)| format!("{} {}", word(key), word(value)));
        let told: Vec<String> = [format!("service.name {}", word(name))].into_iter().chain(namespace).chain(others).collect();
        vec![join(&told, "and"), "the gateway's instance, the module's version and the policy's fingerprint".to_owned()]
    }

    /// What stands in `url.path`.
    fn path(&self) -> Vec<String> {
        let digested = self.path_parameters.iter().filter(|parameter| parameter.told == PathTold::Digest);
        let mut digested: Vec<&str> = digested.map(|parameter| parameter.route.as_str()).collect();
        digested.dedup();
        match self.url_path {
            UrlPath::Template => vec!["the route's template, or /".to_owned()],
            UrlPath::Full if digested.is_empty() => vec![
                "the path as it came, with all ids in it".to_owned(),
                "without its query, and what stands behind ; or an escaped % in a segment".to_owned(),
            ],
            UrlPath::Full => {
                vec![format!("on {} the path, with digests in it", any(&digested)), "on any other route its template, or /".to_owned()]
            }
        }
    }
}

fn row(name: &str, what: impl Into<String>) -> (String, Vec<String>) {
    (name.to_owned(), vec![what.into()])
}

/// What a policy may leave out, and by which attributes it is told.
const OPTIONAL: [(&str, &str, &str); 3] = [
    ("client.address", "client.address", "where the request comes from"),
    ("user_agent.original", "user_agent.original", "the client's user-agent"),
    ("server.address", "server.*", "the request's host, and its port"),
];
