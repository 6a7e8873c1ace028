// SPDX-License-Identifier: Apache-2.0
//! Which requests API Management limited, as its log tells.

use tracegate::quota::Window;

use crate::recording::Recorded;

/// What a request is above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A rate: `rate-limit`, 429.
    Rate,
    /// A quota: `quota`, 403.
    Quota,
}

impl Kind {
    /// That of a limit with such windows.
    pub(super) const fn of(window: &Window) -> Self {
        if window.is_rate() { Self::Rate } else { Self::Quota }
    }

    /// What API Management refused a request for; `None` where that was no limit on requests or bytes.
    ///
    /// Layouts without errors tell of rates alone: a 429 that no backend answered.
    pub(super) fn recorded(recorded: &Recorded) -> Option<Self> {
        let apim = recorded.apim.as_ref()?;
        let Some(error) = &apim.last_error else {
            let is_own = !apim.errors_recorded && apim.backend_response_code.unwrap_or(0) == 0;
            return (is_own && apim.response_code == Some(429)).then_some(Self::Rate);
        };
        match (error.reason.as_deref(), error.source.as_deref()) {
            (Some(RATE), _) | (None, Some("rate-limit" | "rate-limit-by-key")) => Some(Self::Rate),
            (Some(QUOTA), _) | (None, Some("quota" | "quota-by-key")) => Some(Self::Quota),
            _ => None,
        }
    }
}

/// Whether a reason says that a request is above a limit.
pub(super) fn is_excess(reason: Option<&str>) -> bool {
    matches!(reason, Some(RATE | QUOTA))
}

/// The reasons, which this edge calls as API Management does.
const RATE: &str = "RateLimitExceeded";
const QUOTA: &str = "QuotaExceeded";
