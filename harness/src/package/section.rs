// SPDX-License-Identifier: Apache-2.0
//! Custom sections, by which tools tell what a module is: name, version, licence and source under the names of
//! [wasm-metadata](https://github.com/bytecodealliance/wasm-tools/tree/main/crates/wasm-metadata), and the crates in it as
//! [cargo-auditable](https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md) has them.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::json;
use wasm_encoder::{CustomSection, NameSection, Section as _};

use super::dependency::Dependency;
use super::{DESCRIPTION, LICENSE, SOURCE};
use crate::error::{Context, Result};

/// The module with these sections behind its own.
///
/// # Errors
///
/// Never: what is compressed goes to memory.
pub(super) fn describe(mut wasm: Vec<u8>, dependencies: &[Dependency], own: usize) -> Result<Vec<u8>> {
    let mut name = NameSection::new();
    name.module("tracegate");
    name.append_to(&mut wasm);
    let crates = auditable(dependencies, own)?;
    let sections: [(&str, &[u8]); 5] = [
        ("version", tracegate::VERSION.as_bytes()),
        ("description", DESCRIPTION.as_bytes()),
        ("licenses", LICENSE.as_bytes()),
        ("source", SOURCE.as_bytes()),
        (".dep-v0", &crates),
    ];
    for (name, data) in sections {
        CustomSection { name: name.into(), data: data.into() }.append_to(&mut wasm);
    }
    Ok(wasm)
}

fn auditable(dependencies: &[Dependency], own: usize) -> Result<Vec<u8>> {
    let package = |(place, one): (usize, &Dependency)| {
        let source = if one.checksum.is_some() { "crates.io" } else { "local" };
        let mut package = json!({"name": one.name, "version": one.version, "source": source});
        if !one.depends_on.is_empty() {
            package["dependencies"] = json!(one.depends_on);
        }
        if place == own {
            package["root"] = json!(true);
        }
        package
    };
    let packages: Vec<_> = dependencies.iter().enumerate().map(package).collect();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(json!({ "packages": packages }).to_string().as_bytes()).context(|| "can't compress")?;
    encoder.finish().context(|| "can't compress")
}
