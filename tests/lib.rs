// SPDX-License-Identifier: Apache-2.0
//! What the test programs share: the `tracegate` command, the module, real Envoy, certificates and TLS, a simulated world, and the core's
//! other faces.

pub mod certificates;
pub mod collected;
pub mod faces;
pub mod tls;
pub mod world;

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracegate_harness::echo::Echo;
use tracegate_harness::envoy::{self, Envoy, Options, Plugin};
use tracegate_harness::http::{Connection, Response};
use tracegate_harness::{module, workspace};

/// The least policy: trace context is settled, nothing is refused.
pub const OPEN: &str = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#;

/// The least policy with a tracestate member of ours.
pub const WITH_MEMBER: &str =
    r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"tracestate": {"member": "tgate"}}, "default": {"action": "admit"}}"#;

/// A folder of the tests'.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    workspace::root().join("tests").join(name)
}

/// The reference policy: a shop's edge.
#[must_use]
pub fn shop() -> PathBuf {
    workspace::root().join("envoy-config/policies/shop.yaml")
}

/// The command under test, built by cargo beside the test programs.
#[must_use]
pub fn tracegate() -> Command {
    let program = std::env::current_exe().expect("a test has a program");
    let beside = program.parent().and_then(Path::parent).expect("test programs lie in target/<profile>/deps");
    let command = beside.join(format!("tracegate{}", std::env::consts::EXE_SUFFIX));
    assert!(command.is_file(), "{} is missing: run `cargo harness test`, which builds it", command.display());
    let mut command = Command::new(command);
    command.current_dir(workspace::root());
    command
}

/// A program of others', or the like; `None` where it can't be had.
///
/// # Panics
///
/// There, where nothing may be left out.
pub fn present<T, E: Display>(program: Result<T, E>) -> Option<T> {
    let refuse = |error: &E| {
        assert!(std::env::var_os("TRACEGATE_TEST_STRICT").is_none(), "{error}");
        eprintln!("NOT RUN: {error}");
    };
    program.inspect_err(refuse).ok()
}

/// Runs the command to its end.
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    tracegate().args(arguments).output().expect("the command runs")
}

/// Standard output as text.
#[must_use]
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

/// Standard error as text, without cargo's lines.
#[must_use]
pub fn stderr(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).expect("output is UTF-8");
    let cargos = ["Compiling", "Finished", "Blocking", "Locking", "Downloading", "Downloaded", "Updating"];
    text.lines().filter(|line| !cargos.iter().any(|word| line.trim_start().starts_with(word))).map(|line| format!("{line}\n")).collect()
}

/// Standard output as JSON values, one a line.
#[must_use]
pub fn lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// Real Envoy with the module and an echo behind it; `None` where Envoy can't be had, which `cargo harness test` reports.
pub struct Edge {
    /// The gateway.
    pub envoy: Envoy,
    _echo: Echo,
}

impl Edge {
    /// Starts Envoy with a policy.
    #[must_use]
    pub fn start(policy: &str) -> Option<Self> {
        Self::start_with(policy, None, None)
    }

    /// Starts Envoy with a policy, perhaps with more header lines allowed than its own 100, perhaps of another version.
    #[must_use]
    pub fn start_with(policy: &str, max_headers: Option<u32>, version: Option<&str>) -> Option<Self> {
        Self::run(policy, max_headers, version, |_| {})
    }

    /// Starts Envoy with a policy, and hands these environment variables to the module.
    #[must_use]
    pub fn start_with_secrets(policy: &str, environment: &[(String, String)]) -> Option<Self> {
        Self::start_changed(policy, environment, |_| {})
    }

    /// The same with what `change` makes of Envoy's configuration.
    #[must_use]
    pub fn start_changed(policy: &str, environment: &[(String, String)], change: impl FnOnce(&mut Value)) -> Option<Self> {
        let variables: serde_json::Map<String, Value> = environment.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        Self::run(policy, None, None, |tree| {
            let config = &mut manager(tree)["http_filters"][0]["typed_config"]["config"];
            config["vm_config"]["environment_variables"] = json!({ "key_values": variables });
            change(tree);
        })
    }

