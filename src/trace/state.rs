// SPDX-License-Identifier: Apache-2.0
//! The `tracestate` header: <https://www.w3.org/TR/trace-context-2/#tracestate-header>.

use std::fmt;

use crate::head::{is_ows, trim_ows};

/// What tracing vendors carry along beside `traceparent`: up to 32 members, the latest writer first.
///
/// ```text
/// list        = list-member 0*31( OWS "," OWS list-member )
/// list-member = (key "=" value) / OWS
/// key         = ( lcalpha / DIGIT ) 0*255( lcalpha / DIGIT / "_" / "-"/ "*" / "/" / "@" )
/// value       = 0*255(chr) nblk-chr
/// nblk-chr    = %x21-2B / %x2D-3C / %x3E-7E
/// chr         = %x20 / nblk-chr
/// ```
///
/// One member that breaks the grammar, or a 33rd, drops the whole header, as the official test suite wants at its strict
/// level (the text leaves it open). Empty members are legal, don't count and aren't printed. Repeated keys stay, in
/// order: "vendors … MAY" keep either. The grammar bounds what is kept to 16,447 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState<'a> {
    /// At most [`MAX_MEMBERS`].
    members: Vec<Member<'a>>,
}

/// One vendor's entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> TraceState<'a> {
    /// Reads every `tracestate` line of a head, in order, as if joined by commas (RFC 9110 section 5.3).
    ///
    /// # Errors
    ///
    /// [`InvalidTraceState`] for the first thing that the grammar doesn't allow.
    pub fn from_lines(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, InvalidTraceState> {
        let mut state = Self::default();
        let mut offset = 0_usize;
        for line in lines {
            for member in line.split(|&byte| byte == b',') {
                state.read_member(member, offset)?;
                offset = offset.saturating_add(member.len()).saturating_add(1);
            }
        }
        Ok(state)
    }

    fn read_member(&mut self, text: &'a [u8], offset: usize) -> Result<(), InvalidTraceState> {
        let leading = text.iter().take_while(|&&byte| is_ows(byte)).count();
        let text = trim_ows(text);
        if text.is_empty() {
            return Ok(());
        }
        let offset = offset.saturating_add(leading);
        if self.members.len() == MAX_MEMBERS {
            return Err(InvalidTraceState::TooManyMembers { offset });
        }
        let member = Member::read(text).map_err(|error| error.shifted(offset))?;
        self.members.push(member);
        Ok(())
    }

    /// Puts `member` first. Other members of its key go, and so does the last one where there are 32 already.
    pub fn put_first(&mut self, member: Member<'a>) {
        self.members.retain(|other| other.key != member.key);
        self.members.truncate(MAX_MEMBERS.saturating_sub(1));
        self.members.insert(0, member);
    }

    /// Removes every member of `key`.
    pub fn remove(&mut self, key: &[u8]) {
        self.members.retain(|member| member.key != key);
    }

    /// Cuts to at most `max_length` bytes by whole members: those over 128 bytes first, then the others, each from the
    /// end (section 3.3.1.5, *tracestate limits*).
    pub fn limit(&mut self, max_length: usize) {
        for only_large in [true, false] {
            let mut index = self.members.len();
            while self.length() > max_length && index > 0 {
                index = index.saturating_sub(1);
                let goes = self.members.get(index).is_some_and(|member| !only_large || member.length() > LARGE_MEMBER);
                if goes {
                    self.members.remove(index);
                }
            }
        }
    }

    /// The members, the latest writer's first.
    pub fn members(&self) -> impl Iterator<Item = &Member<'a>> {
        self.members.iter()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The header value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.length());
        for Member { key, value } in &self.members {
            if !text.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(key);
            text.push(b'=');
            text.extend_from_slice(value);
        }
        text
    }

    /// The length of the header value in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        let commas = self.members.len().saturating_sub(1);
        self.members.iter().map(Member::length).fold(commas, usize::saturating_add)
    }
}

impl<'a> TryFrom<&'a [u8]> for TraceState<'a> {
    type Error = InvalidTraceState;

    fn try_from(line: &'a [u8]) -> Result<Self, InvalidTraceState> {
        Self::from_lines([line])
    }
}

impl fmt::Display for TraceState<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The grammar is a subset of ASCII.
        self.encode().iter().try_for_each(|&byte| fmt::Write::write_char(formatter, char::from(byte)))
    }
}

