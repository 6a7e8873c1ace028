// SPDX-License-Identifier: Apache-2.0
//! The command's own outputs: whatever a recording, a policy, the environment, a log or an answer holds, no command shows a secret of it, nor where what
//! it is given is wrong.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_harness::collector::{Answer, Collector};
use tracegate_harness::http::Connection;
use tracegate_harness::server::Server;
use tracegate_tests::tracegate;

use super::Secret;

/// Secrets by where they are planted, and all that was shown.
struct Search {
    scratch: TempDir,
    secrets: Vec<Secret>,
    shown: Vec<(String, Vec<u8>)>,
    /// What each command finds in its environment.
    environment: Vec<(&'static str, String)>,
}

impl Search {
    fn new() -> Self {
        Self { scratch: TempDir::new().expect("there is room"), secrets: Vec::new(), shown: Vec::new(), environment: Vec::new() }
    }

    /// A secret for this place.
    fn plant(&mut self, place: &'static str) -> String {
        let secret = Secret::new(place, &[]);
        let text = secret.text.clone();
        self.secrets.push(secret);
        text
    }

    /// A secret that is one no more.
    fn take(&mut self, place: &str) -> Secret {
        let at = self.secrets.iter().position(|secret| secret.place == place).expect("it has been planted");
        self.secrets.remove(at)
    }

    fn file(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::write(&path, contents).expect("there is room");
        path
    }

    /// Runs a command with these files behind its arguments, and keeps all that it shows; gives its exit code.
    fn run(&mut self, arguments: &[&str], files: &[&Path], input: &str) -> i32 {
        let mut command = tracegate();
        command.args(arguments).args(files).envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        // One that reads no input may have ended.
        let _ = process.stdin.take().expect("it has one").write_all(input.as_bytes());
        let output = process.wait_with_output().expect("it ends");
        let shown = [output.stdout, output.stderr].concat();
        assert!(!shown.is_empty(), "{arguments:?} shows nothing");
        let code = output.status.code().unwrap_or_else(|| panic!("{arguments:?}: {}", String::from_utf8_lossy(&shown)));
        self.shown.push((format!("{} {files:?}", arguments.join(" ")), shown));
        code
    }

