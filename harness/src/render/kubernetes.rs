// SPDX-License-Identifier: Apache-2.0
//! What the documents for Kubernetes have in common.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tracegate::Policy;
use tracegate::config::{Node, Value};

use crate::error::{Error, Result};
use crate::policy::Document;
use crate::yaml::{Map, Yaml};

/// What Kubernetes is told that no policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// The gateway, a `Gateway` of the Gateway API, and what else is named after it.
    pub gateway: String,
    /// Its namespace.
    pub namespace: String,
    /// Where the module's image is, without a scheme: `registry.example/tracegate:0.1.0`.
    pub image: String,
    /// The digest of its manifest, in hexadecimal digits.
    pub sha256: Option<String>,
    /// The roots that clusters must prove themselves to, as the gateway finds them; the system's by default.
    pub trusted_ca: Option<String>,
}

impl Kubernetes {
    /// The beginning of a document: what it is, and its name.
    pub(super) fn begin(&self, version: &str, kind: &str, suffix: &str) -> Map {
        let name = if suffix.is_empty() { self.gateway.clone() } else { format!("{}-{suffix}", self.gateway) };
        let metadata = Map::new().with("name", name).with("namespace", self.namespace.as_str());
        Map::new().with("apiVersion", version).with("kind", kind).with("metadata", metadata)
    }

    /// The gateway, as what belongs to it names it.
    pub(super) fn target(&self) -> Map {
        Map::new().with("group", "gateway.networking.k8s.io").with("kind", "Gateway").with("name", self.gateway.as_str())
    }

    /// What is there before the documents are applied: the namespace, and secrets with these keys, those of the proxies' variables in the namespace
    /// `proxies` where that is another one. The routes are others' to write.
    pub(super) fn before_applying(&self, secrets: &[(&str, Vec<&str>)], proxies: &str) -> String {
        let Self { gateway, namespace, .. } = self;
        let mut text = format!("Before applying it (and an HTTPRoute for each service):\n\n    kubectl create namespace {namespace}\n");
        for (suffix, keys) in secrets.iter().filter(|(_, keys)| !keys.is_empty()) {
            let is_of_proxies = *suffix == "secrets";
            let namespace = if is_of_proxies && !proxies.is_empty() { proxies } else { namespace };
            let from = |key: &&str| if is_of_proxies { format!(" --from-literal={key}=\"${key}\"") } else { format!(" --from-file={key}") };
            let from: String = keys.iter().map(from).collect();
            let _ = writeln!(text, "    kubectl create secret generic {gateway}-{suffix} --namespace {namespace}{from}");
        }
        text
    }

    /// The secret that holds these variables, each under its own name.
    pub(super) fn variables(&self, names: &[String]) -> Vec<Map> {
        let reference = |name: &String| Map::new().with("name", format!("{}-secrets", self.gateway)).with("key", name.as_str());
        names
            .iter()
            .map(|name| Map::new().with("name", name.as_str()).with("valueFrom", Map::new().with("secretKeyRef", reference(name))))
            .collect()
    }
}

/// Documents behind one another, below a comment.
pub(super) fn documents(comment: &str, documents: impl IntoIterator<Item = Map>) -> String {
    let mut text = super::comment(comment);
    for document in documents {
        let _ = write!(text, "---\n{}", Yaml::from(document));
    }
    text
}

