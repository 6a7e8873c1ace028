// SPDX-License-Identifier: Apache-2.0
//! What is asked of values, in words.

use serde::{Deserialize, Serialize};

use super::words::{all, any, word};

/// What must be so of the values of a header, a parameter or a claim.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Values {
    Exact(String),
    OneOf(Vec<String>),
    AllOf(Vec<String>),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(String),
    Present(bool),
}

impl Values {
    /// Behind the name of what has them: `is gold or silver`.
    pub(super) fn predicate(&self) -> String {
        match self {
            Self::Exact(text) => format!("is {}", word(text)),
            Self::OneOf(texts) => format!("is {}", any(texts)),
            Self::AllOf(texts) => format!("has {}", all(texts)),
            Self::Prefix(text) => format!("begins with {}", word(text)),
            Self::Suffix(text) => format!("ends with {}", word(text)),
            Self::Contains(text) => format!("contains {}", word(text)),
            Self::Regex(pattern) => format!("matches {pattern:?}"),
            Self::Present(true) => "is present".to_owned(),
            Self::Present(false) => "is absent".to_owned(),
        }
    }

    /// With the name of what has them, as somebody's attribute: `tier gold or silver`.
    pub(super) fn attribute(&self, name: &str) -> String {
        match self {
            Self::Exact(text) => format!("{name} {}", word(text)),
            Self::OneOf(texts) => format!("{name} {}", any(texts)),
            Self::AllOf(texts) => format!("{name} {}", all(texts)),
            Self::Prefix(text) => format!("{name} beginning with {}", word(text)),
            Self::Suffix(text) => format!("{name} ending with {}", word(text)),
            Self::Contains(text) => format!("{name} containing {}", word(text)),
            Self::Regex(pattern) => format!("{name} matching {pattern:?}"),
            Self::Present(true) => format!("any {name}"),
            Self::Present(false) => format!("no {name}"),
        }
    }

    /// The same of what isn't so, where that has words of its own.
    pub(super) const fn opposite(&self) -> Option<Self> {
        match self {
            Self::Present(present) => Some(Self::Present(!*present)),
            _ => None,
        }
    }
}
