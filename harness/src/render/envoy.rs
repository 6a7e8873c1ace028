// SPDX-License-Identifier: Apache-2.0
//! Envoy: a bootstrap configuration that runs as it is.

use std::net::SocketAddr;

use super::{CALLBACKS, ClientCertHeader, Clients, HOST_FUNCTIONS, Needs, access_log};
use crate::cluster::Cluster;
use crate::policy::Document;
use crate::yaml::{Map, Yaml};

/// What Envoy is told that no policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it serves.
    pub listen: SocketAddr,
    /// Where its admin interface is.
    pub admin: SocketAddr,
    /// Where requests go.
    pub upstream: Cluster,
    /// The module's file, as Envoy finds it.
    pub module: String,
    /// The directory of the listener's certificates, as Envoy finds it; without one it speaks no TLS, and can verify nobody.
    pub certificates: Option<String>,
    /// The roots that the policy's clusters must prove themselves to.
    pub trusted_ca: String,
    /// The module is kept from what it has no need to do.
    pub restrict_capabilities: bool,
}

/// The configuration as a file, which says what it takes to run it.
#[must_use]
pub fn configuration(document: &Document, needs: &Needs, settings: &Settings) -> String {
    let Settings { listen, admin, upstream, module, certificates, .. } = settings;
    let mut text = format!(
        "# {}\n\
         #\n\
         # It listens on {listen}, forwards to {upstream} and keeps its admin interface on {admin}. It takes, from where it is started:\n\
         #\n",
        super::headline("Envoy", &document.loaded.policy, "")
    );
    let mut takes = |what: &str, why: &str| text += &format!("#     {:<32}  {why}\n", what.escape_debug().to_string());
    takes(module, "the module");
    if let Some(directory) = certificates {
        takes(&format!("{directory}/server.pem"), "the listener's certificate (and chain)");
        takes(&format!("{directory}/server-key.pem"), "its key");
    }
    let clients = match needs.clients {
        Clients::Anybody => None,
        Clients::MayProveThemselves => Some("the authority of clients' certificates: no other passes, and none at all does"),
        Clients::ProveThemselves => Some("the authority of clients' certificates: no other passes"),
    };
    if let (Some(directory), Some(clients)) = (certificates, clients) {
        takes(&format!("{directory}/clients-ca.pem"), clients);
    }
    for variable in &needs.variables {
        takes(&format!("${variable}"), "in its environment: a secret of the policy's");
    }
    text + &bootstrap(needs, Yaml::from(&document.node).to_json(), settings).to_string()
}

/// The configuration of an Envoy with the module and `configuration` for it, the policy as JSON.
#[must_use]
pub fn bootstrap(needs: &Needs, configuration: String, settings: &Settings) -> Yaml {
    let mut upstream = settings.upstream.clone();
    while needs.clusters.iter().any(|cluster| cluster.name == upstream.name) {
        upstream.name.push('-');
    }
    let clusters = std::iter::once(&upstream).chain(&needs.clusters).map(|cluster| self::cluster(cluster, &settings.trusted_ca));
    let resources = Map::new()
        .with("listeners", [listener(needs, configuration, settings, &upstream.name)])
        .with("clusters", clusters.collect::<Vec<_>>());
    Map::new()
        .with("admin", Map::new().with("address", socket(&settings.admin.ip().to_string(), settings.admin.port())))
        .noted(TAGS_NOTE, "stats_config", Map::new().with("stats_tags", tags()).with("histogram_bucket_settings", [buckets()]))
        .with("static_resources", resources)
        .into()
}

fn socket(address: &str, port: u16) -> Map {
    Map::new().with("socket_address", Map::new().with("address", address).with("port_value", port))
}

fn tags() -> [Map; 4] {
    let families = format!("(?:{})", FAMILIES.join("|"));
    let tag = |name: &str, family: &str, rest: &str| {
        Map::new().with("tag_name", name).with("regex", format!(r"^wasmcustom\.tracegate\.{family}{rest}"))
    };
    [
        tag("tracegate.decision", &families, r"\.(([^.]+)\.)"),
        tag("tracegate.reason", &families, r"(?:\.[^.]+)?(\.([^.]+))$"),
        tag("tracegate.route", "request_duration_ms", r"(\.([^.]+))$"),
        tag("tracegate.cluster", "callout_duration_ms", r"(\.([^.]+))$"),
    ]
}

/// Those of OpenTelemetry's conventions for HTTP, in milliseconds.
fn buckets() -> Map {
    let buckets = [5_u32, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000];
    Map::new().with("match", Map::new().with("prefix", "wasmcustom.tracegate.")).with("buckets", buckets.map(Yaml::from).to_vec())
}

fn listener(needs: &Needs, configuration: String, settings: &Settings, upstream: &str) -> Map {
    let tls = settings.certificates.as_deref().map(|directory| downstream_tls(needs, directory));
    let manager = Map::new().with("name", "envoy.filters.network.http_connection_manager");
    let manager = manager.with("typed_config", manager_config(needs, configuration, settings, upstream));
    Map::new()
        .with("name", "edge")
        .with("address", socket(&settings.listen.ip().to_string(), settings.listen.port()))
        .with("filter_chains", [Map::new().maybe("transport_socket", tls).with("filters", [manager])])
}

