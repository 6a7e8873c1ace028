// SPDX-License-Identifier: Apache-2.0
//! From the document as written to the policy as run.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use super::Loaded;
use super::document::{self, Action, Document, Mode};
use super::finding::Findings;
use super::number::Duration;
use crate::condition::{Condition, PeerMatch, TextMatch};
use crate::identity::{ClaimRules, KeySet, Keys, Location, OnUnavailable, Provider, SourcePolicy, TokenPlace};
use crate::route::{DefaultAction, HostMatch, PathMatch, Requirement, Route, RouteTable, Rule};
use crate::secret::SecretReference;
use crate::trace::{BaggagePolicy, Format, HopKeyReference, HopPolicy, SamplingPolicy, TracePolicy, Treatment, TrustPolicy, TrustRule};

/// A policy as run.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whose edge this is.
    pub service: Service,
    /// What the operator asserts about the listener.
    pub listener: Listener,
    /// What to do with trace context.
    pub trace: TracePolicy,
    /// Who vouches for callers.
    pub providers: Vec<Provider>,
    /// What to do with which request.
    pub routes: RouteTable,
    /// Names this policy and no other.
    pub fingerprint: Fingerprint,
}

impl Policy {
    /// The environment variables that hold the secrets in use, each once.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        let hop = self.trace.signed_hop.iter();
        let hop_keys = hop.flat_map(|hop| std::iter::once(&hop.active).chain(&hop.other)).map(|key| &key.key);
        let token_keys = self.providers.iter().flat_map(|provider| match &provider.keys {
            Keys::Secrets(keys) => keys.as_slice(),
            Keys::Inline(_) | Keys::Published(_) => &[],
        });
        let references = hop_keys.chain(token_keys.map(|(_, reference)| reference));
        let mut variables: Vec<&str> = references.map(|reference| reference.variable.as_str()).collect();
        variables.sort_unstable();
        variables.dedup();
        variables
    }
}

impl Policy {
    /// The clusters that it calls, each once.
    #[must_use]
    pub fn clusters(&self) -> Vec<&str> {
        let mut clusters = Vec::new();
        for provider in &self.providers {
            let Keys::Published(source) = &provider.keys else { continue };
            clusters.push(source.cluster.as_str());
            if let Location::Discovery { jwks_cluster: Some(cluster), .. } = &source.location {
                clusters.push(cluster);
            }
        }
        clusters.sort_unstable();
        clusters.dedup();
        clusters
    }
}

/// OpenTelemetry resource attributes of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `service.name`
    pub name: String,
    /// `service.namespace`
    pub namespace: Option<String>,
    /// Any other resource attribute.
    pub attributes: BTreeMap<String, String>,
}

/// What the operator asserts about the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Proxies of ours that every request passes before it.
    pub trusted_hops: usize,
}

/// SHA-256 of the canonical document: the same for every notation, order of fields and spelling of defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(canonical: &str) -> Self {
        Self(Sha256::digest(canonical.as_bytes()).into())
    }

    /// All of it.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The first 48 bits as a number, for gauges, which are exact up to 2^53.
    #[must_use]
    pub fn gauge(self) -> u64 {
        self.0.iter().take(6).fold(0, |sum, &byte| (sum << 8) | u64::from(byte))
    }
}

