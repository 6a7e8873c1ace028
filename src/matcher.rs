// SPDX-License-Identifier: Apache-2.0
//! What may be asked of a text, and of the several values of a header, a parameter or a claim.

use std::fmt;
use std::str::FromStr;

use regex_lite::{Regex, RegexBuilder};

/// What must be so of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// It is this.
    Exact(String),
    /// It is any of these.
    OneOf(Vec<String>),
    /// It begins so.
    Prefix(String),
    /// It ends so.
    Suffix(String),
    /// It holds this.
    Contains(String),
    /// All of it matches this.
    Regex(Pattern),
}

impl TextMatch {
    /// Whether it is so, byte for byte; `None` where that can't be told: a pattern looks at no text longer than [`MAX_TEXT`] and at none that
    /// isn't UTF-8.
    #[must_use]
    pub fn matches(&self, found: &[u8]) -> Option<bool> {
        self.compare(found, <[u8]>::eq)
    }

    /// The same in any case of ASCII letters; patterns say themselves what case counts.
    #[must_use]
    pub fn matches_any_case(&self, found: &[u8]) -> Option<bool> {
        self.compare(found, <[u8]>::eq_ignore_ascii_case)
    }

    fn compare(&self, found: &[u8], same: fn(&[u8], &[u8]) -> bool) -> Option<bool> {
        Some(match self {
            Self::Exact(text) => same(found, text.as_bytes()),
            Self::OneOf(texts) => texts.iter().any(|text| same(found, text.as_bytes())),
            Self::Prefix(text) => found.get(..text.len()).is_some_and(|start| same(start, text.as_bytes())),
            Self::Suffix(text) => {
                found.len().checked_sub(text.len()).and_then(|at| found.get(at..)).is_some_and(|end| same(end, text.as_bytes()))
            }
            Self::Contains(text) => text.is_empty() || found.windows(text.len()).any(|part| same(part, text.as_bytes())),
            Self::Regex(pattern) => return pattern.matches(found),
        })
    }
}

/// What must be so of values, of which there may be none or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValuesMatch {
    /// There is one at least, or there is none.
    Present(bool),
    /// Every one of these is among them.
    AllOf(Vec<String>),
    /// One of them at least is so.
    Any(TextMatch),
}

impl ValuesMatch {
    /// Whether it is so; `None` where that can't be told.
    pub(crate) fn holds<V: AsRef<[u8]>>(&self, mut values: impl Iterator<Item = V> + Clone) -> Option<bool> {
        match self {
            Self::Present(present) => Some(values.next().is_some() == *present),
            Self::AllOf(texts) => Some(texts.iter().all(|text| values.clone().any(|value| value.as_ref() == text.as_bytes()))),
            Self::Any(matched) => {
                let (mut known, mut length) = (Some(false), 0_usize);
                for value in values {
                    length = length.saturating_add(value.as_ref().len());
                    // Many lines cost a pattern as much as one long one.
                    let beyond = matches!(matched, TextMatch::Regex(_)) && length > MAX_TEXT;
                    match if beyond { None } else { matched.matches(value.as_ref()) } {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => known = None,
                    }
                }
                known
            }
        }
    }

    /// Whether it is so of `values`, where some service may take `others` for values of the same name as well, or instead: `None` where that would
    /// make a difference.
    pub(crate) fn holds_however_spelt<V: AsRef<[u8]>>(
        &self,
        values: impl Iterator<Item = V> + Clone,
        others: impl Iterator<Item = V> + Clone,
    ) -> Option<bool> {
        let known = self.holds(values.clone());
        let same = || self.holds(others.clone()) == known && self.holds(values.chain(others.clone())) == known;
        known.filter(|_| others.clone().next().is_none() || same())
    }
}

/// A regular expression that must match the whole of a text, as Envoy's `safe_regex` does. It takes linear time.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    fn matches(&self, found: &[u8]) -> Option<bool> {
        let text = std::str::from_utf8(found).ok().filter(|text| text.len() <= MAX_TEXT)?;
        Some(self.0.is_match(text))
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.len() > MAX_PATTERN {
            return Err(InvalidPattern);
        }
        // On its own first: a parenthesis must not close ours.
        let build = |text: &str| RegexBuilder::new(text).size_limit(MAX_COMPILED).build().map_err(|_| InvalidPattern);
        build(text)?;
        build(&format!(r"\A(?:{text})\z")).map(Self)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pattern({:?})", self.0.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// Text that is no regular expression, or one beyond bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPattern;

