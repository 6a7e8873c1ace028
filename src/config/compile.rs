// SPDX-License-Identifier: Apache-2.0
//! From the document as written to the policy as run.

mod audit;
mod callers;
mod export;
mod identity;
mod quota;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Loaded;
use super::decode::Leaf;
use super::document::{self, Action, Document, Mode};
use super::finding::Findings;
use super::number::Duration;
use crate::audit::AuditPolicy;
use crate::condition::Condition;
use crate::decision::ErrorFormat;
use crate::export::ExportPolicy;
use crate::identity::{ForwardedClientCert, IdentityPolicy, Keys, Location, Provider};
use crate::path::PathMatch;
use crate::quota::{Enforcement, Quota, QuotaPolicy};
use crate::route::{DefaultAction, HostMatch, Route, RouteTable, Rule};
use crate::secret::{HttpSecret, IMDS_HOST, KeyVaultSecret, MIN_KEY, Refresh, SecretForm, SecretReference, SecretSource, SecretValue};
use crate::trace::{BaggagePolicy, Format, HopKeyReference, HopPolicy, SamplingPolicy, TracePolicy, Treatment, TrustPolicy, TrustRule};
use callers::Callers;

/// A policy as run.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The schema that it is written in.
    pub schema: u64,
    /// Whose edge this is.
    pub service: Service,
    /// What the operator asserts about the listener.
    pub listener: Listener,
    /// How refusals are written.
    pub errors: ErrorFormat,
    /// What to do with trace context.
    pub trace: TracePolicy,
    /// Who calls, and what the upstream learns of it.
    pub identity: IdentityPolicy,
    /// How much of it.
    pub quota: QuotaPolicy,
    /// What to do with which request.
    pub routes: RouteTable,
    /// What leaves for collectors.
    pub export: ExportPolicy,
    /// What is put on record of decisions; `None` where nothing is.
    pub audit: Option<AuditPolicy>,
    /// Names this policy and no other.
    pub fingerprint: Fingerprint,
}

impl Policy {
    /// The environment variables that hold the secrets in use, each once.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        each_once(self.secret_uses().into_iter().filter_map(SecretReference::variable).collect())
    }

    /// The names of the secrets in use that are fetched, each once.
    #[must_use]
    pub fn fetched_secrets(&self) -> Vec<&str> {
        let fetched = self.secret_uses().into_iter().filter(|reference| reference.is_fetched());
        each_once(fetched.map(|reference| reference.name.as_str()).collect())
    }

    /// Every use of a secret.
    #[must_use]
    pub fn secret_uses(&self) -> Vec<&SecretReference> {
        let mut uses = Vec::new();
        if let Some(hop) = &self.trace.signed_hop {
            uses.push(&hop.active.key);
            uses.extend(hop.other.as_ref().map(|key| &key.key));
        }
        for provider in self.identity.providers.iter().filter_map(Provider::token) {
            if let Keys::Secrets(keys) = &provider.keys {
                uses.extend(keys.iter().map(|(_, reference)| reference));
            }
        }
        uses.extend(self.identity.forward.replacement.as_ref().map(|replacement| &replacement.secret));
        for collector in self.export.collectors() {
            uses.extend(collector.headers.iter().map(|(_, reference)| reference));
        }
        uses.extend(&self.export.spans.digest_key);
        uses.extend(self.audit.iter().filter_map(|audit| audit.chain.as_ref()).map(|chain| &chain.key));
        uses
    }
}

fn each_once(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names.dedup();
    names
}

