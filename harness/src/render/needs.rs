// SPDX-License-Identifier: Apache-2.0
//! What a policy needs of its gateway.

use std::collections::BTreeMap;

use tracegate::Policy;
use tracegate::access_log::AccessLogProperty;
use tracegate::config::{Call, Serves};
use tracegate::identity::ForwardedClientCert;

use crate::cluster::{Cluster, host_and_port};
use crate::error::{Error, Result};

/// What a policy needs of its gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Proxies of one's own that every request passes before the listener.
    pub trusted_hops: usize,
    /// What the listener asks of clients.
    pub clients: Clients,
    /// What the listener does about `x-forwarded-client-cert`.
    pub client_cert_header: ClientCertHeader,
    /// The environment variables that it hands to the module.
    pub variables: Vec<String>,
    /// Where the clusters are that the policy calls.
    pub clusters: Vec<Cluster>,
    /// What its access log tells of decisions; without any it has none.
    pub access_log: Vec<AccessLogProperty>,
}

/// What a listener asks of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clients {
    /// Nothing.
    #[default]
    Anybody,
    /// A certificate that it verifies, or none.
    MayProveThemselves,
    /// A certificate that it verifies.
    ProveThemselves,
}

/// What a listener does about `x-forwarded-client-cert`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertHeader {
    /// It removes what clients send.
    #[default]
    Remove,
    /// It removes what clients send, and writes what it has verified itself.
    Write,
    /// It leaves what clients with certificates send to the module, which knows whom to believe.
    LeaveToProvenClients,
    /// It leaves all of it to the module.
    Leave,
}

impl Needs {
    /// What `policy` needs, with the places of its clusters as `told`, and else as its URIs tell.
    ///
    /// # Errors
    ///
    /// When it isn't known where a cluster is.
    pub fn of(policy: &Policy, told: &[Cluster]) -> Result<Self> {
        Ok(Self {
            trusted_hops: policy.listener.trusted_hops,
            clients: if policy.listener.verifies_clients { Clients::ProveThemselves } else { Clients::Anybody },
            client_cert_header: match &policy.identity.forwarded_client_cert {
                ForwardedClientCert::Remove => ClientCertHeader::Remove,
                ForwardedClientCert::Keep => ClientCertHeader::Write,
                ForwardedClientCert::From(_) if policy.listener.verifies_clients => ClientCertHeader::LeaveToProvenClients,
                ForwardedClientCert::From(_) => ClientCertHeader::Leave,
            },
            variables: policy.variables().into_iter().map(str::to_owned).collect(),
            clusters: clusters(&policy.calls(), told)?,
            access_log: policy.export.access_log.clone(),
        })
    }
}

