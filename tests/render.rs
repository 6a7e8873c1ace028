// SPDX-License-Identifier: Apache-2.0
//! `tracegate render`: the examples that ship are what it writes, and what it can't write it says. That Envoy runs them is in `listener/rendered.rs`,
//! that Kubernetes' documents fit their kinds in `acceptance/manifests.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tracegate_harness::workspace;
use tracegate_tests::{run, stderr, stdout, tracegate};

/// The examples, and how each is rendered.
const EXAMPLES: [(&str, &str, &str); 8] = [
    ("envoy.yaml", "envoy", "edge"),
    ("envoy-mtls.yaml", "envoy", "edge-mtls"),
    ("envoy-shop.yaml", "envoy", "shop"),
    ("envoy-behind-api-management.yaml", "envoy", "behind-api-management"),
    ("istio.yaml", "istio", "shop"),
    ("istio-behind-api-management.yaml", "istio", "behind-api-management"),
    ("envoy-gateway.yaml", "envoy-gateway", "shop"),
    ("envoy-gateway-behind-api-management.yaml", "envoy-gateway", "behind-api-management"),
];

fn policy(name: &str) -> String {
    format!("envoy-config/policies/{name}.yaml")
}

fn example(name: &str) -> String {
    fs::read_to_string(workspace::root().join("envoy-config").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// With `RENDER_EXAMPLES=1` they are written instead.
#[test]
fn the_examples_that_ship_are_what_the_command_writes() {
    let write = std::env::var_os("RENDER_EXAMPLES").is_some();
    for (file, target, policy) in EXAMPLES {
        let output = run(["render", "--for", target, &self::policy(policy)]);
        assert_eq!(output.status.code(), Some(0), "{file}: {}", stderr(&output));
        let rendered = format!("# SPDX-License-Identifier: Apache-2.0\n{}", stdout(&output));
        if write {
            fs::write(workspace::root().join("envoy-config").join(file), rendered).unwrap();
            continue;
        }
        assert!(rendered == example(file), "{file} isn't what is rendered: RENDER_EXAMPLES=1 cargo test --release --test render writes it");
    }
    let scratch = tempfile::tempdir().unwrap();
    let out = if write { workspace::root().join("envoy-config/apim") } else { scratch.path().join("new/apim") };
    let output = tracegate().args(["render", "--for", "apim", &policy("behind-api-management"), "--out"]).arg(&out).output().unwrap();
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""), "{}", stderr(&output));
    let names = |directory: &Path| -> BTreeSet<_> { fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect() };
    assert_eq!(names(&out), names(&workspace::root().join("envoy-config/apim")));
    for name in names(&out) {
        let name = name.to_str().unwrap();
        assert!(fs::read_to_string(out.join(name)).unwrap() == example(&format!("apim/{name}")), "{name} isn't what is rendered");
    }
}

/// The policy that a gateway gets is the policy that was read, by its fingerprint.
#[test]
fn the_policy_within_is_the_policy() {
    for (file, target, name) in EXAMPLES {
        let text = example(file);
        let documents = text.split("\n---\n").map(|document| serde_saphyr::from_str::<Value>(document).unwrap_or_default());
        let pointer = match target {
            "envoy" => {
                "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config/configuration/value"
            }
            "istio" => "/spec/pluginConfig",
            _ => "/spec/wasm/0/config",
        };
        let within = documents.filter_map(|document| document.pointer(pointer).cloned()).next().unwrap_or_else(|| panic!("{file}"));
        let within = within.as_str().map_or_else(|| within.to_string(), str::to_owned);
        let within = tracegate::Policy::from_json(within.as_bytes()).unwrap_or_else(|findings| panic!("{file}: {findings}"));
        let fingerprint = within.policy.fingerprint.to_string();
        assert!(text.lines().nth(1).unwrap().contains(&fingerprint), "{file} names another policy than {fingerprint}");
        let read = tracegate_harness::policy::read(&workspace::root().join(policy(name))).unwrap();
        // Istio has names of its own for clusters.
        let renamed = |canonical: String| {
            let named =
                [("entra", "login.microsoftonline.com"), ("customer-idp", "id.shop.example"), ("partner-idp", "sso.partner.example")];
            named.iter().fold(canonical, |text, (name, host)| {
                text.replace(&format!("\"cluster\":\"{name}\""), &format!("\"cluster\":\"outbound|443||{host}\""))
            })
        };
        assert_eq!(within.canonical, if target == "istio" { renamed(read.canonical) } else { read.canonical }, "{file}");
    }
}

