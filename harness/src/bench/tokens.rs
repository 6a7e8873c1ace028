// SPDX-License-Identifier: Apache-2.0
//! Requests with tokens: the same each time, or one that nobody has seen for long enough to have forgotten it.

use std::cell::Cell;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracegate::identity::Algorithm;

use crate::error::Result;
use crate::issuer::Issuer;

/// An issuer's tokens, in requests.
#[derive(Debug)]
pub(super) struct Tokens {
    keys: Value,
    requests: Vec<Vec<u8>>,
}

/// Which token a request carries.
#[derive(Debug)]
pub(super) enum Carried {
    /// The same as the one before.
    Same,
    /// Another: the next of all. Each Envoy goes through them on its own, so that none meets a token again before it has met all others.
    New(Cell<usize>),
}

impl Tokens {
    /// Mints as many tokens as it takes.
    pub(super) fn mint(requests: u32) -> Result<Self> {
        let mut issuer = Issuer::new(0)?;
        let count = POOL.max(usize::try_from(requests).unwrap_or(usize::MAX));
        let progress = indicatif::ProgressBar::new(u64::try_from(count).unwrap_or(u64::MAX)).with_message("minting tokens");
        let mut minted = Vec::with_capacity(count);
        for subject in 0..count {
            let token = issuer.mint(Algorithm::Rs256, &claims(subject))?;
            minted.push(format!("{HEAD}authorization: Bearer {token}\r\n\r\n").into_bytes());
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(Self { keys: issuer.key_set(), requests: minted })
    }

    /// Requests without end. Those with new tokens go on where the last ones left off.
    pub(super) fn requests<'a>(&'a self, carried: &'a Carried) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || {
            let place = match carried {
                Carried::Same => 0,
                Carried::New(next) => next.replace(next.get().wrapping_add(1)) % self.requests.len().max(1),
            };
            self.requests.get(place).map(Vec::as_slice)
        })
    }

    /// A policy that requires such a token.
    pub(super) fn policy(&self) -> String {
        let jwt = json!({"issuer": ISSUER, "audiences": [AUDIENCE], "algorithms": ["RS256"], "keys": {"inline": self.keys}});
        json!({
            "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
            // As Envoy's own filter is told to below.
            "identity": {"providers": {"customers": {"jwt": jwt}}, "forward_token": true},
            "routes": [{"name": "all", "rules": [{"name": "who", "require": {"caller": {"provider": "customers"}}}]}],
        })
        .to_string()
    }

    /// The same, and scopes and a claim; the upstream learns of two claims and doesn't see the token.
    pub(super) fn policy_of_rules(&self) -> String {
        let jwt = json!({"issuer": ISSUER, "audiences": [AUDIENCE], "algorithms": ["RS256"], "keys": {"inline": self.keys}});
        let tenant = json!({"path": "tid", "match": {"one_of": ["3f9b2c1a-2222-4d7e-8a5f-000000000002"]}});
        let caller = json!({"provider": "customers", "scopes": ["orders.read"], "claims": [tenant]});
        json!({
            "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
            "identity": {
                "providers": {"customers": {"jwt": jwt}},
                "claim_to_headers": [{"claim": "sub", "header": "x-user-id"}, {"claim": "name", "header": "x-user-name"}],
            },
            "routes": [{"name": "all", "rules": [{"name": "who", "require": {"caller": caller}}]}],
        })
        .to_string()
    }

    /// A policy that requires the key of a subscription, one of a thousand, which goes no further.
    pub(super) fn policy_of_keys() -> String {
        let subscription = |number: u32| {
            let key = if number == 0 { KEY.to_owned() } else { format!("{KEY}{number}") };
            let digest: String = Sha256::digest(&key).iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"id": format!("s{number}"), "product": "gold", "keys_sha256": [digest]})
        };
        let subscriptions: Vec<Value> = (0..1000).map(subscription).collect();
        json!({
            "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
            "identity": {"providers": {"subscriptions": {"subscription_keys": {"subscriptions": subscriptions}}}},
            "routes": [{"name": "all", "rules": [{"name": "who", "require": {"caller": {"provider": "subscriptions", "products": ["gold"]}}}]}],
        })
        .to_string()
    }

    /// Envoy's own filter, asking the same.
    pub(super) fn jwt_authn(&self, caches: bool) -> Value {
        let mut provider = json!({
            "issuer": ISSUER, "audiences": [AUDIENCE], "forward": true, "local_jwks": {"inline_string": self.keys.to_string()},
        });
        if caches && let Some(provider) = provider.as_object_mut() {
            provider.insert("jwt_cache_config".to_owned(), json!({"jwt_cache_size": 100}));
        }
        json!({
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                "providers": {"customers": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "customers"}}],
            },
        })
    }
}

fn claims(subject: usize) -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": format!("{subject:08}"), "iat": 1_700_000_000, "exp": 4_102_444_800_u64,
        "scp": "orders.read orders.write", "tid": "3f9b2c1a-2222-4d7e-8a5f-000000000002", "name": "A Customer",
    })
}

const ISSUER: &str = "https://id.shop.example/";
const AUDIENCE: &str = "orders-api";
/// More than the module remembers.
const POOL: usize = 9000;
const KEY: &str = "0123456789abcdef0123456789abcdef";
const HEAD: &str = "GET /orders/7?expand=lines HTTP/1.1\r\nhost: api.example.com\r\nuser-agent: bench\r\naccept: application/json\r\n\
    ocp-apim-subscription-key: 0123456789abcdef0123456789abcdef\r\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: rojo=00f067aa0ba902b7\r\n";
