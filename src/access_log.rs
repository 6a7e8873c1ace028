// SPDX-License-Identifier: Apache-2.0
//! What the host's access log can tell of a decision: properties of the exchange, which the host's own log format names.
//!
//! Envoy keeps a property `tracegate.trace_id` as filter state, and prints it as `%FILTER_STATE(wasm.tracegate.trace_id:PLAIN)%`
//! (<https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage>). Values are visible ASCII without quotes, backslashes
//! and spaces: formats that don't escape are not broken by them.

use crate::caller::{Caller, Subject};
use crate::decision::Decision;
use crate::identity::Provider;
use crate::span::{DigestKey, digest};
use crate::trace::{SpanId, TraceId};

/// Something that the access log can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogProperty {
    /// The trace that the upstream is told, sampled or not.
    TraceId,
    /// The request's own span in it.
    SpanId,
    /// `admitted`, `refused`, or `cancelled` where it ended while it waited.
    Decision,
    /// Why it was refused; not set where it wasn't.
    Reason,
    /// Who calls, as spans tell it; not set where nobody is proven.
    Caller,
    /// What limits leave; not set where none counts it.
    Remaining,
}

impl AccessLogProperty {
    /// The property's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TraceId => "tracegate.trace_id",
            Self::SpanId => "tracegate.span_id",
            Self::Decision => "tracegate.decision",
            Self::Reason => "tracegate.reason",
            Self::Caller => "tracegate.caller",
            Self::Remaining => "tracegate.remaining",
        }
    }
}

/// A property to set on the exchange at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// What it is called.
    pub name: &'static str,
    /// At most 1024 bytes of visible ASCII, without quotes, backslashes and spaces.
    pub value: String,
}

/// What there is to tell.
pub(crate) struct Logged<'a> {
    /// Trace and span; `None` where the host gave no randomness.
    pub(crate) ids: Option<(TraceId, SpanId)>,
    /// `None` for a request that ended while it waited.
    pub(crate) decision: Option<&'a Decision>,
    pub(crate) caller: &'a Caller,
    pub(crate) providers: &'a [Provider],
    /// Limits that apply: their names, and what they leave.
    pub(crate) remaining: &'a [(&'a str, u64)],
}

impl Logged<'_> {
    /// Those of the properties asked for that there are.
    pub(crate) fn properties(&self, asked: &[AccessLogProperty], key: Option<&DigestKey>) -> Vec<Property> {
        let told = |property: &AccessLogProperty| Some(Property { name: property.name(), value: plain(&self.value(*property, key)?) });
        asked.iter().filter_map(told).collect()
    }

    fn value(&self, property: AccessLogProperty, key: Option<&DigestKey>) -> Option<String> {
        match (property, self.decision) {
            (AccessLogProperty::TraceId, _) => self.ids.map(|(trace_id, _)| trace_id.to_string()),
            (AccessLogProperty::SpanId, _) => self.ids.map(|(_, span_id)| span_id.to_string()),
            (AccessLogProperty::Decision, None) => Some("cancelled".to_owned()),
            (AccessLogProperty::Decision, Some(Decision::Admitted { .. })) => Some("admitted".to_owned()),
            (AccessLogProperty::Decision, Some(Decision::Refused(_))) => Some("refused".to_owned()),
            (AccessLogProperty::Reason, Some(Decision::Refused(refusal))) => Some(refusal.reason().as_str().to_owned()),
            (AccessLogProperty::Reason, _) => None,
            (AccessLogProperty::Caller, _) => self.caller(key),
            (AccessLogProperty::Remaining, _) if self.remaining.is_empty() => None,
            (AccessLogProperty::Remaining, _) => {
                let limits: Vec<String> = self.remaining.iter().map(|(quota, remaining)| format!("{quota}={remaining}")).collect();
                Some(limits.join(","))
            }
        }
    }

    /// The provider, and what the policy calls the caller, or else its digest where there is a key for it.
    fn caller(&self, key: Option<&DigestKey>) -> Option<String> {
        let identity = self.caller.identities().next()?;
        let provider = self.providers.get(identity.provider)?;
        let named = match (&identity.service, &identity.subject) {
            (Some(service), _) => Some(service.clone()),
            (None, Subject::Subscription { id, .. }) => Some(id.clone()),
            (None, _) => {
                let digits = key.map(|key| digest(key, self.providers, identity));
                digits.map(|digits| digits.into_iter().map(char::from).collect())
            }
        };
        Some(named.map_or_else(|| provider.name.clone(), |named| format!("{}/{named}", provider.name)))
    }
}

/// The same without what could end a field or a line of a log; names are the policy's, and may be anything.
fn plain(text: &str) -> String {
    let letter = |letter: char| if matches!(letter, '!'..='~') && !matches!(letter, '"' | '\'' | '\\' | '`') { letter } else { '_' };
    text.chars().take(MAX_LENGTH).map(letter).collect()
}

/// Bytes of the longest value.
const MAX_LENGTH: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_break_no_line() {
        assert_eq!(plain("partners/con toso\"\r\n\\é'`\u{0}\u{7f}="), "partners/con_toso_________=");
        assert_eq!(plain(&"a".repeat(5000)).len(), MAX_LENGTH);
    }
}
