// SPDX-License-Identifier: Apache-2.0
//! An issuer of tokens for trying policies: it signs with keys of its own, publishes them and rotates them. What it signs proves that a policy's
//! rules do what they should, nothing about the true issuer's signatures.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use ed25519_dalek::Signer as _;
use hmac::{Hmac, KeyInit, Mac};
use p256::elliptic_curve::Generate as _;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, Pss, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use tracegate::identity::Algorithm;

use crate::error::{Context as _, Result};

/// An issuer of tokens.
pub struct Issuer {
    randomness: ChaCha20Rng,
    /// Counts rotations; ids of keys end with it.
    generation: u32,
    keys: Keys,
    secret: Option<Vec<u8>>,
}

/// The private keys of one generation.
struct Keys {
    rsa: RsaPrivateKey,
    p256: p256::ecdsa::SigningKey,
    p384: p384::ecdsa::SigningKey,
    ed25519: ed25519_dalek::SigningKey,
}

impl Keys {
    fn generate(randomness: &mut ChaCha20Rng) -> Result<Self> {
        Ok(Self {
            rsa: RsaPrivateKey::new(randomness, 2048).context(|| "the test issuer's RSA key")?,
            p256: p256::ecdsa::SigningKey::generate_from_rng(randomness),
            p384: p384::ecdsa::SigningKey::generate_from_rng(randomness),
            ed25519: ed25519_dalek::SigningKey::generate(randomness),
        })
    }
}

impl Issuer {
    /// An issuer whose keys hang on `seed` alone.
    ///
    /// # Errors
    ///
    /// When no RSA key comes of it.
    pub fn new(seed: u64) -> Result<Self> {
        let mut randomness = ChaCha20Rng::seed_from_u64(seed);
        let keys = Keys::generate(&mut randomness)?;
        Ok(Self { randomness, generation: 1, keys, secret: None })
    }

    /// The same issuer, sharing this secret for HS256 and its like.
    #[must_use]
    pub fn sharing(mut self, secret: Vec<u8>) -> Self {
        self.share(secret);
        self
    }

    /// Shares this secret for HS256 and its like, instead of any other.
    pub fn share(&mut self, secret: Vec<u8>) {
        self.secret = Some(secret);
    }

    /// Replaces all keys: from now on it signs with others, under other ids, and publishes them alone.
    ///
    /// # Errors
    ///
    /// When no RSA key comes of it.
    pub fn rotate(&mut self) -> Result<()> {
        self.keys = Keys::generate(&mut self.randomness)?;
        self.generation += 1;
        Ok(())
    }

    /// The id of the key for this algorithm.
    #[must_use]
    pub fn key_id(&self, algorithm: Algorithm) -> String {
        use Algorithm::{EdDsa, Es256, Es384, Hs256, Hs384, Hs512};
        let family = match algorithm {
            Es256 => "p256",
            Es384 => "p384",
            EdDsa => "ed25519",
            Hs256 | Hs384 | Hs512 => "secret",
            _ => "rsa",
        };
        format!("{family}-{}", self.generation)
    }

    /// What it publishes: a JSON Web Key Set.
    #[must_use]
    pub fn key_set(&self) -> Value {
        let Keys { rsa, p256, p384, ed25519 } = &self.keys;
        let (p256, p384) = (p256.verifying_key().to_sec1_point(false), p384.verifying_key().to_sec1_point(false));
        let coordinates = |point: &[u8]| {
            let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
            (text(x), text(y))
        };
        let ((x256, y256), (x384, y384)) = (coordinates(p256.as_bytes()), coordinates(p384.as_bytes()));
        json!({"keys": [
            {
                "kty": "RSA", "use": "sig", "kid": self.key_id(Algorithm::Rs256),
                "n": text(&rsa.n().to_be_bytes_trimmed_vartime()), "e": text(&rsa.e().to_be_bytes_trimmed_vartime())
            },
            {"kty": "EC", "use": "sig", "crv": "P-256", "kid": self.key_id(Algorithm::Es256), "x": x256, "y": y256},
            {"kty": "EC", "use": "sig", "crv": "P-384", "kid": self.key_id(Algorithm::Es384), "x": x384, "y": y384},
            {"kty": "OKP", "use": "sig", "crv": "Ed25519", "kid": self.key_id(Algorithm::EdDsa), "x": text(ed25519.verifying_key().as_bytes())},
        ]})
    }

    /// A token with these claims, signed with this algorithm.
    ///
    /// # Errors
    ///
    /// When the key can't sign.
    pub fn mint(&mut self, algorithm: Algorithm, claims: &Value) -> Result<String> {
        let header = json!({"alg": algorithm.as_str(), "kid": self.key_id(algorithm), "typ": "JWT"});
        self.compact(algorithm, header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    /// A compact JWS of exactly this header and payload, whatever they say, signed with this algorithm.
    ///
    /// # Errors
    ///
    /// When the key can't sign.
    pub fn compact(&mut self, algorithm: Algorithm, header: &[u8], payload: &[u8]) -> Result<String> {
        let signed = format!("{}.{}", text(header), text(payload));
        let signature = self.sign(algorithm, signed.as_bytes())?;
        Ok(format!("{signed}.{}", text(&signature)))
    }

    /// A signature.
    ///
    /// # Errors
    ///
    /// When the key can't sign.
    pub fn sign(&mut self, algorithm: Algorithm, bytes: &[u8]) -> Result<Vec<u8>> {
        let Self { randomness, keys: Keys { rsa, p256, p384, ed25519 }, .. } = self;
        let secret = self.secret.as_deref().unwrap_or_default();
        let signed = match algorithm {
            Algorithm::Rs256 => rsa.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(bytes)),
            Algorithm::Rs384 => rsa.sign(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(bytes)),
            Algorithm::Rs512 => rsa.sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(bytes)),
            Algorithm::Ps256 => rsa.sign_with_rng(randomness, Pss::<Sha256>::new(), &Sha256::digest(bytes)),
            Algorithm::Ps384 => rsa.sign_with_rng(randomness, Pss::<Sha384>::new(), &Sha384::digest(bytes)),
            Algorithm::Ps512 => rsa.sign_with_rng(randomness, Pss::<Sha512>::new(), &Sha512::digest(bytes)),
            Algorithm::Es256 => {
                let signature: p256::ecdsa::Signature = p256.sign(bytes);
                Ok(signature.to_bytes().to_vec())
            }
            Algorithm::Es384 => {
                let signature: p384::ecdsa::Signature = p384.sign(bytes);
                Ok(signature.to_bytes().to_vec())
            }
            Algorithm::EdDsa => Ok(ed25519.sign(bytes).to_bytes().to_vec()),
            Algorithm::Hs256 => return mac::<Hmac<Sha256>>(secret, bytes),
            Algorithm::Hs384 => return mac::<Hmac<Sha384>>(secret, bytes),
            Algorithm::Hs512 => return mac::<Hmac<Sha512>>(secret, bytes),
        };
        signed.context(|| format!("a signature with {algorithm}"))
    }
}

fn mac<M: Mac + KeyInit>(secret: &[u8], bytes: &[u8]) -> Result<Vec<u8>> {
    let mac = <M as KeyInit>::new_from_slice(secret).context(|| "the test issuer's secret")?;
    Ok(mac.chain_update(bytes).finalize().into_bytes().to_vec())
}

/// base64url without padding.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl std::fmt::Debug for Issuer {
    /// Shows no key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Issuer(generation {})", self.generation)
    }
}
