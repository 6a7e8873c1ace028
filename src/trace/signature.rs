// SPDX-License-Identifier: Apache-2.0
//! Signed hops: a gateway of ours knows again what another one of ours sent.
//!
//! Our member of `tracestate` names our span, and with a key also holds a MAC over it. Services between two gateways rewrite
//! `traceparent`'s parent-id and flags, so neither is signed; `tracestate` and the trace-id they hand on.
//!
//! ```text
//! value  = "1." key-id "." parent-id "." expiry "." caller "." mac
//! key-id = 1*16( ALPHA / DIGIT / "-" / "_" )
//! expiry = 1*16HEXDIGLC   ; seconds since 1970-01-01T00:00:00Z
//! caller = 16HEXDIGLC     ; tells who called the signing gateway from others, to who holds the key
//! mac    = 32HEXDIGLC     ; the first 16 bytes of HMAC-SHA-256
//! ```
//!
//! Who sees a signed member, as every service behind the gateway does, can present it again until it expires: in the same trace only, as
//! the signature covers the trace-id. A valid signature says that the trace passed a gateway of ours a short while ago, not who sends it now.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::carrier::Fields;
use super::id::{SpanId, TraceId};
use super::state::TraceState;
use crate::secret::{SecretKey, SecretReference, SecretStore};

/// What the policy says about signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopPolicy {
    /// Signs, and verifies.
    pub active: HopKeyReference,
    /// Verifies only: the key before, or the one to come.
    pub other: Option<HopKeyReference>,
    /// Seconds from signing to expiry.
    pub expires_after: u64,
}

/// A key by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopKeyReference {
    /// The id that goes along with a signature.
    pub id: KeyId,
    /// The key.
    pub key: SecretReference,
}

/// Names a key: 1 to 16 letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyId(String);

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        let sound = matches!(text.len(), 1..=16) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if sound { Ok(Self(text.to_owned())) } else { Err(InvalidKeyId) }
    }
}

/// A text that is no key's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKeyId;

impl fmt::Display for InvalidKeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected 1 to 16 letters, digits, '-' and '_'")
    }
}

impl std::error::Error for InvalidKeyId {}

/// The keys of a gateway.
#[derive(Clone)]
pub struct HopKeys {
    active: HopKey,
    other: Option<HopKey>,
}

#[derive(Clone)]
struct HopKey {
    id: KeyId,
    /// Keyed, nothing fed yet.
    mac: Hmac<Sha256>,
}

/// What a valid signature says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHop {
    /// The span of the gateway that signed.
    pub parent_id: SpanId,
    /// Tells who called that gateway.
    pub caller: CallerDigest,
}

/// Tells one caller from another to who holds the key, and says nothing to who doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerDigest(pub [u8; 8]);

impl HopKeys {
    /// The policy's keys; `None` until the active one has come. Until the other one has, what it signed counts for nothing.
    pub(crate) fn of(policy: &HopPolicy, secrets: &SecretStore) -> Option<Self> {
        let key = |reference: &HopKeyReference| HopKey::new(reference.id.clone(), &secrets.key(&reference.key)?);
        Some(Self { active: key(&policy.active)?, other: policy.other.as_ref().and_then(key) })
    }

    /// A digest of what tells a caller, which comes in parts.
    pub(super) fn caller(&self) -> DigestInParts {
        let mut mac = self.active.mac.clone();
        mac.update(CALLER);
        DigestInParts(mac)
    }

    /// The value of our member for a span of a trace, good until `expiry` in seconds since 1970.
    pub(super) fn sign(&self, trace_id: TraceId, parent_id: SpanId, caller: CallerDigest, expiry: u64) -> Vec<u8> {
        let mac = self.active.over(trace_id, parent_id, caller, expiry).finalize().into_bytes();
        let mac = mac.first_chunk::<MAC_LENGTH>().copied().unwrap_or_default();
        let (mut caller_digits, mut mac_digits) = ([0; 16], [0; 2 * MAC_LENGTH]);
        let written = hex::encode_to_slice(caller.0, &mut caller_digits).and(hex::encode_to_slice(mac, &mut mac_digits));
        debug_assert_eq!(written, Ok(()), "two digits hold a byte");
        let expiry = format!("{expiry:x}");
        [b"1", self.active.id.0.as_bytes(), &parent_id.encode(), expiry.as_bytes(), &caller_digits, &mac_digits].join(&b'.')
    }

    /// What our member says, where it is signed by one of the keys for this trace and hasn't expired at `now`, in seconds since 1970.
    pub(super) fn verify(&self, state: &TraceState<'_>, member: &[u8], trace_id: TraceId, now: u64) -> Option<SignedHop> {
        // Keys repeat only where somebody else than us wrote one.
        let mut ours = state.members().filter(|known| known.key() == member);
        let (Some(value), None) = (ours.next(), ours.next()) else { return None };
        let (hop, key_id, expiry, mac) = parse(value.value())?;
        let key = [Some(&self.active), self.other.as_ref()].into_iter().flatten().find(|key| key.id.0.as_bytes() == key_id)?;
        key.over(trace_id, hop.parent_id, hop.caller, expiry).verify_truncated_left(&mac).ok()?;
        // A signature from the future is one that a clock gone back would let live on.
        (now < expiry && expiry <= now.saturating_add(MAX_EXPIRY).saturating_add(CLOCK_SKEW)).then_some(hop)
    }
}

