// SPDX-License-Identifier: Apache-2.0
//! YAML for people: fields in the order in which they are given, comments above what they explain, short things on one line.

use std::fmt;

use serde_json::Value;
use tracegate::config;

/// A value to print as YAML, or as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Yaml {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number, as written in JSON.
    Number(String),
    /// Text.
    Text(String),
    /// Text of several lines, as a literal block.
    Block(String),
    /// A list.
    List(Vec<Self>),
    /// Fields.
    Map(Map),
}

/// Fields in order, each perhaps with a comment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map(Vec<Field>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    /// Lines without their `# `.
    comment: &'static str,
    name: String,
    value: Yaml,
}

impl Map {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// These fields and this one.
    #[must_use]
    pub fn with(self, name: impl Into<String>, value: impl Into<Yaml>) -> Self {
        self.noted("", name, value)
    }

    /// These fields and this one below a comment.
    #[must_use]
    pub fn noted(mut self, comment: &'static str, name: impl Into<String>, value: impl Into<Yaml>) -> Self {
        self.0.push(Field { comment, name: name.into(), value: value.into() });
        self
    }

    /// These fields, and this one where it has a value.
    #[must_use]
    pub fn maybe(self, name: impl Into<String>, value: Option<impl Into<Yaml>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// A field's value, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Yaml> {
        self.0.iter_mut().find(|field| field.name == name).map(|field| &mut field.value)
    }
}

impl Yaml {
    /// The value of a field, of a field of that and so on, to change it.
    pub fn at_mut(&mut self, names: &[&str]) -> Option<&mut Self> {
        names.iter().try_fold(self, |value, name| match value {
            Self::Map(map) => map.get_mut(name),
            _ => None,
        })
    }

    /// The same as a value of JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Integer(value) => Value::from(*value),
            Self::Number(text) => serde_json::from_str(text).unwrap_or_default(),
            Self::Text(text) | Self::Block(text) => Value::from(text.as_str()),
            Self::List(items) => items.iter().map(Self::to_value).collect(),
            Self::Map(Map(fields)) => fields.iter().map(|field| (field.name.clone(), field.value.to_value())).collect(),
        }
    }

    /// The same as a text in JSON, in lines of about [`WIDTH`] characters, the last with its end. Comments aren't in it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out, 0);
        out + "\n"
    }

    fn write_json(&self, out: &mut String, indent: usize) {
        let line = self.on_one_line(Notation::Json).unwrap_or_default();
        let (open, close) = match self {
            Self::List(_) => ('[', ']'),
            Self::Map(_) => ('{', '}'),
            _ => return out.push_str(&line),
        };
        if indent + line.chars().count() <= WIDTH {
            return out.push_str(&line);
        }
        out.push(open);
        let mut item = |name: Option<&str>, value: &Self, first: bool| {
            let indent = indent + 2;
            out.push_str(if first { "\n" } else { ",\n" });
            out.extend(std::iter::repeat_n(' ', indent));
            if let Some(name) = name {
                *out += &format!("{}: ", quoted(name));
            }
            value.write_json(out, indent);
        };
        match self {
            Self::Map(Map(fields)) => {
                fields.iter().enumerate().for_each(|(index, field)| item(Some(&field.name), &field.value, index == 0));
            }
            Self::List(items) => items.iter().enumerate().for_each(|(index, value)| item(None, value, index == 0)),
            _ => {}
        }
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent));
        out.push(close);
    }

    /// The value on one line; `None` where it has blocks or comments, which take lines of their own.
    fn on_one_line(&self, notation: Notation) -> Option<String> {
        let text = |text: &str| if notation == Notation::Json || !is_plain(text) { quoted(text) } else { text.to_owned() };
        Some(match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Number(number) => number.clone(),
            Self::Text(value) => text(value),
            Self::Block(value) if notation == Notation::Json => text(value),
            Self::Block(_) => return None,
            Self::List(items) => {
                let items: Option<Vec<String>> = items.iter().map(|item| item.on_one_line(notation)).collect();
                format!("[{}]", items?.join(", "))
            }
            Self::Map(Map(fields)) => {
                let field = |field: &Field| {
                    let fits = notation == Notation::Json || field.comment.is_empty();
                    fits.then(|| Some(format!("{}: {}", text(&field.name), field.value.on_one_line(notation)?))).flatten()
                };
                let fields: Option<Vec<String>> = fields.iter().map(field).collect();
                format!("{{{}}}", fields?.join(", "))
            }
        })
    }

    /// How deep lists and maps stand in one another here.
    fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(Map(fields)) => 1 + fields.iter().map(|field| field.value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// The value behind a name or a dash, where that is short and plain to see.
    fn beside(&self, indent: usize) -> Option<String> {
        let line = self.on_one_line(Notation::Yaml)?;
        let short = self.depth() <= MAX_DEPTH && indent + line.chars().count() < WIDTH;
        // Nothing else would be shorter.
        let whole = self.depth() == 0 || matches!(line.as_str(), "[]" | "{}");
        (short || whole).then_some(line)
    }

    /// The lines of a value that stands `indent` deep, without that indentation.
    fn lines(&self, indent: usize) -> Vec<String> {
        match self {
            Self::Map(Map(fields)) => fields.iter().flat_map(|field| field.lines(indent)).collect(),
            Self::List(items) => items.iter().flat_map(|item| item.lines_of_item(indent)).collect(),
            Self::Block(text) => text.lines().map(str::to_owned).collect(),
            _ => self.on_one_line(Notation::Yaml).into_iter().collect(),
        }
    }

    fn lines_of_item(&self, indent: usize) -> Vec<String> {
        if let Some(line) = self.beside(indent + 2) {
            return vec![format!("- {line}")];
        }
        if let Self::Block(_) = self {
            return std::iter::once("- |".to_owned()).chain(self.lines(indent + 2).iter().map(|line| indented(line))).collect();
        }
        let mut dash = "- ";
        let lines = self.lines(indent + 2).into_iter().map(|line| {
            // A comment on the first field stands above the dash.
            let before = if dash == "- " && line.starts_with('#') { "" } else { std::mem::replace(&mut dash, "  ") };
            if line.is_empty() { line } else { format!("{before}{line}") }
        });
        lines.collect()
    }
}

