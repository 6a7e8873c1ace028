// SPDX-License-Identifier: Apache-2.0
//! TLS as a client speaks it: a server proves its name by an authority's word, the platform's or one that is named.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::error::{Context as _, Error, Result};
use crate::http::{OnSocket, left};
use crate::target::Target;

/// Authorities whose word on a server's name is taken.
#[derive(Clone)]
pub struct Roots(Arc<ClientConfig>);

impl fmt::Debug for Roots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Roots")
    }
}

/// A connection, by TLS or plain.
#[derive(Debug)]
pub enum Stream {
    /// Whoever is on the way reads it.
    Plain(TcpStream),
    /// By TLS, with a server that has proven its name.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Roots {
    /// Those that a target must prove its name to: in a file that is named, or else the platform's; `None` where it is reached without TLS.
    ///
    /// # Errors
    ///
    /// When there are none, or a file is named for nothing.
    pub fn for_target(target: &Target, file: Option<&Path>) -> Result<Option<Self>> {
        match (target.is_tls(), file) {
            (true, Some(file)) => Self::of_file(file).map(Some),
            (true, None) => Self::of_platform().map(Some),
            (false, Some(_)) => Err(Error::new("expected --cacert with an https URL, found it with http: nothing is proven there")),
            (false, None) => Ok(None),
        }
    }

    /// Those that this platform takes the word of; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn of_platform() -> Result<Self> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Some that platforms have are none.
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(Error::new(format!(
                "expected authorities among this platform's certificates, found none{why}: --cacert names one"
            )));
        }
        Self::new(roots)
    }

    /// Those in a file, as PEM, and no others.
    ///
    /// # Errors
    ///
    /// When it can't be read, or holds none.
    pub fn of_file(path: &Path) -> Result<Self> {
        let file = path.display();
        let text = std::fs::read(path).context(|| format!("can't read {file}"))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let sound = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
            sound.ok_or_else(|| Error::new(format!("{file}: expected certificates as PEM, found something else")))?;
        }
        if roots.is_empty() {
            return Err(Error::new(format!("{file}: expected certificates as PEM, found none")));
        }
        Self::new(roots)
    }

    fn new(roots: RootCertStore) -> Result<Self> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
        let config = config.context(|| "can't speak TLS")?.with_root_certificates(roots).with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Shakes hands with a server of this name, which is done `until` then.
    ///
    /// # Errors
    ///
    /// When it doesn't prove the name, speaks no TLS, or is late.
    pub(crate) fn shake_hands(&self, mut socket: TcpStream, host: &str, until: Instant) -> io::Result<Stream> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| invalid("expected a host that a certificate can name"))?;
        let mut connection = ClientConnection::new(Arc::clone(&self.0), name).map_err(invalid)?;
        socket.set_nodelay(true)?;
        while connection.is_handshaking() || connection.wants_write() {
            socket.set_write_timeout(Some(left(until)?))?;
            if connection.wants_write() {
                connection.write_tls(&mut socket)?;
                continue;
            }
            socket.set_read_timeout(Some(left(until)?))?;
            if connection.read_tls(&mut socket)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Err(error) = connection.process_new_packets() {
                // The server is told why, if it still listens.
                let _ = connection.write_tls(&mut socket);
                return Err(invalid(words(&error)));
            }
        }
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, socket))))
    }
}

/// Why a server isn't believed, and what helps.
fn words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "expected a certificate by an authority that is trusted here, found another: --cacert names one".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "expected a certificate for the host of the URL, found one for another".to_owned()
        }
        rustls::Error::InvalidMessage(_) => "expected TLS, found something else".to_owned(),
        other => other.to_string(),
    }
}

impl OnSocket for Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
