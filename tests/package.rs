// SPDX-License-Identifier: Apache-2.0
//! What is released: the module says what it is to tools of others, decides as the one that was compiled, and is the same from any checkout; images
//! are what a registry keeps.

#[path = "package/image.rs"]
mod image;
#[path = "package/registry.rs"]
mod registry;
#[path = "package/reproduced.rs"]
mod reproduced;

use std::fs;
use std::path::{Path, PathBuf};

use flate2::read::ZlibDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tracegate_harness::render::{CALLBACKS, HOST_FUNCTIONS};
use tracegate_harness::{module, workspace};
use tracegate_tests::{packaged, run, stderr, stdout};
use wasmparser::{Parser, Payload};

fn name(suffix: &str) -> String {
    format!("tracegate-{}{suffix}", tracegate::VERSION)
}

fn read(out: &Path, suffix: &str) -> Vec<u8> {
    let path = out.join(name(suffix));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn digits(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What a module imports and exports, and its custom sections.
#[derive(Default)]
struct Parts {
    imports: Vec<String>,
    exports: Vec<String>,
    sections: Vec<(String, Vec<u8>)>,
}

impl Parts {
    fn of(wasm: &[u8]) -> Self {
        let mut parts = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.unwrap() {
                Payload::ImportSection(section) => {
                    parts.imports.extend(section.into_imports().map(|import| import.unwrap().name.to_owned()))
                }
                Payload::ExportSection(section) => parts.exports.extend(section.into_iter().map(|export| export.unwrap().name.to_owned())),
                Payload::CustomSection(section) => parts.sections.push((section.name().to_owned(), section.data().to_vec())),
                _ => {}
            }
        }
        parts
    }
}

#[test]
fn the_module_says_what_it_is() {
    let Some(out) = packaged() else { return };
    let Parts { sections, .. } = Parts::of(&read(&out, ".wasm"));
    let section = |name: &str| {
        let mut found = sections.iter().filter(|(known, _)| known == name);
        let (_, data) = found.next().unwrap_or_else(|| panic!("{name}"));
        assert!(found.next().is_none(), "{name} stands twice");
        data.as_slice()
    };
    assert_eq!(section("tracegate"), format!(r#"{{"version":"{}","schema":1}}"#, tracegate::VERSION).as_bytes());
    assert_eq!(section("version"), tracegate::VERSION.as_bytes());
    assert_eq!(section("licenses"), b"Apache-2.0");
    assert!(section("source").starts_with(b"https://") && section("description").starts_with(b"An edge policy"));
    // The module's name: a subsection 0 of the section `name`.
    assert_eq!(section("name"), [&[0, 10, 9][..], b"tracegate"].concat());
}

/// As cargo-auditable has them; that others read it so is in `acceptance/release.rs`.
#[test]
fn the_crates_in_it_are_told_alike_by_the_module_and_by_the_bill() {
    let Some(out) = packaged() else { return };
    let Parts { sections, .. } = Parts::of(&read(&out, ".wasm"));
    let (_, compressed) = sections.iter().find(|(name, _)| name == ".dep-v0").unwrap();
    let told: Value = serde_json::from_reader(ZlibDecoder::new(compressed.as_slice())).unwrap();
    let told = told["packages"].as_array().unwrap();
    let name = |package: &Value| package["name"].as_str().unwrap().to_owned();
    assert_eq!(told.iter().filter(|package| package["root"] == true).map(name).collect::<Vec<_>>(), ["tracegate"]);
    let crates = told.iter().map(|package| format!("pkg:cargo/{}@{}", name(package), package["version"].as_str().unwrap()));
    let bill: Value = serde_json::from_slice(&read(&out, ".cdx.json")).unwrap();
    let references = bill["dependencies"].as_array().unwrap().iter().map(|dependency| dependency["ref"].as_str().unwrap().to_owned());
    assert_eq!(references.collect::<Vec<_>>(), crates.collect::<Vec<_>>());
    for wanted in ["proxy-wasm", "serde", "serde_json", "getrandom", "hex", "rsa"] {
        assert!(told.iter().any(|package| name(package) == wanted), "{wanted}");
    }
    // What only others of the workspace take, or only compilers run, isn't in the module.
    for foreign in ["schemars", "wasmtime", "serde_derive", "proptest", "wit-bindgen"] {
        assert!(told.iter().all(|package| name(package) != foreign), "{foreign}");
    }
    assert_eq!(bill["metadata"]["component"]["hashes"][0]["content"], digits(&read(&out, ".wasm")));
    assert!(bill["components"].as_array().unwrap().iter().all(|component| component["hashes"][0]["content"].is_string()));
    let text = bill.to_string();
    assert!(!text.contains("timestamp") && !text.contains(&workspace::root().display().to_string()), "{text}");
}

/// Where it was built, and by whom, nobody can tell.
#[test]
fn no_place_of_this_machine_is_in_it() {
    let Some(out) = packaged() else { return };
    let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("/root"));
    for module in [read(&out, ".wasm"), fs::read(module::build().unwrap()).unwrap()] {
        for place in [workspace::root().to_owned(), workspace::target(), home.join(".cargo"), home.join(".rustup")] {
            let place = place.display().to_string();
            assert!(!module.windows(place.len()).any(|window| window == place.as_bytes()), "{place}");
        }
    }
}

#[test]
fn it_is_smaller_and_decides_as_the_compiled_one_does() {
    let Some(out) = packaged() else { return };
    let compiled = module::build().unwrap();
    let shipped = out.join(name(".wasm"));
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(size(&shipped) < 1_650_000 && size(&shipped) < size(&compiled), "{} of {}", size(&shipped), size(&compiled));
    let arguments = ["replay".as_ref(), "--module".as_ref(), shipped.as_os_str(), "--against".as_ref(), compiled.as_os_str()];
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).lines().any(|line| line.split_whitespace().eq(["all", "2400", "0", "0", "0", "0"])), "{}", stdout(&output));
    // The same, of the record alone.
    let of = |module: &Path| stdout(&run(["replay".as_ref(), "--module".as_ref(), module.as_os_str()]));
    assert_eq!(of(&shipped), of(&compiled));
}

