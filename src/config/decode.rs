// SPDX-License-Identifier: Apache-2.0
//! From tree to types, without stopping at the first error: what can't be read is reported and reads as `None`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::finding::{Finding, Findings, Problem, Severity};
use crate::json::{Key, Node, Value};

/// A type that reads itself from a place in a document.
pub(super) trait Decode: Sized {
    /// `None` where something is wrong, which is then among `findings`.
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self>;
}

/// A node and the way to it.
#[derive(Clone)]
pub(super) struct Place<'n> {
    node: &'n Node,
    path: String,
}

impl<'n> Place<'n> {
    pub(super) const fn root(node: &'n Node) -> Self {
        Self { node, path: String::new() }
    }

    /// The node here.
    pub(super) const fn node(&self) -> &'n Node {
        self.node
    }

    /// The value here.
    pub(super) const fn value(&self) -> &'n Value {
        &self.node.value
    }

    /// Whether a list of at least one item is here.
    pub(super) fn is_filled_list(&self) -> bool {
        matches!(&self.node.value, Value::Sequence(items) if !items.is_empty())
    }

    /// The place that these names lead to from here; where one is missing, the last place that is there.
    pub(super) fn descend(&self, names: &[&str]) -> Self {
        let mut place = self.clone();
        for name in names {
            let Value::Mapping(entries) = &place.node.value else { break };
            let Some((_, node)) = entries.iter().find(|(key, _)| key.text == *name) else { break };
            place = place.field(name, node);
        }
        place
    }

    /// The place of a list's item, or else of the list.
    pub(super) fn item(&self, index: usize) -> Self {
        match &self.node.value {
            Value::Sequence(nodes) => nodes.get(index).map(|node| Self { node, path: format!("{}[{index}]", self.path) }),
            _ => None,
        }
        .unwrap_or_else(|| self.clone())
    }

    fn field(&self, name: &str, node: &'n Node) -> Self {
        Self { node, path: child(&self.path, name) }
    }

    /// Reports `problem` here; `None`, so that a caller can return it.
    pub(super) fn report<T>(&self, problem: Problem, findings: &mut Findings) -> Option<T> {
        findings.add(Finding { severity: Severity::Error, at: self.node.at, path: self.path.clone(), problem });
        None
    }

    /// Reports `problem` with a name here.
    fn report_key(&self, Key { at, text }: &Key, node: &Node, problem: Problem, findings: &mut Findings) {
        let path = if self.is_telling(node) { self.path.clone() } else { child(&self.path, text) };
        findings.add(Finding { severity: Severity::Error, at: *at, path, problem });
    }

    /// Reports that the value here should be something else.
    pub(super) fn expected<T>(&self, expected: impl Into<Cow<'static, str>>, findings: &mut Findings) -> Option<T> {
        self.report(Problem::Expected { expected: expected.into(), found: self.shown() }, findings)
    }

    /// The value in words; nothing of it where a secret could stand in the place of its name.
    fn shown(&self) -> String {
        if self.may_be_secret() { "something else".to_owned() } else { self.node.value.to_string() }
    }

    /// Whether a secret could stand here, by mistake: in the place of its name, or of a mapping that holds its name.
    fn may_be_secret(&self) -> bool {
        let path = self.path.as_str();
        let ends = |names: &[&str]| names.iter().any(|name| path.ends_with(name));
        let hop = path.starts_with("trace.signed_hop") && !ends(&[".id", ".expires_after"]);
        // A URI may hold a password.
        let published = (path.contains(".keys.jwks.") || path.contains(".keys.discovery.")) && !path.ends_with(".uri");
        let token = path.starts_with("identity") && (path.contains(".keys") && !published || path.ends_with(".tokens"));
        let subscription = path.starts_with("identity") && path.contains(".subscription_keys");
        let subscription = subscription && !ends(&[".header", ".query", ".id", ".product", ".state", ".forward_key"]);
        let replaced = path.starts_with("identity.replace_token");
        let chain = path.starts_with("audit.chain") && !path.ends_with(".checkpoint_interval");
        let digest = path.starts_with("export.spans.digest_key");
        let sent = ["export.traces", "export.logs"].iter().filter_map(|signal| path.strip_prefix(signal)).any(|collector| {
            // The collector's name and its protocol stand first, then a field: below `headers` names are free.
            let place: Vec<&str> = collector.split('.').skip(3).collect();
            !matches!(place.as_slice(), ["batch", ..] | ["cluster" | "uri"])
        });
        let uri = path.ends_with(".uri") && matches!(&self.node.value, Value::String(uri) if uri.contains(['@', '?']));
        path.starts_with("secrets") || hop || token || subscription || replaced || chain || digest || sent || uri
    }

    /// Whether a name here may be a secret itself: `{hunter2}` is a mapping in YAML, of that name and nothing.
    fn is_telling(&self, node: &Node) -> bool {
        const HOLDERS: [&str; 7] =
            ["secrets", "trace.signed_hop", "identity.providers", "identity.replace_token", "export.traces", "export.logs", "audit.chain"];
        let holds = HOLDERS.iter().any(|holder| self.path.starts_with(holder)) || self.path.starts_with("export.spans.digest_key");
        holds && matches!(node.value, Value::Null)
    }

    /// The place of a value by a free name.
    fn named(&self, name: &str, node: &'n Node) -> Self {
        if self.is_telling(node) { Self { node, path: self.path.clone() } } else { self.field(name, node) }
    }

    pub(super) fn warn(&self, note: &'static str, findings: &mut Findings) {
        findings.add(Finding { severity: Severity::Warning, at: self.node.at, path: self.path.clone(), problem: Problem::Note(note) });
    }

    pub(super) fn text(&self, findings: &mut Findings) -> Option<&'n str> {
        match &self.node.value {
            Value::String(text) => Some(text),
            _ => self.expected("text", findings),
        }
    }

    /// Text with at least one character.
    pub(super) fn name(&self, findings: &mut Findings) -> Option<String> {
        match self.text(findings)? {
            "" => self.expected("text of at least one character", findings),
            name => Some(name.to_owned()),
        }
    }

    pub(super) fn bool(&self, findings: &mut Findings) -> Option<bool> {
        match self.node.value {
            Value::Bool(value) => Some(value),
            _ => self.expected("`true` or `false`", findings),
        }
    }

    /// A whole number within `range`.
    pub(super) fn integer(&self, range: RangeInclusive<u64>, findings: &mut Findings) -> Option<u64> {
        match self.node.value {
            Value::Integer(integer) => u64::try_from(integer).ok().filter(|integer| range.contains(integer)),
            _ => None,
        }
        .or_else(|| {
            let expected = match (range.start(), range.end()) {
                (start, &u64::MAX) => format!("a whole number from {start} on"),
                (start, end) => format!("a whole number from {start} to {end}"),
            };
            self.expected(expected, findings)
        })
    }

    /// One of these words, or a mapping with just one of the fields `names`.
    pub(super) fn word_or_field<T: Copy>(
        &self,
        words: &[(&'static str, T)],
        names: &[&'static str],
        findings: &mut Findings,
    ) -> Option<WordOrField<'n, T>> {
        let found = match &self.node.value {
            Value::Mapping(_) => return self.choice(names, findings).map(|(name, place)| WordOrField::Field(name, place)),
            Value::String(text) => words.iter().find(|(word, _)| word == text),
            _ => None,
        };
        found.map(|&(_, value)| WordOrField::Word(value)).or_else(|| {
            let words = alternatives(words.iter().map(|&(word, _)| word));
            self.expected(format!("{words}, or a mapping with {}", alternatives(names.iter().copied())), findings)
        })
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(&self, words: &[(&'static str, T)], findings: &mut Findings) -> Option<T> {
        let found = match &self.node.value {
            Value::String(text) => words.iter().find(|(word, _)| word == text),
            _ => None,
        };
        found.map(|&(_, value)| value).or_else(|| self.expected(alternatives(words.iter().map(|&(word, _)| word)), findings))
    }

    pub(super) fn list<T: Decode>(&self, findings: &mut Findings) -> Option<Vec<T>> {
        let Value::Sequence(nodes) = &self.node.value else {
            return self.expected("a list", findings);
        };
        let mut items = Some(Vec::with_capacity(nodes.len()));
        for (index, node) in nodes.iter().enumerate() {
            let place = Place { node, path: format!("{}[{index}]", self.path) };
            let item = T::decode(place, findings);
            items = items.zip(item).map(|(mut items, item)| {
                items.push(item);
                items
            });
        }
        items
    }

    /// Values by free names.
    pub(super) fn map<T: Decode>(&self, findings: &mut Findings) -> Option<BTreeMap<String, T>> {
        let fields = self.fields(findings)?;
        let mut map = Some(BTreeMap::new());
        for (key, node) in fields.entries {
            if key.text.is_empty() {
                self.report_key(key, node, Problem::Invalid("expected a name of at least one character".to_owned()), findings);
                map = None;
            }
            let value = T::decode(self.named(&key.text, node), findings);
            map = map.zip(value).map(|(mut map, value)| {
                map.insert(key.text.clone(), value);
                map
            });
        }
        map
    }

    /// Reports the first of a list's `items` that stands twice.
    pub(super) fn each_once<T: Copy + Ord>(&self, items: Vec<T>, findings: &mut Findings) -> Option<Vec<T>> {
        let mut seen = BTreeSet::new();
        match items.iter().position(|item| !seen.insert(*item)) {
            None => Some(items),
            Some(index) => self.item(index).expected("each of the list once", findings),
        }
    }

    /// Reports the items of a list whose field `name` holds a text that an earlier item's holds too.
    pub(super) fn unique(&self, name: &'static str, findings: &mut Findings) -> Option<()> {
        let Value::Sequence(nodes) = &self.node.value else { return Some(()) };
        let mut seen = BTreeSet::new();
        let mut unique = Some(());
        for (index, node) in nodes.iter().enumerate() {
            let item = Place { node, path: format!("{}[{index}]", self.path) };
            let Value::Mapping(entries) = &node.value else { continue };
            let Some((_, node)) = entries.iter().find(|(key, _)| key.text == name) else { continue };
            if let Value::String(text) = &node.value
                && !seen.insert(text)
            {
                unique = item.field(name, node).expected("a name of its own", findings);
            }
        }
        unique
    }

    pub(super) fn fields(&self, findings: &mut Findings) -> Option<Fields<'n>> {
        let Value::Mapping(entries) = &self.node.value else {
            return self.expected("a mapping", findings);
        };
        let mut seen: BTreeMap<&str, &'n Node> = BTreeMap::new();
        for (key, node) in entries {
            if seen.insert(&key.text, node).is_some() {
                self.report_key(key, node, Problem::Repeated, findings);
            }
        }
        Some(Fields { place: self.clone(), entries, known: Vec::new() })
    }

    /// A mapping with just one of these fields: which one, and its value.
    pub(super) fn choice(&self, names: &[&'static str], findings: &mut Findings) -> Option<(&'static str, Place<'n>)> {
        if let Value::Mapping(entries) = &self.node.value
            && let [(key, node)] = entries.as_slice()
            && let Some(name) = names.iter().find(|&&name| name == key.text)
        {
            return Some((name, self.field(name, node)));
        }
        let found = match &self.node.value {
            Value::Mapping(entries) if entries.is_empty() => "an empty mapping".to_owned(),
            Value::Mapping(entries) if entries.iter().any(|(_, node)| self.is_telling(node)) => "a field without a value".to_owned(),
            Value::Mapping(entries) => {
                entries.iter().map(|(key, _)| format!("`{}`", key.text.escape_debug())).collect::<Vec<_>>().join(" and ")
            }
            _ => self.shown(),
        };
        let expected = format!("a mapping with {}", alternatives(names.iter().copied()));
        self.report(Problem::Expected { expected: expected.into(), found }, findings)
    }
}

/// What stands where a word may, or a mapping with one field.
pub(super) enum WordOrField<'n, T> {
    Word(T),
    /// The field's name and its value.
    Field(&'static str, Place<'n>),
}

/// A mapping's fields. `finish` reports those that nobody asked for.
pub(super) struct Fields<'n> {
    place: Place<'n>,
    entries: &'n [(Key, Node)],
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The field's place, if it is there.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<Place<'n>> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| self.place.field(name, node))
    }

    /// The field's place; reported where it is missing.
    pub(super) fn required(&mut self, name: &'static str, findings: &mut Findings) -> Option<Place<'n>> {
        let place = self.optional(name);
        place.or_else(|| self.place.report(Problem::Missing(name), findings))
    }

    /// An optional field, decoded: `Some(None)` where it is absent, `None` where it is wrong.
    pub(super) fn maybe<T>(
        &mut self,
        name: &'static str,
        findings: &mut Findings,
        decode: impl FnOnce(Place<'n>, &mut Findings) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.optional(name) {
            None => Some(None),
            Some(place) => decode(place, findings).map(Some),
        }
    }

    /// Reports the fields that there are no such.
    pub(super) fn finish(self, findings: &mut Findings) {
        for (key, node) in self.entries {
            if !self.known.contains(&key.text.as_str()) {
                self.place.report_key(key, node, Problem::Unknown { known: self.known.clone() }, findings);
            }
        }
    }

    pub(super) const fn place(&self) -> &Place<'n> {
        &self.place
    }
}