impl Field {
    fn lines(&self, indent: usize) -> Vec<String> {
        let Self { comment, name, value } = self;
        let name = if is_plain(name) { name.clone() } else { quoted(name) };
        let mut lines: Vec<String> = comment.lines().map(|line| format!("# {line}")).collect();
        // <https://yaml.org/spec/1.2.2/#742-flow-mappings>: a key of more than 1,024 characters has to say that it is one.
        let name = if name.chars().count() > MAX_KEY {
            lines.push(format!("? {name}"));
            String::new()
        } else {
            name
        };
        match (value.beside(indent + name.chars().count() + 2), value) {
            (Some(line), _) => lines.push(format!("{name}: {line}")),
            (None, Yaml::List(_)) => {
                lines.push(format!("{name}:"));
                lines.extend(value.lines(indent));
            }
            (None, _) => {
                let block = if matches!(value, Yaml::Block(_)) { " |" } else { "" };
                lines.push(format!("{name}:{block}"));
                lines.extend(value.lines(indent + 2).iter().map(|line| indented(line)));
            }
        }
        lines
    }
}

fn indented(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!("  {line}") }
}

impl fmt::Display for Yaml {
    /// A document without its `---`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(_) => {
                formatter.write_str("|\n")?;
                self.lines(2).iter().try_for_each(|line| writeln!(formatter, "{}", indented(line)))
            }
            // Without fields or items there is no line that would say so.
            Self::Map(Map(fields)) if fields.is_empty() => formatter.write_str("{}\n"),
            Self::List(items) if items.is_empty() => formatter.write_str("[]\n"),
            _ => self.lines(0).iter().try_for_each(|line| writeln!(formatter, "{line}")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notation {
    Yaml,
    Json,
}

/// Whether text means itself without quotes, whichever version of YAML reads it.
fn is_plain(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'/'));
    let lower = text.to_ascii_lowercase();
    let worded = begins && text.bytes().all(known) && !WORDS.contains(&lower.as_str());
    worded || is_duration(text) || is_address(text)
}

/// `1h30m`, which no version of YAML takes for a number.
fn is_duration(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.ends_with(['h', 'm', 's'])
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'h' | b'm' | b's'))
}

/// `203.0.113.0/24`, likewise.
fn is_address(text: &str) -> bool {
    let (address, length) = text.split_once('/').unwrap_or((text, "0"));
    address.parse::<std::net::Ipv4Addr>().is_ok() && length.bytes().all(|byte| byte.is_ascii_digit())
}

/// Text between quotes, as JSON and YAML both read it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            // What YAML takes for no character, or for the end of a line.
            '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                quoted += &format!("\\u{:04x}", u32::from(letter));
            }
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

