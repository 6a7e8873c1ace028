// SPDX-License-Identifier: Apache-2.0
//! JSON Web Keys: RFC 7517, with the members of RFC 7518 section 6 and RFC 8037 section 2.

use std::fmt;

use super::algorithm::Algorithm;
use super::base64url;
use super::key::{InvalidKey, InvalidKeySet, Key, KeySet, MAX_KEYS};
use super::members::Members;
use crate::json::{self, Node, Position, Value};

/// Reads a key. One of a type that we don't know, or that isn't for signatures, is skipped: `None` (RFC 7517 section 5).
///
/// # Errors
///
/// [`InvalidJwk`] for a key that should be one of ours and is none.
pub fn read(node: &Node) -> Result<Option<Key>, InvalidJwk> {
    let members = Members::read(node).ok_or(InvalidJwk::at(node, Wrong::NoKey))?;
    let text = |name: &'static str| match members.get(name).map(|node| (&node.value, node)) {
        None => Ok(None),
        Some((Value::String(text), _)) => Ok(Some(text.as_str())),
        Some((_, node)) => Err(InvalidJwk::at(node, Wrong::NoText(name))),
    };
    let required = |name: &'static str| text(name)?.ok_or(InvalidJwk::at(node, Wrong::Missing(name)));
    let bytes = |name: &'static str| {
        let value = required(name)?;
        base64url::decode(value.as_bytes()).ok_or(InvalidJwk::at(members.get(name).unwrap_or(node), Wrong::NoBase64Url(name)))
    };
    let kind = required("kty")?;
    // Whatever it is for: what is no use to us must not stand here as a secret.
    match kind {
        "oct" => return Err(InvalidJwk::at(node, Wrong::Symmetric)),
        "RSA" | "EC" | "OKP" if members.get("d").is_some() => return Err(InvalidJwk::at(node, Wrong::Private)),
        _ => {}
    }
    if text("use")?.is_some_and(|purpose| purpose != "sig") || !for_verifying(members.get("key_ops"))? {
        return Ok(None);
    }
    let algorithm = match text("alg")? {
        None => None,
        Some(name) => match name.parse::<Algorithm>() {
            Ok(algorithm) => Some(algorithm),
            Err(_) => return Ok(None),
        },
    };
    let id = text("kid")?;
    if id.is_some_and(|id| id.is_empty() || id.len() > MAX_KEY_ID) {
        return Err(InvalidJwk::at(members.get("kid").unwrap_or(node), Wrong::KeyId));
    }
    let key = match (kind, if kind == "RSA" { None } else { text("crv")? }) {
        ("RSA", _) => Key::rsa(&bytes("n")?, &bytes("e")?),
        ("EC", Some("P-256")) => Key::p256(&bytes("x")?, &bytes("y")?),
        ("EC", Some("P-384")) => Key::p384(&bytes("x")?, &bytes("y")?),
        ("OKP", Some("Ed25519")) => Key::ed25519(&bytes("x")?),
        ("EC" | "OKP", None) => return Err(InvalidJwk::at(node, Wrong::Missing("crv"))),
        _ => return Ok(None),
    };
    let key = key.and_then(|key| key.with_algorithm(algorithm)).map_err(|invalid| InvalidJwk::at(node, Wrong::Key(invalid)))?;
    Ok(Some(key.with_id(id.map(str::to_owned)).with_issuer(text("issuer")?.map(str::to_owned))))
}

/// Whether `key_ops`, where it stands, has `verify` (RFC 7517 section 4.3).
fn for_verifying(operations: Option<&Node>) -> Result<bool, InvalidJwk> {
    match operations.map(|node| (&node.value, node)) {
        None => Ok(true),
        Some((Value::Sequence(operations), _)) => {
            Ok(operations.iter().any(|operation| matches!(&operation.value, Value::String(text) if text == "verify")))
        }
        Some((_, node)) => Err(InvalidJwk::at(node, Wrong::NoList("key_ops"))),
    }
}

