// SPDX-License-Identifier: Apache-2.0
//! A policy as a tree whose every node knows its place, whatever notation (JSON, YAML) it was written in.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A place in a text. Lines and columns count from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where the value begins.
    pub at: Position,
    /// The value.
    pub value: Value,
}

impl Node {
    /// The member of this name; `None` for anything but a mapping that has it once.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        let Value::Mapping(entries) = &self.value else { return None };
        let mut found = entries.iter().filter(|(key, _)| key.text == name).map(|(_, node)| node);
        found.next().filter(|_| found.next().is_none())
    }
}

/// A value of the JSON data model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number, as written: policies have none, and a module that reads them weighs 30 KB more.
    Number(String),
    /// Text.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Names and values, in the order written, repetitions included.
    Mapping(Vec<(Key, Node)>),
}

/// A mapping's key and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where the key begins.
    pub at: Position,
    /// The key.
    pub text: String,
}

/// A node that serialises as written, but for the order of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written(pub(crate) Node);

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = |node: &Node| Self(node.clone());
        match &self.0.value {
            Value::Null => serializer.serialize_none(),
            Value::Bool(value) => value.serialize(serializer),
            Value::Integer(value) => value.serialize(serializer),
            Value::Number(text) => RawValue::from_string(text.clone()).map_err(S::Error::custom)?.serialize(serializer),
            Value::String(text) => text.serialize(serializer),
            Value::Sequence(items) => serializer.collect_seq(items.iter().map(written)),
            Value::Mapping(entries) => {
                let members: BTreeMap<&str, Self> = entries.iter().map(|(key, node)| (key.text.as_str(), written(node))).collect();
                members.serialize(serializer)
            }
        }
    }
}

impl fmt::Display for Value {
    /// Shows scalars, cut to 40 characters, and the kind of the others.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Integer(value) => write!(formatter, "{value}"),
            Self::Number(text) => match text.char_indices().nth(SHOWN) {
                Some((end, _)) => write!(formatter, "{}…", text.get(..end).unwrap_or_default()),
                None => formatter.write_str(text),
            },
            Self::String(text) => match text.char_indices().nth(SHOWN) {
                Some((end, _)) => write!(formatter, "{:?}…", text.get(..end).unwrap_or_default()),
                None => write!(formatter, "{text:?}"),
            },
            Self::Sequence(_) => formatter.write_str("a list"),
            Self::Mapping(_) => formatter.write_str("a mapping"),
        }
    }
}

const SHOWN: usize = 40;
