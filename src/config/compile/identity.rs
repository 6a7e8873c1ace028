// SPDX-License-Identifier: Apache-2.0
//! Providers, and what the upstream is told of callers.

use std::collections::BTreeMap;

use super::super::decode::Leaf;
use super::super::document;
use super::super::number::Duration;
use super::callers::{Callers, peer};
use super::{reference, text_reference};
use crate::claim::ClaimPath;
use crate::identity::{
    Algorithm, CertificateProvider, ClaimRules, Cloud, Credential, EntraRules, EntraTenants, FetchUri, ForwardPolicy, IdentityHeader,
    IssuerRule, KeySet, Keys, Location, OnUnavailable, Provider, Replacement, SourcePolicy, Subscription, SubscriptionKeys, Telling,
    TokenPlace, TokenProvider, Workload,
};
use crate::secret::{MIN_KEY, SecretForm, SecretReference};

pub(super) fn provider(name: String, provider: document::Provider, secrets: &BTreeMap<String, document::Secret>) -> Provider {
    let credential = match provider {
        document::Provider::Jwt(jwt) => Credential::Token(Box::new(self::jwt(*jwt, secrets))),
        document::Provider::Entra(entra) => Credential::Token(Box::new(self::entra(*entra))),
        document::Provider::SubscriptionKeys(keys) => Credential::SubscriptionKey(Box::new(subscription_keys(keys))),
        document::Provider::ClientCertificate(certificate) => Credential::Certificate(CertificateProvider {
            services: certificate.services.into_iter().map(|service| (service.name, peer(service.peer))).collect(),
        }),
    };
    Provider { name, credential }
}

/// Where a provider's tokens name roles.
pub(super) fn roles_claim(provider: &document::Provider) -> ClaimPath {
    match provider {
        document::Provider::Jwt(jwt) => jwt.roles_claim.value.clone(),
        _ => ClaimPath::name("roles"),
    }
}

pub(super) fn forward(identity: &document::Identity, secrets: &BTreeMap<String, document::Secret>, callers: &Callers) -> ForwardPolicy {
    let claims = identity.claim_to_headers.iter().map(|one| IdentityHeader {
        name: one.header.to_ascii_lowercase(),
        tells: Telling::Claim {
            path: one.claim.value.clone(),
            separator: one.separator.clone(),
            provider: one.provider.as_ref().map(|name| callers.place(name)),
        },
    });
    let facts = identity.caller_to_headers.iter().map(|one| IdentityHeader {
        name: one.header.to_ascii_lowercase(),
        tells: match one.caller {
            document::CallerFact::Provider => Telling::Provider,
            document::CallerFact::Service => Telling::Service,
            document::CallerFact::Subscription => Telling::Subscription,
            document::CallerFact::Product => Telling::Product,
        },
    });
    ForwardPolicy {
        headers: claims.chain(facts).collect(),
        tokens: identity.forward_token,
        replacement: identity.replace_token.as_ref().map(|replaced| Replacement {
            scheme: replaced.scheme.clone(),
            secret: text_reference(replaced.credential.secret.clone(), secrets),
        }),
    }
}

fn jwt(jwt: document::Jwt, secrets: &BTreeMap<String, document::Secret>) -> TokenProvider {
    let issuer = jwt.issuer.clone();
    TokenProvider {
        places: jwt.tokens.into_iter().map(token_place).collect(),
        max_length: usize::try_from(jwt.max_length).unwrap_or(usize::MAX),
        algorithms: jwt.algorithms.iter().map(|leaf| leaf.value).collect(),
        claims: ClaimRules {
            issuer: IssuerRule::Exact(jwt.issuer),
            audiences: jwt.audiences,
            clock_skew: seconds(jwt.clock_skew.value),
            max_lifetime: jwt.max_lifetime.map(|leaf| seconds(leaf.value)),
        },
        keys: match jwt.keys {
            document::Keys::Inline(inline) => Keys::Inline(inline.set),
            // The document was checked: they make a set.
            document::Keys::Pem(keys) => {
                Keys::Inline(KeySet::new(keys.into_iter().map(document::PemKey::key).collect()).unwrap_or_default())
            }
            document::Keys::Secrets(keys) => {
                let form = SecretForm::Key { least: shortest(&jwt.algorithms) };
                let shared = |name| SecretReference { form, ..reference(name, secrets) };
                Keys::Secrets(keys.into_iter().map(|key| (key.kid, shared(key.key.secret))).collect())
            }
            document::Keys::Jwks(published) => {
                let location = Location::Jwks(published.uri.value.clone());
                Keys::Published(source(published, location))
            }
            document::Keys::Discovery(published) => {
                let (uri, jwks_cluster) = (published.uri.value.clone(), published.jwks_cluster.clone());
                Keys::Published(source(published, Location::Discovery { uri, issuer, jwks_cluster }))
            }
        },
        roles_claim: jwt.roles_claim.value,
        certificate_bound: jwt.certificate_bound,
        entra: None,
    }
}

