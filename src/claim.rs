// SPDX-License-Identifier: Apache-2.0
//! What a verified token says of its caller, beyond the registered claims that decide whether it counts.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::decision::Reason;
use crate::json::{Key, Node, Value};
use crate::matcher::ValuesMatch;

/// The claims of one token: an object whose members stand once.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimSet {
    all: Node,
    /// The texts of those that tell one subject from another, in the order of [`TELLING`], each after its length.
    telling: Box<[u8]>,
}

/// What tells a token's subject from its provider's others.
const TELLING: [&str; 7] = ["iss", "tid", "oid", "sub", "azp", "appid", "client_id"];

impl ClaimSet {
    pub(crate) fn new(claims: Node) -> Self {
        let mut set = Self { all: claims, telling: Box::default() };
        let mut telling = Vec::new();
        TELLING.into_iter().for_each(|name| put_part(&mut telling, set.text(name).unwrap_or_default().as_bytes()));
        set.telling = telling.into();
        set
    }

    /// What tells the subject from its provider's others, as [`put_part`] writes it: found once, since it is asked for with each request.
    pub(crate) fn telling(&self) -> &[u8] {
        &self.telling
    }

    /// The claim that a path leads to; `None` where there is none, or `null`.
    fn get(&self, path: &ClaimPath) -> Option<&Value> {
        let mut value = &self.all.value;
        for step in &path.steps {
            value = match value {
                Value::Mapping(members) => &members.iter().find(|(key, _)| key.text == *step)?.1.value,
                Value::Sequence(items) => &items.get(index(step)?)?.value,
                _ => return None,
            };
        }
        (*value != Value::Null).then_some(value)
    }

    /// The top-level claim of this name; `None` where there is none, or `null`.
    fn named(&self, name: &str) -> Option<&Value> {
        let Value::Mapping(members) = &self.all.value else { return None };
        members.iter().find(|(key, _)| key.text == name).map(|(_, node)| &node.value).filter(|value| **value != Value::Null)
    }

    /// The texts of a claim: that of a text, a number or a boolean as JSON writes it, and those of a list's items. An object has none.
    /// `None` where there is no such claim.
    pub(crate) fn texts(&self, path: &ClaimPath) -> Option<impl Iterator<Item = Cow<'_, str>> + Clone> {
        self.get(path).map(texts)
    }

    /// The same of the top-level claim of this name.
    pub(crate) fn texts_of(&self, name: &str) -> Option<impl Iterator<Item = Cow<'_, str>> + Clone> {
        self.named(name).map(texts)
    }

    /// Whether a claim is a list.
    pub(crate) fn is_list(&self, path: &ClaimPath) -> bool {
        matches!(self.get(path), Some(Value::Sequence(_)))
    }

    /// The top-level claim of this name, if it is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.named(name)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The member of this name of the top-level claim of that name, where one is an object and the other text.
    pub(crate) fn member(&self, claim: &str, name: &str) -> Option<&str> {
        let Value::Mapping(members) = self.named(claim)? else { return None };
        match &members.iter().find(|(key, _)| key.text == name)?.1.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether there is a top-level claim of this name, whatever its value, `null` too.
    pub(crate) fn has(&self, name: &str) -> bool {
        matches!(&self.all.value, Value::Mapping(members) if members.iter().any(|(key, _)| key.text == name))
    }

    /// About how many bytes it takes up.
    pub(crate) fn weight(&self) -> usize {
        weight(&self.all).saturating_add(self.telling.len())
    }
}

impl fmt::Debug for ClaimSet {
    /// Shows names, never values.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Value::Mapping(members) = &self.all.value else { return formatter.write_str("ClaimSet") };
        formatter.debug_set().entries(members.iter().map(|(key, _)| &key.text)).finish()
    }
}

/// Writes a part of a whole of which no other parts give the same bytes: after its length in 8 bytes, little-endian.
pub(crate) fn put_part(whole: &mut Vec<u8>, part: &[u8]) {
    whole.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
    whole.extend_from_slice(part);
}

fn texts(value: &Value) -> impl Iterator<Item = Cow<'_, str>> + Clone {
    let items = match value {
        Value::Sequence(items) => items.as_slice(),
        _ => &[],
    };
    text(value).into_iter().chain(items.iter().filter_map(|item| text(&item.value)))
}

fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) | Value::Number(text) => Some(Cow::Borrowed(text)),
        Value::Integer(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

fn weight(node: &Node) -> usize {
    let within = match &node.value {
        Value::Null | Value::Bool(_) | Value::Integer(_) => 0,
        Value::Number(text) | Value::String(text) => text.len(),
        Value::Sequence(items) => items.iter().fold(0, |sum: usize, item| sum.saturating_add(weight(item))),
        Value::Mapping(members) => members.iter().fold(0, |sum: usize, (key, node)| {
            sum.saturating_add(size_of::<Key>()).saturating_add(key.text.len()).saturating_add(weight(node))
        }),
    };
    size_of::<Node>().saturating_add(within)
}

/// An array index of RFC 6901 section 4.
fn index(step: &str) -> Option<usize> {
    let canonical = step == "0" || !step.starts_with(['0', '+']);
    step.parse().ok().filter(|_| canonical)
}

/// Where a claim stands: its name, or, where it lies deeper, a JSON Pointer (RFC 6901) such as `/realm_access/roles`. Names with dots and
/// slashes are names: only what begins with `/` is a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath {
    text: String,
    steps: Vec<String>,
}

impl ClaimPath {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A claim by its name, whatever that is.
    #[must_use]
    pub fn name(name: &str) -> Self {
        Self { text: name.to_owned(), steps: vec![name.to_owned()] }
    }

    /// The names and indices that lead to it.
    pub fn steps(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(String::as_str)
    }
}

impl FromStr for ClaimPath {
    type Err = InvalidClaimPath;

    fn from_str(text: &str) -> Result<Self, InvalidClaimPath> {
        if text.is_empty() || text.len() > MAX_PATH {
            return Err(InvalidClaimPath);
        }
        let Some(pointer) = text.strip_prefix('/') else { return Ok(Self::name(text)) };
        Ok(Self { text: text.to_owned(), steps: pointer.split('/').map(unescaped).collect::<Option<_>>().ok_or(InvalidClaimPath)? })
    }
}

/// RFC 6901 section 4: `~1` stands for `/`, `~0` for `~`.
fn unescaped(step: &str) -> Option<String> {
    let mut parts = step.split('~');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (escaped, rest) = part.split_at_checked(1)?;
        text.push(match escaped {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        text.push_str(rest);
    }
    Some(text)
}

/// Text that names no claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidClaimPath;

impl fmt::Display for InvalidClaimPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "expected a claim's name or a JSON Pointer such as /realm_access/roles, of at most {MAX_PATH} bytes")
    }
}

impl std::error::Error for InvalidClaimPath {}

/// What must be so of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimMatch {
    /// Which claim.
    pub path: ClaimPath,
    /// What parts a text into several values, as `scp` is by spaces.
    pub separator: Option<String>,
    /// What must be so of its values.
    pub matches: ValuesMatch,
}

impl ClaimMatch {
    /// Whether it is so.
    ///
    /// # Errors
    ///
    /// [`Reason::TokenClaimNotFound`] where there is no such claim, [`Reason::TokenClaimValueNotAllowed`] where it is not so, or can't be told.
    pub(crate) fn check(&self, claims: &ClaimSet) -> Result<(), Reason> {
        match self.known(claims) {
            Some(true) => Ok(()),
            _ if claims.texts(&self.path).is_none() => Err(Reason::TokenClaimNotFound),
            _ => Err(Reason::TokenClaimValueNotAllowed),
        }
    }

    /// Whether it is so; `None` where that can't be told.
    pub(crate) fn known(&self, claims: &ClaimSet) -> Option<bool> {
        let values = claims.texts(&self.path);
        if let ValuesMatch::Present(present) = self.matches {
            return Some(values.is_some() == present);
        }
        let Some(values) = values else { return Some(false) };
        let values: Vec<_> = values.collect();
        match self.separator.as_deref() {
            None => self.matches.holds(values.iter().map(|value| value.as_bytes())),
            Some(separator) => {
                let parts = values.iter().flat_map(|value| value.split(separator)).filter(|part| !part.is_empty());
                self.matches.holds(parts.map(str::as_bytes))
            }
        }
    }
}

