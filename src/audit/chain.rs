// SPDX-License-Identifier: Apache-2.0
//! The MACs that chain records.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::secret::SecretKey;

/// A key that chains records.
#[derive(Clone)]
pub struct AuditKey {
    mac: Hmac<Sha256>,
    id: String,
}

impl AuditKey {
    /// `None` for what is no key, which an HMAC's never is.
    #[must_use]
    pub fn new(key: &SecretKey) -> Option<Self> {
        let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
        let mut id = mac.clone();
        id.update(b"tracegate audit key");
        let [a, b, c, d, ..]: [u8; 32] = id.finalize().into_bytes().into();
        Some(Self { mac, id: hex::encode([a, b, c, d]) })
    }

    /// Names the key, and tells nothing of it: 8 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The MAC of a record: of all of its line that stands before it, in hexadecimal digits.
    #[must_use]
    pub fn mac(&self, line: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(line.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    /// Whether `mac` is that of `line`, compared in constant time.
    #[must_use]
    pub fn verifies(&self, line: &str, mac: &str) -> bool {
        let mut computed = self.mac.clone();
        computed.update(line.as_bytes());
        // One spelling, lest a copy pass for another record.
        let is_ours = !mac.bytes().any(|byte| byte.is_ascii_uppercase());
        is_ours && hex::decode(mac).is_ok_and(|mac| computed.verify_slice(&mac).is_ok())
    }
}

impl fmt::Debug for AuditKey {
    /// Shows nothing of it but its name.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AuditKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What stands between a record and its MAC.
pub(super) const BEFORE_MAC: &str = ",\"mac\":\"";