impl fmt::Display for InvalidPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "expected a regular expression of at most {MAX_PATTERN} bytes, small when it is compiled, without look-around and back-references"
        )
    }
}

impl std::error::Error for InvalidPattern {}

/// Bytes of the longest pattern.
pub const MAX_PATTERN: usize = 512;
/// Bytes of the longest text that a pattern looks at.
pub const MAX_TEXT: usize = 4096;
/// Bytes of the largest compiled pattern.
const MAX_COMPILED: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> TextMatch {
        TextMatch::Regex(text.parse().unwrap())
    }

    #[test]
    fn texts_match_as_a_whole_or_in_part() {
        let text = str::to_owned;
        for (matched, found, expected) in [
            (TextMatch::Exact(text("gold")), &b"gold"[..], Some(true)),
            (TextMatch::Exact(text("gold")), b"Gold", Some(false)),
            (TextMatch::OneOf(vec![text("gold"), text("silver")]), b"silver", Some(true)),
            (TextMatch::OneOf(vec![text("gold"), text("silver")]), b"silver ", Some(false)),
            (TextMatch::Prefix(text("go")), b"gold", Some(true)),
            (TextMatch::Prefix(text("golden")), b"gold", Some(false)),
            (TextMatch::Suffix(text("ld")), b"gold", Some(true)),
            (TextMatch::Suffix(text("golden")), b"ld", Some(false)),
            (TextMatch::Contains(text("ol")), b"gold", Some(true)),
            (TextMatch::Contains(text("olx")), b"gold", Some(false)),
            (TextMatch::Exact(text("g")), b"\xff", Some(false)),
            (pattern("v[0-9]+"), b"v12", Some(true)),
            (pattern("v[0-9]+"), b"v12x", Some(false)),
            (pattern("v[0-9]+"), b"xv12", Some(false)),
            (pattern("a|b"), b"ac", Some(false)),
            (pattern("a$"), b"a\n", Some(false)),
            (pattern("(?i)gold"), b"GOLD", Some(true)),
            (pattern(".*"), b"\xff", None),
            (pattern(".*"), &[b'a'; MAX_TEXT + 1], None),
        ] {
            assert_eq!(matched.matches(found), expected, "{matched:?} {}", found.escape_ascii());
        }
        assert_eq!(TextMatch::Suffix(text(".shop.example")).matches_any_case(b"API.Shop.Example"), Some(true));
    }

    #[test]
    fn one_value_of_several_is_enough_unless_all_are_asked_for() {
        let text = str::to_owned;
        let any = |matched| ValuesMatch::Any(matched);
        for (matched, values, expected) in [
            (ValuesMatch::Present(true), &["a"][..], Some(true)),
            (ValuesMatch::Present(true), &[], Some(false)),
            (ValuesMatch::Present(false), &["a"], Some(false)),
            (ValuesMatch::Present(false), &[], Some(true)),
            (ValuesMatch::AllOf(vec![text("a"), text("b")]), &["b", "c", "a"], Some(true)),
            (ValuesMatch::AllOf(vec![text("a"), text("b")]), &["a", "ab"], Some(false)),
            (any(TextMatch::Exact(text("b"))), &["a", "b"], Some(true)),
            (any(TextMatch::Exact(text("b"))), &[], Some(false)),
            (any(pattern("b")), &["a", "b"], Some(true)),
        ] {
            assert_eq!(matched.holds(values.iter()), expected, "{matched:?} {values:?}");
        }
        let long = "b".repeat(MAX_TEXT + 1);
        assert_eq!(any(pattern("b")).holds(["a", &long].iter()), None, "what can't be told is not false");
        assert_eq!(any(pattern("b")).holds(["b", long.as_str()].iter()), Some(true));
        let lines = vec!["c".repeat(MAX_TEXT / 2); 3];
        assert_eq!(any(pattern("b")).holds(lines.iter()), None, "all of them together are too long");
    }

    #[test]
    fn patterns_are_bounded_and_stand_alone() {
        for text in ["(", "a)(b", "a)|(?:b", "(?=a)", r"(a)\1", "(((((a{99}){99}){99}){99}){99})", &"a".repeat(MAX_PATTERN + 1)] {
            assert_eq!(text.parse::<Pattern>(), Err(InvalidPattern), "{text}");
        }
    }
}
