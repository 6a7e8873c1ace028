// SPDX-License-Identifier: Apache-2.0
//! A client that talks TLS, and a gateway to talk to.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{AlertDescription, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tracegate_harness::http::Connection;

use super::gateway::Gateway;
use super::identity::{Authority, Identity};
use super::shipped::Shipped;

/// A gateway that asks for certificates, and the authority whose word it takes.
pub struct Guarded {
    /// The gateway.
    pub gateway: Gateway,
    /// Vouches for the gateway, and for its clients.
    pub authority: Authority,
    /// Where its files are.
    _directory: tempfile::TempDir,
}

/// A connection by TLS.
pub type Stream = StreamOwned<ClientConnection, TcpStream>;

impl Guarded {
    /// Starts one as it ships, with what `change` makes of its TLS context.
    pub fn start(change: impl FnOnce(&mut Value)) -> Option<Self> {
        Self::start_changed(|tree| change(context(tree)))
    }

    /// The same with what `change` makes of its whole configuration.
    pub fn start_changed(change: impl FnOnce(&mut Value)) -> Option<Self> {
        let (authority, directory) = (Authority::new("shop"), tempfile::tempdir().expect("there is room"));
        authority.write_certificates(directory.path());
        let gateway = Gateway::start(Shipped::MutualTls, |tree| {
            let context = context(tree);
            assert_eq!(move_files(context, directory.path()), 3, "{context}");
            change(tree);
        })?;
        Some(Self { gateway, authority, _directory: directory })
    }

    /// Connects, perhaps with a certificate. What the gateway thinks of that one it may say only later.
    pub fn connect(&self, client: Option<&Identity>) -> io::Result<Connection<Stream>> {
        connect(self.gateway.envoy.listener(), &self.authority, client)
    }

    /// Connects and waits for the alert that the gateway answers with.
    pub fn refusal(&self, client: Option<&Identity>) -> AlertDescription {
        let mut stream = stream(self.gateway.envoy.listener(), &self.authority, client).expect("Envoy listens");
        let error = stream.read(&mut [0]).expect_err("nothing is sent before a request");
        match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            _ => panic!("expected an alert, found {error:?}"),
        }
    }
}

fn context(tree: &mut Value) -> &mut Value {
    &mut tree["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"]["typed_config"]
}

/// Has the files of a TLS context, `certificates/…`, looked for elsewhere; returns how many there are.
fn move_files(value: &mut Value, directory: &Path) -> usize {
    match value {
        Value::Object(fields) => {
            let mut moved = 0;
            for (name, value) in fields {
                match value.as_str().and_then(|path| path.strip_prefix("certificates/")) {
                    Some(file) if name == "filename" => {
                        *value = json!(directory.join(file));
                        moved += 1;
                    }
                    _ => moved += move_files(value, directory),
                }
            }
            moved
        }
        Value::Array(values) => values.iter_mut().map(|value| move_files(value, directory)).sum(),
        _ => 0,
    }
}

/// Connects to a listener whom this authority vouches for, perhaps with a certificate.
pub fn connect(address: SocketAddr, authority: &Authority, client: Option<&Identity>) -> io::Result<Connection<Stream>> {
    let mut stream = stream(address, authority, client)?;
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(Connection::on(stream))
}

/// The protocol that a listener agrees on with a client that speaks HTTP/2 and 1.1.
pub fn negotiated(address: SocketAddr, authority: &Authority, client: Option<&Identity>) -> io::Result<Option<Vec<u8>>> {
    let mut stream = stream_of(address, authority, client, &[b"h2", b"http/1.1"])?;
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream.conn.alpn_protocol().map(<[u8]>::to_vec))
}

fn stream(address: SocketAddr, authority: &Authority, client: Option<&Identity>) -> io::Result<Stream> {
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
