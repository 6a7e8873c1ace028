// SPDX-License-Identifier: Apache-2.0
//! The module: built from this checkout into `dist/`, in one place and under one lock, so that commands and tests that
//! run at once find the same file and never half of it.

mod checkout;
mod manifest;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::slice;

use sha2::{Digest as _, Sha256};

use crate::error::{Context, Error, Result};
use crate::output::OutputFile;
use crate::render::HOST_FUNCTIONS;
use crate::workspace;

pub use checkout::Checkout;
pub use manifest::{InvalidModule, Manifest};

/// What a proxy-wasm module is compiled to.
pub const TARGET: &str = "wasm32-wasip1";

/// What the component and browser faces are compiled to.
pub const BARE_TARGET: &str = "wasm32-unknown-unknown";

/// Builds `dist/tracegate.wasm`; without changes this takes well under a second.
///
/// # Errors
///
/// When cargo, rustup or the file system fail, with their words.
pub fn build() -> Result<PathBuf> {
    let path = workspace::dist().join("tracegate.wasm");
    unless_fresh("module", slice::from_ref(&path), |checkout| write_whole(&path, &checkout.build()?))?;
    Ok(path)
}

/// Builds the tests' probe, whole as it is compiled, and returns where it lies under `target`.
///
/// # Errors
///
/// As [`build`].
pub fn build_probe() -> Result<PathBuf> {
    let path = workspace::target().join("probe.wasm");
    unless_fresh("probe", slice::from_ref(&path), |checkout| {
        let built = checkout.compile("tracegate-probe", TARGET, &[])?;
        write_whole(&path, &fs::read(&built).context(|| format!("can't read {}", built.display()))?)
    })?;
    Ok(path)
}

/// Builds `dist/tracegate.component.wasm`: the same core as a component.
///
/// # Errors
///
/// As [`build`], and when what was compiled is not what `wit/world.wit` says.
pub fn build_component() -> Result<PathBuf> {
    let path = workspace::dist().join("tracegate.component.wasm");
    unless_fresh("component", slice::from_ref(&path), |checkout| write_whole(&path, &component(&checkout.build_component_core()?)?))?;
    Ok(path)
}

/// Builds the component once more, by `cargo component`, under `target/cargo-component`.
///
/// # Errors
///
/// As [`build`]; cargo-component itself takes minutes to build, the first time.
pub fn build_by_cargo_component() -> Result<PathBuf> {
    let (tools, target) = (workspace::tools().join("cargo-component"), workspace::target().join("cargo-component"));
    let checkout = Checkout::own();
    add_target(BARE_TARGET)?;
    let program = tools.join("bin").join(format!("cargo-component{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        let mut install = checkout.cargo();
        install.args(["install", "--locked", "--version", CARGO_COMPONENT, "--root"]).arg(&tools).arg("cargo-component");
        run(install.env("CARGO_TARGET_DIR", tools.join("target")))?;
    }
    let path = std::env::join_paths(
        std::iter::once(tools.join("bin")).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )
    .context(|| "PATH can't be read")?;
    // It writes bindings among our sources, which have their own: nothing else is built meanwhile.
    let _lock = lock()?;
    let mut build = checkout.cargo();
    build.args(["component", "build", "--locked", "--package", "tracegate", "--lib", "--profile", "wasm", "--features", "component"]);
    let built = run(build.args(["--target", BARE_TARGET]).env("CARGO_TARGET_DIR", &target).env("PATH", path));
    let bindings = checkout.root().join("src/bindings.rs");
    if bindings.exists() {
        fs::remove_file(&bindings).context(|| format!("can't remove {}", bindings.display()))?;
    }
    built?;
    Ok(target.join(BARE_TARGET).join("wasm").join("tracegate.wasm"))
}

/// Builds `dist/browser`: the same core for browsers, with its JavaScript and TypeScript.
///
/// # Errors
///
/// As [`build`].
pub fn build_browser() -> Result<PathBuf> {
    let directory = workspace::dist().join("browser");
    let files = ["tracegate_bg.wasm", "tracegate.js", "tracegate.d.ts", "tracegate_bg.wasm.d.ts"].map(|name| directory.join(name));
    unless_fresh("browser", &files, |checkout| {
        let core = checkout.build_browser_core()?;
        let package = ["--locked", "--package", "tracegate-browser", "--features", "bindings", "--bin", "browser-bindings"];
        run(checkout.cargo().args(["run", "--release"]).args(package).arg("--").args([&core, &directory]))
    })?;
    Ok(directory)
}

/// Builds a face, unless what lies there was built of the same sources. Cargo itself would take a third of a second to say so, one after the other where
/// many ask, and of two faces it couldn't: they have one name for what is compiled, and each build of the one makes it do the other again.
fn unless_fresh(face: &str, built: &[PathBuf], build: impl FnOnce(&Checkout) -> Result<()>) -> Result<()> {
    let checkout = Checkout::own();
    let mark = workspace::target().join(format!("{face}.of"));
    let fresh = |sources: &str| matches!((made_of(sources, built), fs::read_to_string(&mark)), (Ok(made), Ok(marked)) if made == marked);
    if checkout.sources().is_ok_and(|sources| fresh(&sources)) {
        return Ok(());
    }
    for parent in built.iter().filter_map(|path| path.parent()) {
        fs::create_dir_all(parent).context(|| format!("can't create {}", parent.display()))?;
    }
    let _lock = lock()?;
    // Somebody else may have built it meanwhile.
    let sources = checkout.sources()?;
    if fresh(&sources) {
        return Ok(());
    }
    build(&checkout)?;
    // What was changed during the build may be in it or not.
    if checkout.sources()? == sources {
        write_whole(&mark, made_of(&sources, built)?.as_bytes())?;
    }
    Ok(())
}

/// Two digests: of what was built, and of its sources.
fn made_of(sources: &str, built: &[PathBuf]) -> Result<String> {
    let mut digest = Sha256::new();
    for path in built {
        digest.update(Sha256::digest(fs::read(path).context(|| format!("can't read {}", path.display()))?));
    }
    Ok(format!("{} of {sources}\n", hex::encode(digest.finalize())))
}

/// Makes a component of a core module that says which world it is for, without names of its functions.
fn component(core: &[u8]) -> Result<Vec<u8>> {
    let core = without_names().parse(core).map_err(|error| Error::new(format!("can't read the component's module: {error}")))?.emit_wasm();
    let encoded = wit_component::ComponentEncoder::default().validate(true).module(&core).and_then(|encoder| encoder.encode());
    encoded.map_err(|error| Error::new(format!("can't make a component: {error:#}")))
}

fn without_names() -> walrus::ModuleConfig {
    let mut config = walrus::ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    config
}

/// Held while a module is built.
fn lock() -> Result<File> {
    fs::create_dir_all(workspace::target()).context(|| "can't create the target directory")?;
    let path = workspace::target().join("module.lock");
    let lock = File::create(&path).context(|| format!("can't open {}", path.display()))?;
    lock.lock().context(|| format!("can't lock {}", path.display()))?;
    Ok(lock)
}

/// Adds a compilation target to the toolchain at hand, unless it is there.
///
/// # Errors
///
/// When rustc or rustup fail.
pub fn add_target(target: &str) -> Result<()> {
    let printed = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output().context(|| "can't run rustc")?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&printed.stdout).trim());
    if libraries.is_dir() {
        return Ok(());
    }
    run(Command::new("rustup").args(["target", "add", target]))
}

