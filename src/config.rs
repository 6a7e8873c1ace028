// SPDX-License-Identifier: Apache-2.0
//! The policy: read as a document, checked whole, compiled into the [`Policy`] that runs.
//!
//! Everything wrong with a document is found in one run, each with its place: `routes[2].match.path.prefix`, line and
//! column, what was expected and what was found.

use std::fmt;

mod compile;
mod decode;
mod document;
mod finding;
mod number;
#[cfg(feature = "schema")]
mod schema;

pub use crate::json::{Key, Node, Position, Value};
pub use compile::{Call, Fingerprint, Listener, Policy, Serves, Service};
pub use finding::{Finding, Findings, Problem, Severity};
#[cfg(feature = "schema")]
pub use schema::json_schema;

use decode::{Decode, Place};
use document::Document;

use crate::json;
use crate::secret::{SecretReference, SecretStore};

/// The newest policy schema that this version reads.
pub const SCHEMA: u64 = 1;

/// Reads JSON text as a tree, in which every repetition and every place is kept.
///
/// # Errors
///
/// Where it is no JSON.
pub fn read_json(text: &[u8]) -> Result<Node, Findings> {
    json::parse(text).map_err(Findings::from)
}

/// A policy that is fit to run, with what its author should still know.
#[derive(Clone)]
pub struct Loaded {
    /// The policy.
    pub policy: Policy,
    /// Warnings: sound, but perhaps not meant.
    pub warnings: Findings,
    /// The document in canonical JSON, with defaults filled in, and with the secrets that stand in it.
    pub canonical: String,
}

impl fmt::Debug for Loaded {
    /// Shows nothing of the document: secrets may stand in it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, warnings, .. } = self;
        formatter.debug_struct("Loaded").field("policy", policy).field("warnings", warnings).finish_non_exhaustive()
    }
}

impl Policy {
    /// Reads a policy from JSON text.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, up to 100 findings.
    pub fn from_json(text: &[u8]) -> Result<Loaded, Findings> {
        read_json(text).and_then(|node| Self::from_node(&node))
    }

    /// Reads a policy from a tree, whatever notation it was written in.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, up to 100 findings.
    pub fn from_node(node: &Node) -> Result<Loaded, Findings> {
        let mut findings = Findings::default();
        let document = Document::decode(Place::root(node), &mut findings);
        match document {
            Some(document) if !findings.has_errors() => {
                let (mut loaded, unused) = compile::compile(document, findings);
                loaded.check_literals(node);
                loaded.check_uses(node, &unused);
                if loaded.warnings.has_errors() { Err(loaded.warnings) } else { Ok(loaded) }
            }
            _ => Err(findings),
        }
    }
}

impl Loaded {
    /// Warns of secrets that nothing uses, and of keys that collectors are sent.
    fn check_uses(&mut self, node: &Node, unused: &[String]) {
        let Self { policy, warnings, .. } = self;
        for name in unused {
            Place::root(node).descend(&["secrets", name]).warn("nothing uses this secret: it is never asked for", warnings);
        }
        let chain = policy.audit.as_ref().and_then(|audit| audit.chain.as_ref()).map(|chain| &chain.key);
        let uses = [
            (chain, ["audit", "chain", "key", "secret"], "a collector is sent this secret in a header: whoever has it can write records"),
            (
                policy.export.spans.digest_key.as_ref(),
                ["export", "spans", "digest_key", "secret"],
                "a collector is sent this secret in a header: whoever has it can try which values the digests are of",
            ),
        ];
        // Whatever names the policy has for it.
        let is_sent =
            |key: &SecretReference| policy.export.collectors().any(|to| to.headers.iter().any(|(_, sent)| sent.source == key.source));
        for (_, path, note) in uses.into_iter().filter(|(key, ..)| key.is_some_and(is_sent)) {
            Place::root(node).descend(&path).warn(note, warnings);
        }
    }

    /// Reports secrets in the document that don't fit their uses.
    fn check_literals(&mut self, node: &Node) {
        let Self { policy, warnings, .. } = self;
        for unfit in SecretStore::unfit_literals(policy.secret_uses()) {
            let place = Place::root(node).descend(&["secrets", &unfit.name, "literal", "value"]);
            place.report::<()>(Problem::Expected { expected: unfit.expected.into(), found: unfit.found.to_owned() }, warnings);
        }
    }
}

/// No bytes panic, findings stand in order and in bounds, and what is accepted is, in canonical form, accepted as the same.
#[cfg(any(test, fuzzing))]
pub fn fuzz_policy(bytes: &[u8]) {
    match Policy::from_json(bytes) {
        Ok(loaded) => {
            let again = Policy::from_json(loaded.canonical.as_bytes()).map(|again| (again.policy.fingerprint, again.canonical));
            assert_eq!(again, Ok((loaded.policy.fingerprint, loaded.canonical)));
        }
        Err(findings) => {
            assert!(findings.has_errors());
            assert!(findings.iter().is_sorted_by_key(|finding| finding.at));
        }
    }
}

#[cfg(test)]
mod tests;
