// SPDX-License-Identifier: Apache-2.0
//! Istio: a `WasmPlugin` for a gateway of the Gateway API, and what it takes around it.

use std::collections::BTreeMap;

use super::kubernetes::{self, Kubernetes};
use super::{ClientCertHeader, Clients, Needs};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::policy::Document;
use crate::yaml::{Map, Yaml};

/// The documents, behind one another. Istio names clusters itself, so the policy calls them by those names.
///
/// # Errors
///
/// When a cluster's host has no name that Istio could know it by.
pub fn manifests(document: &Document, needs: &Needs, settings: &Kubernetes) -> Result<String> {
    if let Some(cluster) = needs.clusters.iter().find(|cluster| cluster.host.parse::<std::net::IpAddr>().is_ok()) {
        let Cluster { name, host, .. } = cluster;
        return Err(Error::new(format!("the cluster {name:?}: expected the name of a host, which Istio's clusters go by, found {host}")));
    }
    let place = |name: &str| needs.clusters.iter().find(|cluster| cluster.name == name);
    let document = kubernetes::with_clusters(document, |name| place(name).map_or_else(|| name.to_owned(), cluster_name))?;
    let mut hosts: BTreeMap<&str, BTreeMap<u16, Port>> = BTreeMap::new();
    for Cluster { host, port, tls, http2, .. } in &needs.clusters {
        let found = Port { tls: *tls, http2: *http2 };
        let other = hosts.entry(host).or_default().insert(*port, found).unwrap_or(found);
        if other.tls != found.tls {
            return Err(Error::new(format!(
                "expected {host}:{port} to be reached by TLS or without, found both: one of them is a --cluster without https://"
            )));
        }
        if other.http2 != found.http2 {
            return Err(Error::new(format!("expected {host}:{port} to be called by gRPC or not, found both: give each a port of its own")));
        }
    }
    let mut documents = vec![gateway(needs, settings)];
    if !needs.variables.is_empty() {
        documents.push(proxy(needs, settings));
    }
    documents.extend([plugin(&document, needs, settings), listener(settings), telemetry(settings)]);
    for (host, ports) in &hosts {
        if !host.ends_with(INTERNAL) {
            documents.push(service_entry(host, ports, settings));
        }
        documents.extend(destination_rule(host, ports, settings));
    }
    let headline = super::headline("Istio", &document.loaded.policy, " (clusters under Istio's names)");
    let mut tls = vec!["tls.crt", "tls.key"];
    if needs.clients != Clients::Anybody {
        tls.push("ca.crt");
    }
    let before = settings.before_applying(&[("tls", tls), ("secrets", needs.variables.iter().map(String::as_str).collect())], "");
    Ok(kubernetes::documents(&format!("{headline}\n\n{before}\n{COMMENT}"), documents))
}

/// How a port is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Port {
    tls: bool,
    http2: bool,
}

/// `outbound|443||id.shop.example`
fn cluster_name(Cluster { host, port, .. }: &Cluster) -> String {
    format!("outbound|{port}||{host}")
}

