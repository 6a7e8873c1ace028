// SPDX-License-Identifier: Apache-2.0
//! Which traces are recorded: consistent probability sampling,
//! <https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/>.
//!
//! The sampled flag, the threshold in `tracestate` and the decision always agree: a span is recorded by probability where its trace's
//! randomness reaches the threshold, and only then does a threshold go on.

use std::fmt;
use std::str::FromStr;

use super::id::TraceId;
use super::state::TraceState;

/// What the policy says about recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplingPolicy {
    /// For traces about which no caller decides.
    pub root: Threshold,
    /// At most so many of those a second, for each worker of the gateway; no bound by default.
    pub max_per_second: Option<u32>,
    /// Whether refused requests are recorded whatever the decision.
    pub record_refused: bool,
    /// Whether responses with a status of 500 and above are.
    pub record_errors: bool,
}

/// From which randomness on a trace is recorded: a number of 56 bits. The probability is what lies above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u64);

/// What a trace draws: a number of 56 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Randomness(u64);

impl Threshold {
    /// Every trace.
    pub const ALWAYS: Self = Self(0);
    /// No trace.
    pub const NEVER: Self = Self(RANGE);

    /// Whether a trace with this randomness is recorded.
    #[must_use]
    pub const fn admits(self, randomness: Randomness) -> bool {
        randomness.0 >= self.0
    }

    /// `part` of `whole` of what this one admits.
    fn scaled(self, part: u32, whole: u32) -> Self {
        let kept = u128::from(RANGE.saturating_sub(self.0)).saturating_mul(u128::from(part)).checked_div(u128::from(whole.max(part)));
        Self(RANGE.saturating_sub(kept.and_then(|kept| u64::try_from(kept).ok()).unwrap_or(0)))
    }

    /// The value of `th`: hexadecimal digits without zeros at the end; `None` where nothing is admitted.
    #[must_use]
    pub fn encode(self) -> Option<String> {
        if self.0 >= RANGE {
            return None;
        }
        let digits = format!("{:014x}", self.0);
        let digits = digits.trim_end_matches('0');
        Some(if digits.is_empty() { "0".to_owned() } else { digits.to_owned() })
    }

    fn decode(digits: &[u8]) -> Option<Self> {
        let padded = [digits, b"00000000000000"].concat();
        let padded = padded.get(..14).filter(|_| matches!(digits.len(), 1..=14))?;
        read_hex(padded).map(Self)
    }
}

impl FromStr for Threshold {
    type Err = InvalidProbability;

    /// Reads a probability as JSON writes numbers, from 0 to 1, and rounds it to 56 bits.
    fn from_str(text: &str) -> Result<Self, InvalidProbability> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, Some(0)), |(mantissa, exponent)| {
            (
                mantissa,
                exponent
                    .strip_prefix('-')
                    .filter(|digits| !digits.starts_with('+'))
                    .and_then(|digits| digits.parse::<u8>().ok())
                    .map(usize::from),
            )
        });
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let decimals = fraction.len().saturating_add(exponent.ok_or(InvalidProbability)?);
        let digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        let plain = whole.len() == 1 && (mantissa == whole || !fraction.is_empty());
        if !digits || !plain || decimals > MAX_DECIMALS {
            return Err(InvalidProbability);
        }
        let numerator: u128 = format!("{whole}{fraction}").parse().map_err(|_| InvalidProbability)?;
        let denominator = 10_u128.saturating_pow(u32::try_from(decimals).map_err(|_| InvalidProbability)?);
        if numerator > denominator {
            return Err(InvalidProbability);
        }
        let half = denominator.checked_div(2).unwrap_or(0);
        let kept = numerator.saturating_mul(u128::from(RANGE)).saturating_add(half).checked_div(denominator);
        let kept = kept.and_then(|kept| u64::try_from(kept).ok()).ok_or(InvalidProbability)?;
        // A probability above 0 is never rounded to 0.
        Ok(Self(RANGE.saturating_sub(if numerator > 0 { kept.max(1) } else { 0 })))
    }
}

/// A text that is no probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidProbability;

impl fmt::Display for InvalidProbability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "expected a probability from 0 to 1 with at most {MAX_DECIMALS} decimals, such as 0.1")
    }
}

impl std::error::Error for InvalidProbability {}