    fn run(policy: &str, max_headers: Option<u32>, version: Option<&str>, change: impl FnOnce(&mut Value)) -> Option<Self> {
        let chosen = std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned());
        let binary = binary(version.unwrap_or(&chosen))?;
        let echo = Echo::start().expect("there is a free port");
        let plugin = Plugin::Wasm { module: module::build().expect("the module builds"), configuration: policy.to_owned() };
        let upstream = Some((echo.address().ip().to_string(), echo.address().port()));
        let options = Options { upstream, workers: 2, max_headers, ..Options::new(binary, plugin) };
        let mut tree = options.bootstrap().unwrap_or_else(|error| panic!("{error}"));
        change(&mut tree);
        let envoy = Envoy::run(&options.binary, &tree, options.workers, options.cpu).unwrap_or_else(|error| panic!("{error}"));
        Some(Self { envoy, _echo: echo })
    }

    /// A connection to the listener.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open(self.envoy.listener()).expect("Envoy listens")
    }

    /// Sends a GET with these lines on a connection of its own.
    #[must_use]
    pub fn get(&self, path: &str, fields: &[(&str, &[u8])]) -> Response {
        let mut connection = self.connect();
        connection.send(&get(path, fields)).expect("Envoy takes a request");
        connection.read_response().expect("Envoy answers")
    }

    /// The value of a plugin metric, once it has been flushed: flushing takes up to a second.
    #[must_use]
    pub fn metric_when(&self, name: &str, is_expected: impl Fn(u64) -> bool) -> u64 {
        let mut value = 0;
        for _ in 0..100 {
            let stats = self.envoy.stats("wasmcustom").expect("Envoy has statistics");
            value = stats.iter().find(|(known, _)| known == &format!("wasmcustom.{name}")).map_or(0, |(_, value)| *value);
            if is_expected(value) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        value
    }

    /// Fails if a plugin VM of this Envoy has died.
    pub fn assert_alive(&self) {
        let stats = self.envoy.stats("wasm").expect("Envoy has statistics");
        let value = |name: &str| stats.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        for name in ["vm_reload", "vm_reload_backoff", "vm_reload_failure", "vm_reload_success"] {
            assert_eq!(value(&format!("wasm.tracegate.{name}")), Some(0), "{name}");
        }
        let log = self.envoy.log();
        assert!(!log.contains("panicked") && !log.contains("Proxy-Wasm plugin in-VM backtrace"), "{log}");
    }
}

/// The settings of the HTTP connection manager in Envoy's configuration.
pub fn manager(tree: &mut Value) -> &mut Value {
    &mut tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
}

/// Envoy's binary; `None` where it can't be had.
#[must_use]
pub fn binary(version: &str) -> Option<PathBuf> {
    present(envoy::install(version))
}

/// What is released, under `target/package`, built once for all tests; `None` where what it takes can't be had.
#[must_use]
pub fn packaged() -> Option<PathBuf> {
    static PACKAGED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let out = workspace::target().join("package");
        fs::create_dir_all(&out).expect("there is room");
        // Other test programs take the same files.
        let lock = File::create(workspace::target().join("package.lock")).expect("there is room");
        lock.lock().expect("nobody holds it for ever");
        let made_of =
            [module::build().expect("the module builds"), PathBuf::from(tracegate().get_program()), workspace::root().join("CHANGELOG.md")];
        let digest = made_of.iter().fold(Sha256::new(), |digest, file| digest.chain_update(fs::read(file).expect("it is there")));
        let (mark, made) = (out.join("of"), hex::encode(digest.finalize()));
        if fs::read_to_string(&mark).is_ok_and(|text| text == made) {
            return Ok(out);
        }
        let output = run(["package".as_ref(), "--out".as_ref(), out.as_os_str()]);
        if output.status.success() {
            fs::write(&mark, made).expect("there is room");
            return Ok(out);
        }
        Err(stderr(&output))
    };
    present(PACKAGED.get_or_init(build).clone())
}

/// The bytes of a GET.
#[must_use]
pub fn get(path: &str, fields: &[(&str, &[u8])]) -> Vec<u8> {
    get_from("api.example", path, fields)
}

/// The bytes of a GET from this host.
#[must_use]
pub fn get_from(host: &str, path: &str, fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n").into_bytes();
    for (name, value) in fields {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// What reached the upstream, as the echo tells: every line of a name.
#[must_use]
pub fn echoed(response: &Response, name: &str) -> Vec<String> {
    lines_of(response).into_iter().filter(|(known, _)| known == name).map(|(_, value)| value).collect()
}

/// Every line that reached the upstream, as the echo tells.
#[must_use]
pub fn lines_of(response: &Response) -> Vec<(String, String)> {
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    let body: Value = serde_json::from_slice(&response.body).expect("the echo answers in JSON");
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let headers = body["headers"].as_array().expect("the echo lists headers");
    headers.iter().map(|line| (text(&line[0]), text(&line[1]))).collect()
}
