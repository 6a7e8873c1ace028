// SPDX-License-Identifier: Apache-2.0
//! The policy document as written. Unknown fields are errors everywhere; a field left out has the default named here.
//! Serialised, it lists every field in the order below, defaults filled in: that form is a policy again, with the same
//! meaning, and gives the fingerprint. With the feature `schema` these types are also where the JSON Schema comes from:
//! their documentation is what an editor shows to a policy's author.

mod access_log;
mod audit;
mod caller;
mod certificate;
mod condition;
mod enforcement;
mod entra;
mod export;
mod forward;
mod identity;
mod jwt;
mod keys;
mod listener;
mod matcher;
mod quota;
mod responses;
mod rule;
mod sampling;
mod secret;
mod service;
mod spans;
mod subscription;
mod trace;
mod trust;

use std::collections::BTreeMap;

use serde::Serialize;

use super::SCHEMA;
use super::decode::{Decode, Leaf, Place};
use super::finding::{Findings, Problem};
#[cfg(feature = "schema")]
use super::schema;
use crate::json::Value;
use crate::path::PathMatch;
use crate::route::HostMatch;

pub(super) use access_log::AccessLogProperty;
pub(super) use audit::{Audit, Audited, Output};
pub(super) use caller::{CallerRule, ClaimRule, Requirement};
pub(super) use condition::{Condition, Peer, Source, Text, Whole};
pub(super) use enforcement::{Breaker, Enforcement, GlobalMode, Lease, Local, OnFull, OnServiceUnavailable, Share};
pub(super) use entra::{Cloud, Entra, Workload};
pub(super) use export::{Batch, Collector, Export, Lightstep, LogCollector, Otlp};
pub(super) use forward::CallerFact;
pub(super) use identity::{Identity, Provider};
pub(super) use jwt::{Jwt, Scheme, TokenPlace};
pub(super) use keys::{Keys, OnUnavailable, PemKey, Published};
pub(super) use listener::{ClientCertificates, ForwardedClientCert, Listener};
pub(super) use matcher::Values;
pub(super) use quota::{
    Amount, Calendar, ClaimLimit, FixedWindow, KeyAbsent, KeyClaim, KeyPart, Limit, LimitFrom, Prefixes, Quota, Rate, Response, RouteLimit,
    SlidingWindow, Status,
};
pub(super) use responses::{Errors, RateLimitHeaders, Responses};
pub(super) use rule::{Mode, Rule};
pub(super) use sampling::{AlwaysRecord, RouteSampling};
pub(super) use secret::Secret;
pub(super) use service::Service;
pub(super) use spans::{PathTold, RouteAttributes, SpanAttribute, UrlPath};
pub(super) use subscription::{State, SubscriptionKeys};
#[cfg(feature = "schema")]
pub(super) use trace::SecretName;
pub(super) use trace::{Format, HopKey, Trace};
pub(super) use trust::{Sampled, Treatment, TrustRule};

use condition::Use;

/// What the edge does with requests. Unknown fields are errors; a field left out has its default.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(super) struct Document {
    /// Required: the schema that the document is written in.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = SCHEMA)))]
    pub(super) schema: u64,
    /// Required: whose edge this is.
    pub(super) service: Service,
    /// What the operator asserts about the listener.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(super) listener: Listener,
    /// How refusals are written.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(super) responses: Responses,
    /// Secrets, by names that the rest of the policy uses.
    #[cfg_attr(feature = "schema", schemars(default, extend("propertyNames" = {"minLength": 1})))]
    pub(super) secrets: BTreeMap<String, Secret>,
    /// What becomes of trace context.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(super) trace: Trace,
    /// Who calls.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(super) identity: Identity,
    /// Limits, by names that routes use: of lower-case letters, digits, `-` and `_`.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::quotas"))]
    pub(super) quotas: BTreeMap<String, Quota>,
    /// Rules by request: the first route that matches applies.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(super) routes: Vec<Route>,
    /// Required: what becomes of a request that no route matches.
    pub(super) default: DefaultAction,
    /// What leaves for collectors; nothing by default.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(super) export: Export,
    /// What is put on record of decisions; nothing by default.
    #[cfg_attr(feature = "schema", schemars(with = "Audit", default))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) audit: Option<Audit>,
}

