// SPDX-License-Identifier: Apache-2.0
//! JSON text to a tree with places, for policies, tokens and keys. serde_json reads; its raw values are slices of the text, which gives every offset.

use std::cell::Cell;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

mod node;

pub(crate) use node::Written;
pub use node::{Key, Node, Position, Value};

/// Reads one JSON value that fills the whole of `text`.
///
/// # Errors
///
/// The first thing that is no JSON, or nests deeper than [`MAX_DEPTH`].
pub(crate) fn parse(text: &[u8]) -> Result<Node, SyntaxError> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let valid = text.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default();
        syntax(Source::new(valid).position(valid.len()), "expected UTF-8 text, found another encoding")
    })?;
    let source = Source::new(text);
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| source.error(&error))?;
    source.node(raw.get(), 0)
}

/// A text and where its lines begin.
struct Source<'a> {
    text: &'a str,
    lines: Vec<usize>,
    /// The place asked for last, by offset: places are asked for front to back, and a policy on one line is counted once.
    last: Cell<(usize, Position)>,
}

impl<'a> Source<'a> {
    fn new(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(index, _)| index.saturating_add(1));
        Self { text, lines: std::iter::once(0).chain(breaks).collect(), last: Cell::new((0, Position { line: 1, column: 1 })) }
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.lines.partition_point(|&start| start <= offset);
        let (last, at) = self.last.get();
        let (start, column) = if at.line == line && last <= offset {
            (last, at.column)
        } else {
            (line.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or(0), 1)
        };
        let before = self.text.get(start..offset).unwrap_or_default();
        let position = Position { line, column: before.chars().count().saturating_add(column) };
        self.last.set((offset, position));
        position
    }

    /// Where `part`, a slice of the text, begins.
    fn position_of(&self, part: &str) -> Position {
        let offset = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        self.position(offset)
    }

    /// serde_json counts columns in bytes.
    fn error(&self, error: &serde_json::Error) -> SyntaxError {
        let start = error.line().checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or(0);
        let offset = start.saturating_add(error.column().saturating_sub(1));
        let at = self.position(self.text.floor_char_boundary(offset));
        syntax(at, &words(error))
    }

    fn node(&self, raw: &'a str, depth: usize) -> Result<Node, SyntaxError> {
        let at = self.position_of(raw);
        if depth > MAX_DEPTH {
            return Err(syntax(at, "expected at most 32 levels of nesting, found more"));
        }
        let value = match raw.as_bytes().first() {
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            Some(b'-' | b'0'..=b'9') => raw.parse().map_or_else(|_| Value::Number(raw.to_owned()), Value::Integer),
            _ => match self.part(raw)? {
                Part::Text(text) => Value::String(text),
                Part::Items(items) => {
                    let items = items.into_iter().map(|item| self.node(item.get(), depth.saturating_add(1)));
                    Value::Sequence(items.collect::<Result<_, _>>()?)
                }
                Part::Entries(entries) => {
                    let entries = entries
                        .into_iter()
                        .map(|(key, value)| Ok((self.key(key.get())?, self.node(value.get(), depth.saturating_add(1))?)));
                    Value::Mapping(entries.collect::<Result<_, _>>()?)
                }
            },
        };
        Ok(Node { at, value })
    }

    fn key(&self, raw: &'a str) -> Result<Key, SyntaxError> {
        match self.part(raw)? {
            Part::Text(text) => Ok(Key { at: self.position_of(raw), text }),
            Part::Items(_) | Part::Entries(_) => Err(syntax(self.position_of(raw), "expected a string")),
        }
    }

    /// Reads one level of a value that is no number, boolean or null.
    fn part(&self, raw: &'a str) -> Result<Part<'a>, SyntaxError> {
        let part = serde_json::Deserializer::from_str(raw).deserialize_any(PartVisitor);
        part.map_err(|error| syntax(self.position_of(raw), &words(&error)))
    }
}

/// One level of a value.
enum Part<'a> {
    Text(String),
    Items(Vec<&'a RawValue>),
    Entries(Vec<(&'a RawValue, &'a RawValue)>),
}

/// Asked for any value, serde_json never formats a number for an error, which keeps 17 KB out of the module.
struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, list or mapping")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Err(E::custom("expected a string, list or mapping"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        self.visit_bool(false)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        self.visit_bool(false)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        self.visit_bool(false)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.visit_bool(false)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Part::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Part::Items(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            all.push(entry);
        }
        Ok(Part::Entries(all))
    }
}

/// What is wrong, without serde_json's own place.
fn words(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or(&message).to_owned()
}

fn syntax(at: Position, message: &str) -> SyntaxError {
    SyntaxError { at, message: message.to_owned() }
}

/// Text that is no JSON, or nests too deep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Where.
    pub(crate) at: Position,
    /// What was expected and what was found, of which nothing is quoted.
    pub(crate) message: String,
}

/// Deeper than any policy or token nests, shallow enough for every stack.
const MAX_DEPTH: usize = 32;
