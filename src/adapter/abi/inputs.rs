// SPDX-License-Identifier: Apache-2.0
//! What the host lends for one step: its clock, randomness, knowledge of the peer, shared data and verification of signatures.

use super::host::{self, Failed};
use crate::inputs::{EntropyUnavailable, Expected, HostSignatures, Inputs, Peer, PeerFact, Store, StoreError, Stored};
use crate::protobuf::put_bytes;
use crate::quota::Totals;

/// Lends them: one clock read, and a call for each thing that is asked for. Shared data stand under `prefix`.
pub(super) fn with_inputs<T>(prefix: &str, run: impl FnOnce(&mut Inputs<'_>) -> T) -> T {
    let now = host::now();
    let mut entropy = |bytes: &mut [u8]| -> Result<(), EntropyUnavailable> { host::fill_random(bytes) };
    run(&mut Inputs {
        now: i64::try_from(now).unwrap_or(i64::MAX),
        // The ABI has one clock, the wall's.
        monotonic: now,
        entropy: &mut entropy,
        peer: &mut Properties,
        store: &mut SharedData { prefix },
        signatures: &mut VerifySignature,
    })
}

/// Envoy's attribute: <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes#connection-attributes>. Parts of
/// a path are parted by zero bytes.
const fn path(fact: PeerFact) -> &'static str {
    match fact {
        PeerFact::SourceAddress => "source\0address",
        PeerFact::UriSan => "connection\0uri_san_peer_certificate",
        PeerFact::DnsSan => "connection\0dns_san_peer_certificate",
        PeerFact::Subject => "connection\0subject_peer_certificate",
        PeerFact::Sha256 => "connection\0sha256_peer_certificate_digest",
    }
}

/// The host's properties.
struct Properties;

impl Peer for Properties {
    fn fact(&mut self, fact: PeerFact) -> Option<Vec<u8>> {
        host::property(path(fact)).ok()
    }

    fn route_metadata(&mut self, key: &str) -> Option<Vec<u8>> {
        host::property(&format!("xds\0route_metadata\0filter_metadata\0tracegate\0{key}")).ok()
    }
}

/// How many bytes of bodies the stream at hand has had, once it is over.
pub(super) fn totals() -> Totals {
    let size = |path: &str| {
        let bytes = host::property(path).ok()?;
        u64::try_from(i64::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    // A request's size is what the client says it is; what came of it, head and all, is at least what came of its body.
    let came = size("request\0total_size").unwrap_or(u64::MAX);
    Totals { request_bytes: size("request\0size").unwrap_or(0).min(came), response_bytes: size("response\0size").unwrap_or(0) }
}

/// The host's shared data.
struct SharedData<'a> {
    prefix: &'a str,
}

impl SharedData<'_> {
    fn name(&self, name: &str) -> String {
        [self.prefix, name].concat()
    }
}

impl Store for SharedData<'_> {
    fn get(&mut self, name: &str) -> Option<Stored> {
        let (value, version) = host::shared_data(&self.name(name)).ok()?;
        Some(Stored { value, version })
    }

    fn set(&mut self, name: &str, value: &[u8], expected: Expected) -> Result<(), StoreError> {
        let cas = match expected {
            Expected::Any => 0,
            // A version that no value has: what isn't there is set all the same.
            Expected::Absent => u32::MAX,
            Expected::Version(version) => version,
        };
        host::set_shared_data(&self.name(name), value, cas).map_err(|failed| match failed {
            Failed::CAS_MISMATCH => StoreError::Conflict,
            _ => StoreError::Unavailable,
        })
    }
}

/// Envoy's foreign function `verify_signature`. Argument and result are protobuf messages.
struct VerifySignature;

impl HostSignatures for VerifySignature {
    fn verify(&mut self, hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let mut argument =
            Vec::with_capacity(hash.len().saturating_add(key.len()).saturating_add(signature.len()).saturating_add(text.len()));
        for (number, field) in [(1_u8, hash.as_bytes()), (2, key), (3, signature), (4, text)] {
            put_bytes(&mut argument, number, field);
        }
        // 1: whether it is so, left out where it isn't; 2: why not. A wrong signature is an answer, not an error.
        let result = host::foreign_function("verify_signature", &argument).ok()?;
        Some(result.starts_with(&[1 << 3, 1]))
    }
}
