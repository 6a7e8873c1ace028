// SPDX-License-Identifier: Apache-2.0
//! `tracegate render`: the examples that ship are what it writes, and what it can't write it says. That Envoy runs them is in `listener/rendered.rs`,
//! that Kubernetes' documents fit their kinds in `acceptance/manifests.rs`.

#[path = "render/api_management.rs"]
mod api_management;
#[path = "render/services.rs"]
mod services;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tracegate_harness::workspace;
use tracegate_tests::{run, stderr, stdout, tracegate};

/// The examples of gateways' configurations, and how each is rendered.
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

/// Those of rate-limit services, for the quotas of the shop.
const SERVICES: [(&str, &str); 2] = [("limitador.yaml", "limitador"), ("ratelimit.yaml", "ratelimit")];

/// Where the shop's rate-limit service is.
const LIMITS: [&str; 2] = ["--cluster", "ratelimit=limits.shop.example:8081"];

/// The command that renders a policy that ships.
fn command(target: &str, name: &str) -> Vec<String> {
    let policy = policy(name);
    let told: &[&str] = if name == "shop" { &LIMITS } else { &[] };
    ["render", "--for", target, &policy].iter().chain(told).map(|&argument| argument.to_owned()).collect()
}

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
    let gateways = EXAMPLES.map(|(file, target, name)| (file, command(target, name)));
    let services = SERVICES.map(|(file, target)| (file, ["render", "--for", target, &policy("shop")].map(str::to_owned).to_vec()));
    for (file, command) in gateways.into_iter().chain(services) {
        let output = run(command);
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
            let named = [
                ("entra", 443, "login.microsoftonline.com"),
                ("customer-idp", 443, "id.shop.example"),
                ("partner-idp", 443, "sso.partner.example"),
                ("ratelimit", 8081, "limits.shop.example"),
                ("otel", 443, "otel.shop.example"),
            ];
            named.iter().fold(canonical, |text, (name, port, host)| {
                text.replace(&format!("\"cluster\":\"{name}\""), &format!("\"cluster\":\"outbound|{port}||{host}\""))
            })
        };
        assert_eq!(within.canonical, if target == "istio" { renamed(read.canonical) } else { read.canonical }, "{file}");
    }
}

#[test]
fn clusters_are_where_one_says() {
    let arguments = ["--cluster", "partner-idp=https://keys.internal:8443", "--cluster", "customer-idp=idp.auth.svc.cluster.local:80"];
    let rendered = |target: &str| {
        let output = run(command(target, "shop").into_iter().chain(arguments.map(str::to_owned)));
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

/// A policy with these clusters, whose issuers publish keys there, and with more about it.
fn issuers(clusters: &[(&str, &str)], more: &str) -> String {
    let provider = |(cluster, uri): &(&str, &str)| {
        format!(
            "    p-{cluster}: {{jwt: {{issuer: i, audiences: [a], algorithms: [ES256], keys: {{jwks: {{uri: \"{uri}\", cluster: {cluster}}}}}}}}}\n"
        )
    };
    let providers: String = clusters.iter().map(provider).collect();
    format!("schema: 1\nservice: {{name: edge}}\ndefault: {{action: admit}}\n{more}identity:\n  providers:\n{providers}")
}

/// A policy with a quota for each name, the cluster that counts it and what else there is about it, in JSON.
fn quotas(quotas: &[(&str, &str, &str)]) -> String {
    let quota = |(name, cluster, more): &(&str, &str, &str)| {
        let mut quota = json!({
            "limit": {"calendar": {"requests": 500, "period": "day"}}, "key": ["route", {"header": "X-Shop"}], "key_absent": "refuse",
            "enforcement": {"global": {"cluster": cluster, "domain": "shop", "on_unavailable": "admit"}},
        });
        let more: Value = serde_json::from_str(more).unwrap();
        quota.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ((*name).to_owned(), quota)
    };
    let names: Vec<&str> = quotas.iter().map(|(name, ..)| *name).collect();
    let quotas: serde_json::Map<String, Value> = quotas.iter().map(quota).collect();
    let subscription = json!({"id": "a", "product": "gold", "keys_sha256": ["ab".repeat(32)]});
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}, "quotas": quotas,
        "identity": {"providers": {"keys": {"subscription_keys": {"subscriptions": [subscription]}}}},
        "routes": [{"name": "all", "quotas": names}],
    })
    .to_string()
}