/// The document with the clusters that it calls under the names that the gateway gives them.
///
/// # Errors
///
/// Never for a policy that was read.
pub(super) fn with_clusters(document: &Document, named: impl Fn(&str) -> String) -> Result<Document> {
    let mut node = document.node.clone();
    for provider in fields(field(&mut node, "identity").and_then(|identity| field(identity, "providers"))) {
        for (kind, places) in [("entra", &[&[][..]][..]), ("jwt", &[&["keys", "jwks"][..], &["keys", "discovery"]])] {
            for place in places {
                let place = place.iter().fold(field(provider, kind), |node, name| field(node?, name));
                let Some(place) = place else { continue };
                for name in ["cluster", "jwks_cluster"] {
                    rename(field(place, name), &named);
                }
            }
        }
    }
    for quota in fields(field(&mut node, "quotas")) {
        rename(["enforcement", "global", "cluster"].into_iter().try_fold(quota, field), &named);
    }
    for secret in fields(field(&mut node, "secrets")) {
        for place in [["http", "cluster"], ["key_vault", "vault_cluster"], ["key_vault", "imds_cluster"]] {
            rename(place.into_iter().try_fold(&mut *secret, field), &named);
        }
    }
    for signal in ["traces", "logs"] {
        for collector in fields(field(&mut node, "export").and_then(|export| field(export, signal))) {
            for kind in ["otlp", "lightstep"] {
                rename([kind, "cluster"].into_iter().try_fold(&mut *collector, field), &named);
            }
        }
    }
    let loaded = Policy::from_node(&node).map_err(|findings| Error::new(format!("the policy with other names of clusters: {findings}")))?;
    let expected: BTreeSet<String> = document.loaded.policy.clusters().into_iter().map(&named).collect();
    let found: BTreeSet<String> = loaded.policy.clusters().into_iter().map(str::to_owned).collect();
    match found.difference(&expected).next() {
        None => Ok(Document { node, loaded }),
        Some(cluster) => Err(Error::new(format!("the cluster {cluster:?}: expected another name for it in the policy, found its own"))),
    }
}

fn rename(cluster: Option<&mut Node>, named: impl Fn(&str) -> String) {
    if let Some(Node { value: Value::String(name), .. }) = cluster {
        *name = named(name);
    }
}

fn field<'n>(node: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    match &mut node.value {
        Value::Mapping(entries) => entries.iter_mut().find(|(key, _)| key.text == name).map(|(_, node)| node),
        _ => None,
    }
}

fn fields(node: Option<&mut Node>) -> impl Iterator<Item = &mut Node> {
    let entries = match node.map(|node| &mut node.value) {
        Some(Value::Mapping(entries)) => entries.as_mut_slice(),
        _ => &mut [],
    };
    entries.iter_mut().map(|(_, node)| node)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tracegate::quota::Enforcement;

    use super::*;

    #[test]
    fn clusters_get_other_names_wherever_the_policy_calls_them_and_nowhere_else() {
        let policy = r#"
schema: 1
service: {name: edge, attributes: {cluster: production}}
identity:
  providers:
    a: {jwt: {issuer: i, audiences: [a], algorithms: [ES256], keys: {jwks: {uri: "https://a.example", cluster: one}}}}
    b: {jwt: {issuer: j, audiences: [a], algorithms: [ES256], keys: {discovery: {uri: "https://b.example", cluster: two, jwks_cluster: three}}}}
    cluster: {entra: {tenant: 3f9b2c1a-2222-4d7e-8a5f-000000000002, audiences: [a], cluster: four}}
quotas:
  cluster:
    limit: {calendar: {requests: 1, period: day}}
    key: [{literal: cluster}]
    enforcement: {global: {cluster: five, domain: cluster, on_unavailable: admit}}
secrets:
  cluster: {http: {uri: "http://agent/cluster", cluster: six}}
  key: {key_vault: {vault_uri: "https://shop-kv.vault.azure.net", name: cluster, vault_cluster: seven, imds_cluster: eight}}
export:
  traces:
    cluster: {otlp: {cluster: nine, uri: "http://otel/v1/traces", headers: {cluster: {secret: cluster}}}}
    vendor: {lightstep: {cluster: ten, access_token: {secret: cluster}}}
  logs: {cluster: {otlp: {cluster: eleven, uri: "http://otel/v1/logs"}}}
audit: {outputs: [otlp], chain: {key: {secret: key}}}
default: {action: admit}
"#;
        let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
        std::fs::write(&file, policy).unwrap();
        let document = crate::policy::document(Path::new(file.path())).unwrap();
        let renamed = with_clusters(&document, |name| format!("outbound|443||{name}")).unwrap();
        let clusters = ["eight", "eleven", "five", "four", "nine", "one", "seven", "six", "ten", "three", "two"];
        assert_eq!(renamed.loaded.policy.clusters(), clusters.map(|name| format!("outbound|443||{name}")));
        assert_eq!(renamed.loaded.policy.service, document.loaded.policy.service);
        let mut quotas = renamed.loaded.policy.quota.quotas;
        let Enforcement::Global(global) = &mut quotas[0].enforcement else { panic!("{quotas:?}") };
        "five".clone_into(&mut global.cluster);
        assert_eq!(quotas, document.loaded.policy.quota.quotas);
    }
}
