// SPDX-License-Identifier: Apache-2.0
//! Envoy Gateway: an `EnvoyExtensionPolicy` for a gateway of the Gateway API, and what it takes around it.

use super::envoy::SYSTEM_ROOTS;
use super::kubernetes::{self, Kubernetes};
use super::{ClientCertHeader, Clients, Needs};
use crate::policy::Document;
use crate::yaml::{Map, Yaml};

/// The documents, behind one another.
#[must_use]
pub fn manifests(document: &Document, needs: &Needs, settings: &Kubernetes) -> String {
    let documents = [gateway(settings), proxy(needs, settings), listener(needs, settings), plugin(document, needs, settings)];
    let headline = super::headline("Envoy Gateway", &document.loaded.policy, "");
    let clients = if needs.clients == Clients::Anybody { vec![] } else { vec!["ca.crt"] };
    let variables = needs.variables.iter().map(String::as_str).collect();
    let secrets = [("tls", vec!["tls.crt", "tls.key"]), ("clients-ca", clients), ("secrets", variables)];
    let before = settings.before_applying(&secrets, PROXY_NAMESPACE);
    kubernetes::documents(&format!("{headline}\n\n{before}\n{COMMENT}"), documents)
}

fn gateway(settings: &Kubernetes) -> Map {
    let certificate = Map::new().with("name", format!("{}-tls", settings.gateway));
    let tls = Map::new().with("mode", "Terminate").with("certificateRefs", [certificate]);
    let listener = Map::new().with("name", "https").with("port", 443).with("protocol", "HTTPS").with("tls", tls);
    let proxy =
        Map::new().with("group", "gateway.envoyproxy.io").with("kind", "EnvoyProxy").with("name", format!("{}-proxy", settings.gateway));
    let spec = Map::new()
        .with("gatewayClassName", "eg")
        .noted(PROXY_NOTE, "infrastructure", Map::new().with("parametersRef", proxy))
        .with("listeners", [listener]);
    settings.begin("gateway.networking.k8s.io/v1", "Gateway", "").with("spec", spec)
}

/// The gateway's proxies: the variables that the module reads, and the clusters that it calls.
fn proxy(needs: &Needs, settings: &Kubernetes) -> Map {
    let trusted_ca = settings.trusted_ca.as_deref().unwrap_or(SYSTEM_ROOTS);
    let variables = (!needs.variables.is_empty()).then(|| {
        let container = Map::new().with("env", settings.variables(&needs.variables));
        let deployment = Map::new().with("envoyDeployment", Map::new().with("container", container));
        Map::new().with("type", "Kubernetes").with("kubernetes", deployment)
    });
    let patch = |cluster| {
        let value = Yaml::from(super::envoy::cluster(cluster, trusted_ca));
        Map::new().with("op", "add").with("path", "/static_resources/clusters/-").with("value", value)
    };
    let patches: Vec<Map> = needs.clusters.iter().map(patch).collect();
    let bootstrap = (!patches.is_empty()).then(|| Map::new().with("type", "JSONPatch").with("jsonPatches", patches));
    // Envoy Gateway has no tracer of its own unless `telemetry.tracing` is set, which stays unset.
    let spec = Map::new().maybe("provider", variables).maybe("bootstrap", bootstrap);
    settings.begin("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy", "proxy").noted(TRACING_NOTE, "spec", spec)
}

fn listener(needs: &Needs, settings: &Kubernetes) -> Map {
    let (mode, details) = match needs.client_cert_header {
        ClientCertHeader::Remove => ("Sanitize", None),
        ClientCertHeader::Write => ("SanitizeSet", Some(["Subject", "DNS", "URI"])),
        ClientCertHeader::LeaveToProvenClients => ("ForwardOnly", None),
        ClientCertHeader::Leave => ("AlwaysForwardOnly", None),
    };
    let forwarded = Map::new().with("mode", mode).maybe("certDetailsToAdd", details);
    let headers = Map::new().with("withUnderscoresAction", "RejectRequest").with("xForwardedClientCert", forwarded);
    let hops = i32::try_from(needs.trusted_hops).unwrap_or(i32::MAX);
    let addresses = (hops > 0).then(|| Map::new().with("xForwardedFor", Map::new().with("numTrustedHops", hops)));
    let authority = Map::new().with("group", "").with("kind", "Secret").with("name", format!("{}-clients-ca", settings.gateway));
    let mode = match needs.clients {
        Clients::Anybody => None,
        Clients::MayProveThemselves => Some("VerifyIfGiven"),
        Clients::ProveThemselves => Some("RequireAndVerify"),
    };
    let clients = mode.map(|mode| {
        let validation = Map::new().with("mode", mode).with("caCertificateRefs", [authority]);
        Map::new().with("clientValidation", validation)
    });
    let spec = Map::new()
        .with("targetRefs", [settings.target()])
        .maybe("clientIPDetection", addresses)
        .maybe("tls", clients)
        .noted(PATH_NOTE, "path", Map::new().with("escapedSlashesAction", "RejectRequest").with("disableMergeSlashes", false))
        .with("headers", headers);
    settings.begin("gateway.envoyproxy.io/v1alpha1", "ClientTrafficPolicy", "listener").with("spec", spec)
}

fn plugin(document: &Document, needs: &Needs, settings: &Kubernetes) -> Map {
    let image = Map::new().with("url", settings.image.as_str()).maybe("sha256", settings.sha256.clone());
    let variables = (!needs.variables.is_empty()).then(|| Map::new().with("hostKeys", needs.variables.clone()));
    let wasm = Map::new()
        .with("name", super::envoy::PLUGIN)
        .with("rootID", super::envoy::PLUGIN)
        .with("code", Map::new().with("type", "Image").with("image", image).with("pullPolicy", "IfNotPresent"))
        .noted(FAILURE_NOTE, "failOpen", false)
        .maybe("env", variables)
        .noted(CONFIGURATION_NOTE, "config", &document.node);
    let spec = Map::new().with("targetRefs", [settings.target()]).with("wasm", [wasm]);
    settings.begin("gateway.envoyproxy.io/v1alpha1", "EnvoyExtensionPolicy", "tracegate").with("spec", spec)
}

/// Where Envoy Gateway runs its proxies, unless it is told to run them where their gateways are.
const PROXY_NAMESPACE: &str = "envoy-gateway-system";

const COMMENT: &str = "\
For Envoy Gateway 1.8. The plugin is switched on for each HTTPRoute: what none of them matches gets Envoy's 404 past the plugin, without a trace
and whatever the policy's `default` says. A route for everything behind the others closes that gap.";
const PROXY_NOTE: &str = "It takes the place of any other EnvoyProxy of this gateway or its class.";
const TRACING_NOTE: &str = "\
Without `telemetry.tracing`: Envoy's own tracer would overwrite the traceparent and tracestate that the module writes.";
const PATH_NOTE: &str = "\
The paths that routes match on are those that the upstream reads; `x_b3_traceid` is no carrier here, and one for backends that take `_`
for `-`.";
const FAILURE_NOTE: &str = "\
After a trap requests get 503, never a free pass, until the proxy is started anew: Envoy Gateway has no FAIL_RELOAD, nor a field that
restricts what a module may do.";
const CONFIGURATION_NOTE: &str = "Envoy Gateway hands it over as JSON in a StringValue.";