impl Randomness {
    /// A trace-id's right-most 7 bytes.
    #[must_use]
    pub const fn of(trace_id: TraceId) -> Self {
        Self(u64::from_be_bytes(trace_id.low()) & (RANGE - 1))
    }

    /// The value of `rv`: 14 hexadecimal digits.
    #[must_use]
    pub fn encode(self) -> String {
        format!("{:014x}", self.0)
    }

    fn decode(digits: &[u8]) -> Option<Self> {
        if digits.len() == 14 { read_hex(digits).map(Self) } else { None }
    }
}

/// Lower-case hexadecimal digits.
fn read_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'9' | b'a'..=b'f' => Some((value << 4) | u64::from(char::from(digit).to_digit(16)?)),
        _ => None,
    })
}

/// OpenTelemetry's member of `tracestate`: `ot=th:c;rv:0123456789abcd`.
///
/// A part that breaks its grammar is as if it weren't there; parts that are not read here are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtMember<'a> {
    threshold: Option<Threshold>,
    randomness: Option<(Randomness, &'a [u8])>,
    others: Vec<&'a [u8]>,
    /// A part breaks its grammar or stands twice.
    unsound: bool,
}

impl<'a> OtMember<'a> {
    /// The member among those of a `tracestate`.
    #[must_use]
    pub fn find(state: &TraceState<'a>) -> Option<Self> {
        let mut members = state.members().filter(|member| member.key() == OT);
        let mut member = Self::read(members.next()?.value());
        member.unsound |= members.next().is_some();
        Some(member)
    }

    fn read(value: &'a [u8]) -> Self {
        let mut member = Self::default();
        for part in value.split(|&byte| byte == b';') {
            match (part.strip_prefix(b"th:"), part.strip_prefix(b"rv:")) {
                (Some(digits), _) => {
                    member.unsound |= member.threshold.is_some();
                    member.threshold = Threshold::decode(digits);
                    member.unsound |= member.threshold.is_none();
                }
                (_, Some(digits)) => {
                    member.unsound |= member.randomness.is_some();
                    member.randomness = Randomness::decode(digits).map(|randomness| (randomness, part));
                    member.unsound |= member.randomness.is_none();
                }
                _ if part.is_empty() => {}
                _ => member.others.push(part),
            }
        }
        member
    }

    /// What the trace draws: `rv`, or else what its id says.
    #[must_use]
    pub fn randomness(&self, trace_id: TraceId) -> Randomness {
        self.randomness.map_or(Randomness::of(trace_id), |(randomness, _)| randomness)
    }

    /// What `rv` says, where there is one.
    #[must_use]
    pub fn explicit_randomness(&self) -> Option<Randomness> {
        self.randomness.map(|(randomness, _)| randomness)
    }

    /// From which randomness on the caller recorded.
    #[must_use]
    pub const fn threshold(&self) -> Option<Threshold> {
        self.threshold
    }

    /// Whether every part keeps its grammar and stands once.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        !self.unsound
    }

    /// The member's value with this threshold, or without one; empty where nothing is left. Where it would be longer than a value may be, parts
    /// that nobody here knows go.
    #[must_use]
    pub fn encode_with(&self, threshold: Option<Threshold>) -> Vec<u8> {
        let threshold = threshold.and_then(Threshold::encode).map(|digits| format!("th:{digits}").into_bytes());
        let parts: Vec<&[u8]> =
            threshold.as_deref().into_iter().chain(self.randomness.map(|(_, part)| part)).chain(self.others.iter().copied()).collect();
        let value = parts.join(&b';');
        let known = parts.len().saturating_sub(self.others.len());
        if value.len() <= MAX_VALUE { value } else { parts.get(..known).unwrap_or_default().join(&b';') }
    }
}

/// Decides about traces that no caller decides about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sampler {
    /// The second at hand, by the monotonic clock.
    second: u64,
    /// Traces of it that the policy's probability admits, and how many of them were recorded.
    candidates: u32,
    recorded: u32,
    /// The candidates of the second before.
    expected: u32,
}

/// What was decided about recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The flag that goes on.
    pub sampled: bool,
    /// The threshold that goes on; `None` where nothing is known of the probability.
    pub threshold: Option<Threshold>,
    /// Who decided.
    pub by: DecidedBy,
}

/// Who decided about recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// The caller.
    Parent,
    /// The policy's probability.
    Probability,
    /// The policy's bound a second: the probability would have recorded it.
    Limit,
    /// The request was refused, and refusals are recorded whatever the probability.
    Refusal,
}