/// What is rendered of a policy's text, and what is said about it.
fn rendered(policy: &str, arguments: &[&str]) -> (String, String) {
    let scratch = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    fs::write(scratch.path(), policy).unwrap();
    let output = run(["render", scratch.path().to_str().unwrap(), "--for"].iter().chain(arguments));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    (stdout(&output), stderr(&output))
}

/// Documents of every shape that there is no example of: they are held against their kinds where the examples are, from this directory.
#[test]
fn what_examples_dont_show_is_there_to_be_checked() {
    let directory = workspace::target().join("rendered");
    fs::create_dir_all(&directory).unwrap();
    let digest = "0123456789abcdef".repeat(4);
    let verified = |more: &str| format!("listener: {{client_certificates: verified, {more}}}\n");
    let one: &[(&str, &str)] = &[("a", "https://id.example/keys")];
    let several: &[(&str, &str)] = &[
        ("a", "https://id.example/keys"),
        ("b", "http://id.example:8080/keys"),
        ("c", "https://keys.auth.svc.cluster.local/k"),
        ("d", "https://_x.id.example./k"),
    ];
    let cases = [
        ("keep", issuers(one, &verified("forwarded_client_cert: keep")), vec![]),
        ("from", issuers(one, &verified("forwarded_client_cert: {from: {peer: {dns_san: {exact: proxy.example}}}}")), vec![]),
        (
            "from-anybody",
            issuers(one, "listener: {trusted_hops: 2, forwarded_client_cert: {from: {source: {cidr: [192.0.2.0/24]}}}}\n"),
            vec![],
        ),
        ("optional", issuers(one, &verified("trusted_hops: 0")), vec!["--optional-client-certificates"]),
        ("several", issuers(several, ""), vec!["--trusted-ca", "/etc/roots.pem"]),
        (
            "bare",
            issuers(&[], "").replace("identity:\n  providers:\n", ""),
            vec!["--sha256", &digest, "--gateway", "n", "--namespace", "m"],
        ),
    ];
    let limited = quotas(&[("here", "limits-here", "{}"), ("there", "limits-there", "{}"), ("secret", "limits-tls", "{}")]);
    let services = vec![
        "--cluster",
        "limits-here=limitador.limits.svc.cluster.local:8081",
        "--cluster",
        "limits-there=limits.example:8081",
        "--cluster",
        "limits-tls=https://limitador.limits.svc.cluster.local:8443",
    ];
    for (name, policy, arguments) in cases.into_iter().chain([("limits", limited, services)]) {
        for target in ["istio", "envoy-gateway"] {
            let (text, said) = rendered(&policy, &[&[target][..], &arguments].concat());
            assert!(
                said.lines().all(|line| line.starts_with("the image is a placeholder") || line.starts_with("cluster b: ")),
                "{name}: {said}"
            );
            fs::write(directory.join(format!("{target}-{name}.yaml")), &text).unwrap();
        }
    }
}

/// Others in the mesh go on speaking to an issuer as they did, and each port of a host is reached as it should be.
#[test]
fn what_istio_is_told_of_an_issuer_is_for_the_gateway_alone_and_port_by_port() {
    let hosts = [("a", "https://id.example/keys"), ("b", "http://id.example:8080/keys"), ("c", "https://keys.auth.svc.cluster.local/k")];
    let (text, _) = rendered(&issuers(&hosts, ""), &["istio"]);
    let documents: Vec<Value> = text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap_or_default()).collect();
    let of =
        |kind: &str| documents.iter().filter(|document| document["kind"] == kind).map(|document| &document["spec"]).collect::<Vec<_>>();
    let [entry] = of("ServiceEntry").try_into().unwrap();
    assert_eq!((&entry["hosts"], &entry["exportTo"]), (&json!(["id.example"]), &json!(["."])), "one for a host, none for the mesh's own");
    let ports: Vec<_> =
        entry["ports"].as_array().unwrap().iter().map(|port| (port["number"].as_u64(), port["protocol"].as_str())).collect();
    assert_eq!(ports, [(Some(443), Some("HTTPS")), (Some(8080), Some("HTTP"))]);
    let [first, second]: [&Value; 2] = of("DestinationRule").try_into().unwrap();
    for (rule, host) in [(first, "id.example"), (second, "keys.auth.svc.cluster.local")] {
        assert_eq!((&rule["host"], &rule["exportTo"]), (&json!(host), &json!(["."])));
        assert_eq!(rule["workloadSelector"]["matchLabels"], json!({"gateway.networking.k8s.io/gateway-name": "edge"}));
        let levels = json!([{"port": {"number": 443}, "tls": {"mode": "SIMPLE", "sni": host, "subjectAltNames": [host]}}]);
        assert_eq!(rule["trafficPolicy"], json!({"portLevelSettings": levels}), "port 8080 speaks no TLS");
    }
}