/// A [`CallerDigest`] under way.
pub(super) struct DigestInParts(Hmac<Sha256>);

impl DigestInParts {
    /// Adds a part: with its length, so that no two lists of parts read alike.
    pub(super) fn part(&mut self, part: &[u8]) {
        self.0.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(part);
    }

    pub(super) fn finish(self) -> CallerDigest {
        CallerDigest(self.0.finalize().into_bytes().first_chunk().copied().unwrap_or_default())
    }
}

impl HopKey {
    /// `None` for a key that HMAC doesn't take.
    fn new(id: KeyId, key: &SecretKey) -> Option<Self> {
        Some(Self { id, mac: Hmac::new_from_slice(key.as_bytes()).ok()? })
    }

    fn over(&self, trace_id: TraceId, parent_id: SpanId, caller: CallerDigest, expiry: u64) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(HOP);
        mac.update(&[u8::try_from(self.id.0.len()).unwrap_or(u8::MAX)]);
        mac.update(self.id.0.as_bytes());
        mac.update(&trace_id.to_bytes());
        mac.update(&parent_id.to_bytes());
        mac.update(&expiry.to_be_bytes());
        mac.update(&caller.0);
        mac
    }
}

impl fmt::Debug for HopKeys {
    /// Shows ids only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HopKeys({:?}, {:?})", self.active.id, self.other.as_ref().map(|key| &key.id))
    }
}

/// What is signed, the key's id, the expiry and the MAC.
fn parse(value: &[u8]) -> Option<(SignedHop, &[u8], u64, [u8; MAC_LENGTH])> {
    let plain = |digits: &[u8]| digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let mut fields = Fields::new(value, b'.');
    let mut next = || fields.next().map(|(_, field)| field);
    let [version, key_id, parent_digits, expiry_digits, caller, mac] = [next()?, next()?, next()?, next()?, next()?, next()?];
    let (mut caller_bytes, mut mac_bytes) = ([0; 8], [0; MAC_LENGTH]);
    hex::decode_to_slice(caller, &mut caller_bytes).ok()?;
    hex::decode_to_slice(mac, &mut mac_bytes).ok()?;
    let parent_id = SpanId::from_digits(parent_digits).filter(|_| parent_digits.len() == 16)?;
    let expiry = std::str::from_utf8(expiry_digits).ok().filter(|digits| matches!(digits.len(), 1..=16))?;
    let expiry = u64::from_str_radix(expiry, 16).ok()?;
    // One spelling only.
    let whole = version == b"1" && next().is_none() && [parent_digits, expiry_digits, caller, mac].into_iter().all(plain);
    let whole = whole && !expiry_digits.starts_with(b"0");
    whole.then_some((SignedHop { parent_id, caller: CallerDigest(caller_bytes) }, key_id, expiry, mac_bytes))
}

/// Seconds that a signature is good for at most.
pub const MAX_EXPIRY: u64 = 3600;
/// Seconds that the clock of another gateway may be ahead of ours.
const CLOCK_SKEW: u64 = 300;
/// 128 bits.
const MAC_LENGTH: usize = 16;
/// Keep what is signed for one purpose from counting for another.
const HOP: &[u8] = b"tracegate signed hop 1\0";
const CALLER: &[u8] = b"tracegate caller 1\0";

