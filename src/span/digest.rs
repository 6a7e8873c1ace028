// SPDX-License-Identifier: Apache-2.0
//! Digests of what must be found again and not be read: HMAC-SHA256 with the policy's key.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::secret::SecretKey;

/// What digests are made with.
#[derive(Clone, Debug)]
pub(crate) struct DigestKey(Hmac<Sha256>);

impl DigestKey {
    /// `None` for what is no key, which an HMAC's never is.
    pub(crate) fn new(key: &SecretKey) -> Option<Self> {
        Hmac::new_from_slice(key.as_bytes()).ok().map(Self)
    }

    /// The first 64 bits of the value's digest, in hexadecimal digits: what `tracegate digest` prints for it.
    pub(crate) fn digest(&self, value: &[u8]) -> [u8; 16] {
        let mut mac = self.0.clone();
        mac.update(value);
        digits(mac)
    }

    /// That of several values, which no other ones give.
    pub(crate) fn digest_of(&self, tell: impl FnOnce(&mut dyn FnMut(&[u8]))) -> [u8; 16] {
        let mut mac = self.0.clone();
        tell(&mut |value| {
            mac.update(&u64::try_from(value.len()).unwrap_or(u64::MAX).to_le_bytes());
            mac.update(value);
        });
        digits(mac)
    }
}

fn digits(mac: Hmac<Sha256>) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = mac.finalize().into_bytes().into();
    let mut digits = [0; 16];
    let written = hex::encode_to_slice([a, b, c, d, e, f, g, h], &mut digits);
    debug_assert_eq!(written, Ok(()), "16 digits hold 8 bytes");
    digits
}