/// What is said about what can't be rendered.
fn unrendered(policy: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let scratch = tempfile::tempdir().unwrap();
    let (file, out) = (scratch.path().join("policy.json"), scratch.path().join("out.yaml"));
    fs::write(&file, policy).unwrap();
    let paths = [file.to_str().unwrap(), "--out", out.to_str().unwrap(), "--for"];
    let output = run(["render"].iter().chain(&paths).chain(arguments));
    assert_eq!((stdout(&output).as_str(), out.exists()), ("", false), "nothing is written");
    let said = stderr(&output);
    (output.status.code(), said.lines().filter_map(|line| line.strip_prefix("tracegate: ")).collect())
}

/// A vault proves its name by TLS; the metadata service has neither. What stands in the policy itself isn't passed on.
#[test]
fn secrets_that_are_fetched_have_clusters_and_literals_are_refused() {
    let policy = |more: &str| {
        let vault =
            r#"{"vault_uri": "https://shop-kv.vault.azure.net", "name": "hop", "vault_cluster": "key-vault", "imds_cluster": "imds"}"#;
        format!(
            r#"{{"schema": 1, "service": {{"name": "edge"}}, "default": {{"action": "admit"}}, "secrets": {{"hop": {{"key_vault": {vault}}}{more}}},
            "trace": {{"tracestate": {{"member": "tgate"}}, "signed_hop": {{"active": {{"id": "k1", "key": {{"secret": "hop"}}}}}}}}}}"#
        )
    };
    for target in ["envoy", "envoy-gateway"] {
        let (text, said) = rendered(&policy(""), &[target]);
        for expected in [
            "{address: {socket_address: {address: 169.254.169.254, port_value: 80}}}",
            "{address: {socket_address: {address: shop-kv.vault.azure.net, port_value: 443}}}",
            "sni: shop-kv.vault.azure.net",
            "{exact: shop-kv.vault.azure.net}",
        ] {
            assert!(text.contains(expected), "{target}, {expected}: {text}");
        }
        assert!(!said.contains("imds"), "{said}");
    }
    let named = "the cluster \"imds\": expected the name of a host, which Istio's clusters go by, found 169.254.169.254";
    assert_eq!(unrendered(&policy(""), &["istio"]), (Some(2), named.to_owned()));
    let (text, _) = rendered(&policy(""), &["istio", "--cluster", "imds=imds.internal:80"]);
    assert!(text.contains("[imds.internal]") && text.contains("[shop-kv.vault.azure.net]"), "{text}");
    // Whether anybody uses it or not.
    let literal = "secrets.spare: expected no `literal` in what is rendered, which others read: say where the secret is";
    for target in ["envoy", "istio", "envoy-gateway"] {
        let found = unrendered(&policy(r#", "spare": {"literal": {"value": "hunter2"}}"#), &[target]);
        assert_eq!(found, (Some(2), literal.to_owned()));
    }
}

/// A name is the policy's, and may hold anything: it ends where its line does.
#[test]
fn names_dont_go_on_beyond_their_line() {
    for end in ["\n", "\r", "\u{85}", "\u{2028}", "\r\n"] {
        let name = format!("edge{end}admin: {{address: x}}{end}# ");
        let policy = json!({"schema": 1, "service": {"name": name}, "default": {"action": "admit"}}).to_string();
        for target in ["envoy", "istio", "envoy-gateway"] {
            let (text, _) = rendered(&policy, &[target]);
            let heads = text.split(['\n', '\r', '\u{85}', '\u{2028}']).take_while(|line| line.starts_with('#')).count();
            let first: Value = serde_saphyr::from_str(text.split("\n---\n").next().unwrap()).unwrap_or_default();
            assert!(heads >= 4 && first["admin"]["address"] != "x", "{target}, {end:?}: {text}");
        }
        let (page, _) = rendered(&policy, &["apim"]);
        assert!(!page.lines().any(|line| line.starts_with("admin:")), "{end:?}: {page}");
    }
}

#[test]
fn a_cluster_may_be_called_as_the_upstream_is() {
    let (text, _) = rendered(&issuers(&[("upstream", "https://id.example/keys")], ""), &["envoy"]);
    let tree: Value = serde_saphyr::from_str(&text).unwrap();
    let clusters = tree["static_resources"]["clusters"].as_array().unwrap();
    assert_eq!(clusters.iter().map(|cluster| cluster["name"].as_str().unwrap()).collect::<Vec<_>>(), ["upstream-", "upstream"]);
    assert!(text.contains("route: {cluster: upstream-}"), "{text}");
    // Reached by TLS, it proves its name like any other.
    let (text, _) =
        rendered(&issuers(&[], "").replace("identity:\n  providers:\n", ""), &["envoy", "--upstream", "https://shop.internal:8443"]);
    assert!(text.contains("sni: shop.internal") && text.contains("matcher: {exact: shop.internal}"), "{text}");
}

#[test]
fn what_is_less_safe_than_the_policys_word_is_said() {
    for (arguments, expected) in [
        (vec!["envoy", "--listen", "0.0.0.0:443"], "0.0.0.0:443 speaks no TLS: --certificates DIR has it do so"),
        (
            vec!["envoy", "--cluster", "a=id.example:80"],
            "--cluster a: reached without TLS at id.example:80, though the policy's URI says https",
        ),
        (vec!["envoy", "--admin", "0.0.0.0:9901"], "0.0.0.0:9901 lets whoever reaches it administer Envoy"),
        (vec!["istio"], "the image is a placeholder: --image says where yours is"),
        (vec!["envoy", "--module", "/nowhere/m.wasm"], "/nowhere/m.wasm isn't here: whether it reads this policy isn't known"),
    ] {
        let (_, said) = rendered(&issuers(&[("a", "https://id.example/keys")], ""), &arguments);
        assert_eq!(said.trim_end(), expected);
    }
    let (_, said) = rendered(&issuers(&[("a", "http://id.example/keys")], ""), &["envoy"]);
    assert_eq!(said.trim_end(), "cluster a: reached without TLS at id.example:80, as the policy's URI says");
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
    let twice = issuers(&[("a", "https://id.example/one"), ("b", "https://id.example/two")], "");
    let twice = file("twice.yaml", twice.as_bytes());
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
        (
            vec!["istio", &policy("edge"), "--listen", "0.0.0.0:80"],
            "expected --listen with --for envoy, found it with --for istio".to_owned(),
        ),
        (
            vec!["envoy", &policy("edge"), "--image", "a/b"],
            "expected --image with --for istio or --for envoy-gateway, found it with --for envoy".to_owned(),
        ),
        (vec!["istio", &policy("edge"), "--sha256", "12"], "expected 64 hexadecimal digits".to_owned()),
        (vec!["istio", &policy("edge"), "--image", "oci://a/b"], "expected an image without a scheme".to_owned()),
        (vec!["istio", &policy("edge"), "--image", "a/b@sha256:1"], "expected an image without a scheme and a digest".to_owned()),
        (vec!["istio", &policy("edge"), "--gateway", "North"], "expected 1 to 40 lower-case letters".to_owned()),
        (
            vec!["apim", &policy("edge"), "--trusted-ca", "a.pem"],
            "expected no clusters, roots and client certificates with --for apim".to_owned(),
        ),
        (
            vec!["envoy", &policy("edge"), "--optional-client-certificates"],
            "expected --optional-client-certificates with a policy that says `listener: {client_certificates: verified}`".to_owned(),
        ),
        (
            vec!["istio", &twice, "--cluster", "a=id.example:443"],
            "expected id.example:443 to be reached by TLS or without, found both: one of them is a --cluster without https://".to_owned(),
        ),
        (
            vec!["envoy", &twice, "--cluster", "a=x.example:1", "--cluster", "a=y.example:2"],
            "--cluster a: expected one place, found x.example:1 and y.example:2".to_owned(),
        ),
    ] {
        let output = run(["render", "--for"].into_iter().chain(arguments.iter().copied()));
        let error = stderr(&output);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{arguments:?}: {error}");
        assert!(error.contains(&expected), "{arguments:?}: {error}");
    }
}