    /// Fails where a secret was shown, in whatever form.
    #[track_caller]
    fn assert_nothing_is_shown(&self) {
        let mut flaws = Vec::new();
        for (command, shown) in &self.shown {
            for secret in &self.secrets {
                let Some(form) = secret.found_in(shown) else { continue };
                let text = String::from_utf8_lossy(shown).into_owned();
                let line = text.lines().find(|line| secret.found_in(line.as_bytes()).is_some()).unwrap_or(&text);
                flaws.push(format!("{} is shown by `{command}`, as {form}: {}", secret.place, line.chars().take(400).collect::<String>()));
            }
        }
        assert!(!self.shown.is_empty() && flaws.is_empty(), "{}", flaws.join("\n"));
    }
}

/// What paths are about: a replay of a recording at one's desk shows it, and no span does.
const ID: &str = "path parameter told as a digest";

/// A policy that asks for tokens by a shared secret, for keys, and tells what it may.
fn policy(id: &str) -> Value {
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
        "secrets": {"tokens": {"environment": {"name": "CANARY_TOKENS"}}, "digests": {"environment": {"name": "CANARY_DIGESTS"}}},
        "identity": {"providers": {
            "users": {"jwt": {"issuer": "https://id.shop.example/", "audiences": ["files"], "algorithms": ["HS256"],
                "keys": {"secrets": [{"key": {"secret": "tokens"}}]}, "tokens": [{"authorization": {"scheme": "Bearer"}}, {"header": "x-pass"}, {"query": "ticket"}, {"cookie": "session"}]}},
            "partners": {"subscription_keys": {"subscriptions": [{"id": id, "keys_sha256": ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}]}},
        }},
        "quotas": {"q": {"limit": {"fixed_window": {"requests": 1, "window": "1h"}}, "key": ["caller"], "key_absent": "skip", "enforcement": {"local": {"volatile": true}}}},
        "routes": [
            {"name": "files", "match": {"path": {"template": "/files/{id}"}}, "attributes": {"path": {"id": "digest"}},
                "rules": [{"name": "who", "require": {"any_of": [{"caller": {"provider": "users"}}, {"caller": {"provider": "partners"}}]}}], "quotas": ["q"]},
            {"name": "open", "match": {"path": {"prefix": "/open"}}},
        ],
        "export": {"spans": {"client": true, "digest_key": {"secret": "digests"}}, "traces": {"otel": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/traces"}}}},
    })
}

/// Where a policy names secrets, or holds what is one.
const HOLDERS: [&str; 7] = [
    "/secrets",
    "/identity/providers/users/jwt/keys",
    "/identity/providers/users/jwt/tokens",
    "/identity/providers/partners/subscription_keys",
    "/export/traces",
    "/export/logs",
    "/audit/chain",
];

/// A log with a secret in each field that can carry one.
fn log(search: &mut Search) -> Vec<Value> {
    let claims = search.plant("claim");
    let signature = search.plant("signature");
    let token = [r#"{"alg":"HS256"}"#, &format!(r#"{{"iss":"https://id.shop.example/","aud":"files","sub":"{claims}","exp":4102444800}}"#)]
        .map(|part| URL_SAFE_NO_PAD.encode(part));
    let token = format!("{}.{}.{signature}", token[0], token[1]);
    let (user, key, sig, code, ticket) =
        (search.plant("user information"), search.plant("key"), search.plant("sig"), search.plant("code"), search.plant("ticket"));
    let id = search.plant(ID);
    let headers = json!({
        "Authorization": format!("Bearer {token}"), "Proxy-Authorization": format!("Basic {}", STANDARD.encode(format!("u:{}", search.plant("password")))),
        "Cookie": format!("a={}; session={}", search.plant("cookie"), search.plant("session")), "Ocp-Apim-Subscription-Key": search.plant("subscription key"),
        "X-Pass": search.plant("header of tokens"), "X-Functions-Key": search.plant("functions key"), "X-Custom": format!("Bearer {}", search.plant("scheme")),
        "Referer": format!("https://u:{}@h/?access_token={}", search.plant("referer"), search.plant("token in a referer")),
        "baggage": format!("a=1,token={}", search.plant("token in baggage")),
        "X-Forwarded-Client-Cert": format!("Hash=aa;Cert=\"{}\"", search.plant("forwarded certificate")),
    });
    let answers = json!({"Set-Cookie": format!("s={}", search.plant("set-cookie")), "Location": format!("https://h/cb?code={code}#id_token={}", search.plant("id token")),
        "WWW-Authenticate": format!("Bearer {}", search.plant("challenge"))});
    let url = |path: &str| {
        format!(
            "https://user:{user}@api.example/{path}?subscription-key={key}&sig={sig}&ticket={ticket}&to=https%3A%2F%2Fh%2F%3Fcode%3D{code}"
        )
    };
    let error = json!({"source": "validate-jwt", "reason": "TokenSignatureInvalid", "message": format!("JWT Validation Failed: Authorization: Bearer {}", search.plant("error message")), "elapsed": 1, "scope": "api", "section": "inbound"});
    let bodies = search.plant("body");
    let record = |path: &str, status: u16, more: Value| {
        let mut properties = json!({
            "method": "GET", "url": url(path), "responseCode": status, "apiId": "files", "operationId": "get", "clientProtocol": "HTTP/1.1", "responseSize": 1, "requestSize": 1,
            "requestHeaders": headers, "responseHeaders": answers, "backendRequestHeaders": headers, "backendResponseHeaders": answers, "backendUrl": url(path), "backendMethod": "GET",
            "requestBody": bodies, "responseBody": bodies, "backendRequestBody": bodies, "backendResponseBody": bodies, "traceRecords": [{"message": bodies}],
        });
        properties.as_object_mut().expect("it is one").extend(more.as_object().expect("it is one").clone());
        json!({"time": "2026-10-05T06:00:00Z", "category": "GatewayLogs", "correlationId": "1", "callerIpAddress": "203.0.113.9", "durationMs": 3, "properties": properties})
    };
    let native = json!({"time": "2026-10-05T06:00:01Z", "request": {"method": "GET", "path": format!("/open/a?token={key}"), "headers": [["authorization", format!("Bearer {token}")], ["x-functions-key", sig]]},
        "expect": {"status": 200, "upstream_headers": {"authorization": [format!("Bearer {ticket}")]}}});
    vec![
        record(&format!("files/{id}"), 200, json!({"backendResponseCode": 200})),
        record(&format!("files/{id}"), 401, json!({"lastError": error, "errors": [error]})),
        record("open/a", 200, json!({"backendResponseCode": 200})),
        record("nowhere", 404, json!({"lastError": {"source": "configuration", "reason": "OperationNotFound", "message": bodies}})),
        native,
    ]
}

/// Each of a document's leaves in the place of which something else stands, with a secret in it.
fn wrong(value: &Value, secret: &str) -> Vec<Value> {
    match value {
        Value::Object(fields) => {
            let whole = |name: &String, field: Value| {
                let mut fields = fields.clone();
                fields.insert(name.clone(), field);
                Value::Object(fields)
            };
            let each =
                |(name, field): (&String, &Value)| wrong(field, secret).into_iter().map(|field| whole(name, field)).collect::<Vec<_>>();
            fields.iter().flat_map(each).collect()
        }
        Value::String(_) => vec![json!({ secret: secret }), json!([[secret]]), json!([{ secret: secret }])],
        Value::Array(_) => vec![json!({ secret: secret }), json!(secret), json!([[[secret]]])],
        Value::Number(_) | Value::Bool(_) | Value::Null => vec![json!(secret), json!([secret])],
    }
}

#[test]
fn a_replay_shows_no_secret_of_a_recording() {
    let mut search = Search::new();
    search.environment = vec![
        ("CANARY_TOKENS", STANDARD.encode(search.plant("secret of tokens"))),
        ("CANARY_DIGESTS", STANDARD.encode(search.plant("secret of digests"))),
    ];
    let header = search.plant("header for the collector");
    search.environment.push(("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{header}")));
    let log = log(&mut search);
    let id = search.take(ID);
    let lines: String = log.iter().map(|record| format!("{record}\n")).collect();
    let (records, own, other) = (
        search.file("log.json", &lines),
        search.file("policy.json", &policy("contoso").to_string()),
        search.file("other.json", &policy("fabrikam").to_string()),
    );
    let (own, other) = (own.to_str().expect("it is text").to_owned(), other.to_str().expect("it is text").to_owned());
    for more in [
        &[][..],
        &["--format", "json"],
        &["--format", "html"],
        &["--by", "reason"],
        &["--find", "path=/files/{id}"],
        &["--find", "caller=203.0.113.9", "--format", "json"],
        &["--find", "path=/files/{id}", "--format", "html"],
        &["--mint"],
        &["--mint", "--format", "json"],
        &["--against", &other],
        &["--against", &other, "--format", "json"],
        &["--what-if", "q=2"],
        &["--what-if", "q=2", "--format", "json"],
    ] {
        let arguments = [&["replay", "--policy", &own], more].concat();
        assert_ne!(search.run(&arguments, &[&records], ""), 2, "{}", String::from_utf8_lossy(&search.shown.last().expect("it ran").1));
    }
    // To a collector too, and where that repeats what it was shown.
    let collector = Collector::start().expect("there is a free port");
    let url = format!("http://{}", collector.address());
    search.run(&["replay", "--policy", &own, "--export", &url], &[&records], "");
    let sent: Vec<u8> = collector.requests().iter().flat_map(|request| request.body.clone()).collect();
    assert!(sent.len() > 100, "spans leave");
    assert_eq!(id.found_in(&sent), None, "an id in a span");
    search.shown.push(("spans".to_owned(), sent));
    let message = format!("no such token: {header}");
    let partial = [&[8, 1, 0x12, u8::try_from(message.len()).expect("it is short")], message.as_bytes()].concat();
    let rejected = [&[0x0a, u8::try_from(partial.len()).expect("it is short")], partial.as_slice()].concat();
    for (status, body) in [(200, rejected), (401, header.clone().into_bytes()), (500, header.clone().into_bytes())] {
        collector.answer_always(Answer::With { status, fields: vec![("x-said".to_owned(), header.clone())], body });
        assert_eq!(search.run(&["replay", "--policy", &own, "--export", &url], &[&records], ""), 2);
    }
    search.assert_nothing_is_shown();
}

#[test]
fn what_is_wrong_with_a_recording_is_told_without_it() {
    let mut search = Search::new();
    let log = log(&mut search);
    let secret = search.plant("what stands in a field's place");
    let mut text = String::new();
    for record in &log {
        for wrong in wrong(record, &secret) {
            text += &format!("{wrong}\n");
        }
        let line = record.to_string();
        for part in [3, 5, 7] {
            text += &format!("{}\n", &line[..line.floor_char_boundary(line.len() * part / 8)]);
        }
        text += &format!("{line} {secret}\n{secret}\n{{\"{secret}\": 1}}\n");
    }
    let (records, own) = (search.file("log.json", &text), search.file("policy.json", &policy("contoso").to_string()));
    let own = own.to_str().expect("it is text").to_owned();
    search.take(ID);
    let csv = format!(
        "TimeGenerated,Method,Url,ResponseCode,ApiId\n{secret},GET,https://h/,200,a\n2026-10-05T06:00:00Z,GET,https://h/,{secret},a\n2026-10-05T06:00:00Z,GET,\"{secret}\n"
    );
    let table = search.file("log.csv", &csv);
    let gzip = search.file("log.json.gz", &secret);
    for format in ["text", "json", "html"] {
        for file in [&records, &table, &gzip] {
            search.run(&["replay", "--policy", &own, "--format", format], &[file], "");
        }
    }
    search.assert_nothing_is_shown();
}

#[test]
fn a_policy_is_checked_and_explained_without_its_secrets() {
    let mut search = Search::new();
    let literal = search.plant("literal");
    let query = search.plant("query of a URI");
    let mut sound = policy("contoso");
    sound["secrets"]["tokens"] = json!({"literal": {"value": STANDARD.encode(&literal)}});
    sound["secrets"]["tenant"] = json!({"literal": {"value": literal}});
    sound["secrets"]["digests"] = json!({"http": {"uri": format!("https://vault.example/digests?sig={query}"), "cluster": "vault"}});
    let otlp = |path: &str| json!({"otlp": {"cluster": "otel", "uri": format!("https://otel.example/v1/{path}?api-key={query}"), "headers": {"x-tenant": {"secret": "tenant"}}}});
    sound["export"]["traces"]["otel"] = otlp("traces");
    sound["export"]["logs"] = json!({"otel": otlp("logs")});
    sound["audit"] = json!({"outputs": ["otlp"], "chain": {"key": {"secret": "tokens"}}});
    let good = search.file("sound.json", &sound.to_string());
    for arguments in [&["check"][..], &["check", "--format", "json"], &["check", "--explain"], &["check", "--explain", "--format", "json"]]
    {
        assert_eq!(search.run(arguments, &[&good], ""), 0, "{}", String::from_utf8_lossy(&search.shown.last().expect("it ran").1));
    }
    for target in ["envoy", "istio", "envoy-gateway", "apim"] {
        assert_ne!(search.run(&["render", "--for", target], &[&good], ""), 0, "a literal is nothing to render");
    }
    let secret = search.plant("what stands in a value's place");
    // With a secret in the place of each value near which one is named.
    for (index, wrong) in wrong(&sound, &secret).into_iter().enumerate() {
        if !HOLDERS.iter().any(|pointer| wrong.pointer(pointer) != sound.pointer(pointer)) {
            continue;
        }
        let file = search.file(&format!("wrong-{index}.json"), &wrong.to_string());
        search.run(&["check"], &[&file], "");
    }
    for (index, section) in [
        "secrets: {k: {literal: {value: \"~",
        "secrets: {k: {literal: {value: *~}}}",
        "secrets: {k: {literal: {value: !~ x}}}",
        "secrets: {k: {literal: {value: !!~ x}}}",
        "secrets: {k: {literal: {value: %~}}}",
        "secrets: {k: {literal: {value: `~}}}",
        "secrets: {k: {literal: {value: \"~\\q\"}}}",
        "secrets: {k: {literal: {value: ~: x: y}}}",
        "secrets: {k: {literal: {value: ~, value: ~}}}",
        "secrets: {k: {literal: {~}}}",
        "secrets: {k: {~}}",
        "secrets: {~}",
        "secrets:\n  k: {literal: {value: ~}\n  l: ~",
        "secrets:\n\tk: ~",
        "secrets: {k: {environment: {name: ~=}}}",
        "identity: {replace_token: {scheme: Bearer ~, credential: {secret: k}}}",
        "identity: {providers: {p: {subscription_keys: {subscriptions: [~]}}}}",
        "export: {traces: {otel: {otlp: {cluster: c, uri: \"http://u:~@otel/\"}}}}",
        "export: {traces: {otel: {otlp: {cluster: c, uri: \"http://otel/\", headers: {\"x-tenant: ~\"}}}}}",
        "audit: {chain: {~}}",
    ]
    .iter()
    .enumerate()
    {
        let text = format!("schema: 1\nservice: {{name: edge}}\ndefault: {{action: admit}}\n{}\n", section.replace('~', &secret));
        let file = search.file(&format!("wrong-{index}.yaml"), &text);
        for arguments in [&["check"][..], &["check", "--explain", "--format", "json"], &["replay", "--policy"], &["digest"]] {
            // Some say what nobody means, and are valid.
            search.run(arguments, &[&file], "");
        }
    }
    search.assert_nothing_is_shown();
}

#[test]
fn keys_values_logs_and_answers_are_not_shown() {
    let mut search = Search::new();
    let (key, short, value) = (search.plant("key of a command"), search.plant("key that is none"), search.plant("value"));
    let own = search.file("policy.json", &policy("contoso").to_string());
    search.environment =
        vec![("CANARY_TOKENS", STANDARD.encode(&key)), ("CANARY_DIGESTS", STANDARD.encode(&key)), ("CANARY_SHORT", short.clone())];
    assert_eq!(search.run(&["digest"], &[&own], &value), 0);
    assert_eq!(search.run(&["digest"], &[&own], &format!("{value}/{value}\n")), 2);
    assert_eq!(search.run(&["digest", "--key", "CANARY_SHORT"], &[&own], &value), 2);
    // A key in the place of its variable's name.
    for given in [&key, &STANDARD.encode(&key), &hex::encode_upper(&key)] {
        assert_eq!(search.run(&["digest", "--key", given], &[&own], &value), 2);
        for option in ["--key", "--retired"] {
            for given in [given, &format!("{given}@2026-11-30"), &format!("2026-11-30@{given}")] {
                assert_eq!(search.run(&["audit", "verify", option, given], &[&own], ""), 2);
            }
        }
    }
    // A log with other things in it than records, and records with other things in them.
    let record = |fields: &str| format!("[info] {value} {{\"audit\":\"decision\",{fields}}} {value}\n");
    let log = [
        format!("[debug] authorization: Bearer {value}\n"),
        record(&format!("\"{value}\":1")),
        record(&format!("\"time\":\"{value}\"")),
        format!(
            "{{\"audit\":\"genesis\",\"time\":\"2026-10-05T06:00:00.000000Z\",\"instance\":\"a\",\"sequence\":0,\"caller\":{{\"x\":\"{value}\"}},\"key\":\"00000000\",\"mac\":\"{value}\"}}\n"
        ),
        format!("{{\"message\":\"audit {value}\"}}\n"),
    ];
    let log = search.file("envoy.log", &log.concat());
    for arguments in [
        &["audit", "verify", "--key", "CANARY_TOKENS"][..],
        &["audit", "verify", "--key", "CANARY_TOKENS", "--format", "json"],
        &["audit", "verify", "--key", "CANARY_SHORT"],
    ] {
        assert_ne!(search.run(arguments, &[&log], ""), 0);
    }
    // A gateway that answers with all that it was sent.
    let server = Server::start(|mut connection: Connection| {
        while let Ok(Some(request)) = connection.read_request() {
            let told = request.fields.iter().flat_map(|(name, value)| [name.as_slice(), b": ", value, b"\n"].concat()).collect::<Vec<u8>>();
            let told = [request.target.as_bytes(), b"\n", &told].concat();
            let head = format!(
                "HTTP/1.1 {} Told\r\ncontent-length: {}\r\n\r\n",
                if request.target.contains("refuse") { 401 } else { 200 },
                told.len()
            );
            if connection.send(&[head.as_bytes(), &told].concat()).is_err() {
                return;
            }
        }
    })
    .expect("there is a free port");
    let header = format!("ocp-apim-subscription-key: {value}");
    for path in ["a", "refuse"] {
        let url = format!("http://{}/{path}?subscription-key={value}", server.address());
        for format in ["text", "json"] {
            search.run(&["probe", &url, "--header", &header, "--format", format], &[], "");
        }
    }
    for (url, header) in [
        (format!("http://u:{value}@127.0.0.1/"), "a: b".to_owned()),
        (format!("https://127.0.0.1/?key={value}"), "a: b".to_owned()),
        (format!("http://127.0.0.1:1/?key={value}"), "a: b".to_owned()),
        ("http://127.0.0.1:1/".to_owned(), value.clone()),
        ("http://127.0.0.1:1/".to_owned(), format!("a b: {value}")),
    ] {
        assert_eq!(search.run(&["probe", &url, "--header", &header], &[], ""), 2, "{url}");
        search.run(&["replay", "--export", &url], &[], "");
    }
    search.assert_nothing_is_shown();
}