fn gateway(needs: &Needs, settings: &Kubernetes) -> Map {
    let details = match needs.client_cert_header {
        ClientCertHeader::Remove => "SANITIZE",
        ClientCertHeader::Write => "SANITIZE_SET",
        ClientCertHeader::LeaveToProvenClients => "FORWARD_ONLY",
        ClientCertHeader::Leave => "ALWAYS_FORWARD_ONLY",
    };
    let topology =
        format!(r#"{{"gatewayTopology": {{"numTrustedProxies": {}, "forwardClientCertDetails": "{details}"}}}}"#, needs.trusted_hops);
    let annotations = Map::new().noted(TOPOLOGY_NOTE, "proxy.istio.io/config", topology);
    let certificate = Map::new().with("name", format!("{}-tls", settings.gateway));
    let tls = Map::new().with("mode", "Terminate").with("certificateRefs", [certificate]);
    let mode = match needs.clients {
        Clients::Anybody => None,
        Clients::MayProveThemselves => Some("OPTIONAL_MUTUAL"),
        Clients::ProveThemselves => Some("MUTUAL"),
    };
    let tls = match mode {
        None => tls,
        Some(mode) => tls.noted(CLIENTS_NOTE, "options", Map::new().with("gateway.istio.io/tls-terminate-mode", mode)),
    };
    let listener = Map::new().with("name", "https").with("port", 443).with("protocol", "HTTPS").with("tls", tls);
    let patch = Map::new().with("group", "").with("kind", "ConfigMap").with("name", format!("{}-proxy", settings.gateway));
    let patch = (!needs.variables.is_empty()).then_some(patch);
    let infrastructure = Map::new().with("annotations", annotations).maybe("parametersRef", patch);
    let spec = Map::new().with("gatewayClassName", "istio").with("infrastructure", infrastructure).with("listeners", [listener]);
    settings.begin("gateway.networking.k8s.io/v1", "Gateway", "").with("spec", spec)
}

/// The gateway's proxies get the variables that the module reads.
fn proxy(needs: &Needs, settings: &Kubernetes) -> Map {
    let container = Map::new().with("name", "istio-proxy").with("env", settings.variables(&needs.variables));
    let pod = Map::new().with("spec", Map::new().with("containers", [container]));
    let deployment = Yaml::from(Map::new().with("spec", Map::new().with("template", pod)));
    let data = Map::new().noted(SECRETS_NOTE, "deployment", Yaml::Block(deployment.to_string()));
    settings.begin("v1", "ConfigMap", "proxy").with("data", data)
}

fn plugin(document: &Document, needs: &Needs, settings: &Kubernetes) -> Map {
    let variable = |name: &String| Map::new().with("name", name.as_str()).with("valueFrom", "HOST");
    let variables: Vec<Map> = needs.variables.iter().map(variable).collect();
    let spec = Map::new()
        .with("targetRefs", [settings.target()])
        .with("url", format!("oci://{}", settings.image))
        .maybe("sha256", settings.sha256.clone())
        .with("imagePullPolicy", "IfNotPresent")
        .noted(PHASE_NOTE, "phase", "AUTHN")
        .with("pluginName", super::envoy::PLUGIN)
        .noted(FAILURE_NOTE, "failStrategy", "FAIL_RELOAD")
        .maybe("vmConfig", (!variables.is_empty()).then(|| Map::new().with("env", variables)))
        .noted(CONFIGURATION_NOTE, "pluginConfig", &document.node);
    settings.begin("extensions.istio.io/v1alpha1", "WasmPlugin", "tracegate").with("spec", spec)
}

/// What Istio's API has no field for.
fn listener(settings: &Kubernetes) -> Map {
    let config = Map::new()
        .with("@type", "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager")
        .with("use_remote_address", true)
        .with("normalize_path", true)
        .with("merge_slashes", true)
        .with("path_with_escaped_slashes_action", "REJECT_REQUEST")
        .with("common_http_protocol_options", Map::new().with("headers_with_underscores_action", "REJECT_REQUEST"));
    let filter = Map::new().with("name", "envoy.filters.network.http_connection_manager");
    let chain = Map::new().with("filterChain", Map::new().with("filter", filter));
    let patch = Map::new()
        .with("applyTo", "NETWORK_FILTER")
        .with("match", Map::new().with("context", "GATEWAY").with("listener", chain))
        .with("patch", Map::new().with("operation", "MERGE").with("value", Map::new().with("typed_config", config)));
    let spec = Map::new().with("targetRefs", [settings.target()]).noted(PATH_NOTE, "configPatches", [patch]);
    settings.begin("networking.istio.io/v1alpha3", "EnvoyFilter", "listener").with("spec", spec)
}

/// No tracer of Envoy's own.
fn telemetry(settings: &Kubernetes) -> Map {
    let off = Map::new().noted(TRACING_NOTE, "disableSpanReporting", true);
    let spec = Map::new().with("targetRefs", [settings.target()]).with("tracing", [off]);
    settings.begin("telemetry.istio.io/v1", "Telemetry", "tracing").with("spec", spec)
}

fn service_entry(host: &str, ports: &BTreeMap<u16, Port>, settings: &Kubernetes) -> Map {
    let port = |(number, port): (&u16, &Port)| {
        let (protocol, name) = match port {
            // With TLS too: that is the DestinationRule's to say.
            Port { http2: true, .. } => ("GRPC", "grpc"),
            Port { tls: true, .. } => ("HTTPS", "https"),
            Port { .. } => ("HTTP", "http"),
        };
        Map::new().with("number", *number).with("name", format!("{name}-{number}")).with("protocol", protocol)
    };
    let spec = Map::new()
        .noted(EXPORT_NOTE, "exportTo", ["."])
        .with("hosts", [host])
        .with("location", "MESH_EXTERNAL")
        .with("resolution", "DNS")
        .with("ports", ports.iter().map(port).collect::<Vec<_>>());
    settings.begin("networking.istio.io/v1", "ServiceEntry", &object_name(host)).with("spec", spec)
}

/// TLS to a host that proves its name, at the ports that speak it; HTTP/2 to a service of the mesh's own, whose ports others name. `None` where there
/// is nothing to say.
fn destination_rule(host: &str, ports: &BTreeMap<u16, Port>, settings: &Kubernetes) -> Option<Map> {
    let certified = host.strip_suffix('.').unwrap_or(host);
    let level = |(number, port): (&u16, &Port)| {
        let tls = port.tls.then(|| {
            Map::new()
                .with("mode", "SIMPLE")
                .with("sni", certified)
                .noted(NAMES_NOTE, "subjectAltNames", [certified])
                .maybe("caCertificates", settings.trusted_ca.as_deref())
        });
        let level = Map::new().with("port", Map::new().with("number", *number));
        let level = if port.http2 && host.ends_with(INTERNAL) {
            level.noted(GRPC_NOTE, "connectionPool", Map::new().with("http", Map::new().with("h2UpgradePolicy", "UPGRADE")))
        } else if tls.is_none() {
            return None;
        } else {
            level
        };
        Some(level.maybe("tls", tls))
    };
    let levels: Vec<Map> = ports.iter().filter_map(level).collect();
    if levels.is_empty() {
        return None;
    }
    let labels = Map::new().with("gateway.networking.k8s.io/gateway-name", settings.gateway.as_str());
    let spec = Map::new()
        .noted(EXPORT_NOTE, "exportTo", ["."])
        .with("workloadSelector", Map::new().with("matchLabels", labels))
        .with("host", host)
        .with("trafficPolicy", Map::new().with("portLevelSettings", levels));
    Some(settings.begin("networking.istio.io/v1", "DestinationRule", &object_name(host)).with("spec", spec))
}

/// A host as part of a name that Kubernetes takes.
fn object_name(host: &str) -> String {
    format!("calls-{}", host.trim_end_matches('.').to_ascii_lowercase().replace('_', "-"))
}

/// Services of the mesh's own, which Istio knows without being told.
const INTERNAL: &str = ".svc.cluster.local";

const COMMENT: &str = "\
For Istio 1.27 and later, whose failStrategy knows FAIL_RELOAD. A WasmPlugin has no field that restricts what a module may do. Where istiod runs
with PILOT_FILTER_GATEWAY_CLUSTER_CONFIG, gateways don't get the clusters that only a plugin calls.";
const TOPOLOGY_NOTE: &str =
    "Proxies before the gateway (`listener.trusted_hops` in the policy), and what clients may tell of certificates.";
const CLIENTS_NOTE: &str = "Clients prove by certificate who they are, verified against ca.crt of the secret.";
const SECRETS_NOTE: &str = "The proxies get the variables that the module reads, out of a Secret.";
const PHASE_NOTE: &str = "Before anything else decides, so that every request has a trace.";
const FAILURE_NOTE: &str = "After a trap the plugin is loaded anew; until then requests get 503, never a free pass.";
const CONFIGURATION_NOTE: &str = "Istio hands it over as JSON in a StringValue. Its clusters go by Istio's names.";
const PATH_NOTE: &str = "\
The paths that routes match on are those that the upstream reads; `x_b3_traceid` is no carrier here, and one for backends that take `_`
for `-`. Mesh-wide settings could only normalise, not refuse.";
const TRACING_NOTE: &str = "\
Istio's tracer would overwrite the traceparent and tracestate that the module writes: this leaves it out altogether. One Telemetry of a
workload counts, the oldest: put it there if you have one.";
const EXPORT_NOTE: &str = "For this gateway alone: whoever in the mesh speaks TLS to that host itself would else speak it twice.";
const GRPC_NOTE: &str = "A rate-limit service speaks gRPC, whatever its port is called.";
const NAMES_NOTE: &str = "Without these any name that a public authority vouches for would do.";