impl Policy {
    /// The headers that its conditions ask for, in lower case, each once.
    #[must_use]
    pub fn asked_headers(&self) -> Vec<&str> {
        let rules = self.routes.routes().iter().flat_map(|route| &route.rules).filter_map(|rule| rule.when.as_ref());
        let trust = self.trace.trust.rules().iter().filter_map(|rule| rule.when.as_ref());
        let proxies = match &self.identity.forwarded_client_cert {
            ForwardedClientCert::From(condition) => Some(condition),
            ForwardedClientCert::Remove | ForwardedClientCert::Keep => None,
        };
        let mut names = Vec::new();
        for condition in rules.chain(trust).chain(proxies) {
            condition.visit(&mut |condition| {
                if let Condition::Header(header) = condition {
                    names.push(header.name.as_str());
                }
            });
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The clusters that it calls, each once, in the order of their names; one that answers for several hosts, once for each.
    #[must_use]
    pub fn calls(&self) -> Vec<Call<'_>> {
        let mut calls = self.fetches();
        for quota in &self.quota.quotas {
            if let Enforcement::Global(global) = &quota.enforcement {
                calls.push(Call { cluster: &global.cluster, serves: Serves::Grpc });
            }
        }
        for collector in self.export.collectors() {
            calls.push(Call { cluster: &collector.cluster, serves: Serves::Http(collector.uri.scheme, &collector.uri.authority) });
        }
        calls.sort_unstable();
        calls.dedup();
        calls
    }

    /// Those of them that keys and secrets are fetched from: of requests they are told nothing.
    #[must_use]
    pub fn fetches(&self) -> Vec<Call<'_>> {
        let mut calls = Vec::new();
        for provider in self.identity.providers.iter().filter_map(Provider::token) {
            let Keys::Published(source) = &provider.keys else { continue };
            let (Location::Jwks(uri) | Location::Discovery { uri, .. }) = &source.location;
            calls.push(Call { cluster: &source.cluster, serves: Serves::Http(uri.scheme, &uri.authority) });
            if let Location::Discovery { jwks_cluster: Some(cluster), .. } = &source.location {
                calls.push(Call { cluster, serves: Serves::Unknown });
            }
        }
        for reference in self.secret_uses() {
            match &*reference.source {
                SecretSource::Environment { .. } | SecretSource::Literal(_) => {}
                SecretSource::Http(http) => {
                    calls.push(Call { cluster: &http.cluster, serves: Serves::Http(http.uri.scheme, &http.uri.authority) });
                }
                SecretSource::KeyVault(secret) => {
                    calls.push(Call { cluster: &secret.vault_cluster, serves: Serves::Http("https", &secret.vault.authority) });
                    calls.push(Call { cluster: &secret.imds_cluster, serves: Serves::Http("http", IMDS_HOST) });
                }
            }
        }
        calls.sort_unstable();
        calls.dedup();
        calls
    }

    /// The names of the clusters that it calls, each once.
    #[must_use]
    pub fn clusters(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.calls().into_iter().map(|call| call.cluster).collect();
        names.dedup();
        names
    }
}

/// A cluster of the gateway's that a policy calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call<'p> {
    /// Its name.
    pub cluster: &'p str,
    /// What it answers for.
    pub serves: Serves<'p>,
}

/// What a cluster answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Serves<'p> {
    /// `https` or `http`, and the host with its port where it names one.
    Http(&'static str, &'p str),
    /// HTTP of a host that only an issuer's configuration tells.
    Unknown,
    /// gRPC, so HTTP/2, wherever the operator says.
    Grpc,
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
    /// It verifies client certificates.
    pub verifies_clients: bool,
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

/// What the document comes to, and the names of the secrets that nothing uses.
pub(super) fn compile(mut document: Document, warnings: Findings) -> (Loaded, Vec<String>) {
    let canonical = self::canonical(&document);
    // A fingerprint tells two policies apart, and no secret.
    let literals: Vec<SecretValue> = document.secrets.values_mut().filter_map(document::Secret::digest).collect();
    let digested = if literals.is_empty() { None } else { Some(self::canonical(&document)) };
    let fingerprint = Fingerprint::of(digested.as_ref().unwrap_or(&canonical));
    for (literal, value) in document.secrets.values_mut().filter_map(document::Secret::literal_mut).zip(literals) {
        *literal = value;
    }
    let Document { schema, service, listener, responses, secrets, trace, identity, quotas, routes, default, export, audit } = document;
    let callers = Callers::of(&identity);
    let realm = realm(&service.name);
    let digests = |route: &document::Route| route.attributes.path.values().any(|told| *told == document::PathTold::Digest);
    let hides_parameters = routes.iter().any(digests);
    let audited = audit.as_ref().map(|audit| audit.records.routes.clone()).unwrap_or_default();
    let quota = quota::policy(quotas, responses.rate_limit_headers, &callers);
    let policy = Policy {
        schema,
        service: Service { name: service.name, namespace: service.namespace, attributes: service.attributes },
        listener: Listener {
            trusted_hops: usize::from(listener.trusted_hops),
            verifies_clients: listener.client_certificates == document::ClientCertificates::Verified,
        },
        errors: match responses.errors {
            document::Errors::Apim => ErrorFormat::Apim,
            document::Errors::ProblemJson => ErrorFormat::ProblemJson,
        },
        trace: self::trace(trace, &secrets, &callers),
        export: self::export::policy(export, hides_parameters, &secrets, &callers),
        audit: audit.map(|audit| self::audit::policy(audit, &secrets)),
        identity: IdentityPolicy {
            forwarded_client_cert: match listener.forwarded_client_cert {
                document::ForwardedClientCert::Remove => ForwardedClientCert::Remove,
                document::ForwardedClientCert::Keep => ForwardedClientCert::Keep,
                document::ForwardedClientCert::From(condition) => ForwardedClientCert::From(callers.condition(condition)),
            },
            trusted_hops: usize::from(listener.trusted_hops),
            realm,
            forward: identity::forward(&identity, &secrets, &callers),
            providers: identity.providers.into_iter().map(|(name, provider)| identity::provider(name, provider, &secrets)).collect(),
        },
        routes: RouteTable::new(
            routes.into_iter().map(|route| self::route(route, &audited, &callers, &quota.quotas)).collect(),
            match default {
                document::DefaultAction { action: Action::Refuse, status: Some(status) } => DefaultAction::Refuse { status },
                document::DefaultAction { .. } => DefaultAction::Admit,
            },
        ),
        quota,
        fingerprint,
    };
    let uses = policy.secret_uses();
    let unused = secrets.into_keys().filter(|name| !uses.iter().any(|used| used.name == *name)).collect();
    (Loaded { policy, warnings, canonical }, unused)
}