/// A host that restricts the module to these keeps it from nothing that it does; whatever else the SDK imports it never calls.
#[test]
fn its_capabilities_are_what_it_imports_and_exports() {
    let Some(out) = packaged() else { return };
    let Parts { imports, exports, .. } = Parts::of(&read(&out, ".wasm"));
    for function in HOST_FUNCTIONS {
        assert!(imports.iter().any(|import| import == function), "{function} is never called");
    }
    let callbacks: Vec<&str> =
        exports.iter().map(String::as_str).filter(|name| name.starts_with("proxy_on_") && *name != "proxy_on_memory_allocate").collect();
    assert_eq!(callbacks, CALLBACKS);
    assert!(!HOST_FUNCTIONS.contains(&"proxy_set_buffer_bytes"), "metadata only");
}

#[test]
fn what_goes_with_it_is_about_it() {
    let Some(out) = packaged() else { return };
    let wasm = digits(&read(&out, ".wasm"));
    assert_eq!(String::from_utf8(read(&out, ".wasm.sha256")).unwrap(), format!("{wasm}  {}\n", name(".wasm")));
    assert_eq!(String::from_utf8(read(&out, ".schema.json")).unwrap(), stdout(&run(["schema"])));
    let note = String::from_utf8(read(&out, ".md")).unwrap();
    assert!(note.starts_with(&format!("# tracegate {}\n\n", tracegate::VERSION)), "{note}");
    for part in [&format!("| `{}` | `{wasm}` |", name(".wasm")), "`cargo harness package`", "\n## Digests\n"] {
        assert!(note.contains(part), "{part}\n{note}");
    }
}

/// Workflows call the commands of this project: what they do can be done at a desk. Others' actions are pinned, what builds can't publish, and no
/// text of others is pasted into a script.
#[test]
fn workflows_call_the_projects_own_commands_with_no_more_rights_than_they_need() {
    let directory = workspace::root().join(".github/workflows");
    let mut commands = Vec::new();
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let workflow: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            assert!(job["timeout-minutes"].is_u64(), "{}: {name}", path.display());
            let steps = job["steps"].as_array().unwrap();
            for action in steps.iter().filter_map(|step| step["uses"].as_str()) {
                let (_, pinned) = action.split_once('@').unwrap();
                assert!(pinned.len() == 40 && pinned.bytes().all(|byte| byte.is_ascii_hexdigit()), "{action}");
            }
            let lines: Vec<String> = steps.iter().filter_map(|step| step["run"].as_str()).flat_map(str::lines).map(str::to_owned).collect();
            assert!(lines.iter().all(|line| !line.contains("${{")), "{}: {lines:?}", path.display());
            let builds = lines.iter().any(|line| line.starts_with("cargo "));
            let rights = if job["permissions"].is_null() { &workflow["permissions"] } else { &job["permissions"] };
            assert!(!builds || *rights == serde_json::json!({"contents": "read"}), "{}: {name}: {rights}", path.display());
            let secrets = serde_json::to_string(job).unwrap();
            assert!(!builds || !(secrets.contains("secrets.") || secrets.contains("github.token")), "{}: {name}", path.display());
            commands.extend(lines);
        }
    }
    for command in &commands {
        assert!(["cargo harness ", "gh release ", "skopeo "].iter().any(|own| command.starts_with(own)), "{command}");
    }
    for wanted in ["cargo harness test", "cargo harness test --all", "cargo harness package --tag \"$TAG\""] {
        assert!(commands.iter().any(|command| command == wanted), "{wanted}: {commands:?}");
    }
}

#[test]
fn a_tag_that_isnt_the_versions_releases_nothing() {
    let out = tempfile::tempdir().unwrap();
    let output = run(["package".as_ref(), "--tag".as_ref(), "v99.0.0".as_ref(), "--out".as_ref(), out.path().as_os_str()]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
    assert!(stderr(&output).contains(&format!("expected the tag v{}, found v99.0.0", tracegate::VERSION)), "{}", stderr(&output));
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}
