// SPDX-License-Identifier: Apache-2.0
//! Signatures that the host verifies. It is believed for an algorithm once it has told a true signature from a forged one: no host's word is
//! taken for what it has never been seen to refuse.

use super::algorithm::Algorithm;
use super::key::Verification;
use crate::inputs::HostSignatures;

/// The algorithms for which the host is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proven([bool; KNOWN.len()]);

/// A signature of which the answer is known: under which algorithm, by which key.
struct Known {
    algorithm: Algorithm,
    spki: &'static [u8],
    signature: &'static [u8],
}

const KNOWN: [Known; 5] = [
    Known { algorithm: Algorithm::Rs256, spki: include_bytes!("known/rsa.spki"), signature: include_bytes!("known/rs256.sig") },
    Known { algorithm: Algorithm::Rs384, spki: include_bytes!("known/rsa.spki"), signature: include_bytes!("known/rs384.sig") },
    Known { algorithm: Algorithm::Rs512, spki: include_bytes!("known/rsa.spki"), signature: include_bytes!("known/rs512.sig") },
    Known { algorithm: Algorithm::Es256, spki: include_bytes!("known/es256.spki"), signature: include_bytes!("known/es256.sig") },
    Known { algorithm: Algorithm::Es384, spki: include_bytes!("known/es384.spki"), signature: include_bytes!("known/es384.sig") },
];

/// What the known signatures are for, and what none of them is for.
const SIGNED: &[u8] = b"tracegate known answer";
const FORGED: &[u8] = b"tracegate known answes";

impl Proven {
    /// Puts the host to the test for each of `algorithms`.
    pub(crate) fn test(algorithms: impl Fn(Algorithm) -> bool, host: &mut dyn HostSignatures) -> Self {
        Self(KNOWN.map(|Known { algorithm, spki, signature }| {
            algorithms(algorithm)
                && host.verify(hash(algorithm), spki, signature, SIGNED) == Some(true)
                && host.verify(hash(algorithm), spki, signature, FORGED) == Some(false)
        }))
    }

    /// What the host says of a signature; `None` where it isn't believed or says nothing.
    pub(super) fn ask(
        self,
        algorithm: Algorithm,
        spki: &[u8],
        signature: &[u8],
        text: &[u8],
        host: &mut dyn HostSignatures,
    ) -> Option<Verification> {
        let place = KNOWN.iter().position(|known| known.algorithm == algorithm)?;
        let believed = self.0.get(place).copied().unwrap_or_default();
        let sound = believed.then(|| host.verify(hash(algorithm), spki, signature, text)).flatten()?;
        Some(Verification { sound, by_host: true })
    }
}

/// The name of an algorithm's hash, as hosts know it.
const fn hash(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Rs384 | Algorithm::Es384 => "sha384",
        Algorithm::Rs512 => "sha512",
        _ => "sha256",
    }
}