/// TLS at the listener, with certificates of clients where the policy goes by them.
fn downstream_tls(needs: &Needs, directory: &str) -> Map {
    let file = |name: &str| Map::new().with("filename", format!("{directory}/{name}"));
    let own = Map::new().with("certificate_chain", file("server.pem")).with("private_key", file("server-key.pem"));
    let common = Map::new().with("alpn_protocols", ["h2", "http/1.1"]).with("tls_certificates", [own]);
    let config = Map::new().with("@type", typed("transport_sockets.tls.v3.DownstreamTlsContext"));
    let required = match needs.clients {
        Clients::Anybody => None,
        Clients::MayProveThemselves => Some(false),
        Clients::ProveThemselves => Some(true),
    };
    let config = match required {
        None => config.with("common_tls_context", common),
        Some(required) => {
            let validation = Map::new().with("trusted_ca", file("clients-ca.pem"));
            let common = common.with("validation_context", validation);
            config.noted(CLIENTS_NOTE, "require_client_certificate", required).with("common_tls_context", common)
        }
    };
    Map::new().with("name", "envoy.transport_sockets.tls").with("typed_config", config)
}

fn manager_config(needs: &Needs, configuration: String, settings: &Settings, upstream: &str) -> Map {
    let hops = i32::try_from(needs.trusted_hops).unwrap_or(i32::MAX);
    let (details, current) = match needs.client_cert_header {
        ClientCertHeader::Remove => ("SANITIZE", None),
        ClientCertHeader::Write => ("SANITIZE_SET", Some(Map::new().with("subject", true).with("dns", true).with("uri", true))),
        ClientCertHeader::LeaveToProvenClients => ("FORWARD_ONLY", None),
        ClientCertHeader::Leave => ("ALWAYS_FORWARD_ONLY", None),
    };
    let everything = Map::new().with("match", Map::new().with("prefix", "/")).with("route", Map::new().with("cluster", upstream));
    let host = Map::new().with("name", "all").with("domains", ["*"]).with("routes", [everything]);
    let router = Map::new().with("name", "envoy.filters.http.router");
    let router = router.with("typed_config", Map::new().with("@type", typed("filters.http.router.v3.Router")));
    let manager = Map::new().with("@type", typed("filters.network.http_connection_manager.v3.HttpConnectionManager"));
    let manager = manager.with("stat_prefix", "edge");
    let logs = !needs.access_log.is_empty();
    let manager = if logs { manager.noted(access_log::NOTE, "access_log", [access_log::logger(&needs.access_log)]) } else { manager };
    manager
        .noted(ADDRESS_NOTE, "use_remote_address", true)
        .maybe("xff_num_trusted_hops", (hops > 0).then_some(hops))
        .noted(CERT_HEADER_NOTE, "forward_client_cert_details", details)
        .maybe("set_current_client_cert_details", current)
        .noted(PATH_NOTE, "normalize_path", true)
        .with("merge_slashes", true)
        .with("path_with_escaped_slashes_action", "REJECT_REQUEST")
        .noted(UNDERSCORE_NOTE, "common_http_protocol_options", Map::new().with("headers_with_underscores_action", "REJECT_REQUEST"))
        .noted(TRACING_NOTE, "route_config", Map::new().with("virtual_hosts", [host]))
        .with("http_filters", [plugin(needs, configuration, settings), router])
}

fn plugin(needs: &Needs, configuration: String, settings: &Settings) -> Map {
    let variables = (!needs.variables.is_empty()).then(|| Map::new().with("host_env_keys", needs.variables.clone()));
    let code = Map::new().with("local", Map::new().with("filename", settings.module.as_str()));
    let machine = Map::new()
        .with("vm_id", PLUGIN)
        .with("runtime", "envoy.wasm.runtime.v8")
        .with("code", code)
        .maybe("environment_variables", variables);
    let text = Map::new().with("@type", "type.googleapis.com/google.protobuf.StringValue").with("value", Yaml::Block(configuration));
    let config = Map::new().with("name", PLUGIN).with("root_id", PLUGIN).noted(FAILURE_NOTE, "failure_policy", "FAIL_RELOAD");
    let config = if settings.restrict_capabilities {
        let allowed = HOST_FUNCTIONS.iter().chain(&CALLBACKS).fold(Map::new(), |allowed, name| allowed.with(*name, Map::new()));
        config.noted(CAPABILITIES_NOTE, "capability_restriction_config", Map::new().with("allowed_capabilities", allowed))
    } else {
        config
    };
    let config = config.with("vm_config", machine).noted(CONFIGURATION_NOTE, "configuration", text);
    let typed = Map::new().with("@type", typed("filters.http.wasm.v3.Wasm")).with("config", config);
    Map::new().with("name", PLUGIN).with("typed_config", typed)
}