#[test]
fn clusters_are_where_one_says() {
    let arguments = ["--cluster", "partner-idp=https://keys.internal:8443", "--cluster", "customer-idp=idp.auth.svc.cluster.local:80"];
    let rendered = |target: &str| {
        let output = run(["render", "--for", target, &policy("shop")].into_iter().chain(arguments));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    let envoy = rendered("envoy");
    for line in ["address: keys.internal, port_value: 8443", "sni: keys.internal", "address: idp.auth.svc.cluster.local, port_value: 80"] {
        assert!(envoy.contains(line), "{line}\n{envoy}");
    }
    let istio = rendered("istio");
    for line in
        ["cluster: \"outbound|8443||keys.internal\"", "cluster: \"outbound|80||idp.auth.svc.cluster.local\"", "hosts: [keys.internal]"]
    {
        assert!(istio.contains(line), "{line}\n{istio}");
    }
    assert!(!istio.contains("hosts: [idp.auth.svc.cluster.local]"), "the mesh knows its own services");
    assert!(rendered("envoy-gateway").contains("sni: keys.internal"));
}

#[test]
fn an_image_goes_by_its_digest() {
    let digest = "0123456789abcdef".repeat(4);
    let arguments = ["--image", "registry.example/edge/tracegate:1", "--sha256", &digest, "--gateway", "north", "--namespace", "gateways"];
    for (target, url) in
        [("istio", "url: \"oci://registry.example/edge/tracegate:1\""), ("envoy-gateway", "url: \"registry.example/edge/tracegate:1\"")]
    {
        let output = run(["render", "--for", target, &policy("edge")].into_iter().chain(arguments));
        let text = stdout(&output);
        for part in [url, &format!("sha256: \"{digest}\""), "name: north-tracegate, namespace: gateways"] {
            assert!(text.contains(part), "{target}: {part}\n{text}{}", stderr(&output));
        }
    }
}

/// A custom section `tracegate` in a module of nothing else.
fn module(manifest: &str) -> Vec<u8> {
    let name = b"tracegate";
    let length = |bytes: usize| u8::try_from(bytes).unwrap();
    let mut wasm = b"\0asm\x01\0\0\0\0".to_vec();
    wasm.extend([length(1 + name.len() + manifest.len()), length(name.len())]);
    [wasm.as_slice(), name, manifest.as_bytes()].concat()
}

#[test]
fn what_cant_be_rendered_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = scratch.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let newer = file("newer.yaml", b"schema: 2\nservice: {nmae: edge}\nfuture: {}\n");
    let elsewhere = file(
        "elsewhere.yaml",
        b"schema: 1\nservice: {name: edge}\ndefault: {action: admit}\nidentity: {providers: {a: {jwt: {issuer: i, audiences: [a], algorithms: [ES256], keys: \
          {discovery: {uri: \"https://192.0.2.7/c\", cluster: idp, jwks_cluster: keys}}}}}}\n",
    );
    let old = file("old.wasm", &module(r#"{"version":"0.0.9","schema":0}"#));
    let strange = file("strange.wasm", &module("{}"));
    let whole = fs::read(tracegate_harness::module::build().unwrap()).unwrap();
    let cut = file("cut.wasm", &whole[..whole.len() / 2]);
    let version = tracegate::VERSION;
    for (arguments, expected) in [
        (vec!["envoy", &newer], format!("newer.yaml:1:9: schema: expected 1, the newest schema that version {version} reads, found 2")),
        (
            vec!["envoy", &policy("edge"), "--module", &old],
            "old.wasm: expected a module that reads policies of schema 1, found tracegate 0.0.9, which reads none above 0".to_owned(),
        ),
        (
            vec!["envoy", &policy("edge"), "--module", &strange],
            "strange.wasm: expected a module of tracegate, found one that says of no version".to_owned(),
        ),
        (
            vec!["envoy", &policy("edge"), "--module", &cut],
            format!("cut.wasm: expected a WebAssembly module, found the beginning of one: {} bytes of at least ", whole.len() / 2),
        ),
        (
            vec!["envoy", &elsewhere],
            "where the cluster \"keys\" is only its issuer's configuration tells: say it by --cluster keys=https://HOST:PORT".to_owned(),
        ),
        (
            vec!["istio", &elsewhere, "--cluster", "keys=https://keys.example:443"],
            "the cluster \"idp\": expected the name of a host, which Istio's clusters go by, found 192.0.2.7".to_owned(),
        ),
        (vec!["envoy", &policy("edge"), "--cluster", "idp=a.example:80"], "--cluster idp: the policy calls no such cluster".to_owned()),
        (vec!["istio", &policy("edge"), "--listen", "0.0.0.0:80"], "expected --listen with --for envoy, found another".to_owned()),
        (
            vec!["envoy", &policy("edge"), "--image", "a/b"],
            "expected --image with --for istio or --for envoy-gateway, found another".to_owned(),
        ),
        (vec!["istio", &policy("edge"), "--sha256", "12"], "expected 64 hexadecimal digits".to_owned()),
        (vec!["istio", &policy("edge"), "--image", "oci://a/b"], "expected an image without a scheme".to_owned()),
        (vec!["istio", &policy("edge"), "--gateway", "North"], "expected 1 to 40 lower-case letters".to_owned()),
    ] {
        let output = run(["render", "--for"].into_iter().chain(arguments.iter().copied()));
        let error = stderr(&output);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{arguments:?}: {error}");
        assert!(error.contains(&expected), "{arguments:?}: {error}");
    }
}

/// What API Management is to log is what a replay asks of its logs, and nothing that could be a secret.
#[test]
fn api_management_logs_what_a_replay_compares_and_no_secret() {
    for name in ["azuremonitor", "applicationinsights"] {
        let diagnostic: Value = serde_json::from_str(&example(&format!("apim/{name}.json"))).unwrap();
        let properties = &diagnostic["properties"];
        assert_eq!(properties["loggerId"], format!("/loggers/{name}"));
        // The spec knows it for that diagnostic alone.
        let protocol = (name == "applicationinsights").then_some("W3C");
        assert_eq!(properties["httpCorrelationProtocol"].as_str(), protocol);
        for side in ["frontend", "backend"] {
            for direction in ["request", "response"] {
                let message = &properties[side][direction];
                assert_eq!(message["body"]["bytes"], 0, "{name}");
                let headers: Vec<&str> = message["headers"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
                for secret in ["authorization", "cookie", "ocp-apim-subscription-key", "x-forwarded-client-cert"] {
                    assert!(!headers.contains(&secret), "{name}: {headers:?}");
                }
                let expected: &[&str] = match (side, direction) {
                    ("frontend", "request") => &["traceparent", "tracestate", "request-id", "x-forwarded-for", "x-api-version"],
                    ("backend", "request") => &["traceparent", "tracestate", "request-id", "x-apim-request-id"],
                    _ => &["traceresponse", "tracegate-reason"],
                };
                assert!(expected.iter().all(|name| headers.contains(name)), "{name}, {side} {direction}: {headers:?}");
            }
            let hidden = properties[side]["request"]["dataMasking"]["queryParams"].as_array().unwrap();
            assert!(hidden.iter().any(|parameter| parameter["value"] == "subscription-key" && parameter["mode"] == "Hide"), "{name}");
        }
    }
}

#[test]
fn the_fragment_is_one_and_the_request_carries_it() {
    let text = example("apim/fragment.xml");
    let fragment = roxmltree::Document::parse(&text).unwrap();
    assert_eq!(fragment.root_element().tag_name().name(), "fragment");
    let statements: Vec<(&str, &str)> = fragment
        .root_element()
        .children()
        .filter(roxmltree::Node::is_element)
        .map(|node| (node.tag_name().name(), node.attributes().next().unwrap().value()))
        .collect();
    let expected = [
        ("set-header", "x-apim-request-id"),
        // This policy has no use for keys.
        ("set-header", "Ocp-Apim-Subscription-Key"),
        ("set-query-parameter", "subscription-key"),
        ("authentication-certificate", "tracegate-edge"),
    ];
    assert_eq!(statements, expected);
    let body: Value = serde_json::from_str(&example("apim/fragment.json")).unwrap();
    assert_eq!((&body["properties"]["format"], &body["properties"]["value"]), (&"rawxml".into(), &text.into()));
    // A policy that asks for subscription keys needs them.
    let shop = stdout(&run(["render", "--for", "apim", &policy("shop")]));
    assert!(!shop.contains("Ocp-Apim-Subscription-Key") && shop.contains("## fragment.xml"), "{shop}");
}

#[test]
fn the_collectors_pipelines_have_what_they_name() {
    let collector: Value = serde_saphyr::from_str(&example("apim/collector.yaml")).unwrap();
    for (_, pipeline) in collector["service"]["pipelines"].as_object().unwrap() {
        for kind in ["receivers", "processors", "exporters"] {
            for name in pipeline[kind].as_array().unwrap() {
                assert!(collector[kind].get(name.as_str().unwrap()).is_some(), "{kind}: {name}");
            }
        }
    }
    assert_eq!(collector["service"]["extensions"], serde_json::json!(["health_check"]));
}

/// Steps about addresses and trust are there where the policy calls for them.
#[test]
fn the_steps_are_those_of_the_policy() {
    let behind = example("apim/README.md");
    let shop = stdout(&run(["render", "--for", "apim", &policy("shop")]));
    for (text, in_behind, in_shop) in [
        ("trusted_hops: 0}`", false, true),
        ("**Whom the edge believes.**", false, true),
        ("tracegate-edge", true, true),
        ("## 5. See that it works", true, true),
    ] {
        assert_eq!((behind.contains(text), shop.contains(text)), (in_behind, in_shop), "{text}");
    }
}