fn clusters(calls: &[Call<'_>], told: &[Cluster]) -> Result<Vec<Cluster>> {
    if let Some((index, twice)) = told.iter().enumerate().find(|(index, one)| told[..*index].iter().any(|other| other.name == one.name)) {
        let first = told[..index].iter().find(|other| other.name == twice.name).unwrap_or(twice);
        return Err(Error::new(format!("--cluster {}: expected one place, found {first} and {twice}", twice.name)));
    }
    let mut origins: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for Call { cluster, serves } in calls {
        let known = origins.entry(cluster).or_default();
        match serves {
            Serves::Http(scheme, authority) => known.push((scheme, authority)),
            Serves::Unknown | Serves::Grpc => {}
        }
    }
    let is_grpc = |name: &str| calls.iter().any(|call| call.cluster == name && call.serves == Serves::Grpc);
    let others = origins.into_iter().filter(|(name, _)| told.iter().all(|cluster| cluster.name != **name));
    let others = others.map(|(name, origins)| match origins.as_slice() {
        [(_, authority), ..] if is_grpc(name) => Err(Error::new(format!(
            "the policy calls the cluster {name:?} by gRPC and for {authority}: give each a cluster of its own"
        ))),
        [(scheme, authority)] => located(name, scheme, authority),
        [] if is_grpc(name) => Err(Error::new(format!(
            "where the rate-limit service of the cluster {name:?} is no policy says: say it by --cluster {name}=HOST:PORT"
        ))),
        [] => Err(Error::new(format!(
            "where the cluster {name:?} is only its issuer's configuration tells: say it by --cluster {name}=https://HOST:PORT"
        ))),
        [(_, one), (_, other), ..] => Err(Error::new(format!(
            "the policy calls the cluster {name:?} for {one} and for {other}: give each a cluster of its own, or say where it is by --cluster"
        ))),
    });
    let told = told.iter().map(|cluster| Ok(Cluster { http2: is_grpc(&cluster.name), ..cluster.clone() }));
    told.chain(others).collect()
}

fn located(name: &str, scheme: &str, authority: &str) -> Result<Cluster> {
    let tls = scheme == "https";
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let address = if has_port { authority.to_owned() } else { format!("{authority}:{}", if tls { 443 } else { 80 }) };
    let (host, port) = host_and_port(&address).map_err(|error| Error::new(format!("the cluster {name:?}: {error}")))?;
    Ok(Cluster { name: name.to_owned(), host, port, tls, http2: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(text: &str) -> Cluster {
        Cluster::parse(text).unwrap()
    }

    fn call<'p>(cluster: &'p str, origin: &'p str) -> Call<'p> {
        let (scheme, host) = origin.split_once("://").unwrap();
        Call { cluster, serves: Serves::Http(if scheme == "https" { "https" } else { "http" }, host) }
    }

    #[test]
    fn clusters_are_where_uris_say_unless_told_otherwise() {
        let calls = [call("a", "https://id.shop.example"), call("b", "http://id.shop.example:8080"), call("c", "https://[2001:db8::1]")];
        let expected = ["a=https://id.shop.example:443", "b=id.shop.example:8080", "c=https://[2001:db8::1]:443"].map(cluster);
        assert_eq!(clusters(&calls, &[]).unwrap(), expected);
        let told = cluster("b=https://other.example:444");
        assert_eq!(clusters(&calls, std::slice::from_ref(&told)).unwrap(), [told, expected[0].clone(), expected[2].clone()]);
    }

    #[test]
    fn a_rate_limit_service_speaks_http_2_wherever_the_operator_says() {
        let calls = [Call { cluster: "limits", serves: Serves::Grpc }];
        let found = clusters(&calls, &[cluster("limits=limits.example:8081"), cluster("other=other.example:80")]).unwrap();
        assert_eq!(found.iter().map(|cluster| cluster.http2).collect::<Vec<_>>(), [true, false]);
        let unknown = clusters(&calls, &[]).unwrap_err().to_string();
        assert!(unknown.ends_with("no policy says: say it by --cluster limits=HOST:PORT"), "{unknown}");
        let both = clusters(&[calls[0], call("limits", "https://a.example")], &[]).unwrap_err().to_string();
        assert!(both.contains("by gRPC and for a.example"), "{both}");
    }

    #[test]
    fn a_cluster_is_told_of_once() {
        let error = clusters(&[], &["a=a.example:80", "b=b.example:1", "a=https://a.example:443"].map(cluster)).unwrap_err().to_string();
        assert_eq!(error, "--cluster a: expected one place, found a.example:80 and https://a.example:443");
    }

    #[test]
    fn a_cluster_without_a_place_or_with_two_is_an_error() {
        let error = |calls: &[Call<'_>]| clusters(calls, &[]).unwrap_err().to_string();
        let unknown = error(&[Call { cluster: "keys", serves: Serves::Unknown }]);
        assert_eq!(
            unknown,
            "where the cluster \"keys\" is only its issuer's configuration tells: say it by --cluster keys=https://HOST:PORT"
        );
        let two = error(&[call("idp", "https://a.example"), call("idp", "https://b.example")]);
        assert!(two.starts_with("the policy calls the cluster \"idp\" for a.example and for b.example"), "{two}");
        // The configuration and the keys on one host.
        let calls = [Call { cluster: "idp", serves: Serves::Unknown }, call("idp", "https://a.example")];
        assert_eq!(clusters(&calls, &[]).unwrap(), [cluster("idp=https://a.example:443")]);
    }
}