/// A named set of requests and the rules for them.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(super) struct Route {
    /// Required: unique.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) name: String,
    /// Which requests; all of them by default.
    #[cfg_attr(feature = "schema", schemars(default))]
    #[serde(rename = "match")]
    pub(super) matches: Match,
    /// What is asked of them; nothing by default.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(super) rules: Vec<Rule>,
    /// What limits them, by names in `quotas`; nothing by default. Who meets the rules is charged.
    #[cfg_attr(feature = "schema", schemars(default, length(max = MAX_ROUTE_QUOTAS), inner(length(min = 1)), extend("uniqueItems" = true)))]
    pub(super) quotas: Vec<String>,
    /// Which of their traces are recorded; as `trace.sampling` has it by default.
    #[cfg_attr(feature = "schema", schemars(with = "RouteSampling", default))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sampling: Option<RouteSampling>,
    /// What spans tell of its requests beside what always is; nothing by default.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(super) attributes: RouteAttributes,
}

/// All that is given must match; nothing given matches everything.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(super) struct Match {
    /// Any of these hosts; every host by default.
    pub(super) hosts: Vec<Host>,
    /// Any of these methods, in upper case; every method by default.
    #[cfg_attr(feature = "schema", schemars(inner(regex(pattern = r"^[A-Z_-]+$"))))]
    pub(super) methods: Vec<String>,
    /// This path; every path by default.
    #[cfg_attr(feature = "schema", schemars(with = "Path"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<Path>,
}

