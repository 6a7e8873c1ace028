// SPDX-License-Identifier: Apache-2.0
//! The caller's certificate: the connection's, or what a proxy of ours tells of its own peer's.

use std::borrow::Cow;

use super::xfcc::{self, Element};
use crate::caller::{Caller, Subject};
use crate::condition::{Condition, Facts, PeerMatch};
use crate::decision::Reason;
use crate::head::Headers;
use crate::inputs::{Peer, PeerFact};

/// Whose certificates count, by the services that hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateProvider {
    /// Names of services, the first that matches; where it is empty, every verified certificate counts.
    pub services: Vec<(String, PeerMatch)>,
}

/// What becomes of `x-forwarded-client-cert`, in which Envoy tells of client certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ForwardedClientCert {
    /// Nobody may send it: it is removed.
    #[default]
    Remove,
    /// The listener itself writes it, or removes it: it is left alone, and not read.
    Keep,
    /// Those of whom this is so may: they are proxies of ours, and their peer is the caller. From anybody else it is removed.
    From(Condition),
}

/// The certificate that a request came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Certificate {
    /// The connection's peer is the caller.
    Connection,
    /// A proxy tells of the caller's.
    Forwarded(Element),
    /// The caller showed none to the proxy.
    Absent,
}

impl Certificate {
    /// Whose certificate counts for a request.
    pub(super) fn of(headers: Headers<'_>, policy: &ForwardedClientCert, trusted_hops: usize, peer: &mut dyn Peer) -> Self {
        let ForwardedClientCert::From(from) = policy else { return Self::Connection };
        if !from.holds(&mut Facts::new(headers, trusted_hops, peer, &Caller::unknown())) {
            return Self::Connection;
        }
        let own = peer.fact(PeerFact::Sha256);
        xfcc::last(headers, own.as_deref()).map_or(Self::Absent, Self::Forwarded)
    }

    /// What is known of it; an empty answer is none.
    fn fact<'c>(&'c self, fact: PeerFact, peer: &mut dyn Peer) -> Option<Cow<'c, [u8]>> {
        let found: Cow<'c, [u8]> = match self {
            Self::Connection => Cow::Owned(peer.fact(fact)?),
            Self::Forwarded(element) => Cow::Borrowed(element.fact(fact)?.as_bytes()),
            Self::Absent => return None,
        };
        (!found.is_empty()).then_some(found)
    }

    /// Its digest, in lower-case hexadecimal digits.
    pub(super) fn sha256(&self, peer: &mut dyn Peer) -> Option<String> {
        let digits = String::from_utf8(self.fact(PeerFact::Sha256, peer)?.into_owned()).ok()?;
        Some(digits.to_ascii_lowercase())
    }
}

impl CertificateProvider {
    /// Whose certificate it is.
    ///
    /// # Errors
    ///
    /// [`Reason::ClientCertificateNotFound`] where there is none, [`Reason::ClientCertificateNotAllowed`] where it is no service's.
    pub(super) fn verify(&self, certificate: &Certificate, peer: &mut dyn Peer) -> Result<(Subject, Option<String>), Reason> {
        let sha256 = certificate.sha256(peer).ok_or(Reason::ClientCertificateNotFound)?;
        let is = |wanted: &PeerMatch, peer: &mut dyn Peer| {
            certificate.fact(wanted.fact(), peer).is_some_and(|found| wanted.matches(&found) == Some(true))
        };
        let service = self.services.iter().find(|(_, wanted)| is(wanted, peer)).map(|(name, _)| name.clone());
        if service.is_none() && !self.services.is_empty() {
            return Err(Reason::ClientCertificateNotAllowed);
        }
        Ok((Subject::Certificate { sha256 }, service))
    }
}
