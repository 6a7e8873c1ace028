// SPDX-License-Identifier: Apache-2.0
//! Keys that stand in for those of subscriptions: a log names the subscription and never its key, and a policy holds digests alone.
//!
//! Who replays with a policy gets one that knows a stand-in beside each subscription's first key. There is no room for a third: a second key, where
//! one was logged, is sent as the stand-in too, and what the upstream would have got is told as it was logged.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracegate::Policy;
use tracegate::config::Loaded;
use tracegate::identity::{Credential, KeyDigest, Provider, Subscription, SubscriptionKeys};

use super::place;
use crate::error::{Context as _, Result};
use crate::host::HeaderMap;

/// The key that stands for those of a subscription, whatever policy knows it.
pub(super) fn key(subscription: &str, seed: u64) -> String {
    derived(b"tracegate subscription\0", seed, subscription)
}

/// A key that is no subscription's.
pub(super) fn nobodys(seed: u64) -> String {
    derived(b"tracegate nobody\0", seed, "")
}

fn derived(purpose: &[u8], seed: u64, name: &str) -> String {
    written(Sha256::new().chain_update(purpose).chain_update(seed.to_be_bytes()).chain_update(name))
}

/// A digest in hexadecimal digits.
fn written(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(subscription: &str, seed: u64) -> KeyDigest {
    KeyDigest::of(key(subscription, seed).as_bytes())
}

/// A policy that knows the stand-ins beside all keys.
pub(super) fn knowing(policy: &Policy, seed: u64) -> Policy {
    let mut policy = policy.clone();
    for provider in &mut policy.identity.providers {
        let Credential::SubscriptionKey(keys) = &mut provider.credential else { continue };
        let with = |one: &Subscription| Subscription { keys: [one.keys.as_slice(), &[digest(&one.id, seed)]].concat(), ..one.clone() };
        let subscriptions = keys.subscriptions().iter().map(with).collect();
        **keys = SubscriptionKeys::new(keys.written.clone(), keys.query.clone(), keys.forward, subscriptions);
    }
    policy
}

/// The document of a policy, with the stand-in in the place of each subscription's second key; `None` where nobody has keys.
///
/// # Errors
///
/// Never: the document is canonical.
pub(super) fn document(loaded: &Loaded, seed: u64) -> Result<Option<String>> {
    if loaded.policy.identity.providers.iter().all(|provider| provider.subscription_keys().is_none()) {
        return Ok(None);
    }
    let unread = || "the canonical policy can't be read";
    // Numbers elsewhere stay as they are written.
    let mut document: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&loaded.canonical).context(unread)?;
    let mut identity: Value = document.get("identity").map_or(Ok(Value::Null), |raw| serde_json::from_str(raw.get())).context(unread)?;
    let providers = identity.get_mut("providers").and_then(Value::as_object_mut);
    for provider in providers.into_iter().flat_map(|providers| providers.values_mut()) {
        let subscriptions = provider.pointer_mut("/subscription_keys/subscriptions").and_then(Value::as_array_mut);
        for subscription in subscriptions.into_iter().flatten() {
            let Some(stand_in) = subscription.get("id").and_then(Value::as_str).map(|id| key(id, seed)) else { continue };
            let Some(keys) = subscription.get_mut("keys_sha256").and_then(Value::as_array_mut) else { continue };
            keys.truncate(1);
            keys.push(json!(written(Sha256::new().chain_update(stand_in))));
        }
    }
    document.insert("identity".to_owned(), serde_json::value::to_raw_value(&identity).context(unread)?);
    serde_json::to_string(&document).context(unread).map(Some)
}

/// Second keys, for which stand-ins are sent.
#[derive(Debug, Default)]
pub(super) struct Seconds(Vec<Second>);

/// The second keys of a provider.
#[derive(Debug)]
struct Second {
    header: String,
    query: String,
    /// With what is sent for them.
    keys: Vec<(KeyDigest, String)>,
}

/// What was sent as a stand-in: the stand-in, and what the record has.
pub(super) type Sent = Vec<(String, Vec<u8>)>;

impl Seconds {
    pub(super) fn of(policy: &Policy, seed: u64) -> Self {
        let second = |keys: &SubscriptionKeys| Second {
            header: keys.header.clone(),
            query: keys.query.clone(),
            keys: keys.subscriptions().iter().filter_map(|one| Some((*one.keys.get(1)?, key(&one.id, seed)))).collect(),
        };
        let all = policy.identity.providers.iter().filter_map(Provider::subscription_keys).map(second);
        Self(all.filter(|second| !second.keys.is_empty()).collect())
    }

    /// The head with stand-ins for second keys, and what they stand for.
    pub(super) fn stand_in(&self, head: HeaderMap) -> (HeaderMap, Sent) {
        let mut sent = Sent::new();
        if self.0.is_empty() {
            return (head, sent);
        }
        let mut lines: Vec<(Vec<u8>, Vec<u8>)> = head.iter().map(|line| (line.name.clone(), line.value.clone())).collect();
        for second in &self.0 {
            for (name, value) in &mut lines {
                if name == b":path" {
                    let path = String::from_utf8_lossy(value).into_owned();
                    for (name, raw) in place::parameters(&path) {
                        let is_key = place::decoded(name).eq_ignore_ascii_case(&second.query);
                        let Some(stand_in) = second.find(place::decoded(raw).as_bytes()).filter(|_| is_key) else { continue };
                        *value =
                            String::from_utf8_lossy(value).replace(&format!("{name}={raw}"), &format!("{name}={stand_in}")).into_bytes();
                        sent.push((stand_in.to_owned(), raw.as_bytes().to_vec()));
                    }
                } else if name.eq_ignore_ascii_case(second.header.as_bytes())
                    && let Some(stand_in) = second.find(value)
                {
                    let logged = std::mem::replace(value, stand_in.as_bytes().to_vec());
                    sent.push((stand_in.to_owned(), logged));
                }
            }
        }
        (if sent.is_empty() { head } else { lines.into_iter().collect() }, sent)
    }
}

impl Second {
    fn find(&self, key: &[u8]) -> Option<&str> {
        let digest = KeyDigest::of(key);
        self.keys.iter().find(|(known, _)| *known == digest).map(|(_, stand_in)| stand_in.as_str())
    }
}

/// What the upstream received, with what was recorded in the place of what was sent for it.
pub(super) fn restored(upstream: HeaderMap, sent: &Sent) -> HeaderMap {
    if sent.is_empty() {
        return upstream;
    }
    let restore = |value: &[u8]| {
        let mut value = String::from_utf8_lossy(value).into_owned();
        sent.iter().for_each(|(stand_in, logged)| value = value.replace(stand_in.as_str(), &String::from_utf8_lossy(logged)));
        value.into_bytes()
    };
    let holds = |value: &[u8]| sent.iter().any(|(stand_in, _)| memchr::memmem::find(value, stand_in.as_bytes()).is_some());
    let line = |name: &[u8], value: &[u8]| (name.to_vec(), if holds(value) { restore(value) } else { value.to_vec() });
    upstream.iter().map(|known| line(&known.name, &known.value)).collect()
}
