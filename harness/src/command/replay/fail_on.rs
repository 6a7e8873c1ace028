// SPDX-License-Identifier: Apache-2.0
//! What `tracegate replay` takes for a finding.

use clap::ValueEnum;

use crate::replay::{Passed, Report};

/// What can be a reason for exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// The edge refuses an exchange
    Refused,
    /// The edge decides otherwise than the record has it
    Differed,
    /// The record doesn't tell
    Undecidable,
    /// A record can't be read
    Malformed,
    /// A rule in `mode: shadow` would have refused
    Shadow,
    /// With --mint: the edge decides otherwise about a minted token than the record has it
    Minted,
    /// With --against: the edge refuses what the other admits
    NewlyRefused,
    /// With --against: the edge admits what the other refuses
    NewlyAdmitted,
}

impl FailOn {
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether there can be reason only with `--against`, or only without it.
    pub(super) const fn needs_against(self) -> Option<bool> {
        match self {
            Self::NewlyRefused | Self::NewlyAdmitted => Some(true),
            Self::Undecidable => Some(false),
            Self::Refused | Self::Differed | Self::Malformed | Self::Shadow | Self::Minted => None,
        }
    }

    /// How often there was reason.
    pub(super) fn count(self, report: &Report, passed: &Passed) -> u64 {
        let totals = report.totals();
        match self {
            Self::Refused => totals.refused,
            Self::Differed => totals.differed,
            Self::Undecidable => totals.undecidable,
            Self::Malformed => passed.malformed,
            Self::Shadow => report.shadowed(),
            Self::Minted => totals.minted_differed,
            Self::NewlyRefused => totals.newly_refused,
            Self::NewlyAdmitted => totals.newly_admitted,
        }
    }
}