impl<'a> Member<'a> {
    /// A member of these parts.
    ///
    /// # Errors
    ///
    /// [`InvalidTraceState`], with offsets into `key=value`.
    pub fn new(key: &'a [u8], value: &'a [u8]) -> Result<Self, InvalidTraceState> {
        if let Some(index) = first_wrong_key_byte(key) {
            return Err(InvalidTraceState::Key { offset: index });
        }
        match first_wrong_value_byte(value) {
            Some(index) => Err(InvalidTraceState::Value { offset: key.len().saturating_add(1).saturating_add(index) }),
            None => Ok(Self { key, value }),
        }
    }

    /// The vendor's key.
    #[must_use]
    pub const fn key(&self) -> &'a [u8] {
        self.key
    }

    /// The vendor's value, opaque to others.
    #[must_use]
    pub const fn value(&self) -> &'a [u8] {
        self.value
    }

    fn read(text: &'a [u8]) -> Result<Self, InvalidTraceState> {
        let mut parts = text.splitn(2, |&byte| byte == b'=');
        match (parts.next(), parts.next()) {
            (Some(key), Some(value)) => Self::new(key, value),
            _ => Err(InvalidTraceState::NoEqualsSign { offset: text.len() }),
        }
    }

    fn length(&self) -> usize {
        self.key.len().saturating_add(1).saturating_add(self.value.len())
    }
}

impl fmt::Debug for Member<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.key.escape_ascii(), self.value.escape_ascii())
    }
}

/// A key that tracegate writes under: checked once, when the policy is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberKey(String);

impl MemberKey {
    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::str::FromStr for MemberKey {
    type Err = InvalidTraceState;

    fn from_str(text: &str) -> Result<Self, InvalidTraceState> {
        match first_wrong_key_byte(text.as_bytes()) {
            Some(offset) => Err(InvalidTraceState::Key { offset }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

/// Why bytes are no `tracestate`. Offsets count bytes from 0, in all lines joined by commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidTraceState {
    /// A key is empty, too long or holds a byte that keys don't.
    Key {
        /// Where.
        offset: usize,
    },
    /// A value is empty, too long or holds a byte that values don't.
    Value {
        /// Where.
        offset: usize,
    },
    /// A member ends without `=`.
    NoEqualsSign {
        /// Where.
        offset: usize,
    },
    /// The 33rd member.
    TooManyMembers {
        /// Where it begins.
        offset: usize,
    },
}

impl InvalidTraceState {
    const fn shifted(self, by: usize) -> Self {
        match self {
            Self::Key { offset } => Self::Key { offset: offset.saturating_add(by) },
            Self::Value { offset } => Self::Value { offset: offset.saturating_add(by) },
            Self::NoEqualsSign { offset } => Self::NoEqualsSign { offset: offset.saturating_add(by) },
            Self::TooManyMembers { offset } => Self::TooManyMembers { offset: offset.saturating_add(by) },
        }
    }
}

impl fmt::Display for InvalidTraceState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Key { offset } => {
                write!(formatter, "byte {offset}: expected a key of 1 to 256 characters: a-z or 0-9, then also '_', '-', '*', '/', '@'")
            }
            Self::Value { offset } => write!(
                formatter,
                "byte {offset}: expected a value of 1 to 256 printable ASCII characters without ',' and '=', the last no space"
            ),
            Self::NoEqualsSign { offset } => write!(formatter, "byte {offset}: expected '=' after the key, found the member's end"),
            Self::TooManyMembers { offset } => write!(formatter, "byte {offset}: expected at most {MAX_MEMBERS} members, found another"),
        }
    }
}

impl std::error::Error for InvalidTraceState {}

/// Where `key` breaks the grammar, if it does.
fn first_wrong_key_byte(key: &[u8]) -> Option<usize> {
    match key {
        [] => Some(0),
        [b'_' | b'-' | b'*' | b'/' | b'@', ..] => Some(0),
        _ => key.iter().position(|&byte| !has(byte, IN_KEY)).or_else(|| (key.len() > MAX_KEY).then_some(MAX_KEY)),
    }
}

/// Where `value` breaks the grammar, if it does.
fn first_wrong_value_byte(value: &[u8]) -> Option<usize> {
    match value {
        [] => Some(0),
        [rest @ .., b' '] => Some(rest.len()),
        _ => value.iter().position(|&byte| !has(byte, IN_VALUE)).or_else(|| (value.len() > MAX_VALUE).then_some(MAX_VALUE)),
    }
}

fn has(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

const IN_KEY: u8 = 1;
const IN_VALUE: u8 = 2;
/// Which parts of a member each byte may stand in.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        let in_key = matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
        let in_value = matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=';
        // In bounds: a constant is evaluated by the compiler, which would refuse it otherwise.
        #[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "evaluated at compile time")]
        {
            classes[byte as usize] = if in_key { IN_KEY } else { 0 } | if in_value { IN_VALUE } else { 0 };
        }
        byte = byte.wrapping_add(1);
    }
    classes
};

