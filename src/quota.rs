// SPDX-License-Identifier: Apache-2.0
//! Stage: how much of it. It counts a request against the limits of its route and refuses what is above one.
//!
//! A limit is counted here, in the memory that the gateway's workers share, or by a rate-limit service for many gateways
//! (`envoy.service.ratelimit.v3`). A request is charged in the policy's order, what this gateway counts first; what it was charged before it is
//! refused is given back.
//!
//! | module | what it holds |
//! |---|---|
//! | `limit` | what a policy says |
//! | `calendar`, `zone` | hours, days, weeks and months, by the clock of a place |
//! | `key` | whose requests are counted together |
//! | `meter` | the arithmetic of rates, windows and periods |
//! | `table` | counters by key, in shared memory of fixed size |
//! | `rls`, `breaker`, `lease` | asking a service, when not to, and asking it less often |
//! | `ledger` | what a gateway keeps: who was charged what, and who waits |
//! | `fields` | what callers read of it |

mod breaker;
pub mod calendar;
mod fields;
mod key;
mod lease;
mod ledger;
mod limit;
mod meter;
pub mod rls;
mod table;
mod timestamp;
pub mod zone;

#[cfg(test)]
pub(crate) use self::table::tests::Memory;
pub use calendar::{Calendar, FixedWindow, Period, Unit};
pub use key::entry_name;
pub use limit::{
    Cost, Enforcement, Global, GlobalMode, InvalidStatusRange, KeyAbsent, KeyPart, Limit, LimitFrom, Local, OnFull, OnServiceUnavailable,
    Quota, QuotaHeaders, QuotaUnit, RateLimitHeaders, ResponseMatch, StatusRange, Window,
};
pub use table::WAYS;
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use zone::{UnknownZone, Zone};

pub(crate) use fields::Field;
pub(crate) use ledger::{Admission, Asking, Charges, Ledger};

/// What the policy says about limits.
#[derive(Clone, Debug, Default)]
pub struct QuotaPolicy {
    /// In the order of their names.
    pub quotas: Vec<Quota>,
    /// What tells callers of them.
    pub headers: Vec<RateLimitHeaders>,
}

/// How many bytes a request and its response had, without their heads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Of the request's body.
    pub request_bytes: u64,
    /// Of the response's body.
    pub response_bytes: u64,
}
