// SPDX-License-Identifier: Apache-2.0
//! Image layouts as they lie in the directory: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;
use tracegate_tests::packaged;

use super::{digits, name, read};

/// A layout's manifest, and what it names, read by digest.
pub struct Layout {
    pub manifest: Value,
    pub digest: String,
    pub config: Value,
    pub layers: Vec<(String, Vec<u8>)>,
}

impl Layout {
    /// Reads a layout of one image, whose every blob is what its name says.
    pub fn read(directory: &Path) -> Self {
        let json = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).unwrap() };
        let file = |name: &str| fs::read(directory.join(name)).unwrap_or_else(|error| panic!("{}/{name}: {error}", directory.display()));
        assert_eq!(json(&file("oci-layout"))["imageLayoutVersion"], "1.0.0");
        let index = json(&file("index.json"));
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
            let bytes = file(&format!("blobs/sha256/{digest}"));
            assert_eq!((digits(&bytes), descriptor["size"].as_u64()), (digest.clone(), u64::try_from(bytes.len()).ok()));
            (digest, bytes)
        };
        let [named] = index["manifests"].as_array().unwrap().as_slice() else { panic!("{index}") };
        let (digest, manifest) = blob(named);
        let manifest = json(&manifest);
        let layers = manifest["layers"].as_array().unwrap();
        let layers = layers.iter().map(|layer| (layer["mediaType"].as_str().unwrap().to_owned(), blob(layer).1)).collect();
        Self { digest, config: json(&blob(&manifest["config"]).1), layers, manifest }
    }
}

#[test]
fn the_compatible_image_is_one_layer_with_one_file() {
    let Some(out) = packaged() else { return };
    let Layout { manifest, config, layers, .. } = Layout::read(&out.join(name("-oci-compat")));
    assert_eq!(manifest["annotations"]["module.wasm.image/variant"], "compat");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], tracegate::VERSION);
    let [(media_type, layer)] = layers.as_slice() else { panic!("{manifest}") };
    assert_eq!(media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
    let mut archive = Vec::new();
    GzDecoder::new(layer.as_slice()).read_to_end(&mut archive).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", digits(&archive)));
    let mut archive = tar::Archive::new(archive.as_slice());
    let mut files = 0;
    for file in archive.entries().unwrap() {
        let mut file = file.unwrap();
        let (mut bytes, header) = (Vec::new(), file.header().clone());
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(file.path().unwrap().to_str(), Some("plugin.wasm"));
        assert_eq!(bytes, read(&out, ".wasm"));
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.mode().unwrap()), (0, 0, 0o644), "nobody's, of no time");
        files += 1;
    }
    assert_eq!(files, 1);
}

/// Istio and Envoy Gateway insist on two layers, and take the one of this type.
#[test]
fn the_artifact_holds_the_module_itself() {
    let Some(out) = packaged() else { return };
    let Layout { manifest, layers, .. } = Layout::read(&out.join(name("-oci-artifact")));
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.module.wasm.config.v1+json");
    let [_, (media_type, module)] = layers.as_slice() else { panic!("{manifest}") };
    assert_eq!((media_type.as_str(), module), ("application/vnd.module.wasm.content.layer.v1+wasm", &read(&out, ".wasm")));
}

/// The release note tells the digests by which gateways ask for an image.
#[test]
fn the_note_tells_the_images_digests() {
    let Some(out) = packaged() else { return };
    let note = String::from_utf8(read(&out, ".md")).unwrap();
    for variant in ["-oci-compat", "-oci-artifact"] {
        let digest = Layout::read(&out.join(name(variant))).digest;
        assert!(note.contains(&format!("| `{}` | `{digest}` |", name(variant))), "{note}");
    }
}
