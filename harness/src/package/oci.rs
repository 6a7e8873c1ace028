// SPDX-License-Identifier: Apache-2.0
//! Images that gateways pull: OCI image layouts of a module, in the two variants that
//! [they know](https://github.com/solo-io/wasm/tree/master/spec).

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{DESCRIPTION, LICENSE, SOURCE};
use crate::error::{Context, Result};

/// How an image holds its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// As any container image does: one layer with a file `plugin.wasm`.
    Compat,
    /// As an artifact: the module itself is a layer.
    Artifact,
}

/// A blob's media type, bytes and digest.
struct Blob {
    media_type: &'static str,
    bytes: Vec<u8>,
    sha256: String,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        let sha256 = hex::encode(Sha256::digest(&bytes));
        Self { media_type, bytes, sha256 }
    }

    fn json(media_type: &'static str, value: &Value) -> Self {
        Self::new(media_type, value.to_string().into_bytes())
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": format!("sha256:{}", self.sha256), "size": self.bytes.len()})
    }
}

impl Variant {
    pub(super) const ALL: [Self; 2] = [Self::Compat, Self::Artifact];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Compat => "oci-compat",
            Self::Artifact => "oci-artifact",
        }
    }

    fn blobs(self, wasm: &[u8]) -> Result<(Blob, Vec<Blob>)> {
        match self {
            Self::Compat => {
                let layer = tar(wasm)?;
                let diff = format!("sha256:{}", hex::encode(Sha256::digest(&layer)));
                let config = json!({
                    "architecture": "wasm", "os": "wasip1", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff]},
                });
                let layer = Blob::new("application/vnd.oci.image.layer.v1.tar+gzip", gzip(&layer)?);
                Ok((Blob::json("application/vnd.oci.image.config.v1+json", &config), vec![layer]))
            }
            Self::Artifact => {
                // Gateways insist on both layers: what the runtime is to be told, and the module.
                let runtime = json!({"type": "envoy_proxy", "abiVersions": ["v0.2.1"]});
                let runtime = Blob::json("application/vnd.module.wasm.config.v1+json", &runtime);
                let module = Blob::new("application/vnd.module.wasm.content.layer.v1+wasm", wasm.to_vec());
                Ok((Blob::json("application/vnd.module.wasm.config.v1+json", &json!({})), vec![runtime, module]))
            }
        }
    }

    /// Writes the layout of an image of this commit to `directory`; returns the digest of its manifest.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub(super) fn write(self, wasm: &[u8], revision: Option<&str>, directory: &Path) -> Result<String> {
        let (config, layers) = self.blobs(wasm)?;
        let mut annotations = json!({
            "org.opencontainers.image.title": "tracegate",
            "org.opencontainers.image.description": DESCRIPTION,
            "org.opencontainers.image.version": tracegate::VERSION,
            "org.opencontainers.image.licenses": LICENSE,
            "org.opencontainers.image.source": SOURCE,
        });
        if let Some(revision) = revision {
            annotations["org.opencontainers.image.revision"] = json!(revision);
        }
        if self == Self::Compat {
            annotations["module.wasm.image/variant"] = json!("compat");
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(),
            "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
            "annotations": annotations,
        });
        let manifest = Blob::json(MANIFEST, &manifest);
        let mut named = manifest.descriptor();
        named["annotations"] = json!({"org.opencontainers.image.ref.name": tracegate::VERSION});
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [named]});
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs).context(|| format!("can't create {}", blobs.display()))?;
        let write = |path: &Path, bytes: &[u8]| fs::write(path, bytes).context(|| format!("can't write {}", path.display()));
        for blob in layers.iter().chain([&config, &manifest]) {
            write(&blobs.join(&blob.sha256), &blob.bytes)?;
        }
        write(&directory.join("index.json"), index.to_string().as_bytes())?;
        write(&directory.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(manifest.sha256)
    }
}

/// An archive of one file, of no time and nobody's.
fn tar(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(u64::try_from(wasm.len()).unwrap_or(u64::MAX));
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "plugin.wasm", wasm).context(|| "can't write the layer")?;
    archive.into_inner().context(|| "can't write the layer")
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    encoder.write_all(bytes).context(|| "can't compress the layer")?;
    encoder.finish().context(|| "can't compress the layer")
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
