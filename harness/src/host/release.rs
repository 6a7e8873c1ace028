// SPDX-License-Identifier: Apache-2.0
//! Which Envoy the host is like, where releases differ.

/// A release of Envoy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// 1.36
    V1_36,
    /// 1.38
    V1_38,
    /// 1.40
    #[default]
    V1_40,
}

impl Release {
    /// The release of a version such as `1.38.2`; `None` for one that the host isn't held to.
    #[must_use]
    pub fn of(version: &str) -> Option<Self> {
        [("1.36.", Self::V1_36), ("1.38.", Self::V1_38), ("1.40.", Self::V1_40)]
            .into_iter()
            .find_map(|(prefix, release)| version.starts_with(prefix).then_some(release))
    }

    /// `verify_signature` without a key is a bad argument, rather than a signature that doesn't verify.
    pub(super) fn insists_on_a_key(self) -> bool {
        self > Self::V1_36
    }

    /// A callout with a value that no header can have fails at once, rather than with a reply.
    pub(super) fn refuses_values_at_once(self) -> bool {
        self < Self::V1_40
    }

    /// The proxy's own responses tell what the transport said.
    pub(super) fn tells_transport_failures(self) -> bool {
        self == Self::V1_36
    }
}
