// SPDX-License-Identifier: Apache-2.0
//! What may be asked of values, as written.

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::Findings;
use super::condition::{Name, at_least_one};
use crate::matcher::Pattern;

/// What must be so of the values of a header, a parameter or a claim, of which there may be none or several: of one of them at least, unless it
/// says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Values {
    /// It is this.
    Exact(String),
    /// It is any of these.
    OneOf(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] Vec<String>),
    /// Every one of these is among them.
    AllOf(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] Vec<String>),
    /// It begins so.
    Prefix(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] String),
    /// It ends so.
    Suffix(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] String),
    /// It holds this.
    Contains(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] String),
    /// All of it matches this regular expression: at most 512 bytes, no look-around, no back-references.
    Regex(#[cfg_attr(feature = "schema", schemars(with = "String", length(max = 512)))] Leaf<Pattern>),
    /// `true`: there is one at least; `false`: there is none.
    Present(bool),
}

impl Decode for Values {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let names = ["exact", "one_of", "all_of", "prefix", "suffix", "contains", "regex", "present"];
        Some(match place.choice(&names, findings)? {
            ("exact", place) => Self::Exact(place.text(findings)?.to_owned()),
            ("one_of", place) => Self::OneOf(at_least_one(&place, findings)?),
            ("all_of", place) => Self::AllOf(at_least_one(&place, findings)?),
            ("prefix", place) => Self::Prefix(place.name(findings)?),
            ("suffix", place) => Self::Suffix(place.name(findings)?),
            ("contains", place) => Self::Contains(place.name(findings)?),
            ("regex", place) => Self::Regex(Leaf::decode(place, findings)?),
            (_, place) => Self::Present(place.bool(findings)?),
        })
    }
}

/// A list of at least one text of at least one character each.
pub(super) fn names(place: &Place<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let names: Vec<Name> = at_least_one(place, findings)?;
    Some(names.into_iter().map(|Name(name)| name).collect())
}