/// One way to match a host, compared in lower case and without port.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(super) enum Host {
    /// This host: a name, an IPv4 address or an IPv6 address in brackets.
    Exact(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::host"))] Leaf<HostMatch>),
    /// Any host that ends so, with its leading dot: `.shop.example`.
    Suffix(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::host_suffix"))] Leaf<HostMatch>),
}

/// One way to match a path, without its query, in normal form: no dot segments, no double slashes.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(super) enum Path {
    /// This path.
    Exact(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::path"))] Leaf<PathMatch>),
    /// This path and every path below it, by whole segments.
    Prefix(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::path"))] Leaf<PathMatch>),
    /// Segments of which those in braces stand for one non-empty segment each: `/orders/{id}`.
    Template(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::path_template"))] Leaf<PathMatch>),
}

/// What becomes of a request that no route matches.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = schema::status_beside_refuse))]
pub(super) struct DefaultAction {
    /// Required: whether it goes on.
    pub(super) action: Action,
    /// Only beside `refuse`, 404 by default.
    #[cfg_attr(feature = "schema", schemars(with = "u16", default, range(min = MIN_STATUS, max = MAX_STATUS)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
}

/// Whether a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// It goes on to the upstream.
    Admit,
    /// It is answered with `status`.
    Refuse,
}

impl Decode for Document {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let root = place.clone();
        let mut fields = place.fields(findings)?;
        if let Some(place) = fields.optional("schema").filter(is_newer) {
            // What a newer schema means by the rest nobody here knows.
            return place.expected(newest_schema(), findings);
        }
        let schema = fields.required("schema", findings).and_then(|place| place.integer(1..=u64::MAX, findings));
        let service = fields.required("service", findings).and_then(|place| Service::decode(place, findings));
        let listener = fields.maybe("listener", findings, Listener::decode);
        let responses = fields.maybe("responses", findings, Responses::decode);
        let secrets = fields.maybe("secrets", findings, secret::secrets);
        let trace_place = fields.optional("trace");
        if !trace_place.as_ref().is_some_and(|place| place.descend(&["trust"]).is_filled_list()) {
            place.warn("every caller's valid trace context is continued: `trace.trust` tells callers apart", findings);
        }
        let trace = trace_place.clone().map_or(Some(Trace::default()), |place| Trace::decode(place, findings));
        let identity = fields.maybe("identity", findings, Identity::decode);
        let quotas = fields.maybe("quotas", findings, quotas);
        let routes = fields.maybe("routes", findings, routes);
        let default = fields.required("default", findings).and_then(|place| DefaultAction::decode(place, findings));
        let export = fields.maybe("export", findings, Export::decode);
        let audit = fields.maybe("audit", findings, Audit::decode);
        fields.finish(findings);
        let document = Self {
            schema: schema?,
            service: service?,
            listener: listener?.unwrap_or_default(),
            responses: responses?.unwrap_or_default(),
            secrets: secrets?.unwrap_or_default(),
            trace: trace?,
            identity: identity?.unwrap_or_default(),
            quotas: quotas?.unwrap_or_default(),
            routes: routes?.unwrap_or_default(),
            default: default?,
            export: export?.unwrap_or_default(),
            audit: audit?,
        };
        if let Some(place) = trace_place {
            document.trace.check_against(&document, &place, findings);
        }
        document.check_conditions(&root, findings);
        document.check_quotas(&root, findings);
        document.identity.check_against(&document, &root, findings);
        document.export.check_against(&document, &root.descend(&["export"]), findings);
        if let Some(audit) = &document.audit {
            audit.check_against(&document, &root.descend(&["audit"]), findings);
        }
        for (index, route) in document.routes.iter().enumerate() {
            let place = root.descend(&["routes"]).item(index);
            route.attributes.check_against(route.matches.path.as_ref(), &document.export.spans, &place, findings);
        }
        let sampled = document.routes.iter().position(|route| route.sampling.is_some());
        if let Some(index) = sampled.filter(|_| document.trace.sampling.is_none()) {
            let at = root.descend(&["routes"]).item(index).descend(&["sampling"]);
            at.report::<()>(Problem::Invalid("expected `trace.sampling` beside a route's, found none".to_owned()), findings);
        }
        Some(document)
    }
}

impl Document {
    /// Reports limits that don't go together with the rest.
    fn check_quotas(&self, root: &Place<'_>, findings: &mut Findings) {
        for (name, quota) in &self.quotas {
            let place = root.descend(&["quotas", name]);
            quota.check_against(self, &place, findings);
            if !self.routes.iter().any(|route| route.quotas.contains(name)) {
                place.warn("no route is limited by it", findings);
            }
        }
        let mut breakers: BTreeMap<&str, (&str, &Breaker)> = BTreeMap::new();
        for (name, quota) in &self.quotas {
            let Enforcement::Global(global) = &quota.enforcement else { continue };
            let (first, breaker) = *breakers.entry(&global.cluster).or_insert((name, &global.breaker));
            if !breaker.is_like(&global.breaker) {
                let text = format!("expected the breaker of {first:?}, whose cluster it shares: a service is up or down for both");
                root.descend(&["quotas", name, "enforcement", "global", "breaker"]).report::<()>(Problem::Invalid(text), findings);
            }
        }
        for (index, route) in self.routes.iter().enumerate() {
            let quotas = root.descend(&["routes"]).item(index).descend(&["quotas"]);
            for (index, name) in route.quotas.iter().enumerate() {
                let Some(quota) = self.quotas.get(name) else {
                    quotas.item(index).expected::<()>("a name in `quotas`", findings);
                    continue;
                };
                let asked = route.rules.iter().any(|rule| rule.mode == Mode::Enforce && rule.require.asks_caller());
                if quota.asks_caller() && !asked {
                    quotas
                        .item(index)
                        .warn("nobody is asked who calls here: no rule of this route that is enforced requires a caller", findings);
                }
            }
        }
    }

    /// Reports conditions outside `trace` that don't go together with the rest.
    fn check_conditions(&self, root: &Place<'_>, findings: &mut Findings) {
        if let ForwardedClientCert::From(condition) = &self.listener.forwarded_client_cert {
            let place = root.descend(&["listener", "forwarded_client_cert", "from"]);
            condition.check_against(self, Use::Listener, &place, findings);
        }
        for (index, route) in self.routes.iter().enumerate() {
            let rules = root.descend(&["routes"]).item(index).descend(&["rules"]);
            for (index, rule) in route.rules.iter().enumerate() {
                let place = rules.item(index).descend(&["when"]);
                if let Some(when) = &rule.when {
                    when.check_against(self, Use::Rule, &place, findings);
                    if rule.require.is_anybodys() {
                        place.warn("a rule that everybody meets keeps nobody out, whatever its condition", findings);
                    }
                }
            }
        }
    }
}

fn is_newer(schema: &Place<'_>) -> bool {
    matches!(schema.value(), Value::Integer(integer) if u64::try_from(*integer).is_ok_and(|schema| schema > SCHEMA))
}

fn newest_schema() -> String {
    format!("{SCHEMA}, the newest schema that version {} reads", crate::VERSION)
}

/// Limits, by names that metrics and headers can hold.
fn quotas(place: Place<'_>, findings: &mut Findings) -> Option<BTreeMap<String, Quota>> {
    let quotas: BTreeMap<String, Quota> = place.map(findings)?;
    plain_names(&place, &quotas, findings)?;
    if quotas.len() > MAX_QUOTAS {
        return place.report(Problem::Invalid(format!("expected at most {MAX_QUOTAS} quotas, found {}", quotas.len())), findings);
    }
    Some(quotas)
}

/// Reports the first name that metrics and headers can't hold.
fn plain_names<T>(place: &Place<'_>, named: &BTreeMap<String, T>, findings: &mut Findings) -> Option<()> {
    named.keys().try_for_each(|name| plain_name(place, name, findings))
}

/// Reports a name that metrics and headers can't hold.
fn plain_name(place: &Place<'_>, name: &str, findings: &mut Findings) -> Option<()> {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if name.len() <= 64 && name.bytes().all(known) && !name.starts_with(['_', '-']) {
        return Some(());
    }
    let text = "expected a name of at most 64 lower-case letters, digits, `-` and `_`, found another";
    place.descend(&[name]).report(Problem::Invalid(text.to_owned()), findings)
}

