// SPDX-License-Identifier: Apache-2.0
//! What a policy in canonical form says about who can reach what, and what leaves. The rest of it is left alone; a part that says more than is known
//! here is an error, lest it be explained by half.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::caller::CallerRule;
use super::condition::Condition;
use super::leaving::{Audit, Export};
use super::quota::Quota;
use super::sampling::{RouteSampling, Sampling, Trust};
use super::secrets;
use super::spans::{RouteAttributes, Service};

/// The sections of interest.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    pub(super) service: Service,
    pub(super) listener: Listener,
    pub(super) responses: Responses,
    pub(super) secrets: BTreeMap<String, secrets::Place>,
    pub(super) trace: Trace,
    pub(super) identity: Identity,
    pub(super) quotas: BTreeMap<String, Quota>,
    pub(super) routes: Vec<Route>,
    pub(super) default: DefaultAction,
    pub(super) export: Export,
    pub(super) audit: Option<Audit>,
}

/// What the operator asserts of the listener.
#[derive(Debug, Deserialize)]
pub(super) struct Listener {
    pub(super) forwarded_client_cert: ForwardedClientCert,
}

/// What becomes of `x-forwarded-client-cert`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ForwardedClientCert {
    Remove,
    Keep,
    From(Condition),
}

/// How callers are answered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Responses {
    #[serde(rename = "errors")]
    _errors: String,
    pub(super) rate_limit_headers: Vec<String>,
}

/// What becomes of trace context.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trace {
    pub(super) propagation: Propagation,
    pub(super) tracestate: TraceState,
    pub(super) signed_hop: Option<SignedHop>,
    #[serde(default)]
    pub(super) trust: Vec<Trust>,
    pub(super) sampling: Option<Sampling>,
}

/// What carries it.
#[derive(Debug, Deserialize)]
pub(super) struct Propagation {
    pub(super) inject: Vec<String>,
    pub(super) baggage: Baggage,
}

/// What becomes of baggage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Baggage {
    pub(super) allow: Option<Vec<String>>,
}

/// What the upstream sees in `tracestate`.
#[derive(Debug, Deserialize)]
pub(super) struct TraceState {
    pub(super) member: Option<String>,
}

/// How the member is signed.
#[derive(Debug, Deserialize)]
pub(super) struct SignedHop {
    pub(super) active: HopKey,
}

/// A key and its id.
#[derive(Debug, Deserialize)]
pub(super) struct HopKey {
    pub(super) key: SecretName,
}

/// What the upstream is told.
#[derive(Debug, Deserialize)]
pub(super) struct Identity {
    pub(super) claim_to_headers: Vec<ClaimToHeader>,
    pub(super) caller_to_headers: Vec<CallerToHeader>,
    pub(super) forward_token: bool,
    pub(super) replace_token: Option<ReplaceToken>,
}

/// A header that tells what a verified token claims.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimToHeader {
    pub(super) claim: String,
    pub(super) header: String,
    pub(super) separator: Option<String>,
    pub(super) provider: Option<String>,
}

/// A header that tells who calls.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallerToHeader {
    pub(super) caller: String,
    pub(super) header: String,
}

/// What goes on in the place of a verified token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplaceToken {
    pub(super) scheme: String,
    pub(super) credential: SecretName,
}

/// A secret by its name.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretName {
    pub(super) secret: String,
}

/// A named set of requests and the rules for them.
#[derive(Debug, Deserialize)]
pub(super) struct Route {
    pub(super) name: String,
    #[serde(rename = "match")]
    pub(super) matches: Match,
    pub(super) rules: Vec<Rule>,
    pub(super) quotas: Vec<String>,
    pub(super) sampling: Option<RouteSampling>,
    pub(super) attributes: RouteAttributes,
}

/// Which requests: all that is given must match.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Match {
    pub(super) methods: Vec<String>,
    pub(super) hosts: Vec<Host>,
    pub(super) path: Option<Path>,
}

/// One way to match a host.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Host {
    Exact(String),
    Suffix(String),
}

/// One way to match a path.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Path {
    Exact(String),
    Prefix(String),
    Template(String),
}

/// What is asked of a request.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) when: Option<Condition>,
    pub(super) mode: Mode,
    pub(super) require: Requirement,
}

/// Whether a rule acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    Enforce,
    Shadow,
}

/// Who may.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Requirement {
    Anonymous,
    Deny,
    Caller(CallerRule),
    AnyOf(Vec<Self>),
    AllOf(Vec<Self>),
}

/// What becomes of a request that no route matches.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DefaultAction {
    pub(super) action: Action,
    pub(super) status: Option<u16>,
}

/// Whether a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    Admit,
    Refuse,
}
