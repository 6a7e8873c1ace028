// SPDX-License-Identifier: Apache-2.0
//! From the document as written to the policy as run.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use super::Loaded;
use super::document::{self, Action, Document, Mode};
use super::finding::Findings;
use crate::route::{DefaultAction, HostMatch, PathMatch, Requirement, Route, RouteTable, Rule};
use crate::trace::TracePolicy;

/// A policy as run.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whose edge this is.
    pub service: Service,
    /// What to do with trace context.
    pub trace: TracePolicy,
    /// What to do with which request.
    pub routes: RouteTable,
    /// Names this policy and no other.
    pub fingerprint: Fingerprint,
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
    let Document { schema: _, service, trace, routes, default } = document;
    let policy = Policy {
        service: Service { name: service.name, namespace: service.namespace, attributes: service.attributes },
        trace: TracePolicy { member: trace.tracestate.member.map(|leaf| leaf.value), max_tracestate_length: trace.tracestate.max_length },
        routes: RouteTable {
            routes: routes.into_iter().map(route).collect(),
            default: match default {
                document::DefaultAction { action: Action::Refuse, status: Some(status) } => DefaultAction::Refuse { status },
                document::DefaultAction { .. } => DefaultAction::Admit,
            },
        },
        fingerprint: Fingerprint::of(&canonical),
    };
    Loaded { policy, warnings, canonical }
}

fn route(document::Route { name, matches, rules }: document::Route) -> Route {
    Route {
        name,
        hosts: matches.hosts.into_iter().map(host).collect(),
        methods: matches.methods,
        path: matches.path.map(path),
        rules: rules.into_iter().map(rule).collect(),
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

fn rule(document::Rule { name, require, mode }: document::Rule) -> Rule {
    let require = match require {
        document::Requirement::Anonymous => Requirement::Anonymous,
        document::Requirement::Deny => Requirement::Deny,
    };
    Rule { name, require, shadow: mode == Mode::Shadow }
}
