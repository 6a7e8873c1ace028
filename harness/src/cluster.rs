// SPDX-License-Identifier: Apache-2.0
//! Clusters: what a gateway calls for its policy or its requests, by name, and where it is.

use std::fmt;

/// A cluster with one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name, which policies use.
    pub name: String,
    /// Where it is.
    pub host: String,
    /// Where it listens.
    pub port: u16,
    /// It is reached by TLS, and proves its name to the roots that the system trusts.
    pub tls: bool,
    /// It is spoken to by HTTP/2 alone, as gRPC is.
    pub http2: bool,
}

impl Cluster {
    /// Reads `NAME=HOST:PORT` or `NAME=https://HOST:PORT`.
    ///
    /// # Errors
    ///
    /// What was expected and what was found.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected NAME=HOST:PORT or NAME=https://HOST:PORT, found {text:?}");
        let (name, address) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
        Self::at(name, address).map_err(|_| wrong())
    }

    /// The cluster of this name at `HOST:PORT` or `https://HOST:PORT`.
    ///
    /// # Errors
    ///
    /// What was expected and what was found.
    pub fn at(name: &str, address: &str) -> Result<Self, String> {
        let (tls, address) = address.strip_prefix("https://").map_or((false, address), |address| (true, address));
        let (host, port) = host_and_port(address)?;
        Ok(Self { name: name.to_owned(), host, port, tls, http2: false })
    }

    /// The host as certificates name it: without the dot that ends a name in DNS.
    #[must_use]
    pub fn certified_name(&self) -> &str {
        self.host.strip_suffix('.').unwrap_or(&self.host)
    }
}

impl fmt::Display for Cluster {
    /// Where it is: `https://id.shop.example:443`, `[::1]:80`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, tls, .. } = self;
        let scheme = if *tls { "https://" } else { "" };
        if host.contains(':') { write!(formatter, "{scheme}[{host}]:{port}") } else { write!(formatter, "{scheme}{host}:{port}") }
    }
}

/// Reads `HOST:PORT`, an IPv6 address in brackets.
///
/// # Errors
///
/// What was expected and what was found.
pub fn host_and_port(text: &str) -> std::result::Result<(String, u16), String> {
    let parsed = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parsed.ok_or_else(|| format!("expected HOST:PORT, found {text:?}"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let sound = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte));
    let ambiguous = host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err();
    if sound && !ambiguous { Ok((host.to_owned(), port)) } else { Err(format!("expected HOST:PORT, found {text:?}")) }
}