/// A route's limits, each once.
fn route_quotas(place: Place<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let names: Vec<String> = place.list(findings)?;
    if names.len() > MAX_ROUTE_QUOTAS {
        return place.report(Problem::Invalid(format!("expected at most {MAX_ROUTE_QUOTAS} quotas, found {}", names.len())), findings);
    }
    let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
    place.each_once(borrowed, findings)?;
    Some(names)
}

/// Each has metrics of its own.
const MAX_QUOTAS: usize = 64;
/// Each costs a request a look into shared memory.
const MAX_ROUTE_QUOTAS: usize = 16;

fn routes(place: Place<'_>, findings: &mut Findings) -> Option<Vec<Route>> {
    let (routes, unique) = (place.list(findings), place.unique("name", findings));
    unique.and(routes)
}

impl Decode for Route {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let name = fields.required("name", findings).and_then(|place| place.name(findings));
        let matches = fields.maybe("match", findings, Match::decode);
        let rules = fields.maybe("rules", findings, rule::rules);
        let quotas = fields.maybe("quotas", findings, route_quotas);
        let sampling = fields.maybe("sampling", findings, RouteSampling::decode);
        let attributes = fields.maybe("attributes", findings, RouteAttributes::decode);
        fields.finish(findings);
        Some(Self {
            name: name?,
            matches: matches?.unwrap_or_default(),
            rules: rules?.unwrap_or_default(),
            quotas: quotas?.unwrap_or_default(),
            sampling: sampling?,
            attributes: attributes?.unwrap_or_default(),
        })
    }
}

impl Decode for Match {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let hosts = fields.maybe("hosts", findings, |place, findings| place.list(findings));
        let methods = fields.maybe("methods", findings, |place, findings| place.list::<Method>(findings));
        let path = fields.maybe("path", findings, Path::decode);
        fields.finish(findings);
        let methods = methods?.unwrap_or_default().into_iter().map(|Method(method)| method).collect();
        Some(Self { hosts: hosts?.unwrap_or_default(), methods, path: path? })
    }
}

struct Method(String);

impl Decode for Method {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let text = place.text(findings)?;
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')) {
            Some(Self(text.to_owned()))
        } else {
            place.expected("a method in upper case, such as GET", findings)
        }
    }
}

impl Decode for Host {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["exact", "suffix"], findings)? {
            ("exact", place) => Leaf::parse(&place, |text| text.parse().map(HostMatch::Exact), findings).map(Self::Exact),
            (_, place) => Leaf::parse(&place, |text| text.parse().map(HostMatch::Suffix), findings).map(Self::Suffix),
        }
    }
}

impl Decode for Path {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["exact", "prefix", "template"], findings)? {
            ("exact", place) => Leaf::parse(&place, PathMatch::exact, findings).map(Self::Exact),
            ("prefix", place) => Leaf::parse(&place, PathMatch::prefix, findings).map(Self::Prefix),
            (_, place) => Leaf::parse(&place, PathMatch::template, findings).map(Self::Template),
        }
    }
}

impl Decode for DefaultAction {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let actions = [("admit", Action::Admit), ("refuse", Action::Refuse)];
        let action = fields.required("action", findings).and_then(|place| place.word(&actions, findings));
        let status = fields.maybe("status", findings, |place, findings| {
            u16::try_from(place.integer(u64::from(MIN_STATUS)..=u64::from(MAX_STATUS), findings)?).ok()
        });
        let place = fields.place().clone();
        fields.finish(findings);
        match (action?, status?) {
            (action @ Action::Refuse, status) => Some(Self { action, status: Some(status.unwrap_or(DEFAULT_STATUS)) }),
            (action @ Action::Admit, None) => Some(Self { action, status: None }),
            (Action::Admit, Some(_)) => {
                place.report(Problem::Invalid("expected no `status` beside `action: admit`, found one".to_owned()), findings)
            }
        }
    }
}

/// Statuses that refuse.
const MIN_STATUS: u16 = 400;
const MAX_STATUS: u16 = 599;
/// Where a policy that refuses names none.
pub(super) const DEFAULT_STATUS: u16 = 404;
