// SPDX-License-Identifier: Apache-2.0
//! Certificates for tests: an authority, and whom it vouches for or doesn't.

use std::path::Path;

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

/// Signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Identity {
    /// The certificate.
    pub certificate: Certificate,
    /// Its private key.
    pub key: KeyPair,
}

impl Authority {
    /// A new one that goes by this name.
    #[must_use]
    pub fn new(subject: &str) -> Self {
        let mut params = named(subject, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key()).expect("an authority signs itself"))
    }

    /// Its own certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        self.0.as_ref()
    }

    /// Writes what a listener on `localhost` takes that goes by this authority's word.
    pub fn write_certificates(&self, directory: &Path) {
        let server = self.vouch_for(host("localhost"));
        let files = [
            ("server.pem", server.certificate.pem()),
            ("server-key.pem", server.key.serialize_pem()),
            ("clients-ca.pem", self.certificate().pem()),
        ];
        for (name, text) in files {
            std::fs::write(directory.join(name), text).expect("there is room");
        }
    }

    /// Vouches for somebody who goes by this name.
    #[must_use]
    pub fn vouch_for(&self, name: SanType) -> Identity {
        self.vouch_for_all("leaf", [name])
    }

    /// Vouches for somebody who goes by this subject's common name, and by all of these.
    #[must_use]
    pub fn vouch_for_all(&self, subject: &str, names: impl IntoIterator<Item = SanType>) -> Identity {
        let key = key();
        Identity { certificate: named(subject, names).signed_by(&key, &self.0).expect("an authority signs"), key }
    }
}

impl Identity {
    /// Somebody who says so of itself, and nobody else does.
    #[must_use]
    pub fn self_signed(name: SanType) -> Self {
        let key = key();
        Self { certificate: named("leaf", Some(name)).self_signed(&key).expect("a key signs"), key }
    }
}

/// A URI as a name.
#[must_use]
pub fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("a URI is ASCII"))
}

/// A host as a name.
#[must_use]
pub fn host(text: &str) -> SanType {
    SanType::DnsName(text.try_into().expect("a host is ASCII"))
}

fn named(subject: &str, names: impl IntoIterator<Item = SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.subject_alt_names.extend(names);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("there is randomness")
}
