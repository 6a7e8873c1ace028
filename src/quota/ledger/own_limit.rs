// SPDX-License-Identifier: Apache-2.0
//! A caller's own limit.

use crate::condition::Facts;
use crate::quota::key::subscription;
use crate::quota::limit::{LimitFrom, Quota};

/// The caller's own limit, where it has one.
pub(super) fn own_limit(quota: &Quota, facts: &mut Facts<'_, '_>) -> Option<u64> {
    match quota.limit_from.as_ref()? {
        LimitFrom::Claim { provider, path, at_most } => {
            let claims = facts.caller().of(*provider)??.claims()?;
            number(claims.texts(path)?.next()?.as_bytes(), *at_most)
        }
        LimitFrom::Products(limits) => {
            let product = facts.caller().identities().find_map(subscription)?.1?;
            limits.iter().find(|(name, _)| name == product).map(|(_, limit)| *limit)
        }
        LimitFrom::RouteMetadata { at_most } => route_limit(&facts.route_metadata(&quota.name)?, *at_most),
    }
}

fn number(digits: &[u8], at_most: u64) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse::<u64>().ok().filter(|number| *number > 0).map(|number| number.min(at_most))
}

/// A number of a route's metadata: as text, or as a host hands over numbers, 8 bytes of floating point, whose fraction doesn't count.
pub(super) fn route_limit(bytes: &[u8], at_most: u64) -> Option<u64> {
    if let Some(number) = number(bytes, at_most) {
        return Some(number);
    }
    let bits = u64::from_le_bytes(bytes.try_into().ok()?);
    let (sign, exponent) = (bits >> 63, (bits >> 52) & 0x7ff);
    let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    // Whole numbers from 1 to 2^53: 52 bits of fraction, shifted by what the exponent says.
    let shift = u32::try_from(1075_u64.checked_sub(exponent)?).ok()?;
    mantissa.checked_shr(shift).filter(|number| sign == 0 && *number > 0).map(|number| number.min(at_most))
}
