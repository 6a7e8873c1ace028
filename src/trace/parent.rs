// SPDX-License-Identifier: Apache-2.0
//! The `traceparent` header: <https://www.w3.org/TR/trace-context-2/#traceparent-header>.

use std::fmt;

use super::id::{SpanId, TraceId};
use crate::reader::Reader;

/// Where in which trace a request stands.
///
/// ```text
/// traceparent = version "-" trace-id "-" parent-id "-" trace-flags
/// version     = 2HEXDIGLC   ; "ff" is forbidden
/// trace-id    = 32HEXDIGLC  ; not all zero
/// parent-id   = 16HEXDIGLC  ; not all zero
/// trace-flags = 2HEXDIGLC   ; 0x01 sampled, 0x02 random
/// ```
///
/// A version above 00 may go on after a `-`; what follows is not read. Flags without a meaning in Level 2 read as 0, as
/// "the behavior of other flags … is reserved and MUST be set to zero" asks. It prints as version 00, always, as
/// "vendors … MUST only use … the version of the specification they implement" asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: TraceId,
    parent_id: SpanId,
    flags: TraceFlags,
}

impl TraceParent {
    /// A context of these parts.
    #[must_use]
    pub const fn new(trace_id: TraceId, parent_id: SpanId, flags: TraceFlags) -> Self {
        Self { trace_id, parent_id, flags }
    }

    /// The trace.
    #[must_use]
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span that sent the request.
    #[must_use]
    pub const fn parent_id(&self) -> SpanId {
        self.parent_id
    }

    /// The flags with a meaning in Level 2.
    #[must_use]
    pub const fn flags(&self) -> TraceFlags {
        self.flags
    }

    /// The same trace with the same flags, sent by `span`.
    #[must_use]
    pub const fn sent_by(self, span: SpanId) -> Self {
        Self { parent_id: span, ..self }
    }

    /// The header value, version 00.
    #[must_use]
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut text = *b"00-tttttttttttttttttttttttttttttttt-pppppppppppppppp-ff";
        write_hex(text.get_mut(3..35), &self.trace_id.to_bytes());
        write_hex(text.get_mut(36..52), &self.parent_id.to_bytes());
        write_hex(text.get_mut(53..55), &[self.flags.0]);
        text
    }
}

impl TryFrom<&[u8]> for TraceParent {
    type Error = InvalidTraceParent;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidTraceParent> {
        let mut reader = Reader::new(bytes);
        let [version] = hex_field::<2, 1>(&mut reader)?;
        if version == FORBIDDEN_VERSION {
            return Err(InvalidTraceParent::ForbiddenVersion);
        }
        dash(&mut reader)?;
        let trace_id = hex_field::<32, 16>(&mut reader)?;
        dash(&mut reader)?;
        let parent_id = hex_field::<16, 8>(&mut reader)?;
        dash(&mut reader)?;
        let [flags] = hex_field::<2, 1>(&mut reader)?;
        let end = reader.offset();
        match (version, reader.byte()) {
            (_, None) => {}
            (0, Some(_)) => return Err(InvalidTraceParent::Trailing { offset: end }),
            (_, Some(b'-')) => {}
            (_, Some(found)) => return Err(InvalidTraceParent::NotADash { offset: end, found }),
        }
        Ok(Self {
            trace_id: TraceId::from_bytes(trace_id).ok_or(InvalidTraceParent::ZeroTraceId)?,
            parent_id: SpanId::from_bytes(parent_id).ok_or(InvalidTraceParent::ZeroParentId)?,
            flags: TraceFlags::from_bits(flags),
        })
    }
}

impl std::str::FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        Self::try_from(text.as_bytes())
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "00-{}-{}-{:02x}", self.trace_id, self.parent_id, self.flags.0)
    }
}

/// `trace-flags`: <https://www.w3.org/TR/trace-context-2/#trace-flags>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceFlags(u8);

impl TraceFlags {
    /// The caller may have recorded its span.
    pub const SAMPLED: Self = Self(0x01);
    /// The right-most 7 bytes of the trace-id are random.
    pub const RANDOM: Self = Self(0x02);

    /// Keeps the bits that Level 2 gives a meaning, drops the others.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & (Self::SAMPLED.0 | Self::RANDOM.0))
    }

    /// The flags as the octet on the wire.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Both sets of flags.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Why bytes are no `traceparent`. Offsets count bytes from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidTraceParent {
    /// It ends within a field.
    TooShort {
        /// Its length.
        length: usize,
    },
    /// A byte that is not `0`–`9` or `a`–`f`.
    NotLowerHex {
        /// Where it stands.
        offset: usize,
        /// The byte.
        found: u8,
    },
    /// A byte other than `-` between fields, or after the flags of a later version.
    NotADash {
        /// Where it stands.
        offset: usize,
        /// The byte.
        found: u8,
    },
    /// Version ff.
    ForbiddenVersion,
    /// Version 00 goes on after the flags.
    Trailing {
        /// Where it should have ended.
        offset: usize,
    },
    /// A trace-id of zeros.
    ZeroTraceId,
    /// A parent-id of zeros.
    ZeroParentId,
}

