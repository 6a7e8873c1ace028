// SPDX-License-Identifier: Apache-2.0
//! Two clones, two cargo homes, one digest. In the long suite: it compiles the module twice from nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use tracegate_harness::module::Checkout;
use tracegate_harness::package::{self, Package};
use tracegate_harness::workspace;

#[test]
#[ignore = "long: compiles the module twice from nothing"]
fn two_clones_with_two_cargo_homes_give_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let mut packages = Vec::new();
    for (clone, home) in [("clone", "cargo-home"), ("deeper/and/elsewhere/another clone", "deeper/home")] {
        let (clone, home) = (directory.path().join(clone), directory.path().join(home));
        fs::create_dir_all(clone.parent().unwrap()).unwrap();
        let cloned = Command::new("git").args(["clone", "--quiet", "--no-hardlinks"]).arg(workspace::root()).arg(&clone).status().unwrap();
        assert!(cloned.success());
        let out = clone.join("dist");
        let Package { artifacts, .. } = package::package(&Checkout::at(clone, home), &out, false).unwrap_or_else(|error| panic!("{error}"));
        println!("{}  {}", artifacts[0].sha256, artifacts[0].path.display());
        packages.push(files(&out));
    }
    assert!(packages[0].len() > 10, "{:?}", packages[0].keys());
    assert!(packages[0] == packages[1], "{:?} {:?}", packages[0].keys(), packages[1].keys());
}

/// Every file below a directory, with its bytes.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    fn collect(directory: &Path, below: &str, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{below}/{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                collect(&path, &name, files);
            } else {
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(directory, "", &mut found);
    found
}
