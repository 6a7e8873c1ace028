// SPDX-License-Identifier: Apache-2.0
//! What a proxy knows of an exchange beside its messages, as far as plugins can ask for it.

use std::net::{Ipv4Addr, SocketAddr};

/// What a proxy knows of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The protocol, as `HTTP/1.1`.
    pub protocol: String,
    /// The client's address.
    pub source: SocketAddr,
    /// The listener's address.
    pub destination: SocketAddr,
    /// The upstream's address.
    pub upstream: SocketAddr,
    /// The client's TLS, where there is any.
    pub tls: Option<Tls>,
    /// The name of the route that was chosen.
    pub route: String,
    /// The name of its virtual host.
    pub virtual_host: String,
    /// The name of its cluster.
    pub cluster: String,
    /// The route's metadata: texts by namespace and key.
    pub route_metadata: Vec<(String, String, String)>,
    /// How many bytes the request's body had, where it isn't carried whole: what `request.size` says once the exchange is over.
    pub request_size: Option<u64>,
    /// The same of the response's.
    pub response_size: Option<u64>,
}

/// A TLS connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// As `TLSv1.3`.
    pub version: String,
    /// SNI.
    pub server_name: String,
    /// Whether the client showed a certificate.
    pub mutual: bool,
    /// The first URI among the certificate's alternative names.
    pub uri_san: Option<String>,
    /// The first DNS name among them.
    pub dns_san: Option<String>,
    /// The certificate's subject.
    pub subject: Option<String>,
    /// The certificate's SHA-256, in hexadecimal digits.
    pub sha256: Option<String>,
}

impl Default for Facts {
    fn default() -> Self {
        let unknown = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            protocol: "HTTP/1.1".to_owned(),
            source: unknown,
            destination: unknown,
            upstream: unknown,
            tls: None,
            route: String::new(),
            virtual_host: String::new(),
            cluster: String::new(),
            route_metadata: Vec::new(),
            request_size: None,
            response_size: None,
        }
    }
}