impl fmt::Display for InvalidTraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort { length } => write!(formatter, "expected at least {LENGTH} bytes, found {length}"),
            Self::NotLowerHex { offset, found } => {
                write!(formatter, "byte {offset}: expected a lower-case hexadecimal digit, found '{}'", found.escape_ascii())
            }
            Self::NotADash { offset, found } => {
                write!(formatter, "byte {offset}: expected '-', found '{}'", found.escape_ascii())
            }
            Self::ForbiddenVersion => formatter.write_str("byte 0: expected a version from 00 to fe, found ff"),
            Self::Trailing { offset } => write!(formatter, "byte {offset}: expected the end of version 00, found more"),
            Self::ZeroTraceId => formatter.write_str("byte 3: expected a trace-id, found zeros"),
            Self::ZeroParentId => formatter.write_str("byte 36: expected a parent-id, found zeros"),
        }
    }
}

impl std::error::Error for InvalidTraceParent {}

/// Reads `BYTES` bytes written as twice as many lower-case hexadecimal digits.
///
/// Digits are looked up and checked once at the end: a third of the work of checking each for its case and then decoding.
fn hex_field<const DIGITS: usize, const BYTES: usize>(reader: &mut Reader<'_>) -> Result<[u8; BYTES], InvalidTraceParent> {
    const { assert!(DIGITS == 2 * BYTES) };
    let start = reader.offset();
    let digits = reader.take::<DIGITS>().ok_or_else(|| reader.too_short())?;
    let (pairs, _) = digits.as_chunks::<2>();
    let mut bytes = [0; BYTES];
    let mut seen = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (digit_value(*high), digit_value(*low));
        seen |= high | low;
        *byte = (high << 4) | (low & 0x0f);
    }
    if seen == NO_DIGIT {
        let wrong = digits.iter().enumerate().find(|&(_, &digit)| digit_value(digit) == NO_DIGIT);
        let (index, &found) = wrong.unwrap_or((0, &0));
        return Err(InvalidTraceParent::NotLowerHex { offset: start.saturating_add(index), found });
    }
    Ok(bytes)
}

/// A digit's value, or [`NO_DIGIT`].
fn digit_value(digit: u8) -> u8 {
    DIGIT_VALUES.get(usize::from(digit)).copied().unwrap_or(NO_DIGIT)
}

fn dash(reader: &mut Reader<'_>) -> Result<(), InvalidTraceParent> {
    let offset = reader.offset();
    match reader.byte() {
        Some(b'-') => Ok(()),
        Some(found) => Err(InvalidTraceParent::NotADash { offset, found }),
        None => Err(InvalidTraceParent::TooShort { length: offset }),
    }
}

impl Reader<'_> {
    fn too_short(&self) -> InvalidTraceParent {
        InvalidTraceParent::TooShort { length: self.length() }
    }
}

fn write_hex(slot: Option<&mut [u8]>, bytes: &[u8]) {
    let written = slot.map(|slot| hex::encode_to_slice(bytes, slot));
    debug_assert_eq!(written, Some(Ok(())), "the slot is twice as long as the bytes");
}

/// All bits set, so that it shows in the union of digit values.
const NO_DIGIT: u8 = 0xff;

const DIGIT_VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let digits = b"0123456789abcdef";
    let mut value = 0;
    while value < 16 {
        // In bounds: a constant is evaluated by the compiler, which would refuse it otherwise.
        #[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "evaluated at compile time")]
        {
            values[digits[value as usize] as usize] = value;
        }
        value = value.wrapping_add(1);
    }
    values
};

/// The length of version 00.
const LENGTH: usize = 55;
const FORBIDDEN_VERSION: u8 = 0xff;