/// A cluster with one host, which proves its name where it is reached by TLS.
pub(super) fn cluster(cluster: &Cluster, trusted_ca: &str) -> Map {
    let Cluster { name, host, port, tls, http2 } = cluster;
    let certified = cluster.certified_name();
    let endpoint = Map::new().with("endpoint", Map::new().with("address", socket(host, *port)));
    let endpoints = [Map::new().with("lb_endpoints", [endpoint])];
    let by_name = host.parse::<std::net::IpAddr>().is_err();
    Map::new()
        .with("name", name.as_str())
        .with("type", if by_name { "STRICT_DNS" } else { "STATIC" })
        .with("connect_timeout", "1s")
        .maybe("dns_lookup_family", by_name.then_some("V4_PREFERRED"))
        .with("load_assignment", Map::new().with("cluster_name", name.as_str()).with("endpoints", endpoints))
        .maybe("circuit_breakers", http2.then(breakers))
        .maybe("typed_extension_protocol_options", http2.then(http2_alone))
        .maybe("transport_socket", tls.then(|| upstream_tls(certified, by_name, trusted_ca)))
}

/// The module bounds what it asks, and refuses nobody's question for another's: Envoy's own bound, of 1024 requests, would.
fn breakers() -> Map {
    let thresholds = Map::new().with("max_requests", 65_536_u32).with("max_pending_requests", 65_536_u32);
    Map::new().with("thresholds", [thresholds])
}

/// What gRPC needs.
fn http2_alone() -> Map {
    let explicit = Map::new().with("http2_protocol_options", Map::new());
    let options = Map::new().with("@type", typed("upstreams.http.v3.HttpProtocolOptions")).with("explicit_http_config", explicit);
    Map::new().with("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", options)
}

fn upstream_tls(host: &str, by_name: bool, trusted_ca: &str) -> Map {
    let kind = if by_name { "DNS" } else { "IP_ADDRESS" };
    let name = Map::new().with("san_type", kind).with("matcher", Map::new().with("exact", host));
    let validation = Map::new().with("trusted_ca", Map::new().with("filename", trusted_ca)).with("match_typed_subject_alt_names", [name]);
    let versions = Map::new().with("tls_maximum_protocol_version", "TLSv1_3");
    let config = Map::new()
        .with("@type", typed("transport_sockets.tls.v3.UpstreamTlsContext"))
        .maybe("sni", by_name.then_some(host))
        .with("common_tls_context", Map::new().noted(VERSION_NOTE, "tls_params", versions).with("validation_context", validation));
    Map::new().with("name", "envoy.transport_sockets.tls").with("typed_config", config)
}

fn typed(name: &str) -> String {
    format!("type.googleapis.com/envoy.extensions.{name}")
}

/// What the module, its root context and its VM are called.
pub(super) const PLUGIN: &str = "tracegate";
/// The cluster that requests go to; `-` behind it where a policy calls one of that name.
pub const UPSTREAM: &str = "upstream";
/// The roots that Debian and its like trust.
pub const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The families of metrics whose names carry what would be labels elsewhere.
const FAMILIES: [&str; 14] = [
    "requests",
    "traces",
    "tracestates",
    "principals",
    "baggage",
    "indicators",
    "sampling",
    "tokens",
    "keys",
    "quotas",
    "spans",
    "logs",
    "audit",
    "secrets",
];

const TAGS_NOTE: &str = "Names of plugin metrics carry what would be labels elsewhere: tracegate.requests.<decision>.<reason>.";
const CLIENTS_NOTE: &str = "\
Takes `trusted_ca` below to mean anything: without one nobody is asked for a certificate. Nor add
`trust_chain_verification: ACCEPT_UNTRUSTED`: what callers write into certificates of their own would then look true.";
const ADDRESS_NOTE: &str = "\
The peer's address is the connection's, whatever X-Forwarded-For says; behind proxies of one's own (`listener.trusted_hops` in the
policy, `xff_num_trusted_hops` here) it is the n-th entry from the right.";
const CERT_HEADER_NOTE: &str = "What clients may tell of certificates: `listener.forwarded_client_cert` in the policy.";
const PATH_NOTE: &str = "The paths that routes match on are those that the upstream reads.";
const UNDERSCORE_NOTE: &str = "`x_b3_traceid` is no carrier here, and one for backends that take `_` for `-`.";
const TRACING_NOTE: &str = "No `tracing` here: Envoy's own tracer would overwrite the traceparent and tracestate that the module writes.";
const VERSION_NOTE: &str = "Left to itself, Envoy goes up to TLS 1.2 as a client.";
const FAILURE_NOTE: &str = "After a trap the plugin is loaded anew; until then requests get 503, never a free pass.";
const CAPABILITIES_NOTE: &str = "\
All that the module has to do; it can't change a body. Envoy 1.40 warns that this field will go: render with
--no-capability-restriction for an Envoy that doesn't know it.";
const CONFIGURATION_NOTE: &str = "The policy is a StringValue: a Struct would reach the module as protobuf bytes.";
