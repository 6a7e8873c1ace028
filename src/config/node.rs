// SPDX-License-Identifier: Apache-2.0
//! A policy as a tree whose every node knows its place, whatever notation (JSON, YAML) it was written in.

use std::fmt;

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