/// Runs a command; standard output is for results, so what the command prints there goes to standard error.
fn run(command: &mut Command) -> Result<()> {
    let shown = format!(
        "{} {}",
        command.get_program().to_string_lossy(),
        command.get_args().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
    );
    let status = command.stdout(std::io::stderr()).status().context(|| format!("can't run `{shown}`"))?;
    if status.success() { Ok(()) } else { Err(Error::new(format!("`{shown}` failed ({status})"))) }
}

/// Removes the exports that the module has no use for, with the code behind them, symbol names, and the imports that it never calls.
///
/// The SDK exports every callback of the ABI, and a host calls what is exported: in Envoy each such call costs a request
/// 0.1 to 0.3 µs. It also imports every function of the ABI, those that read and change bodies among them: what isn't imported can't be called.
///
/// # Errors
///
/// When the bytes are no module or lack an export that hosts need.
pub fn strip(module: &[u8]) -> Result<Vec<u8>> {
    let mut module = without_names().parse(module).map_err(|error| Error::new(format!("can't read the module: {error}")))?;
    for name in EXPORTS {
        if !module.exports.iter().any(|export| export.name == *name) {
            return Err(Error::new(format!("the module doesn't export `{name}`")));
        }
    }
    let unused: Vec<_> = module.exports.iter().filter(|export| !EXPORTS.contains(&export.name.as_str())).map(walrus::Export::id).collect();
    for export in unused {
        module.exports.delete(export);
    }
    let foreign = |import: &walrus::Import| match import.kind {
        walrus::ImportKind::Function(function) if !HOST_FUNCTIONS.contains(&import.name.as_str()) => Some(function),
        _ => None,
    };
    let uncalled: Vec<_> = module.imports.iter().filter_map(foreign).collect();
    for function in uncalled {
        let refuse = |(body, _): (&mut walrus::InstrSeqBuilder, &Vec<walrus::LocalId>)| {
            body.i32_const(UNIMPLEMENTED);
        };
        module.replace_imported_func(function, refuse).map_err(|error| Error::new(format!("can't leave an import out: {error}")))?;
    }
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

/// Writes a file whole or not at all, and leaves it alone where nothing changes.
fn write_whole(path: &Path, contents: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == contents) {
        return Ok(());
    }
    let mut file = OutputFile::create(path)?;
    file.write_all(contents).context(|| format!("can't write {}", path.display()))?;
    file.commit()
}

/// The version of cargo-component that is known to build what we want.
const CARGO_COMPONENT: &str = "0.21.1";
/// `WasmResult::Unimplemented`
const UNIMPLEMENTED: i32 = 12;
/// What the module exports. `proxy_on_delete` stays whatever happens: without it the SDK's contexts leak.
const EXPORTS: &[&str] = &[
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_memory_allocate",
    "proxy_on_context_create",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_http_call_response",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_close",
    "proxy_on_done",
    "proxy_on_log",
    "proxy_on_delete",
];
