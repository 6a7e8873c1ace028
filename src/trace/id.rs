// SPDX-License-Identifier: Apache-2.0
//! Trace and span ids: 16 and 8 bytes, never all zero.
//!
//! <https://www.w3.org/TR/trace-context-2/#trace-id> and <https://www.w3.org/TR/trace-context-2/#parent-id>.

use std::fmt;

/// Names a whole trace: 16 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// Names one span (W3C: `parent-id`): 8 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// The id with these bytes, or `None` for all zeros, which the standard forbids.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// The bytes, most significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The id that 1 to 32 hexadecimal digits of either case write, zeros on its left where there are fewer.
    pub(super) fn from_digits(digits: &[u8]) -> Option<Self> {
        read_digits(digits).and_then(Self::from_bytes)
    }

    /// 32 lower-case hexadecimal digits, as they stand in headers.
    pub(super) fn encode(self) -> [u8; 32] {
        let mut digits = [0; 32];
        let written = hex::encode_to_slice(self.0, &mut digits);
        debug_assert_eq!(written, Ok(()), "32 digits hold 16 bytes");
        digits
    }

    /// The right-most 8 bytes: all that systems with ids of 64 bits know.
    pub(super) const fn low(self) -> [u8; 8] {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        [a, b, c, d, e, f, g, h]
    }
}

impl SpanId {
    /// 16 lower-case hexadecimal digits, as they stand in headers.
    #[must_use]
    pub fn encode(self) -> [u8; 16] {
        let mut digits = [0; 16];
        let written = hex::encode_to_slice(self.0, &mut digits);
        debug_assert_eq!(written, Ok(()), "16 digits hold 8 bytes");
        digits
    }

    /// The id that 1 to 16 hexadecimal digits of either case write, zeros on its left where there are fewer.
    pub(super) fn from_digits(digits: &[u8]) -> Option<Self> {
        read_digits(digits).and_then(Self::from_bytes)
    }

    /// The id with these bytes, or `None` for all zeros, which the standard forbids.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// The bytes, most significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0
    }
}

/// `None` for no digit, a byte that is none, or more digits than `N` bytes have.
fn read_digits<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut pairs = digits.rchunks(2);
    for byte in bytes.iter_mut().rev() {
        match pairs.next() {
            Some(&[high, low]) => *byte = (nibble(high)? << 4) | nibble(low)?,
            Some(&[low]) => *byte = nibble(low)?,
            _ => break,
        }
    }
    (!digits.is_empty() && pairs.next().is_none()).then_some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Display for TraceId {
    /// 32 lower-case hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    /// 16 lower-case hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_either_case_are_padded_on_the_left() {
        let trace = |digits: &str| TraceId::from_digits(digits.as_bytes()).map(|id| id.to_string());
        let span = |digits: &str| SpanId::from_digits(digits.as_bytes()).map(|id| id.to_string());
        assert_eq!(trace("0AF7651916cd43dd8448eb211c80319c").as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(trace("1c3b00dA").as_deref(), Some("0000000000000000000000001c3b00da"));
        assert_eq!(span("7").as_deref(), Some("0000000000000007"));
        assert_eq!(span("b7ad6b7169203331").as_deref(), Some("b7ad6b7169203331"));
        for digits in ["", "0", "0000", "g", "1g", "0x1", "-1", " 1", "b7ad6b7169203331b"] {
            assert_eq!(span(digits), None, "{digits:?}");
        }
        assert_eq!(trace(&"1".repeat(33)), None);
    }
}