/// No bytes panic, and what is accepted reprints to itself (but for what version 00 has no room for).
#[cfg(any(test, fuzzing))]
pub fn accepted_reprints(bytes: &[u8]) {
    let Ok(parent) = TraceParent::try_from(bytes) else { return };
    let printed = parent.encode();
    assert_eq!(printed.as_slice(), parent.to_string().as_bytes(), "both ways to print agree");
    assert_eq!(TraceParent::try_from(printed.as_slice()), Ok(parent), "what we print, we read");
    assert_eq!(printed.get(3..52), bytes.get(3..52), "ids are kept");
    if bytes.starts_with(b"00") && matches!(bytes.last(), Some(b'0'..=b'3')) && bytes.get(53) == Some(&b'0') {
        assert_eq!(printed.as_slice(), bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn ids() -> (TraceId, SpanId) {
        let parent: TraceParent = GOOD.parse().unwrap();
        (parent.trace_id(), parent.parent_id())
    }

    #[test]
    fn accepts() {
        for (text, flags) in [
            (GOOD, 1),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", 0),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02", 2),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", 3),
            // Unknown flag bits read as 0.
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff", 3),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-f4", 0),
            // Later versions: at least as long as version 00, then nothing or a dash and anything.
            ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 1),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-09-what-the-future-holds", 1),
            ("fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-", 1),
        ] {
            let parent: TraceParent = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((parent.trace_id(), parent.parent_id()), ids(), "{text}");
            assert_eq!(parent.flags().bits(), flags, "{text}");
        }
    }

    #[test]
    fn refuses() {
        use InvalidTraceParent as No;
        for (bytes, expected) in [
            (&b""[..], No::TooShort { length: 0 }),
            (b"00", No::TooShort { length: 2 }),
            (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", No::TooShort { length: 52 }),
            (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", No::TooShort { length: 54 }),
            (b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", No::ForbiddenVersion),
            (b"FF-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", No::NotLowerHex { offset: 0, found: b'F' }),
            (b"0A-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", No::NotLowerHex { offset: 1, found: b'A' }),
            (b"+0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", No::NotLowerHex { offset: 0, found: b'+' }),
            (b"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", No::NotLowerHex { offset: 4, found: b'A' }),
            (b"00-0af7651916cd43dd8448eb211c80319\xff-b7ad6b7169203331-01", No::NotLowerHex { offset: 34, found: 0xff }),
            (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333G-01", No::NotLowerHex { offset: 51, found: b'G' }),
            (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x", No::NotLowerHex { offset: 54, found: b'x' }),
            (b"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", No::NotADash { offset: 2, found: b'_' }),
            (b"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01", No::NotADash { offset: 35, found: b'_' }),
            (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331.01", No::NotADash { offset: 52, found: b'.' }),
            (b"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.", No::NotADash { offset: 55, found: b'.' }),
            (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-", No::Trailing { offset: 55 }),
            (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01,", No::Trailing { offset: 55 }),
            (b" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", No::NotLowerHex { offset: 0, found: b' ' }),
            (b"00-00000000000000000000000000000000-b7ad6b7169203331-01", No::ZeroTraceId),
            (b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", No::ZeroParentId),
            (b"cc-00000000000000000000000000000000-b7ad6b7169203331-01-x", No::ZeroTraceId),
        ] {
            assert_eq!(TraceParent::try_from(bytes), Err(expected), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn every_truncated_prefix_is_refused() {
        for length in 0..GOOD.len() {
            assert_eq!(GOOD[..length].parse::<TraceParent>(), Err(InvalidTraceParent::TooShort { length }));
        }
    }

    #[test]
    fn errors_say_where_what_was_expected_and_what_was_found() {
        let error = TraceParent::try_from(&b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333\n-01"[..]).unwrap_err();
        assert_eq!(error.to_string(), "byte 51: expected a lower-case hexadecimal digit, found '\\n'");
        assert_eq!("00-1".parse::<TraceParent>().unwrap_err().to_string(), "expected at least 55 bytes, found 4");
    }

    #[test]
    fn a_child_keeps_trace_and_flags() {
        let parent: TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03".parse().unwrap();
        let child = parent.sent_by(SpanId::from_bytes([0xab; 8]).unwrap());
        assert_eq!(child.to_string(), "00-0af7651916cd43dd8448eb211c80319c-abababababababab-03");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_accepted_reprints(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            accepted_reprints(&bytes);
        }

        #[test]
        fn nearly_right_bytes_too(text in "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,9})?", at in 0_usize..55, byte: u8) {
            accepted_reprints(text.as_bytes());
            let mut bytes = text.into_bytes();
            bytes[at] = byte;
            accepted_reprints(&bytes);
        }

        #[test]
        fn what_we_print_we_read(trace_id: [u8; 16], parent_id: [u8; 8], flags: u8) {
            let (Some(trace_id), Some(parent_id)) = (TraceId::from_bytes(trace_id), SpanId::from_bytes(parent_id)) else { return Ok(()) };
            let parent = TraceParent::new(trace_id, parent_id, TraceFlags::from_bits(flags));
            prop_assert_eq!(TraceParent::try_from(&parent.encode()[..]), Ok(parent));
        }
    }
}