/// What an issuer's key set came to.
#[derive(Clone, Debug)]
pub struct Published {
    /// The keys that are of use.
    pub keys: KeySet,
    /// How many keys are wrong. They are left out: they must not cost us the good ones.
    pub wrong: usize,
}

/// Reads the key set that an issuer publishes (RFC 7517 section 5).
///
/// # Errors
///
/// [`InvalidPublished`] for text that is no key set, and for a set that can't be trusted: with secrets in it, with an id twice, or with no key of
/// use.
pub fn published(text: &[u8]) -> Result<Published, InvalidPublished> {
    let node = json::parse(text).map_err(|_| InvalidPublished::NoJson)?;
    let members = Members::read(&node).ok_or(InvalidPublished::NoKeySet)?;
    let Some(Value::Sequence(nodes)) = members.get("keys").map(|node| &node.value) else { return Err(InvalidPublished::NoKeySet) };
    if nodes.len() > MAX_KEYS {
        return Err(InvalidPublished::Set(InvalidKeySet::TooMany));
    }
    let (mut keys, mut wrong) = (Vec::new(), 0_usize);
    for node in nodes {
        match read(node) {
            Ok(key) => keys.extend(key),
            // A secret that is published is none.
            Err(InvalidJwk { wrong: Wrong::Symmetric, .. }) => return Err(InvalidPublished::Set(InvalidKeySet::Mixed)),
            Err(_) => wrong = wrong.saturating_add(1),
        }
    }
    let keys = KeySet::new(keys).map_err(InvalidPublished::Set)?;
    if keys.is_empty() { Err(InvalidPublished::Empty) } else { Ok(Published { keys, wrong }) }
}

/// The longest `kid`, in bytes, of keys and tokens.
pub(crate) const MAX_KEY_ID: usize = 256;

/// A key that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidJwk {
    /// Where it stands in its text.
    pub at: Position,
    wrong: Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    NoKey,
    Missing(&'static str),
    NoText(&'static str),
    NoList(&'static str),
    NoBase64Url(&'static str),
    KeyId,
    Private,
    Symmetric,
    Key(InvalidKey),
}

impl InvalidJwk {
    const fn at(node: &Node, wrong: Wrong) -> Self {
        Self { at: node.at, wrong }
    }
}

impl fmt::Display for InvalidJwk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wrong {
            Wrong::NoKey => formatter.write_str("expected a JSON Web Key, found something else, or a member twice"),
            Wrong::Missing(name) => write!(formatter, "expected a member `{name}`, found none"),
            Wrong::NoText(name) => write!(formatter, "expected `{name}` to be text, found something else"),
            Wrong::NoList(name) => write!(formatter, "expected `{name}` to be a list, found something else"),
            Wrong::NoBase64Url(name) => write!(formatter, "expected `{name}` in base64url without padding, found something else"),
            Wrong::KeyId => write!(formatter, "expected a `kid` of 1 to {MAX_KEY_ID} bytes, found another"),
            Wrong::Private => formatter.write_str("expected a public key, found a private one: replace it, it is no secret any more"),
            Wrong::Symmetric => formatter.write_str("expected a public key, found a secret (`oct`): name it in `secrets`"),
            Wrong::Key(invalid) => write!(formatter, "{invalid}, found another"),
        }
    }
}

impl std::error::Error for InvalidJwk {}

/// Why what an issuer publishes is no key set to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidPublished {
    /// It is no JSON.
    NoJson,
    /// It has no list `keys`.
    NoKeySet,
    /// Its keys make no set.
    Set(InvalidKeySet),
    /// It has no key of use.
    Empty,
}

impl fmt::Display for InvalidPublished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJson => formatter.write_str("expected a JSON Web Key Set, found no JSON"),
            Self::NoKeySet => formatter.write_str("expected a JSON Web Key Set, found no list `keys`"),
            Self::Set(invalid) => invalid.fmt(formatter),
            Self::Empty => formatter.write_str("expected at least one key for signatures, found none"),
        }
    }
}

impl std::error::Error for InvalidPublished {}

#[cfg(test)]
mod tests;