impl fmt::Display for Fingerprint {
    /// The first 16 hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

pub(super) fn compile(document: Document, warnings: Findings) -> Loaded {
    // A document has text keys and no value that JSON can't say, so this can't fail.
    let canonical = serde_json::to_string(&document).unwrap_or_default();
    let Document { schema: _, service, listener, secrets, trace, identity, routes, default } = document;
    let names: Vec<String> = identity.providers.keys().cloned().collect();
    let policy = Policy {
        service: Service { name: service.name, namespace: service.namespace, attributes: service.attributes },
        listener: Listener { trusted_hops: usize::from(listener.trusted_hops) },
        trace: self::trace(trace, &secrets),
        providers: identity.providers.into_iter().map(|(name, document::Provider::Jwt(jwt))| provider(name, *jwt, &secrets)).collect(),
        routes: RouteTable {
            routes: routes.into_iter().map(|route| self::route(route, &names)).collect(),
            default: match default {
                document::DefaultAction { action: Action::Refuse, status: Some(status) } => DefaultAction::Refuse { status },
                document::DefaultAction { .. } => DefaultAction::Admit,
            },
        },
        fingerprint: Fingerprint::of(&canonical),
    };
    Loaded { policy, warnings, canonical }
}

fn trace(trace: document::Trace, secrets: &BTreeMap<String, document::Secret>) -> TracePolicy {
    let document::Trace { propagation, tracestate, signed_hop, trust, sampling } = trace;
    TracePolicy {
        extract: propagation.extract.into_iter().map(format).collect(),
        inject: propagation.inject.into_iter().map(format).collect(),
        baggage: BaggagePolicy { allow: propagation.baggage.allow.map(|keys| keys.into_iter().collect()) },
        member: tracestate.member.map(|leaf| leaf.value),
        max_tracestate_length: tracestate.max_length,
        trust: TrustPolicy::new(trust.into_iter().map(trust_rule).collect()),
        signed_hop: signed_hop.map(|hop| HopPolicy {
            active: hop_key(hop.active, secrets),
            other: hop.other.map(|key| hop_key(key, secrets)),
            expires_after: hop.expires_after.value.whole_seconds().unwrap_or_default(),
        }),
        sampling: sampling.map(|sampling| SamplingPolicy {
            root: sampling.root.probability.threshold,
            max_per_second: sampling.max_per_second,
            record_refused: sampling.always_record.contains(&document::AlwaysRecord::Refused),
            record_errors: sampling.always_record.contains(&document::AlwaysRecord::Error),
        }),
    }
}

const fn format(format: document::Format) -> Format {
    match format {
        document::Format::TraceContext => Format::TraceContext,
        document::Format::B3 => Format::B3,
        document::Format::B3Multi => Format::B3Multi,
        document::Format::Jaeger => Format::Jaeger,
        document::Format::OtTrace => Format::OtTrace,
        document::Format::OtSpanContext => Format::OtSpanContext,
        document::Format::XRay => Format::XRay,
        document::Format::RequestId => Format::RequestId,
    }
}

fn hop_key(key: document::HopKey, secrets: &BTreeMap<String, document::Secret>) -> HopKeyReference {
    HopKeyReference { id: key.id.value, key: reference(key.key.secret, secrets) }
}

fn reference(name: String, secrets: &BTreeMap<String, document::Secret>) -> SecretReference {
    // The document was checked: the name is there.
    let variable = secrets.get(&name).map(|document::Secret::Environment(environment)| environment.name.clone()).unwrap_or_default();
    SecretReference { name, variable }
}

fn provider(name: String, jwt: document::Jwt, secrets: &BTreeMap<String, document::Secret>) -> Provider {
    let seconds = |duration: Duration| i64::try_from(duration.milliseconds() / 1000).unwrap_or(i64::MAX);
    let issuer = jwt.issuer.clone();
    Provider {
        name,
        places: jwt.tokens.into_iter().map(token_place).collect(),
        max_length: usize::try_from(jwt.max_length).unwrap_or(usize::MAX),
        algorithms: jwt.algorithms.into_iter().map(|leaf| leaf.value).collect(),
        claims: ClaimRules {
            issuer: jwt.issuer,
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
                Keys::Secrets(keys.into_iter().map(|key| (key.kid, reference(key.key.secret, secrets))).collect())
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
    }
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

fn trust_rule(rule: document::TrustRule) -> TrustRule {
    TrustRule {
        name: rule.name,
        when: rule.when.map(condition),
        context: match rule.context {
            document::Treatment::Continue => Treatment::Continue,
            document::Treatment::Link => Treatment::Link,
            document::Treatment::Restart => Treatment::Restart,
            document::Treatment::Reject => Treatment::Reject,
        },
        honor_sampled: rule.sampled == Some(document::Sampled::Honor),
        trace_response: rule.traceresponse,
    }
}

fn condition(condition: document::Condition) -> Condition {
    let all = |conditions: Vec<document::Condition>| conditions.into_iter().map(self::condition).collect();
    match condition {
        document::Condition::All(conditions) => Condition::All(all(conditions)),
        document::Condition::Any(conditions) => Condition::Any(all(conditions)),
        document::Condition::Not(condition) => Condition::Not(Box::new(self::condition(*condition))),
        document::Condition::Peer(peer) => Condition::Peer(match peer {
            document::Peer::UriSan(matched) => PeerMatch::UriSan(text(matched)),
            document::Peer::DnsSan(matched) => PeerMatch::DnsSan(text(matched)),
            document::Peer::Subject(document::Whole::Exact(subject)) => PeerMatch::Subject(subject),
            document::Peer::Sha256(digits) => PeerMatch::Sha256(digits),
        }),
        document::Condition::Source(document::Source { cidr }) => Condition::Source(cidr.into_iter().map(|leaf| leaf.value).collect()),
        document::Condition::Route(names) => Condition::Route(names),
        document::Condition::SignedHop(_) => Condition::SignedHop,
    }
}

fn text(text: document::Text) -> TextMatch {
    match text {
        document::Text::Exact(text) => TextMatch::Exact(text),
        document::Text::Prefix(text) => TextMatch::Prefix(text),
        document::Text::Suffix(text) => TextMatch::Suffix(text),
    }
}

fn route(document::Route { name, matches, rules, sampling }: document::Route, providers: &[String]) -> Route {
    Route {
        name,
        root: sampling.map(|sampling| sampling.root.probability.threshold),
        hosts: matches.hosts.into_iter().map(host).collect(),
        methods: matches.methods,
        path: matches.path.map(path),
        rules: rules.into_iter().map(|rule| self::rule(rule, providers)).collect(),
    }
}

fn host(host: document::Host) -> HostMatch {
    match host {
        document::Host::Exact(leaf) | document::Host::Suffix(leaf) => leaf.value,
    }
}

fn path(path: document::Path) -> PathMatch {
    match path {
        document::Path::Exact(leaf) | document::Path::Prefix(leaf) | document::Path::Template(leaf) => leaf.value,
    }
}

fn rule(document::Rule { name, require, mode }: document::Rule, providers: &[String]) -> Rule {
    let require = match require {
        document::Requirement::Anonymous => Requirement::Anonymous,
        document::Requirement::Deny => Requirement::Deny,
        // The document was checked: the name is there.
        document::Requirement::Caller(caller) => providers
            .iter()
            .position(|name| *name == caller.provider)
            .map_or(Requirement::Deny, |provider| Requirement::Caller { provider }),
    };
    Rule { name, require, shadow: mode == Mode::Shadow }
}