/// No bytes panic, and none of them verify.
#[cfg(any(test, fuzzing))]
pub fn forged_never_verifies(bytes: &[u8]) {
    let key = HopKey { id: KeyId("k1".to_owned()), mac: Hmac::new(&Default::default()) };
    let keys = HopKeys { active: key, other: None };
    let _ = parse(bytes);
    if let (Ok(state), Some(trace_id)) = (TraceState::try_from(bytes), TraceId::from_bytes([1; 16])) {
        assert_eq!(keys.verify(&state, b"tgate", trace_id, 0), None, "nobody guesses 128 bits");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_790_000_000;

    fn keys(active: (&str, u8), other: Option<(&str, u8)>) -> HopKeys {
        let reference = |(id, byte): (&str, u8)| HopKeyReference {
            id: id.parse().unwrap(),
            key: SecretReference::environment(id, &format!("KEY_{byte}")),
        };
        let policy = HopPolicy { active: reference(active), other: other.map(reference), expires_after: 30 };
        let mut secrets = |variable: &str| {
            let byte: u8 = variable.strip_prefix("KEY_")?.parse().ok()?;
            Some(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [byte; 32]))
        };
        let mut store = SecretStore::new(std::iter::once(&policy.active).chain(&policy.other).map(|key| &key.key));
        store.provide(&mut secrets).unwrap();
        HopKeys::of(&policy, &store).unwrap()
    }

    fn ids() -> (TraceId, SpanId, CallerDigest) {
        (TraceId::from_bytes([0xab; 16]).unwrap(), SpanId::from_bytes([0xcd; 8]).unwrap(), CallerDigest([0xef; 8]))
    }

    fn verify(keys: &HopKeys, state: &[u8], trace_id: TraceId, now: u64) -> Option<SignedHop> {
        keys.verify(&TraceState::try_from(state).unwrap(), b"tgate", trace_id, now)
    }

    fn signed(keys: &HopKeys) -> Vec<u8> {
        let (trace_id, parent_id, caller) = ids();
        [b"tgate=", &keys.sign(trace_id, parent_id, caller, NOW + 30)[..]].concat()
    }

    #[test]
    fn a_signature_verifies_for_its_trace_until_it_expires() {
        let keys = keys(("k1", 1), None);
        let (trace_id, parent_id, caller) = ids();
        let state = signed(&keys);
        let text = String::from_utf8(state.clone()).unwrap();
        // The MAC is Python's: hmac.new(b"\1" * 32, b"tracegate signed hop 1\0" b"\2k1" + trace_id + parent_id + expiry + caller, "sha256").
        assert_eq!(text, "tgate=1.k1.cdcdcdcdcdcdcdcd.6ab13b9e.efefefefefefefef.229123b1730b263bc8f9ef2c216aca9c");
        assert!(state.len() <= 128, "short enough to be cut last: {}", state.len());
        let hop = Some(SignedHop { parent_id, caller });
        assert_eq!(verify(&keys, &state, trace_id, NOW), hop);
        assert_eq!(verify(&keys, &[b"a=1,", &state[..], b",b=2"].concat(), trace_id, NOW + 29), hop, "services may put theirs first");
        assert_eq!(verify(&keys, &state, trace_id, NOW + 30), None, "expired");
        assert_eq!(verify(&keys, &state, trace_id, NOW - 7200), None, "from the future");
        assert_eq!(verify(&keys, &state, trace_id, 0), None, "no clock, no trust");
        assert_eq!(verify(&keys, &state, TraceId::from_bytes([0xac; 16]).unwrap(), NOW), None, "another trace");
        assert_eq!(verify(&keys, &[&state[..], b",", &state].concat(), trace_id, NOW), None, "twice is once too many");
        assert_eq!(verify(&keys, b"tgate=cdcdcdcdcdcdcdcd", trace_id, NOW), None, "unsigned");
        assert_eq!(verify(&keys, b"a=1", trace_id, NOW), None);
    }

    #[test]
    fn no_byte_of_it_may_change() {
        let keys = keys(("k1", 1), None);
        let state = signed(&keys);
        for at in b"tgate=".len()..state.len() {
            for byte in [b'0', b'1', b'a', b'A', b'C', b'E', b'.', b'k', b'2'] {
                let mut forged = state.clone();
                forged[at] = byte;
                let same = forged == state;
                assert_eq!(verify(&keys, &forged, ids().0, NOW).is_some(), same, "{}", String::from_utf8_lossy(&forged));
            }
            assert_eq!(verify(&keys, &state[..at + usize::from(at == 6)], ids().0, NOW), None, "cut at {at}");
        }
    }

    #[test]
    fn two_keys_verify_while_they_rotate() {
        let (old, both, new) = (keys(("k1", 1), None), keys(("k2", 2), Some(("k1", 1))), keys(("k2", 2), None));
        for (signer, verifier, expected) in [
            (&old, &both, true),
            (&both, &both, true),
            (&both, &new, true),
            (&both, &old, false),
            (&old, &new, false),
            (&old, &keys(("k1", 2), None), false),
            (&old, &keys(("k2", 1), None), false),
        ] {
            assert_eq!(verify(verifier, &signed(signer), ids().0, NOW).is_some(), expected, "{signer:?} {verifier:?}");
        }
    }

    #[test]
    fn callers_are_told_apart() {
        let keys = keys(("k1", 1), None);
        let digest = |parts: &[&[u8]]| {
            let mut digest = keys.caller();
            parts.iter().for_each(|part| digest.part(part));
            digest.finish()
        };
        assert_eq!(digest(&[b"a", b"b"]), digest(&[b"a", b"b"]));
        assert_ne!(digest(&[b"a", b"b"]), digest(&[b"ab", b""]));
        assert_ne!(digest(&[b"a"]), digest(&[b"a", b""]));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in "(tgate=)?1?\\.?k1\\.[0-9a-f]{16}\\.[0-9a-f+]{0,17}\\.[0-9a-f]{15,16}\\.[0-9a-f]{32}\\.?|\\PC{0,20}") {
            forged_never_verifies(text.as_bytes());
        }
    }
}