/// Bytes of the longest path.
pub const MAX_PATH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::matcher::TextMatch;

    const CLAIMS: &str = r#"{"tier": "gold", "level": 7, "half": 0.50, "vip": true, "none": null, "object": {"a": "gold"}, "empty": [],
        "roles": ["reader", 7, null, {"x": 1}, ["nested"], "writer"], "scp": "orders.read  orders.write",
        "realm_access": {"roles": ["admin"]}, "https://shop.example/tier": "silver", "a/b": {"~c": ["zero", "one"]}}"#;

    fn claims() -> ClaimSet {
        ClaimSet::new(json::parse(CLAIMS.as_bytes()).unwrap())
    }

    #[test]
    fn paths_are_names_or_pointers() {
        let claims = claims();
        let texts = |path: &str| path.parse::<ClaimPath>().map(|path| claims.texts(&path).map(|texts| texts.collect::<Vec<_>>().join("|")));
        for (path, expected) in [
            ("tier", Some("gold")),
            ("/tier", Some("gold")),
            ("level", Some("7")),
            ("half", Some("0.50")),
            ("vip", Some("true")),
            ("none", None),
            ("absent", None),
            ("object", Some("")),
            ("empty", Some("")),
            ("roles", Some("reader|7|writer")),
            ("/roles/5", Some("writer")),
            ("/roles/05", None),
            ("/roles/+5", None),
            ("/roles/6", None),
            ("/roles/-", None),
            ("realm_access.roles", None),
            ("/realm_access/roles", Some("admin")),
            ("/realm_access/roles/0/x", None),
            ("https://shop.example/tier", Some("silver")),
            ("/a~1b/~0c/1", Some("one")),
            ("/", None),
        ] {
            assert_eq!(texts(path), Ok(expected.map(str::to_owned)), "{path}");
        }
        for path in ["", "/a~", "/a~2", &"x".repeat(MAX_PATH + 1)] {
            assert_eq!(texts(path), Err(InvalidClaimPath), "{path}");
        }
    }

    #[test]
    fn claims_are_matched_by_their_values() {
        use Reason::{TokenClaimNotFound as NotFound, TokenClaimValueNotAllowed as NotAllowed};
        let claims = claims();
        let text = str::to_owned;
        let exact = |value: &str| ValuesMatch::Any(TextMatch::Exact(text(value)));
        let all = |values: &[&str]| ValuesMatch::AllOf(values.iter().map(|value| text(value)).collect());
        for (path, separator, matches, expected) in [
            ("tier", None, exact("gold"), Ok(())),
            ("tier", None, exact("Gold"), Err(NotAllowed)),
            ("level", None, exact("7"), Ok(())),
            ("vip", None, exact("true"), Ok(())),
            ("none", None, exact("null"), Err(NotFound)),
            ("object", None, exact("gold"), Err(NotAllowed)),
            ("empty", None, exact(""), Err(NotAllowed)),
            ("empty", None, ValuesMatch::Present(true), Ok(())),
            ("object", None, ValuesMatch::Present(true), Ok(())),
            ("object", None, ValuesMatch::Present(false), Err(NotAllowed)),
            ("none", None, ValuesMatch::Present(false), Ok(())),
            ("none", None, ValuesMatch::Present(true), Err(NotFound)),
            ("roles", None, all(&["writer", "reader"]), Ok(())),
            ("roles", None, all(&["writer", "nested"]), Err(NotAllowed)),
            ("scp", None, exact("orders.read"), Err(NotAllowed)),
            ("scp", Some(" "), exact("orders.read"), Ok(())),
            ("scp", Some(" "), all(&["orders.write", "orders.read"]), Ok(())),
            ("scp", Some(" "), exact(""), Err(NotAllowed)),
            ("scp", Some("."), exact("write"), Ok(())),
        ] {
            let claim = ClaimMatch { path: path.parse().unwrap(), separator: separator.map(text), matches };
            assert_eq!(claim.check(&claims), expected, "{claim:?}");
        }
    }

    #[test]
    fn debug_output_holds_no_value() {
        assert!(!format!("{:?}", claims()).contains("gold"));
    }
}
