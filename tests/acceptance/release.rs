// SPDX-License-Identifier: Apache-2.0
//! What is released, as tools of others read it. The tests of `package` build it, under `target/package`.

use std::fs;
use std::path::{Path, PathBuf};

use cyclonedx_bom::prelude::{Bom, SpecVersion, Validate as _};
use wasm_metadata::Payload;

/// What was built of this version; `None` where nothing was, which is a failure where nothing may be left out.
fn released(suffix: &str) -> Option<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |set| root.join(set));
    let path: PathBuf = target.join("package").join(format!("tracegate-{}{suffix}", tracegate::VERSION));
    let read = fs::read(&path).ok();
    assert!(
        read.is_some() || std::env::var_os("TRACEGATE_TEST_STRICT").is_none(),
        "{} is missing: the tests of `package` build it",
        path.display()
    );
    if read.is_none() {
        eprintln!("NOT RUN: {} is missing: cargo test --release --package tracegate-tests --test package builds it", path.display());
    }
    read
}

#[test]
fn the_bill_of_materials_is_one() {
    let Some(bytes) = released(".cdx.json") else { return };
    let bill = Bom::parse_from_json(bytes.as_slice()).unwrap();
    let validated = bill.validate_version(SpecVersion::V1_5);
    assert!(validated.passed(), "{:?}", validated.errors().collect::<Vec<_>>());
    assert!(bill.components.is_some_and(|components| components.0.len() > 30));
    let identified = bill.serial_number.unwrap().to_string();
    assert!(identified.starts_with("urn:uuid:") && identified.as_bytes()[23] == b'8', "{identified}");
}

#[test]
fn the_module_tells_its_name_version_licence_and_crates() {
    let Some(wasm) = released(".wasm") else { return };
    let payload = Payload::from_binary(&wasm).unwrap();
    let metadata = payload.metadata();
    assert_eq!(metadata.name.as_deref(), Some("tracegate"));
    assert_eq!(metadata.version.as_ref().map(ToString::to_string).as_deref(), Some(tracegate::VERSION));
    assert_eq!(metadata.licenses.as_ref().map(ToString::to_string).as_deref(), Some("Apache-2.0"));
    assert!(metadata.source.is_some() && metadata.description.is_some());
    let dependencies = metadata.dependencies.as_ref().unwrap().version_info();
    assert!(dependencies.packages.iter().any(|package| package.name == "proxy-wasm"));
}