/// Text that a type of its own has parsed; it serialises as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf<T> {
    text: String,
    pub(super) value: T,
}

impl<T> Leaf<T> {
    /// What was written, and what it says.
    pub(super) const fn read(text: String, value: T) -> Self {
        Self { text, value }
    }

    pub(super) fn parse<E: Display>(place: &Place<'_>, parse: impl FnOnce(&str) -> Result<T, E>, findings: &mut Findings) -> Option<Self> {
        let text = place.text(findings)?;
        match parse(text) {
            Ok(value) => Some(Self { text: text.to_owned(), value }),
            Err(error) => place.report(Problem::Invalid(format!("{error} ({})", place.shown())), findings),
        }
    }
}

impl<T: FromStr> Leaf<T> {
    /// A default, as if written; `None` where it doesn't parse.
    pub(super) fn of(text: &str) -> Option<Self> {
        Some(Self { text: text.to_owned(), value: text.parse().ok()? })
    }
}

impl<T: FromStr<Err: Display>> Decode for Leaf<T> {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        Self::parse(&place, T::from_str, findings)
    }
}

impl<T> Serialize for Leaf<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

/// Any text.
impl Decode for String {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        place.text(findings).map(str::to_owned)
    }
}

/// Names are the document's and could hold anything: they are escaped, lest they forge a line of the report.
fn child(path: &str, name: &str) -> String {
    let name = name.escape_debug();
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

fn alternatives(words: impl Iterator<Item = &'static str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
}
