// SPDX-License-Identifier: Apache-2.0
//! Clusters that plugins call, beside the upstream.

use serde_json::{Value, json};

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
        let (tls, address) = address.strip_prefix("https://").map_or((false, address), |address| (true, address));
        let (host, port) = host_and_port(address).map_err(|_| wrong())?;
        Ok(Self { name: name.to_owned(), host, port, tls })
    }

    /// As Envoy's configuration has it.
    pub(super) fn to_value(&self) -> Value {
        let Self { name, host, port, tls } = self;
        let address = json!({"socket_address": {"address": host, "port_value": port}});
        let mut cluster = json!({
            "name": name,
            "type": "STRICT_DNS",
            "connect_timeout": "1s",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]},
        });
        if *tls && let Some(cluster) = cluster.as_object_mut() {
            let names = json!([{"san_type": "DNS", "matcher": {"exact": host}}]);
            let validation = json!({"trusted_ca": {"filename": SYSTEM_ROOTS}, "match_typed_subject_alt_names": names});
            let context = json!({
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": host,
                "common_tls_context": {"validation_context": validation},
            });
            cluster.insert("transport_socket".to_owned(), json!({"name": "envoy.transport_sockets.tls", "typed_config": context}));
        }
        cluster
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

/// Where Debian and its like keep the roots that they trust.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
