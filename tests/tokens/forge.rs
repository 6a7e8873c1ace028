// SPDX-License-Identifier: Apache-2.0
//! What tokens are made with: the issuer's keys, somebody else's, and pieces that are right until a row changes one.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{Pss, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracegate::identity::Algorithm;
use tracegate_harness::issuer::{Issuer, text};

/// Whom the policy trusts.
pub const ISSUER: &str = "https://id.shop.example/";
/// Whom every token is about: nobody but the upstream may read this anywhere.
pub const SUBJECT: &str = "frodo-7f3a9c-underhill";
/// The secret that the issuer shares.
pub const SECRET: [u8; 64] = *b"a secret that the issuer shares with us, in exactly 64 bytes ...";

/// What tokens are made with.
pub struct Forge {
    /// Whom the policy trusts.
    pub issuer: Issuer,
    /// Whom it doesn't: its keys have the same ids.
    pub attacker: Issuer,
    /// A trusted RSA key that signs with salts of any length.
    salting: RsaPrivateKey,
    randomness: ChaCha20Rng,
    /// Seconds since 1970.
    pub now: i64,
}

impl Forge {
    /// Everything as it is at this time, in seconds since 1970.
    pub fn new(now: i64) -> Self {
        let mut randomness = ChaCha20Rng::seed_from_u64(3);
        let salting = RsaPrivateKey::new(&mut randomness, 2048).expect("there is such a key");
        let issuer = Issuer::new(1).expect("there are such keys").sharing(SECRET.to_vec());
        let attacker = Issuer::new(2).expect("there are such keys");
        Self { issuer, attacker, salting, randomness, now }
    }

    /// Everything as it is now.
    pub fn of_today() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        Self::new(i64::try_from(now.as_secs()).expect("it is before the end of time"))
    }

    /// A header that is right for ES256.
    pub fn header(&self) -> String {
        json!({"alg": "ES256", "kid": self.issuer.key_id(Algorithm::Es256), "typ": "JWT"}).to_string()
    }

    /// Claims that are right.
    pub fn claims(&self) -> String {
        json!({"iss": ISSUER, "aud": "orders-api", "sub": SUBJECT, "iat": self.now, "exp": self.now + 300}).to_string()
    }

    /// The header with this member in place of the one of that name, as JSON text.
    pub fn header_with(&self, name: &str, value: &str) -> String {
        with(&self.header(), name, value)
    }

    /// The claims with this member in place of the one of that name, as JSON text.
    pub fn claims_with(&self, name: &str, value: &str) -> String {
        with(&self.claims(), name, value)
    }

    /// A token of this header and these claims, signed with ES256.
    pub fn token(&mut self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        self.issuer.compact(Algorithm::Es256, header.as_ref(), claims.as_ref()).expect("it signs")
    }

    /// A genuine token.
    pub fn good(&mut self, algorithm: Algorithm) -> String {
        let header = json!({"alg": algorithm.as_str(), "kid": self.issuer.key_id(algorithm)}).to_string();
        let claims = self.claims();
        self.issuer.compact(algorithm, header.as_bytes(), claims.as_bytes()).expect("it signs")
    }

    /// A token of these two segments as they are, signed with ES256.
    pub fn of_segments(&mut self, header: &str, claims: &str) -> String {
        let signed = format!("{header}.{claims}");
        let signature = self.issuer.sign(Algorithm::Es256, signed.as_bytes()).expect("it signs");
        format!("{signed}.{}", text(&signature))
    }

    /// The key that signs with salts of any length, as a JSON Web Key.
    pub fn salting_key(&self) -> Value {
        let number = |number: &[u8]| text(number);
        let (n, e) = (self.salting.n().to_be_bytes_trimmed_vartime(), self.salting.e().to_be_bytes_trimmed_vartime());
        json!({"kty": "RSA", "kid": "salting", "n": number(&n), "e": number(&e)})
    }

    /// A token signed with PS256 and a salt of this length.
    pub fn salted(&mut self, length: usize) -> String {
        let signed = format!("{}.{}", text(br#"{"alg":"PS256","kid":"salting"}"#), text(self.claims().as_bytes()));
        let salted = Pss::<Sha256>::new_with_salt(length);
        let signature = self.salting.sign_with_rng(&mut self.randomness, salted, &Sha256::digest(&signed)).expect("it signs");
        format!("{signed}.{}", text(&signature))
    }
}

fn with(object: &str, name: &str, value: &str) -> String {
    let mut object: Value = serde_json::from_str(object).expect("it is JSON");
    object.as_object_mut().expect("it is an object").remove(name);
    format!("{},{}:{value}}}", object.to_string().trim_end_matches('}'), json!(name))
}

/// The token with what `change` makes of its signature.
pub fn signature_of(token: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let (signed, signature) = token.rsplit_once('.').expect("there is a signature");
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("it is base64url");
    format!("{signed}.{}", text(&change(signature)))
}
