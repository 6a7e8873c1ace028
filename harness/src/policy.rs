// SPDX-License-Identifier: Apache-2.0
//! Policies in files, as JSON or YAML, with the place of everything wrong.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};
use tracegate::Policy;
use tracegate::config::{Finding, Findings, Key, Loaded, Node, Position, Problem, Severity, Value, read_json};

/// The policy that applies to a recording where none is named: trace context is settled, nothing is refused.
pub const OBSERVE_ONLY: &str = r#"{"schema": 1, "service": {"name": "tracegate"}, "default": {"action": "admit"}}"#;

/// Why a file gives no policy.
#[derive(Debug)]
pub enum PolicyError {
    /// It can't be read.
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is wrong.
    Invalid {
        /// The file.
        file: String,
        /// All that is wrong.
        findings: Findings,
    },
}

impl fmt::Display for PolicyError {
    /// One `FILE:LINE:COL: path: message` a line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, error } => write!(formatter, "{file}: {error}"),
            Self::Invalid { file, findings } => {
                let lines: Vec<String> = findings.iter().map(|finding| format!("{file}:{finding}")).collect();
                formatter.write_str(&lines.join("\n"))
            }
        }
    }
}

impl std::error::Error for PolicyError {}

/// A policy, and the tree that it was read from.
#[derive(Clone, Debug)]
pub struct Document {
    /// The document as written.
    pub node: Node,
    /// What it says.
    pub loaded: Loaded,
}

/// Reads the policy in `path`: YAML where the name ends in `.yaml` or `.yml`, JSON where it ends in `.json`; else JSON where
/// the text begins with `{`.
///
/// # Errors
///
/// [`PolicyError`], with everything that is wrong.
pub fn read(path: &Path) -> Result<Loaded, PolicyError> {
    document(path).map(|document| document.loaded)
}

/// Reads the policy in `path` with the tree that it was read from.
///
/// # Errors
///
/// As [`read`].
pub fn document(path: &Path) -> Result<Document, PolicyError> {
    let file = path.display().to_string();
    let text = fs::read(path).map_err(|error| PolicyError::Unreadable { file, error })?;
    document_from(path, &text)
}

/// Reads the policy that a file of this name holds.
///
/// # Errors
///
/// As [`read`], but for what can't be read.
pub fn from_file(path: &Path, text: &[u8]) -> Result<Loaded, PolicyError> {
    document_from(path, text).map(|document| document.loaded)
}

fn document_from(path: &Path, text: &[u8]) -> Result<Document, PolicyError> {
    let file = path.display().to_string();
    let yaml = match path.extension().map(|extension| extension.to_ascii_lowercase()) {
        Some(extension) if extension == "yaml" || extension == "yml" => true,
        Some(extension) if extension == "json" => false,
        _ => text.trim_ascii_start().first() != Some(&b'{'),
    };
    let node = if yaml { read_yaml(text) } else { read_json(text) };
    let document = node.and_then(|node| Ok(Document { loaded: Policy::from_node(&node)?, node }));
    document.map_err(|findings| PolicyError::Invalid { file, findings })
}

/// Reads a policy from YAML text.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn from_yaml(text: &[u8]) -> Result<Loaded, Findings> {
    read_yaml(text).and_then(|node| Policy::from_node(&node))
}

fn read_yaml(text: &[u8]) -> Result<Node, Findings> {
    let text = std::str::from_utf8(text).map_err(|_| syntax(Position { line: 1, column: 1 }, "expected UTF-8 text".to_owned()))?;
    let options = serde_saphyr::options! {
        // Repeated keys are reported with all other errors, and `no` is a name, not a boolean.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
    };
    let tree: Tree = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map_or(Position { line: 1, column: 1 }, position);
        syntax(at, words(&error.to_string()).to_owned())
    })?;
    Ok(tree.0)
}

fn syntax(at: Position, message: String) -> Findings {
    Findings::from(Finding { severity: Severity::Error, at, path: String::new(), problem: Problem::Syntax(message) })
}

/// The parser's message without its own place and its advice to programmers.
fn words(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match line.split_once(": ") {
        Some((place, words)) if place.starts_with("line ") => words,
        _ => line,
    }
}

fn position(location: Location) -> Position {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Position { line: number(location.line()), column: number(location.column()) }
}

/// A YAML document as a tree of places.
struct Tree(Node);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value: TreeValue(value), referenced, .. } = Spanned::deserialize(deserializer)?;
        Ok(Self(Node { at: position(referenced), value }))
    }
}

struct TreeValue(Value);

impl<'de> Deserialize<'de> for TreeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Self)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::Number(value.to_string()), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(format!("{value:?}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(Tree(node)) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Value::Sequence(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let Tree(node) = entries.next_value()?;
            nodes.push((Key { at: position(key.referenced), text: key.value }, node));
        }
        Ok(Value::Mapping(nodes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_are_one_policy() {
        let yaml = "schema: 1\nservice: {name: edge}\ndefault:\n  action: admit\n";
        let json = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#;
        let fingerprint = Policy::from_json(json.as_bytes()).unwrap().policy.fingerprint;
        assert_eq!(from_yaml(yaml.as_bytes()).unwrap().policy.fingerprint, fingerprint);
    }

    #[test]
    fn yaml_errors_have_their_places() {
        let yaml =
            "schema: 1\nservice:\n  name: edge\n  nmae: x\nroutes:\n- name: a\n  match: {path: {prefix: b}}\ndefault: {action: maybe}\n";
        let expected = "4:3: service.nmae: expected one of `name`, `namespace`, `attributes`, found an unknown field\n\
            7:26: routes[0].match.path.prefix: expected a path that begins with '/' and has no query, fragment, backslash, %2F, %5C or %00 (\"b\")\n\
            8:19: default.action: expected `admit` or `refuse`, found \"maybe\"";
        let findings = from_yaml(yaml.as_bytes()).unwrap_err();
        let errors: Vec<String> = findings.iter().filter(|finding| finding.severity == Severity::Error).map(ToString::to_string).collect();
        assert_eq!(errors.join("\n"), expected);
    }

    #[test]
    fn what_yaml_allows_and_policies_do_not_is_said_plainly() {
        let yaml = "schema: 1.0\nschema: 2\nservice: {name: no}\ndefault: {action: n}\n";
        let errors: Vec<String> =
            from_yaml(yaml.as_bytes()).unwrap_err().iter().map(ToString::to_string).filter(|line| !line.contains("warning")).collect();
        let expected = [
            "1:9: schema: expected a whole number from 1 on, found 1.0",
            "2:1: schema: expected a field once, found it again",
            "4:19: default.action: expected `admit` or `refuse`, found \"n\"",
        ];
        assert_eq!(errors, expected);
    }

    #[test]
    fn broken_yaml_is_located() {
        let findings = from_yaml(b"schema: 1\nservice: {name: edge\n").unwrap_err();
        assert_eq!(findings.iter().next().unwrap().at.line, 2);
    }
}
