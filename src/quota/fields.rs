// SPDX-License-Identifier: Apache-2.0
//! What callers read of limits: response headers, and the words of a refusal.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::limit::{Quota, QuotaUnit, RateLimitHeaders};
use super::meter::Reading;

/// How one limit stands for one caller.
#[derive(Clone, Debug)]
pub(super) struct Standing<'p> {
    pub(super) quota: &'p Quota,
    /// The caller's limit.
    pub(super) limit: u64,
    pub(super) reading: Reading,
    /// Wall-clock nanoseconds.
    pub(super) now: i64,
}

/// A response header: its name in lower case, and its value.
pub(crate) type Field = (Cow<'static, str>, String);

impl Standing<'_> {
    /// In how many seconds enough is left again, rounded up and at least one; `None` for never.
    fn retry_after(&self) -> Option<u64> {
        self.reading.retry.and_then(seconds).map(|seconds| seconds.max(1))
    }

    /// In how many seconds all is left again; of what is used up, in how many something is, and not sooner than it.
    fn reset(&self) -> Option<u64> {
        self.retry_after().or_else(|| seconds(self.reading.reset))
    }

    /// What a refused caller is told, in ASCII without quotes and backslashes: API Management's words.
    pub(super) fn message(&self) -> String {
        if self.quota.limit.window.is_rate() {
            return match self.retry_after() {
                Some(seconds) => format!("Rate limit is exceeded. Try again in {seconds} seconds."),
                None => "Rate limit is exceeded.".to_owned(),
            };
        }
        let what = match self.quota.limit.unit {
            QuotaUnit::Requests => "call volume",
            QuotaUnit::Bytes => "bandwidth",
        };
        match self.retry_after() {
            Some(seconds) => format!("Out of {what} quota. Quota will be replenished in {}.", time_span(seconds)),
            None => format!("Out of {what} quota."),
        }
    }
}

/// The headers that tell of these limits: of all that apply to a response, in the policy's order. Where one of them refuses, `refused` is its place.
pub(super) fn fields(kinds: &[RateLimitHeaders], standings: &[Standing<'_>], refused: Option<usize>) -> Vec<Field> {
    let mut fields = Vec::new();
    let refusing = refused.and_then(|place| standings.get(place));
    if let Some(retry_after) = refusing.and_then(Standing::retry_after) {
        fields.push((Cow::Borrowed("retry-after"), retry_after.to_string()));
    }
    for kind in kinds {
        match kind {
            RateLimitHeaders::RateLimit => rate_limit(standings, &mut fields),
            RateLimitHeaders::XRateLimit => x_rate_limit(refusing, standings, false, &mut fields),
            RateLimitHeaders::XRateLimitEpoch => x_rate_limit(refusing, standings, true, &mut fields),
        }
    }
    for (place, standing) in standings.iter().enumerate() {
        let headers = &standing.quota.headers;
        let own = [
            (&headers.retry_after, standing.retry_after().filter(|_| refused == Some(place))),
            (&headers.remaining, Some(standing.reading.remaining)),
            (&headers.total, Some(standing.limit)),
        ];
        for (name, value) in own {
            if let Some((name, value)) = name.as_ref().zip(value)
                && !fields.iter().any(|(known, _)| known == name)
            {
                fields.push((Cow::Owned(name.clone()), value.to_string()));
            }
        }
    }
    fields
}

/// draft-ietf-httpapi-ratelimit-headers-10. Quotas' names hold nothing that a structured field's string would have to escape.
fn rate_limit(standings: &[Standing<'_>], fields: &mut Vec<Field>) {
    let (mut policies, mut limits) = (String::new(), String::new());
    for standing in standings {
        let name = &standing.quota.name;
        for list in [&mut policies, &mut limits] {
            if !list.is_empty() {
                list.push_str(", ");
            }
        }
        let _ = write!(policies, "\"{name}\";q={}", standing.limit.min(MAX_INTEGER));
        if standing.quota.limit.unit == QuotaUnit::Bytes {
            policies.push_str(";qu=\"content-bytes\"");
        }
        if let Some(window) = standing.quota.limit.window.length_at(standing.now).and_then(seconds) {
            let _ = write!(policies, ";w={}", window.max(1));
        }
        let _ = write!(limits, "\"{name}\";r={}", standing.reading.remaining.min(MAX_INTEGER));
        if let Some(reset) = standing.reset() {
            let _ = write!(limits, ";t={reset}");
        }
    }
    if !standings.is_empty() {
        fields.push((Cow::Borrowed("ratelimit-policy"), policies));
        fields.push((Cow::Borrowed("ratelimit"), limits));
    }
}

/// The largest integer of a structured field (RFC 9651 section 3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// The older headers, of one limit: the one that refuses, else the one of which the least is left.
fn x_rate_limit(refusing: Option<&Standing<'_>>, standings: &[Standing<'_>], epoch: bool, fields: &mut Vec<Field>) {
    let nearest = refusing.or_else(|| standings.iter().min_by_key(|standing| standing.reading.remaining));
    let Some(nearest) = nearest else { return };
    fields.push((Cow::Borrowed("x-ratelimit-limit"), nearest.limit.to_string()));
    fields.push((Cow::Borrowed("x-ratelimit-remaining"), nearest.reading.remaining.to_string()));
    if let Some(reset) = nearest.reset() {
        let now = u64::try_from(nearest.now).ok().and_then(seconds).unwrap_or(0);
        let reset = if epoch { now.saturating_add(reset) } else { reset };
        fields.push((Cow::Borrowed("x-ratelimit-reset"), reset.to_string()));
    }
}

/// Rounded up; `None` for never.
fn seconds(nanoseconds: u64) -> Option<u64> {
    (nanoseconds != u64::MAX).then(|| nanoseconds.div_ceil(1_000_000_000))
}

/// Seconds as .NET's `TimeSpan` writes them: `03:14:17`, `9.00:54:23`.
fn time_span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let days = if days == 0 { String::new() } else { format!("{days}.") };
    format!("{days}{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_is_dot_nets() {
        for (seconds, expected) in
            [(1, "00:00:01"), (11_657, "03:14:17"), (86_399, "23:59:59"), (86_400, "1.00:00:00"), (780_863, "9.00:54:23")]
        {
            assert_eq!(time_span(seconds), expected);
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(seconds(0), Some(0));
        assert_eq!(seconds(1), Some(1));
        assert_eq!(seconds(1_000_000_000), Some(1));
        assert_eq!(seconds(1_000_000_001), Some(2));
        assert_eq!(seconds(u64::MAX - 1), Some(18_446_744_074));
        assert_eq!(seconds(u64::MAX), None);
    }
}
