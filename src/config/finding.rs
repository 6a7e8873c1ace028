// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a policy, and where.

use std::borrow::Cow;
use std::fmt;

use crate::json::{Position, SyntaxError};

/// One thing to say about a policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the policy can't run because of it.
    pub severity: Severity,
    /// Where in the text.
    pub at: Position,
    /// Where in the document: `routes[2].match.path`; empty for the whole.
    pub path: String,
    /// What.
    pub problem: Problem,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The policy can't run.
    Error,
    /// It runs, but perhaps not as meant.
    Warning,
}

/// What a finding says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The text is no JSON (or YAML); the parser's own words.
    Syntax(String),
    /// A value is not what it should be.
    Expected {
        /// What it should be.
        expected: Cow<'static, str>,
        /// What it is.
        found: String,
    },
    /// A leaf's own parser refuses it; the parser's words.
    Invalid(String),
    /// A field that there must be is not there.
    Missing(&'static str),
    /// A field stands there twice.
    Repeated,
    /// A field that there is no such.
    Unknown {
        /// Those that there are.
        known: Vec<&'static str>,
    },
    /// Something to think about.
    Note(&'static str),
}

impl fmt::Display for Finding {
    /// `31:14: quotas.per-subscription.limit: expected …, found …`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.at)?;
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        if self.severity == Severity::Warning {
            formatter.write_str("warning: ")?;
        }
        self.problem.fmt(formatter)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(message) | Self::Invalid(message) => formatter.write_str(message),
            Self::Expected { expected, found } => write!(formatter, "expected {expected}, found {found}"),
            Self::Missing(field) => write!(formatter, "expected a field `{field}`, found none"),
            Self::Repeated => formatter.write_str("expected a field once, found it again"),
            Self::Unknown { known } => {
                write!(formatter, "expected one of")?;
                for (index, field) in known.iter().enumerate() {
                    write!(formatter, "{} `{field}`", if index == 0 { "" } else { "," })?;
                }
                formatter.write_str(", found an unknown field")
            }
            Self::Note(message) => formatter.write_str(message),
        }
    }
}

/// The findings of one document, in the order of the text: the first 100 met, and no warning in the place of an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    kept: Vec<Finding>,
    left_out: usize,
}

impl Findings {
    /// The findings.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.kept.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether the policy can't run.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.kept.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// How many more there are than are kept.
    #[must_use]
    pub const fn left_out(&self) -> usize {
        self.left_out
    }

    /// Keeps `finding` in its place, or only counts it. The last warning makes room for an error.
    pub(super) fn add(&mut self, finding: Finding) {
        if self.kept.len() >= MAX_FINDINGS {
            self.left_out = self.left_out.saturating_add(1);
            let warning = self.kept.iter().rposition(|kept| kept.severity == Severity::Warning);
            match warning.filter(|_| finding.severity == Severity::Error) {
                Some(place) => drop(self.kept.remove(place)),
                None => return,
            }
        }
        let place = self.kept.partition_point(|other| other.at <= finding.at);
        self.kept.insert(place, finding);
    }
}

impl From<Finding> for Findings {
    fn from(finding: Finding) -> Self {
        Self { kept: vec![finding], left_out: 0 }
    }
}

impl From<SyntaxError> for Findings {
    fn from(SyntaxError { at, message }: SyntaxError) -> Self {
        Finding { severity: Severity::Error, at, path: String::new(), problem: Problem::Syntax(message) }.into()
    }
}

impl fmt::Display for Findings {
    /// One finding a line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.kept.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            finding.fmt(formatter)?;
        }
        if self.left_out > 0 {
            write!(formatter, "\n… and {} more", self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

const MAX_FINDINGS: usize = 100;