impl From<bool> for Yaml {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u16> for Yaml {
    fn from(value: u16) -> Self {
        Self::Integer(value.into())
    }
}

impl From<i32> for Yaml {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u32> for Yaml {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u64> for Yaml {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self::Number(value.to_string()), Self::Integer)
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<usize> for Yaml {
    fn from(value: usize) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<Map> for Yaml {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Yaml {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for Yaml {
    fn from(items: [T; N]) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// A policy as written.
impl From<&config::Node> for Yaml {
    fn from(node: &config::Node) -> Self {
        match &node.value {
            config::Value::Null => Self::Null,
            config::Value::Bool(value) => Self::Bool(*value),
            config::Value::Integer(value) => Self::Integer(*value),
            config::Value::Number(text) => Self::Number(text.clone()),
            config::Value::String(text) => Self::Text(text.clone()),
            config::Value::Sequence(items) => Self::List(items.iter().map(Self::from).collect()),
            config::Value::Mapping(entries) => {
                Self::Map(entries.iter().fold(Map::new(), |map, (key, node)| map.with(key.text.as_str(), node)))
            }
        }
    }
}

/// The longest line, in characters, where something can be done about it.
pub const WIDTH: usize = 120;

/// The longest key that needs no mark, in characters.
const MAX_KEY: usize = 1000;

/// How deep lists and maps may stand in one another on one line.
const MAX_DEPTH: usize = 3;

/// Words that some version of YAML takes for something else than text.
const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn it_reads_as_one_would_write_it() {
        let yaml = Yaml::from(
            Map::new()
                .noted("What it is.\nAnd why.", "name", "edge")
                .with("empty", Map::new())
                .with("short", Map::new().with("a", 1).with("b", ["x", "no"]))
                .with("@type", "type.example/a.B")
                .with("text", Yaml::Block("{\n  \"a\": 1\n}\n".to_owned()))
                .with("list", [Map::new().noted("Above the dash.", "first", true).with("second", Yaml::Block("x\n\ny\n".to_owned()))])
                .with("deep", Map::new().with("a", Map::new().with("b", Map::new().with("c", Map::new().with("d", 0.5_f32.to_string()))))),
        );
        let expected = r#"# What it is.
# And why.
name: edge
empty: {}
short: {a: 1, b: [x, "no"]}
"@type": type.example/a.B
text: |
  {
    "a": 1
  }
list:
# Above the dash.
- first: true
  second: |
    x

    y
deep:
  a: {b: {c: {d: "0.5"}}}
"#;
        assert_eq!(yaml.to_string(), expected);
    }

    #[test]
    fn json_takes_lines_where_it_is_long() {
        let names: Vec<String> = (0..9).map(|index| format!("a-name-of-some-length-{index}")).collect();
        let yaml = Yaml::from(Map::new().with("short", Map::new().with("a", 1)).with("names", names));
        let text = yaml.to_json();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), yaml.to_value());
        assert!(text.starts_with("{\n  \"short\": {\"a\": 1},\n  \"names\": [\n    \"a-name-of-some-length-0\",\n"), "{text}");
    }

    /// Values of any shape, whose texts are of any characters.
    fn value() -> impl Strategy<Value = Yaml> {
        let text = prop_oneof![
            any::<String>(),
            "[ -~]{0,12}",
            "(yes|No|0x1f|1e3|~|null|- a|# a|a: b|\\?|!a|&a|\\*a|<<|=|\\.\\.\\.|---|1_000|12:30:00|1h30m|203\\.0\\.113\\.0/24|1s|1\\.2\\.3)"
        ];
        let block = "([!-~][ -~]{0,20}\n){1,4}";
        let leaf = prop_oneof![
            Just(Yaml::Null),
            any::<bool>().prop_map(Yaml::Bool),
            any::<i64>().prop_map(Yaml::Integer),
            text.clone().prop_map(Yaml::Text),
            block.prop_map(Yaml::Block)
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            let field = (text.clone(), any::<bool>(), inner.clone());
            prop_oneof![
                prop::collection::vec(inner, 0..5).prop_map(Yaml::List),
                prop::collection::vec(field, 0..5).prop_map(|fields| {
                    let comment = |commented: bool| if commented { "About: this - {it}.\nMore." } else { "" };
                    let mut seen = std::collections::BTreeSet::new();
                    let fields = fields.into_iter().filter(|(name, ..)| seen.insert(name.clone()));
                    Yaml::Map(fields.fold(Map::new(), |map, (name, commented, value)| map.noted(comment(commented), name, value)))
                }),
            ]
        })
    }

    proptest! {
        /// What we print, others read as the same.
        #[test]
        fn what_is_printed_reads_back(yaml in value()) {
            let printed = yaml.to_string();
            let read: Value = serde_saphyr::from_str(&printed).map_err(|error| TestCaseError::fail(format!("{error}\n{printed}")))?;
            prop_assert_eq!(read, yaml.to_value(), "{}", printed);
            prop_assert_eq!(serde_json::from_str::<Value>(&yaml.to_json()).unwrap(), yaml.to_value());
        }
    }

    /// Go's reader and Python's have that bound; so does the one here.
    #[test]
    fn a_key_of_any_length_is_read_back() {
        for length in [1000, 1001, 5000] {
            let yaml = Yaml::from(Map::new().with("k".repeat(length), "v").with("x".repeat(length), Map::new().noted("Why.", "a", 1)));
            let read: Value = serde_saphyr::from_str(&yaml.to_string()).unwrap();
            assert_eq!(read, yaml.to_value(), "{length}");
            assert_eq!(yaml.to_string().starts_with("? k"), length > 1000);
        }
    }

    #[test]
    fn numbers_stay_as_written() {
        let yaml = Yaml::from(Map::new().with("probability", Yaml::Number("1e-1".to_owned())));
        assert_eq!(yaml.to_string(), "probability: 1e-1\n");
        assert_eq!(yaml.to_json(), "{\"probability\": 1e-1}\n");
        assert_eq!(yaml.to_value(), json!({"probability": 0.1}));
    }
}
