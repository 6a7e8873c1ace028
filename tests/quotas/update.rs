// SPDX-License-Identifier: Apache-2.0
//! A listener that is replaced while it serves: what was counted stays counted.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_harness::envoy::{self, Envoy, Options, Plugin};
use tracegate_harness::http::Connection;
use tracegate_harness::module;
use tracegate_tests::binary;

use super::{ask, limit, outcomes, policy, storm};

/// Replaces the listeners whole, as Envoy wants it: by a file that is moved there.
fn publish(listeners: &Value, file: &Path) {
    let mut listeners = listeners.clone();
    listeners["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    let document = json!({"resources": [listeners]}).to_string();
    let fresh = file.with_extension("new");
    fs::write(&fresh, document).unwrap();
    fs::rename(fresh, file).unwrap();
}

#[test]
fn a_new_limit_keeps_what_was_counted() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("listeners.json");
    let version = std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned());
    let Some(binary) = binary(&version) else { return };
    let bootstrap = |requests: u64| {
        let configuration = policy(&limit(requests, &json!({}))).to_string();
        let plugin = Plugin::Wasm { module: module::build().expect("the module builds"), configuration };
        let options = Options { workers: 2, port, ..Options::new(binary.clone(), plugin) };
        options.bootstrap().unwrap_or_else(|error| panic!("{error}"))
    };
    let mut tree = bootstrap(300);
    publish(&tree["static_resources"]["listeners"][0].take(), &file);
    tree["static_resources"].as_object_mut().unwrap().remove("listeners");
    tree["node"] = json!({"id": "test", "cluster": "test"});
    tree["dynamic_resources"] = json!({"lds_config": {
        "resource_api_version": "V3", "path_config_source": {"path": file, "watched_directory": {"path": folder.path()}},
    }});
    let envoy = Envoy::run(&binary, &tree, 2, None).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(storm(&[envoy.listener()], 4, 100, "alice"), outcomes([("200", 300), ("403 QuotaExceeded", 100)]));

    publish(&bootstrap(450)["static_resources"]["listeners"][0], &file);
    let replaced = |(name, value): &(String, u64)| name == "listener_manager.listener_modified" && *value == 1;
    for _ in 0..200 {
        if envoy.stats("listener_modified").unwrap().iter().any(replaced) {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    // The old listener's connections are drained within a second.
    let admits = || Connection::open(envoy.listener()).ok().map(|mut connection| ask(&mut connection, "alice"));
    let mut tries = 0;
    while admits().as_deref() != Some("200") {
        tries += 1;
        assert!(tries < 100, "the new limit never came: {}", envoy.log());
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(storm(&[envoy.listener()], 4, 100, "alice"), outcomes([("200", 149), ("403 QuotaExceeded", 251)]), "450 in all");
}
