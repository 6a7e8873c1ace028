// SPDX-License-Identifier: Apache-2.0
//! Where secrets are, and what they are for. None is in a policy but by `literal`, and none is ever shown.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::leaving::shown;
use super::words::{join, word};

/// Where a secret is.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Place {
    Environment {
        name: String,
    },
    /// Nobody looks at it.
    Literal(#[serde(serialize_with = "nothing")] IgnoredAny),
    Http {
        #[serde(serialize_with = "without_credentials")]
        uri: String,
        cluster: String,
        refresh_interval: String,
        timeout: String,
    },
    KeyVault {
        vault_uri: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        managed_identity: ManagedIdentity,
        vault_cluster: String,
        imds_cluster: String,
        refresh_interval: String,
        timeout: String,
    },
}

/// Who may read a vault.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ManagedIdentity {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

/// A secret, and what it is for.
#[derive(Debug, Serialize)]
pub(super) struct ExplainedSecret {
    pub(super) name: String,
    from: Place,
    /// Where the policy names it.
    used_by: Vec<String>,
}

impl ExplainedSecret {
    /// All of a policy's, by name. `policy` is the whole of it.
    pub(super) fn all(places: BTreeMap<String, Place>, policy: &Value) -> Vec<Self> {
        let mut uses = BTreeMap::new();
        find(policy, String::new(), &mut uses);
        let secret = |(name, from): (String, Place)| {
            let used_by = uses.remove(&name).unwrap_or_default();
            Self { name, from, used_by }
        };
        places.into_iter().map(secret).collect()
    }

    /// Where it is, how it comes from there, and what it is for.
    pub(super) fn words(&self) -> Vec<String> {
        let every =
            |interval: &String, cluster: &String| format!("fetched by cluster {} every {} at the latest", word(cluster), word(interval));
        let (place, fetched) = match &self.from {
            Place::Environment { name } => (format!("in the environment variable {}", word(name)), None),
            Place::Literal(_) => ("in the policy itself: whoever reads that reads it".to_owned(), None),
            Place::Http { uri, cluster, refresh_interval, .. } => (format!("at {}", shown(uri)), Some(every(refresh_interval, cluster))),
            Place::KeyVault { vault_uri, name, version, managed_identity, vault_cluster, refresh_interval, .. } => {
                let version = version.as_ref().map(|version| format!(", version {}", word(version))).unwrap_or_default();
                let client_id = managed_identity.client_id.as_ref();
                let who = client_id.map_or("the system's managed identity".to_owned(), |id| format!("managed identity {}", word(id)));
                (format!("in {} as {}{version}, read by {who}", word(vault_uri), word(name)), Some(every(refresh_interval, vault_cluster)))
            }
        };
        let uses = if self.used_by.is_empty() { "for nothing".to_owned() } else { format!("for {}", join(&self.used_by, "and")) };
        [place].into_iter().chain(fetched).chain([uses]).collect()
    }
}

/// Finds each `{"secret": NAME}`, and where it stands.
fn find(value: &Value, path: String, uses: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Object(fields) => {
            if let (1, Some(Value::String(name))) = (fields.len(), fields.get("secret")) {
                uses.entry(name.clone()).or_default().push(path);
                return;
            }
            // Names there are for other things.
            for (field, value) in fields.iter().filter(|(field, _)| !(path.is_empty() && matches!(field.as_str(), "service" | "routes"))) {
                find(value, if path.is_empty() { field.clone() } else { format!("{path}.{field}") }, uses);
            }
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| find(item, format!("{path}[{index}]"), uses)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn nothing<S: Serializer>(_: &IgnoredAny, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_map(Some(0))?.end()
}

fn without_credentials<S: Serializer>(uri: &str, serializer: S) -> Result<S::Ok, S::Error> {
    shown(uri).serialize(serializer)
}
