// SPDX-License-Identifier: Apache-2.0
//! Both ends of TLS: a client that may show a certificate, and a server that proves a name.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tracegate_harness::http::{Connection, Request};
use tracegate_harness::server::Server;

use crate::certificates::{Authority, Identity};

/// A connection by TLS.
pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A server that answers each request with the bytes that `answer` makes of it, by TLS.
#[must_use]
pub fn serve(identity: &Identity, answer: impl Fn(Request) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).expect("a key is PKCS #8");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let config = config.expect("there are versions").with_no_client_auth().with_single_cert(vec![identity.certificate.der().clone()], key);
    let config = Arc::new(config.expect("the key is the certificate's"));
    let serve = move |stream: TcpStream| {
        let connection = ServerConnection::new(Arc::clone(&config)).expect("a configuration is one");
        let mut connection = Connection::on(StreamOwned::new(connection, stream));
        while let Ok(Some(request)) = connection.read_request() {
            if connection.send(&answer(request)).is_err() {
                return;
            }
        }
    };
    Server::start_on_streams(serve).expect("there is a free port")
}

/// Connects to a listener whom this authority vouches for, perhaps with a certificate.
///
/// # Errors
///
/// When nobody listens, or the handshake fails.
pub fn connect(address: SocketAddr, authority: &Authority, client: Option<&Identity>) -> io::Result<Connection<Stream>> {
    let mut stream = stream(address, authority, client)?;
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(Connection::on(stream))
}

/// The protocol that a listener agrees on with a client that speaks HTTP/2 and 1.1.
///
/// # Errors
///
/// As [`connect`].
pub fn negotiated(address: SocketAddr, authority: &Authority, client: Option<&Identity>) -> io::Result<Option<Vec<u8>>> {
    let mut stream = stream_of(address, authority, client, &[b"h2", b"http/1.1"])?;
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream.conn.alpn_protocol().map(<[u8]>::to_vec))
}

/// Connects, and shakes hands with the first bytes.
///
/// # Errors
///
/// When nobody listens.
pub fn stream(address: SocketAddr, authority: &Authority, client: Option<&Identity>) -> io::Result<Stream> {
    stream_of(address, authority, client, &[])
}

fn stream_of(address: SocketAddr, authority: &Authority, client: Option<&Identity>, protocols: &[&[u8]]) -> io::Result<Stream> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().der().clone()).expect("an authority's certificate is one");
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let config = config.expect("there are versions").with_root_certificates(roots);
    let mut config = match client {
        None => config.with_no_client_auth(),
        Some(client) => {
            let key = PrivateKeyDer::try_from(client.key.serialize_der()).expect("a key is PKCS #8");
            config.with_client_auth_cert(vec![client.certificate.der().clone()], key).expect("the key is the certificate's")
        }
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("it is a name");
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    Ok(StreamOwned::new(connection, socket))
}

const TIMEOUT: Duration = Duration::from_secs(10);
