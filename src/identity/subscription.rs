// SPDX-License-Identifier: Apache-2.0
//! Keys of subscriptions, as API Management issues them: <https://learn.microsoft.com/azure/api-management/api-management-subscriptions>.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::caller::Subject;
use crate::decision::Reason;
use crate::head::RequestHead;
use crate::query;

/// Where requests carry keys, and whose they are.
#[derive(Clone, Debug)]
pub struct SubscriptionKeys {
    /// The header, in lower case.
    pub header: String,
    /// The same as the policy writes it: clients are told so.
    pub written: String,
    /// The parameter of the query, in any case.
    pub query: String,
    /// Whether a key that counts goes on to the upstream.
    pub forward: bool,
    /// By the policy's order.
    subscriptions: Vec<Subscription>,
    /// Digests of keys and their subscriptions' places, by two bytes of the digest.
    keys: BTreeMap<[u8; 2], Vec<(KeyDigest, usize)>>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The policy's name for it.
    pub id: String,
    /// What it is to; to no product by default.
    pub product: Option<String>,
    /// Whether its keys count.
    pub active: bool,
    /// The SHA-256 digests of its keys.
    pub keys: Vec<KeyDigest>,
}

impl SubscriptionKeys {
    /// Keys of these subscriptions, in these places.
    #[must_use]
    pub fn new(written: String, query: String, forward: bool, subscriptions: Vec<Subscription>) -> Self {
        let mut keys: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, subscription) in subscriptions.iter().enumerate() {
            for digest in &subscription.keys {
                keys.entry(bucket(digest)).or_default().push((*digest, place));
            }
        }
        Self { header: written.to_ascii_lowercase(), written, query, forward, subscriptions, keys }
    }

    /// The subscriptions, in the policy's order.
    #[must_use]
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// Whose key a request carries.
    ///
    /// # Errors
    ///
    /// [`Reason::SubscriptionKeyNotFound`] where there is none, [`Reason::SubscriptionKeyAmbiguous`] where there are several that differ,
    /// [`Reason::SubscriptionKeyInvalid`] where it is nobody's, or that of a subscription that doesn't count.
    pub(super) fn verify(&self, head: &RequestHead<'_>) -> Result<Subject, Reason> {
        let in_query = query::values(head.path, |name| self.is_parameter(name));
        let mut keys = head.headers.values(&self.header).map(Into::into).chain(in_query);
        let key = keys.next().ok_or(Reason::SubscriptionKeyNotFound)?;
        // The same key twice is what some clients send. Of two, the backend might take the other.
        if keys.any(|other| other != key) {
            return Err(Reason::SubscriptionKeyAmbiguous);
        }
        if key.is_empty() {
            return Err(Reason::SubscriptionKeyNotFound);
        }
        let found = if key.len() > MAX_KEY { None } else { self.find(&KeyDigest::of(&key)) };
        let Subscription { id, product, .. } = found.filter(|subscription| subscription.active).ok_or(Reason::SubscriptionKeyInvalid)?;
        Ok(Subject::Subscription { id: id.clone(), product: product.clone() })
    }

    /// What a parameter's name must be to carry a key.
    pub(super) fn is_parameter(&self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.query.as_bytes())
    }

    /// How long it takes tells the bucket, which whoever sent the key knows, and nothing of the digests in it.
    fn find(&self, digest: &KeyDigest) -> Option<&Subscription> {
        let bucket = self.keys.get(&bucket(digest))?;
        let mut found = None;
        for (known, place) in bucket {
            if bool::from(known.0.ct_eq(&digest.0)) {
                found = Some(*place);
            }
        }
        self.subscriptions.get(found?)
    }
}

const fn bucket(digest: &KeyDigest) -> [u8; 2] {
    let [first, second, ..] = digest.0;
    [first, second]
}

/// The SHA-256 digest of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of this key.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }
}

impl FromStr for KeyDigest {
    type Err = InvalidKeyDigest;

    fn from_str(text: &str) -> Result<Self, InvalidKeyDigest> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).map_err(|_| InvalidKeyDigest)?;
        Ok(Self(digest))
    }
}

/// Text that is no digest: perhaps the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKeyDigest;

impl fmt::Display for InvalidKeyDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected the SHA-256 digest of a key, in 64 hexadecimal digits")
    }
}

impl std::error::Error for InvalidKeyDigest {}

/// Bytes of the longest key: API Management's have 32, and may be up to 256.
const MAX_KEY: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{Header, Headers};

    fn keys() -> SubscriptionKeys {
        let subscription = |id: &str, product: Option<&str>, active, keys: &[&str]| Subscription {
            id: id.to_owned(),
            product: product.map(str::to_owned),
            active,
            keys: keys.iter().map(|key| KeyDigest::of(key.as_bytes())).collect(),
        };
        let subscriptions = vec![
            subscription("contoso", Some("gold"), true, &["primary", "secondary"]),
            subscription("fabrikam", None, true, &["other"]),
            subscription("former", Some("gold"), false, &["suspended"]),
            subscription("long", None, true, &["x".repeat(300).as_str()]),
        ];
        SubscriptionKeys::new("Ocp-Apim-Subscription-Key".into(), "subscription-key".into(), false, subscriptions)
    }

    #[test]
    fn a_key_is_its_subscriptions_wherever_it_stands() {
        use Reason::{SubscriptionKeyAmbiguous as Ambiguous, SubscriptionKeyInvalid as Invalid, SubscriptionKeyNotFound as NotFound};
        let long = "x".repeat(300);
        for (headers, path, expected) in [
            (&["primary"][..], "/a", Ok("contoso gold")),
            (&["secondary"], "/a", Ok("contoso gold")),
            (&["other"], "/a", Ok("fabrikam ")),
            (&[], "/a?x=1&subscription-key=primary", Ok("contoso gold")),
            (&[], "/a?Subscription-Key=prim%61ry", Ok("contoso gold")),
            (&["primary"], "/a?subscription-key=primary", Ok("contoso gold")),
            (&["primary", "primary"], "/a", Ok("contoso gold")),
            (&["primary"], "/a?subscription-key=other", Err(Ambiguous)),
            (&["primary", "other"], "/a", Err(Ambiguous)),
            (&["primary"], "/a?subscription-key=", Err(Ambiguous)),
            (&[], "/a?subscription-key=primary&SUBSCRIPTION-KEY=other", Err(Ambiguous)),
            (&[], "/a", Err(NotFound)),
            (&[""], "/a", Err(NotFound)),
            (&[], "/a?subscription-key", Err(NotFound)),
            (&["Primary"], "/a", Err(Invalid)),
            (&["primary "], "/a", Err(Invalid)),
            (&["suspended"], "/a", Err(Invalid)),
            (&[long.as_str()], "/a", Err(Invalid)),
        ] {
            let lines: Vec<Header<'_>> = [(":method", "GET"), (":path", path)]
                .into_iter()
                .chain(headers.iter().map(|key| ("ocp-apim-subscription-key", *key)))
                .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
                .collect();
            let found = keys().verify(&RequestHead::read(Headers::new(&lines)).unwrap());
            let found = found.map(|subject| match subject {
                Subject::Subscription { id, product } => format!("{id} {}", product.unwrap_or_default()),
                other => format!("{other:?}"),
            });
            assert_eq!(found, expected.map(str::to_owned), "{headers:?} {path}");
        }
    }
}
