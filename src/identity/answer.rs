// SPDX-License-Identifier: Apache-2.0
//! An issuer's answer: how long it is fresh.

use crate::event::Reply;

/// How long an answer is fresh (RFC 9111 section 4.2), in nanoseconds, within our own bounds.
pub(super) fn freshness(reply: Reply<'_>, longest: u64) -> u64 {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.trim_matches('"').parse::<u64>().ok();
    let directives = reply.headers.values("cache-control").flat_map(|line| line.split(|byte| *byte == b','));
    let mut max_age = None;
    for directive in directives.map(<[u8]>::trim_ascii) {
        if directive.eq_ignore_ascii_case(b"no-store") || directive.eq_ignore_ascii_case(b"no-cache") {
            max_age = Some(0);
            break;
        }
        if let Some((name, value)) = directive.split_at_checked(8)
            && name.eq_ignore_ascii_case(b"max-age=")
        {
            max_age = max_age.or(number(value));
        }
    }
    let age = reply.headers.values("age").next().and_then(number).unwrap_or(0);
    let fresh = max_age.map(|max_age| max_age.saturating_sub(age).saturating_mul(SECOND));
    fresh.unwrap_or(longest).clamp(MIN_FRESH.min(longest), longest)
}

pub(super) const SECOND: u64 = 1_000_000_000;
/// Keys are fresh for at least a minute, whatever the issuer says: else every tick would fetch.
const MIN_FRESH: u64 = 60 * SECOND;
/// The longest body, in bytes.
pub(super) const MAX_BODY: usize = 256 << 10;
