// SPDX-License-Identifier: Apache-2.0
//! What every shipped configuration of Envoy promises.

use std::fs;

use serde_json::{Value, json};
use tracegate_harness::workspace;

use super::gateway::{manager, policy};

/// A configuration that ships. Each has one listener with one filter chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// `envoy-config/envoy.yaml`
    Plain,
    /// `envoy-config/envoy-mtls.yaml`: clients prove by certificate who they are.
    MutualTls,
    /// `envoy-config/envoy-shop.yaml`: the same, and the policy calls issuers.
    Shop,
    /// `envoy-config/envoy-behind-api-management.yaml`: the same behind one proxy.
    BehindApiManagement,
}

impl Shipped {
    pub const ALL: [Self; 4] = [Self::Plain, Self::MutualTls, Self::Shop, Self::BehindApiManagement];

    /// Where it lies.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Plain => "envoy-config/envoy.yaml",
            Self::MutualTls => "envoy-config/envoy-mtls.yaml",
            Self::Shop => "envoy-config/envoy-shop.yaml",
            Self::BehindApiManagement => "envoy-config/envoy-behind-api-management.yaml",
        }
    }

    /// The policy that it was rendered from.
    pub const fn policy(self) -> &'static str {
        match self {
            Self::Plain => "envoy-config/policies/edge.yaml",
            Self::MutualTls => "envoy-config/policies/edge-mtls.yaml",
            Self::Shop => "envoy-config/policies/shop.yaml",
            Self::BehindApiManagement => "envoy-config/policies/behind-api-management.yaml",
        }
    }

    /// The configuration as it ships.
    pub fn read(self) -> Value {
        let text = fs::read_to_string(workspace::root().join(self.path())).expect("it ships");
        serde_saphyr::from_str(&text).expect("it is YAML")
    }

    /// Whether clients must show certificates.
    pub fn asks_for_certificates(self) -> bool {
        self != Self::Plain
    }
}

#[test]
fn every_configuration_that_ships_is_one_that_is_tested() {
    let listed = fs::read_dir(workspace::root().join("envoy-config")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut files: Vec<String> = listed.map(|name| format!("envoy-config/{}", name.to_str().unwrap())).collect();
    // Others are for what configures Envoys.
    files.retain(|path| path.starts_with("envoy-config/envoy") && !path.starts_with("envoy-config/envoy-gateway"));
    let mut known = Shipped::ALL.map(Shipped::path);
    files.sort_unstable();
    known.sort_unstable();
    assert_eq!(files, known);
}

#[test]
fn every_listener_takes_addresses_from_connections_normalises_paths_and_traces_nothing_itself() {
    for shipped in Shipped::ALL {
        let mut tree = shipped.read();
        let manager = manager(&mut tree);
        for (setting, value) in [
            ("use_remote_address", json!(true)),
            ("xff_num_trusted_hops", if shipped == Shipped::BehindApiManagement { json!(1) } else { Value::Null }),
            ("original_ip_detection_extensions", Value::Null),
            ("forward_client_cert_details", json!("SANITIZE")),
            ("normalize_path", json!(true)),
            ("merge_slashes", json!(true)),
            ("path_with_escaped_slashes_action", json!("REJECT_REQUEST")),
            ("common_http_protocol_options", json!({"headers_with_underscores_action": "REJECT_REQUEST"})),
            ("tracing", Value::Null),
        ] {
            assert_eq!(manager[setting], value, "{}: {setting}", shipped.path());
        }
        let config = &manager["http_filters"][0]["typed_config"]["config"];
        assert_eq!(config["failure_policy"], "FAIL_RELOAD", "{}", shipped.path());
        let allowed = config["capability_restriction_config"]["allowed_capabilities"].as_object().unwrap();
        let bodies = allowed.keys().filter(|name| name.contains("body") || *name == "proxy_set_buffer_bytes").count();
        assert_eq!((allowed.is_empty(), bodies), (false, 0), "{}: nothing touches a body", shipped.path());
    }
}

#[test]
fn the_listener_with_tls_differs_by_nothing_else_and_verifies() {
    let (mut plain, mut tls) = (Shipped::Plain.read(), Shipped::MutualTls.read());
    // Certificates are what its policy goes by.
    let [_, policy] = [&mut plain, &mut tls].map(|tree| policy(tree).take());
    let policy: Value = serde_json::from_str(policy.as_str().unwrap()).unwrap();
    assert_eq!(policy["listener"], json!({"trusted_hops": 0, "client_certificates": "verified"}));
    let [plain, tls] = [&mut plain, &mut tls].map(|tree| tree["static_resources"]["listeners"][0].take());
    let [mut plain, mut tls] = [plain, tls];
    let context = tls["filter_chains"][0].as_object_mut().unwrap().remove("transport_socket").unwrap();
    for listener in [&mut plain, &mut tls] {
        assert!(listener["address"]["socket_address"]["port_value"].take().is_u64());
    }
    assert_eq!(plain, tls);
    let context = &context["typed_config"];
    assert_eq!(context["require_client_certificate"], json!(true));
    let validation = &context["common_tls_context"]["validation_context"];
    assert_eq!(*validation, json!({"trusted_ca": {"filename": "certificates/clients-ca.pem"}}), "and nothing that weakens it");
}