fn entra(entra: document::Entra) -> TokenProvider {
    let cloud = match entra.cloud {
        document::Cloud::Public => Cloud::Public,
        document::Cloud::UsGovernment => Cloud::UsGovernment,
        document::Cloud::China => Cloud::China,
    };
    let tenants = EntraTenants { cloud, audience: entra.tenant.value, only: entra.tenants.into_iter().map(|leaf| leaf.value).collect() };
    let segment = tenants.audience.as_str();
    let application = entra.signing_key_application.map(|id| format!("?appid={}", id.value.as_str())).unwrap_or_default();
    let uri =
        FetchUri { scheme: "https", authority: cloud.authority().to_owned(), path: format!("/{segment}/discovery/v2.0/keys{application}") };
    let services = entra.services.into_iter().map(|service| {
        let workload = match service.workload {
            document::Workload::ManagedIdentity(id) => Workload::ManagedIdentity(id),
            document::Workload::Application(id) => Workload::Application(id.value),
        };
        (service.name, workload)
    });
    TokenProvider {
        places: entra.tokens.into_iter().map(token_place).collect(),
        max_length: MAX_ENTRA_TOKEN,
        algorithms: vec![Algorithm::Rs256],
        keys: Keys::Published(SourcePolicy {
            location: Location::Jwks(uri),
            cluster: entra.cluster,
            // Keys may roll at any time, and are to be fetched once a day where none is unknown.
            cache_duration: 24 * HOUR,
            stale_if_error: 24 * HOUR,
            unknown_kid_interval: HOUR / 12,
            timeout: HOUR / 1800,
            wait: HOUR / 720,
            on_unavailable: OnUnavailable::Refuse,
        }),
        roles_claim: ClaimPath::name("roles"),
        certificate_bound: entra.certificate_bound,
        entra: Some(EntraRules {
            applications: entra.applications.into_iter().map(|leaf| leaf.value).collect(),
            services: services.collect(),
        }),
        claims: ClaimRules {
            issuer: IssuerRule::Entra(tenants),
            audiences: entra.audiences,
            clock_skew: seconds(entra.clock_skew.value),
            max_lifetime: None,
        },
    }
}

fn subscription_keys(keys: document::SubscriptionKeys) -> SubscriptionKeys {
    let subscriptions = keys.subscriptions.into_iter().map(|subscription| Subscription {
        id: subscription.id,
        product: subscription.product,
        active: subscription.state == document::State::Active,
        keys: subscription.keys_sha256.into_iter().map(|leaf| leaf.value).collect(),
    });
    SubscriptionKeys::new(keys.header, keys.query, keys.forward_key, subscriptions.collect())
}

/// Bytes of the shortest secret that one of these algorithms takes (RFC 7518 section 3.2).
fn shortest(algorithms: &[Leaf<Algorithm>]) -> usize {
    let least = |leaf: &Leaf<Algorithm>| match leaf.value {
        Algorithm::Hs384 => 48,
        Algorithm::Hs512 => 64,
        _ => MIN_KEY,
    };
    algorithms.iter().map(least).min().unwrap_or(MIN_KEY)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.milliseconds() / 1000).unwrap_or(i64::MAX)
}

fn source(published: document::Published, location: Location) -> SourcePolicy {
    SourcePolicy {
        location,
        cluster: published.cluster,
        cache_duration: published.cache_duration.value.nanoseconds(),
        stale_if_error: published.stale_if_error.value.nanoseconds(),
        unknown_kid_interval: published.unknown_kid_interval.value.nanoseconds(),
        timeout: published.timeout.value.nanoseconds(),
        wait: published.wait.value.nanoseconds(),
        on_unavailable: match published.on_unavailable {
            document::OnUnavailable::Refuse => OnUnavailable::Refuse,
            document::OnUnavailable::Admit => OnUnavailable::Admit,
        },
    }
}

fn token_place(place: document::TokenPlace) -> TokenPlace {
    match place {
        document::TokenPlace::Authorization(document::Scheme { scheme }) => TokenPlace::Authorization { scheme },
        document::TokenPlace::Header(name) => TokenPlace::Header(name),
        document::TokenPlace::Query(name) => TokenPlace::Query(name),
        document::TokenPlace::Cookie(name) => TokenPlace::Cookie(name),
    }
}

/// Bytes of the longest token. Entra ID's hold up to 200 groups and grow to some 8 KiB.
const MAX_ENTRA_TOKEN: usize = 16_384;
/// Nanoseconds.
const HOUR: u64 = 3_600_000_000_000;