impl Sampler {
    /// A sampler that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { second: 0, candidates: 0, recorded: 0, expected: 0 }
    }

    /// Decides by the policy. After a second with more candidates than `max_per_second` the threshold rises to what would have kept within it, so
    /// that what is recorded still says how much it stands for; the first second of a burst is cut off at the bound, and doesn't.
    pub fn decide(&mut self, root: Threshold, max_per_second: Option<u32>, randomness: Randomness, monotonic: u64) -> Decided {
        let not = |by| Decided { sampled: false, threshold: None, by };
        if !root.admits(randomness) {
            return not(DecidedBy::Probability);
        }
        let recorded = |threshold| Decided { sampled: true, threshold: Some(threshold), by: DecidedBy::Probability };
        let Some(most) = max_per_second else { return recorded(root) };
        let second = monotonic / NANOSECONDS;
        // A clock that steps back a little begins no second anew.
        if second > self.second || self.second.saturating_sub(second) > STEP_BACK {
            let follows = second == self.second.saturating_add(1);
            *self = Self { second, candidates: 0, recorded: 0, expected: if follows { self.candidates } else { 0 } };
        }
        self.candidates = self.candidates.saturating_add(1);
        let threshold = if self.expected > most { root.scaled(most, self.expected) } else { root };
        if !threshold.admits(randomness) || self.recorded >= most {
            return not(DecidedBy::Limit);
        }
        self.recorded = self.recorded.saturating_add(1);
        recorded(threshold)
    }
}

