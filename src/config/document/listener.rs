// SPDX-License-Identifier: Apache-2.0
//! What the operator asserts about the listener. The module can't see it, and believes what the host says on this word alone.

use serde::Serialize;

use super::super::decode::{Decode, Place};
use super::super::finding::Findings;
use super::condition::Condition;
use crate::json::Value;

/// What the operator asserts about the listener.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Listener {
    /// How many proxies of ours every request passes before the listener, each of which appends its peer to `x-forwarded-for`. Default: 0.
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_HOPS)))]
    pub(in crate::config) trusted_hops: u8,
    /// Whether the listener verifies client certificates. Default: `unverified`.
    pub(in crate::config) client_certificates: ClientCertificates,
    /// What becomes of `x-forwarded-client-cert` where the policy has providers. Default: `remove`.
    pub(in crate::config) forwarded_client_cert: ForwardedClientCert,
}

/// What becomes of `x-forwarded-client-cert`, in which Envoy tells of client certificates.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum ForwardedClientCert {
    /// It is removed: nobody may send it.
    #[default]
    Remove,
    /// It is left alone, and not read: the listener itself writes it (`SANITIZE_SET`).
    Keep,
    /// Those of whom this is so are proxies of ours: what they tell is the caller's certificate, in the place of their own. From anybody else it is
    /// removed. It may ask for `peer`, `source`, `header` and the like, not for callers.
    From(Condition),
}

/// Whether the listener verifies client certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum ClientCertificates {
    /// It doesn't, or asks for none: `peer` can't be matched.
    #[default]
    Unverified,
    /// Every certificate that the host tells of has been verified against trusted roots.
    Verified,
}

impl Decode for Listener {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let hops = fields.maybe("trusted_hops", findings, |place, findings| u8::try_from(place.integer(0..=MAX_HOPS, findings)?).ok());
        let words = [("unverified", ClientCertificates::Unverified), ("verified", ClientCertificates::Verified)];
        let certificates = fields.maybe("client_certificates", findings, |place, findings| place.word(&words, findings));
        let forwarded = fields.maybe("forwarded_client_cert", findings, ForwardedClientCert::decode);
        fields.finish(findings);
        Some(Self {
            trusted_hops: hops?.unwrap_or_default(),
            client_certificates: certificates?.unwrap_or_default(),
            forwarded_client_cert: forwarded?.unwrap_or_default(),
        })
    }
}

impl Decode for ForwardedClientCert {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.value() {
            Value::String(word) if word == "remove" => Some(Self::Remove),
            Value::String(word) if word == "keep" => Some(Self::Keep),
            Value::Mapping(_) => {
                let (_, place) = place.choice(&["from"], findings)?;
                Condition::decode(place, findings).map(Self::From)
            }
            _ => place.expected("`remove` or `keep` or a mapping with `from`", findings),
        }
    }
}

/// More proxies in a row than anybody runs.
const MAX_HOPS: u64 = 10;