const MAX_MEMBERS: usize = 32;
/// The longest key of a member, in bytes.
pub const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 256;
/// Members above this length go first when a header is cut.
const LARGE_MEMBER: usize = 128;

/// The longest header value that the grammar allows, in bytes: 32 members of 513 and the commas between.
pub const MAX_LENGTH: usize = 32 * (MAX_KEY + 1 + MAX_VALUE) + 31;
/// The length in bytes that the standard asks everyone to propagate.
pub const MIN_LENGTH_LIMIT: usize = 512;

/// No bytes panic, and what is accepted reprints to itself (but for empty members and the white space around members).
#[cfg(any(test, fuzzing))]
pub fn accepted_reprints(bytes: &[u8]) {
    let Ok(state) = TraceState::try_from(bytes) else { return };
    let printed = state.encode();
    assert_eq!(printed.len(), state.length());
    assert!(printed.len() <= MAX_LENGTH);
    assert_eq!(TraceState::try_from(printed.as_slice()).as_ref(), Ok(&state), "what we print, we read");
    let dense = bytes.split(|&byte| byte == b',').map(trim_ows).filter(|member| !member.is_empty()).collect::<Vec<_>>();
    assert_eq!(printed, dense.join(&b','), "members are kept byte for byte, in order");
    let mut limited = state;
    limited.limit(MIN_LENGTH_LIMIT);
    assert!(limited.length() <= MIN_LENGTH_LIMIT || limited.is_empty());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<String, InvalidTraceState> {
        TraceState::try_from(text.as_bytes()).map(|state| state.to_string())
    }

    fn members(range: std::ops::Range<usize>) -> String {
        range.map(|index| format!("k{index}=v")).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn accepts() {
        let longest = format!("{}={}", "k".repeat(256), "v".repeat(256));
        for (text, printed) in [
            ("", ""),
            ("foo=1", "foo=1"),
            ("foo=1,bar=2", "foo=1,bar=2"),
            ("foo=1 \t , \t bar=2", "foo=1,bar=2"),
            ("foo=1,,,bar=2, ,\t", "foo=1,bar=2"),
            // Leading spaces belong to a value, trailing ones don't.
            ("foo=  1 2  ", "foo=  1 2"),
            ("foo=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~", "foo=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"),
            // Keys of Level 2: digits may begin one, '@' may stand anywhere but first.
            ("0=1,9a_-*/@@=2,t@v=3,fw529a3039@dt=x", "0=1,9a_-*/@@=2,t@v=3,fw529a3039@dt=x"),
            ("foo=1,foo=2,foo=1", "foo=1,foo=2,foo=1"),
            (&longest, &longest),
            (&members(0..32), &members(0..32)),
            (&format!(",,{},,", members(0..32)), &members(0..32)),
        ] {
            assert_eq!(read(text).as_deref(), Ok(printed), "{text:?}");
        }
    }

    #[test]
    fn refuses() {
        use InvalidTraceState as No;
        let long_key = format!("{}=v", "k".repeat(257));
        let long_value = format!("k={}", "v".repeat(257));
        for (text, expected) in [
            ("foo", No::NoEqualsSign { offset: 3 }),
            ("foo=1,bar", No::NoEqualsSign { offset: 9 }),
            ("=1", No::Key { offset: 0 }),
            ("foo=", No::Value { offset: 4 }),
            ("foo= ", No::Value { offset: 4 }),
            ("foo=1,bar=,baz=3", No::Value { offset: 10 }),
            ("foo =1", No::Key { offset: 3 }),
            ("foo\t=1", No::Key { offset: 3 }),
            ("FOO=1", No::Key { offset: 0 }),
            ("foO=1", No::Key { offset: 2 }),
            ("foo.bar=1", No::Key { offset: 3 }),
            ("@foo=1", No::Key { offset: 0 }),
            ("_a=1", No::Key { offset: 0 }),
            ("é=1", No::Key { offset: 0 }),
            ("foo=1=2", No::Value { offset: 5 }),
            ("foo=a\tb", No::Value { offset: 5 }),
            ("foo=é", No::Value { offset: 4 }),
            ("foo=\u{7f}", No::Value { offset: 4 }),
            ("foo=1, bar.=2", No::Key { offset: 10 }),
            (&long_key, No::Key { offset: 256 }),
            (&long_value, No::Value { offset: 258 }),
            (&format!("{},", members(0..33)), No::TooManyMembers { offset: members(0..32).len() + 1 }),
        ] {
            assert_eq!(read(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn prefixes_of_a_valid_header_never_panic_and_the_whole_is_kept() {
        let text = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE, ,a@b=  x";
        for length in 0..=text.len() {
            accepted_reprints(&text.as_bytes()[..length]);
        }
        assert_eq!(read(text).as_deref(), Ok("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,a@b=  x"));
    }

    #[test]
    fn lines_are_joined_in_order() {
        let lines = [&b"a=1,b=2"[..], b"", b" c=3", b","];
        assert_eq!(TraceState::from_lines(lines).unwrap().to_string(), "a=1,b=2,c=3");
        // An offset counts from the first line's first byte, a comma between lines included.
        let lines = [&b"a=1,b=2"[..], b"", b" c"];
        assert_eq!(TraceState::from_lines(lines), Err(InvalidTraceState::NoEqualsSign { offset: 11 }));
        let (first, second) = (members(0..20), members(20..33));
        let lines = [first.as_bytes(), second.as_bytes()];
        assert!(matches!(TraceState::from_lines(lines), Err(InvalidTraceState::TooManyMembers { .. })));
    }

    #[test]
    fn our_member_goes_first_and_stays_unique() {
        let put = |text: &str| {
            let mut state = TraceState::try_from(text.as_bytes()).unwrap();
            state.put_first(Member::new(b"tgate", b"new").unwrap());
            state.to_string()
        };
        assert_eq!(put(""), "tgate=new");
        assert_eq!(put("a=1,b=2"), "tgate=new,a=1,b=2");
        assert_eq!(put("a=1,tgate=old,b=2,tgate=older"), "tgate=new,a=1,b=2");
        // Full: the right-most goes, unless ours was among them.
        assert_eq!(put(&members(0..32)), format!("tgate=new,{}", members(0..31)));
        assert_eq!(put(&format!("{},tgate=old", members(0..31))), format!("tgate=new,{}", members(0..31)));
    }

    #[test]
    fn a_cut_takes_whole_members_large_ones_first_from_the_end() {
        let large = |name: &str| format!("{name}={}", "x".repeat(130));
        let limit = |text: &str, length: usize| {
            let mut state = TraceState::try_from(text.as_bytes()).unwrap();
            state.limit(length);
            state.to_string()
        };
        let text = format!("a=1,{},b=2,{},c=3", large("l"), large("m"));
        assert_eq!(limit(&text, text.len()), text);
        assert_eq!(limit(&text, text.len() - 1), format!("a=1,{},b=2,c=3", large("l")));
        assert_eq!(limit(&text, 20), "a=1,b=2,c=3");
        assert_eq!(limit(&text, 10), "a=1,b=2");
        assert_eq!(limit(&text, 3), "a=1");
        assert_eq!(limit(&text, 2), "");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_accepted_reprints(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            accepted_reprints(&bytes);
        }

        #[test]
        fn nearly_right_bytes_too(text in "([a-z0-9@_=, \t]{0,6}[=,]){0,50}[ -~]{0,9}") {
            accepted_reprints(text.as_bytes());
        }

        #[test]
        fn what_we_print_we_read(members in proptest::collection::vec(("[a-z0-9][a-z0-9_*/@-]{0,255}", "[ !-+.-<>-~]{0,255}[!-+.-<>-~]"), 0..=32)) {
            let mut state = TraceState::default();
            for (key, value) in &members {
                state.members.push(Member::new(key.as_bytes(), value.as_bytes()).unwrap());
            }
            let printed = state.encode();
            prop_assert_eq!(TraceState::try_from(printed.as_slice()), Ok(state));
        }
    }
}
