// SPDX-License-Identifier: Apache-2.0
//! What stands in for the endpoints and vaults of a policy's secrets: no replay asks a true one. Each secret is a stand-in of its own.

use serde_json::json;
use tracegate::Policy;
use tracegate::secret::{IMDS_HOST, SecretSource};

use crate::keys;

/// What endpoints and vaults answer.
#[derive(Debug, Default)]
pub(super) struct Vault(Vec<Document>);

#[derive(Debug)]
struct Document {
    cluster: String,
    authority: String,
    /// Any, where there is none.
    path: Option<String>,
    body: Vec<u8>,
}

impl Vault {
    pub(super) fn new(policy: &Policy, seed: u64) -> Self {
        let mut documents = Vec::new();
        for reference in policy.secret_uses() {
            let value = keys::value(reference, seed);
            match &*reference.source {
                SecretSource::Environment { .. } | SecretSource::Literal(_) => {}
                SecretSource::Http(http) => documents.push(Document {
                    cluster: http.cluster.clone(),
                    authority: http.uri.authority.clone(),
                    path: Some(http.uri.path.clone()),
                    body: value.into_bytes(),
                }),
                SecretSource::KeyVault(secret) => {
                    let uri = secret.uri();
                    documents.push(Document {
                        cluster: secret.vault_cluster.clone(),
                        authority: uri.authority,
                        path: Some(uri.path),
                        body: json!({ "value": value }).to_string().into_bytes(),
                    });
                    documents.push(Document {
                        cluster: secret.imds_cluster.clone(),
                        authority: IMDS_HOST.to_owned(),
                        path: None,
                        body: json!({"access_token": "stand-in", "expires_in": "86400"}).to_string().into_bytes(),
                    });
                }
            }
        }
        Self(documents)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a cluster answers to a `GET`; `None` where it is no endpoint of secrets.
    pub(super) fn find(&self, cluster: &[u8], authority: &[u8], path: &[u8]) -> Option<&[u8]> {
        let is_it = |document: &&Document| {
            let Document { cluster: known, authority: host, path: place, .. } = document;
            (known.as_bytes(), host.as_bytes()) == (cluster, authority) && place.as_ref().is_none_or(|place| place.as_bytes() == path)
        };
        self.0.iter().find(is_it).map(|document| document.body.as_slice())
    }
}