/// The key of OpenTelemetry's member.
pub(super) const OT: &[u8] = b"ot";
/// Bytes of a member's value (Trace Context section 3.3.1.3.2).
const MAX_VALUE: usize = 256;
/// Seconds that a clock may step back; one that goes back further was set anew.
const STEP_BACK: u64 = 60;
/// Randomness is below this.
const RANGE: u64 = 1 << 56;
/// More than 56 bits need.
const MAX_DECIMALS: usize = 18;
const NANOSECONDS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn threshold(text: &str) -> Threshold {
        text.parse().unwrap()
    }

    #[test]
    fn probabilities_become_thresholds() {
        for (text, expected) in [
            ("1", Some("0")),
            ("1.0", Some("0")),
            ("0.5", Some("8")),
            ("0.25", Some("c")),
            ("0.1", Some("e6666666666666")),
            ("0.01", Some("fd70a3d70a3d71")),
            ("0.000000000000000001", Some("ffffffffffffff")),
            ("5e-1", Some("8")),
            ("2.5E-1", Some("c")),
            ("0", None),
            ("0.0", None),
            ("0e-5", None),
        ] {
            assert_eq!(threshold(text).encode().as_deref(), expected, "{text}");
        }
        for text in [
            "",
            "2",
            "1.1",
            "-0.1",
            "+1",
            "0.",
            ".5",
            "1e3",
            "1e",
            "1e-",
            "1e-19",
            "1.5e-18",
            "1e-+1",
            "0.1 ",
            "01",
            "0.0000000000000000001",
            "0.x",
            "NaN",
            "0.-1",
        ] {
            assert_eq!(text.parse::<Threshold>(), Err(InvalidProbability), "{text}");
        }
    }

    #[test]
    fn a_member_is_read_and_written() {
        let trace_id = TraceId::from_bytes([0xab; 16]).unwrap();
        for (value, th, rv, without) in [
            ("th:c", Some("c"), None, ""),
            ("th:0", Some("0"), None, ""),
            ("th:e6666666666666;rv:0123456789abcd", Some("e6666666666666"), Some(0x01_2345_6789_abcd), "rv:0123456789abcd"),
            ("rv:0123456789abcd;p:8;th:8", Some("8"), Some(0x01_2345_6789_abcd), "rv:0123456789abcd;p:8"),
            ("th:C", None, None, ""),
            ("th:", None, None, ""),
            ("th:0123456789abcde", None, None, ""),
            ("rv:0123", None, None, ""),
            ("rv:0123456789abcD;x:y", None, None, "x:y"),
        ] {
            let member = OtMember::read(value.as_bytes());
            assert_eq!(member.threshold().and_then(Threshold::encode).as_deref(), th, "{value}");
            assert_eq!(member.randomness(trace_id).0, rv.unwrap_or(0xab_abab_abab_abab), "{value}");
            assert_eq!(String::from_utf8(member.encode_with(None)).unwrap(), without, "{value}");
        }
        for (value, sound) in [("th:c;rv:0123456789abcd;p:1", true), ("", true), ("th:c;th:8", false), ("th:Z", false), ("rv:1", false)] {
            assert_eq!(OtMember::read(value.as_bytes()).is_sound(), sound, "{value}");
        }
        let long = format!("rv:0123456789abcd;{}", "x".repeat(238));
        assert_eq!(OtMember::read(long.as_bytes()).encode_with(Some(threshold("0.5"))), b"th:8;rv:0123456789abcd");
        let member = OtMember::read(b"p:8;rv:0123456789abcd");
        assert_eq!(member.encode_with(Some(threshold("0.5"))), b"th:8;rv:0123456789abcd;p:8");
        assert_eq!(OtMember::default().encode_with(Some(Threshold::NEVER)), b"");
    }

    #[test]
    fn no_more_are_recorded_in_a_second_than_the_bound() {
        let mut sampler = Sampler::new();
        let draw = |index: u64| Randomness(index.wrapping_mul(0x9e37_79b9_7f4a_7c15) & (RANGE - 1));
        for (second, offered) in [(10, 50), (11, 5_000), (12, 5_000), (13, 500), (20, 10)] {
            let decided: Vec<Decided> = (0..offered)
                .map(|index| sampler.decide(Threshold::ALWAYS, Some(100), draw(index + 1), second * NANOSECONDS + index))
                .collect();
            let recorded: Vec<&Decided> = decided.iter().filter(|decided| decided.sampled).collect();
            assert!(recorded.len() <= 100, "{second}");
            assert!(decided.iter().all(|decided| decided.sampled == decided.threshold.is_some()), "flag and threshold agree");
            match second {
                10 | 20 => assert!(decided.iter().all(|decided| decided.sampled)),
                11 => assert_eq!(recorded.len(), 100, "a burst is cut off"),
                // 2 % now: the bound is met by the threshold.
                12 => {
                    let near = |found: Option<Threshold>| found > Some(threshold("0.02001")) && found < Some(threshold("0.01999"));
                    assert!((80..=100).contains(&recorded.len()) && recorded.iter().all(|decided| near(decided.threshold)));
                }
                // 2 % of 500: the rate fell faster than was foreseen.
                _ => assert!((3..=25).contains(&recorded.len()), "{}", recorded.len()),
            }
        }
    }

    #[test]
    fn a_clock_that_steps_to_and_fro_buys_nothing() {
        let mut sampler = Sampler::new();
        let decide = |index: u64| sampler.decide(Threshold::ALWAYS, Some(10), Randomness(1), (100 - index % 2) * NANOSECONDS).sampled;
        assert_eq!((0..1000).map(decide).filter(|sampled| *sampled).count(), 10);
        assert!(sampler.decide(Threshold::ALWAYS, Some(10), Randomness(1), 0).sampled, "a clock set anew is believed");
    }

    proptest! {
        #[test]
        fn what_is_recorded_reaches_its_threshold(roots in 0_u64..=RANGE, draws in proptest::collection::vec(0..RANGE, 1..50), most in proptest::option::of(0_u32..20)) {
            let mut sampler = Sampler::new();
            for (index, draw) in draws.into_iter().enumerate() {
                let decided = sampler.decide(Threshold(roots), most, Randomness(draw), index as u64 * 100_000_000);
                prop_assert_eq!(decided.sampled, decided.threshold.is_some());
                if let Some(threshold) = decided.threshold {
                    prop_assert!(threshold.admits(Randomness(draw)) && threshold >= Threshold(roots));
                }
                prop_assert!(decided.sampled || decided.by == DecidedBy::Limit || draw < roots);
            }
        }

        #[test]
        fn thresholds_print_as_they_read(value in 0..RANGE) {
            let digits = Threshold(value).encode().unwrap();
            prop_assert_eq!(Threshold::decode(digits.as_bytes()), Some(Threshold(value)));
        }

        #[test]
        fn no_member_panics(value in "[a-z0-9:;]{0,40}") {
            let member = OtMember::read(value.as_bytes());
            let printed = member.encode_with(member.threshold());
            let again = OtMember::read(&printed);
            prop_assert_eq!(again.encode_with(again.threshold()), printed.clone());
        }
    }
}
