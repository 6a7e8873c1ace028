// SPDX-License-Identifier: Apache-2.0
//! What the test issuer publishes, where a policy's providers look for it: key sets, and the configurations that say where these are.

use serde_json::json;
use tracegate::Policy;
use tracegate::identity::{Keys, Location, Provider};

use crate::issuer::Issuer;

/// Documents by cluster and place.
#[derive(Debug, Default)]
pub struct Published(Vec<Document>);

/// One document.
#[derive(Debug)]
pub(super) struct Document {
    cluster: String,
    authority: String,
    path: String,
    /// It holds keys, and doesn't only say where they are.
    pub(super) has_keys: bool,
    pub(super) body: Vec<u8>,
}

impl Published {
    /// What `issuer` publishes for all providers of a policy that look for published keys. Every one of them gets the same keys.
    #[must_use]
    pub fn new(policy: &Policy, issuer: &Issuer) -> Self {
        let keys = issuer.key_set().to_string().into_bytes();
        let mut documents = Vec::new();
        for provider in policy.identity.providers.iter().filter_map(Provider::token) {
            let Keys::Published(source) = &provider.keys else { continue };
            let mut add = |path: &str, authority: &str, has_keys, body| {
                let (cluster, authority, path) = (source.cluster.clone(), authority.to_owned(), path.to_owned());
                documents.push(Document { cluster, authority, path, has_keys, body });
            };
            match &source.location {
                Location::Jwks(uri) => add(&uri.path, &uri.authority, true, keys.clone()),
                Location::Discovery { uri, issuer, .. } => {
                    let configuration = json!({"issuer": issuer, "jwks_uri": format!("{}://{}{KEYS_PATH}", uri.scheme, uri.authority)});
                    add(&uri.path, &uri.authority, false, configuration.to_string().into_bytes());
                    add(KEYS_PATH, &uri.authority, true, keys.clone());
                }
            }
        }
        Self(documents)
    }

    /// What a cluster answers to a `GET`; `None` where nobody listens.
    pub(super) fn find(&self, cluster: &[u8], authority: &[u8], path: &[u8]) -> Option<&Document> {
        let is_it = |document: &&Document| {
            let Document { cluster: known, authority: host, path: place, .. } = document;
            (known.as_bytes(), host.as_bytes(), place.as_bytes()) == (cluster, authority, path)
        };
        self.0.iter().find(is_it)
    }
}

/// The head of every answer, but for its status.
pub(super) const HEADERS: [(&str, &str); 1] = [("content-type", "application/json")];
/// Where configurations say that keys are.
const KEYS_PATH: &str = "/tracegate-test-issuer/keys.json";
