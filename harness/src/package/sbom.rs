// SPDX-License-Identifier: Apache-2.0
//! The software bill of materials: CycloneDX 1.5, the same bytes for the same module. It has no time, and its serial number is the module's.

use serde_json::{Value, json};

use super::dependency::Dependency;
use super::{DESCRIPTION, LICENSE, SOURCE};

/// The tools that made the module, each with its version.
pub(super) type Tools<'a> = [(&'a str, &'a str)];

/// The bill of a module with this digest.
pub(super) fn sbom(dependencies: &[Dependency], own: usize, sha256: &[u8; 32], tools: &Tools<'_>) -> Value {
    let reference = |place: usize| {
        dependencies.get(place).map(|Dependency { name, version, .. }| format!("pkg:cargo/{name}@{version}")).unwrap_or_default()
    };
    let component = |place: usize, one: &Dependency| {
        let mut component = json!({
            "type": "library", "bom-ref": reference(place), "name": one.name, "version": one.version, "scope": "required", "purl": reference(place),
        });
        if let Some(license) = &one.license {
            component["licenses"] = json!([{"expression": license}]);
        }
        if let Some(checksum) = &one.checksum {
            component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
        }
        component
    };
    let places = || dependencies.iter().enumerate();
    let graph = places().map(
        |(place, one)| json!({"ref": reference(place), "dependsOn": one.depends_on.iter().copied().map(reference).collect::<Vec<_>>()}),
    );
    let tools: Vec<Value> = tools.iter().map(|(name, version)| json!({"type": "application", "name": name, "version": version})).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial_number(sha256),
        "version": 1,
        "metadata": {
            "tools": {"components": tools},
            "component": {
                "type": "application",
                "bom-ref": reference(own),
                "name": "tracegate",
                "version": tracegate::VERSION,
                "description": DESCRIPTION,
                "hashes": [{"alg": "SHA-256", "content": hex::encode(sha256)}],
                "licenses": [{"expression": LICENSE}],
                "purl": reference(own),
                "externalReferences": [{"type": "vcs", "url": SOURCE}],
            },
        },
        "components": places().filter(|(place, _)| *place != own).map(|(place, one)| component(place, one)).collect::<Vec<_>>(),
        "dependencies": graph.collect::<Vec<_>>(),
    })
}

/// A UUID of the kind for which everybody makes their own rule (RFC 9562 section 5.8): the digest's first 122 bits.
fn serial_number(sha256: &[u8; 32]) -> String {
    let mut id = [0; 16];
    id.copy_from_slice(&sha256[..16]);
    id[6] = (id[6] & 0x0f) | 0x80;
    id[8] = (id[8] & 0x3f) | 0x80;
    let digits = hex::encode(id);
    format!("urn:uuid:{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}
