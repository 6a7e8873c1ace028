// SPDX-License-Identifier: Apache-2.0
//! Where secrets are. A policy never holds one itself.

use serde::Serialize;

use super::super::decode::{Decode, Place};
use super::super::finding::Findings;

/// Where a secret is.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Secret {
    /// In an environment variable of the gateway's process that its configuration hands to the module.
    Environment(Environment),
}

/// An environment variable.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Environment {
    /// Required: its name. It holds a key in base64; where it replaces tokens, the credential as it is.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$")))]
    pub(in crate::config) name: String,
}

impl Decode for Secret {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let (_, place) = place.choice(&["environment"], findings)?;
        let mut fields = place.fields(findings)?;
        let name = fields.required("name", findings).and_then(|place| {
            let name = place.text(findings)?;
            let sound = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let sound = sound && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
            if sound { Some(name.to_owned()) } else { place.expected("the name of an environment variable", findings) }
        });
        fields.finish(findings);
        Some(Self::Environment(Environment { name: name? }))
    }
}