#[inline(never)]
fn canonical(document: &Document) -> String {
    // A document has text keys and no value that JSON can't say, so this can't fail.
    serde_json::to_string(document).unwrap_or_default()
}

/// The service's name, without what can't stand between quotes in a header.
fn realm(name: &str) -> String {
    name.chars().map(|letter| if matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\') { letter } else { '_' }).collect()
}

fn trace(trace: document::Trace, secrets: &BTreeMap<String, document::Secret>, callers: &Callers) -> TracePolicy {
    let document::Trace { propagation, tracestate, signed_hop, trust, sampling } = trace;
    TracePolicy {
        extract: propagation.extract.into_iter().map(format).collect(),
        inject: propagation.inject.into_iter().map(format).collect(),
        baggage: BaggagePolicy { allow: propagation.baggage.allow.map(|keys| keys.into_iter().collect()) },
        member: tracestate.member.map(|leaf| leaf.value),
        max_tracestate_length: tracestate.max_length,
        trust: TrustPolicy::new(trust.into_iter().map(|rule| trust_rule(rule, callers)).collect()),
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

/// A secret that is used as a key.
#[inline(never)]
fn reference(name: String, secrets: &BTreeMap<String, document::Secret>) -> SecretReference {
    // The document was checked: the name is there.
    let source = secrets.get(&name).map_or_else(|| SecretSource::Environment { variable: String::new() }, secret_source);
    SecretReference { name, source: Arc::new(source), form: SecretForm::Key { least: MIN_KEY } }
}

/// A secret that is used as a header's value.
fn text_reference(name: String, secrets: &BTreeMap<String, document::Secret>) -> SecretReference {
    SecretReference { form: SecretForm::Text, ..reference(name, secrets) }
}

fn secret_source(secret: &document::Secret) -> SecretSource {
    let refresh = |interval: &Leaf<Duration>, timeout: &Leaf<Duration>| Refresh {
        interval: interval.value.nanoseconds(),
        timeout: timeout.value.nanoseconds(),
    };
    match secret {
        document::Secret::Environment(environment) => SecretSource::Environment { variable: environment.name.clone() },
        document::Secret::Literal(literal) => SecretSource::Literal(literal.value.clone()),
        document::Secret::Http(http) => SecretSource::Http(HttpSecret {
            uri: http.uri.value.clone(),
            cluster: http.cluster.clone(),
            refresh: refresh(&http.refresh_interval, &http.timeout),
        }),
        document::Secret::KeyVault(secret) => SecretSource::KeyVault(KeyVaultSecret {
            vault: secret.vault_uri.value.clone(),
            name: secret.name.clone(),
            version: secret.version.clone(),
            client_id: secret.managed_identity.client_id.as_ref().map(|id| id.value.as_str().to_owned()),
            vault_cluster: secret.vault_cluster.clone(),
            imds_cluster: secret.imds_cluster.clone(),
            refresh: refresh(&secret.refresh_interval, &secret.timeout),
        }),
    }
}

fn trust_rule(rule: document::TrustRule, callers: &Callers) -> TrustRule {
    TrustRule {
        name: rule.name,
        when: rule.when.map(|when| callers.condition(when)),
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

fn route(
    document::Route { name, matches, rules, quotas, sampling, attributes }: document::Route,
    audited: &[String],
    callers: &Callers,
    known: &[Quota],
) -> Route {
    let path = matches.path.map(self::path);
    Route {
        template: path.as_ref().map(PathMatch::template_text),
        attributes: export::path_attributes(attributes),
        audited: audited.contains(&name),
        name,
        root: sampling.map(|sampling| sampling.root.probability.threshold),
        hosts: matches.hosts.into_iter().map(host).collect(),
        methods: matches.methods,
        path,
        rules: rules.into_iter().map(|rule| self::rule(rule, callers)).collect(),
        quotas: quota::places(&quotas, known),
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

fn rule(document::Rule { name, when, require, mode }: document::Rule, callers: &Callers) -> Rule {
    let when = when.map(|when| callers.condition(when));
    Rule { name, when, require: callers.requirement(require), shadow: mode == Mode::Shadow }
}
