// SPDX-License-Identifier: Apache-2.0
//! The policy: read as a document, checked whole, compiled into the [`Policy`] that runs.
//!
//! Everything wrong with a document is found in one run, each with its place: `routes[2].match.path.prefix`, line and
//! column, what was expected and what was found.

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
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The policy.
    pub policy: Policy,
    /// Warnings: sound, but perhaps not meant.
    pub warnings: Findings,
    /// The document in canonical JSON, with defaults filled in.
    pub canonical: String,
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
            Some(document) if !findings.has_errors() => Ok(compile::compile(document, findings)),
            _ => Err(findings),
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
