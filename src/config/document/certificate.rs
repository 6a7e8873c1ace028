// SPDX-License-Identifier: Apache-2.0
//! Clients with certificates, as written.

use serde::Serialize;

use super::super::decode::{Decode, Place};
use super::super::finding::Findings;
use super::condition::Peer;

/// Clients with certificates.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct ClientCertificate {
    /// Names for the services that hold them, the first that matches; a certificate that is no service's is refused. By default every verified
    /// certificate counts.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) services: Vec<CertifiedService>,
}

/// A service that holds a certificate.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct CertifiedService {
    /// Required: its name, in rules. Several certificates may share one.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) name: String,
    /// Required: what tells its certificate.
    pub(in crate::config) peer: Peer,
}

impl Decode for ClientCertificate {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let services = fields.maybe("services", findings, |place, findings| place.list(findings));
        fields.finish(findings);
        Some(Self { services: services?.unwrap_or_default() })
    }
}

impl Decode for CertifiedService {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let name = fields.required("name", findings).and_then(|place| place.name(findings));
        let peer = fields.required("peer", findings).and_then(|place| Peer::decode(place, findings));
        fields.finish(findings);
        Some(Self { name: name?, peer: peer? })
    }
}
