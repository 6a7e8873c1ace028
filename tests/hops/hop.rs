// SPDX-License-Identifier: Apache-2.0
//! Trace context on one hop, as its lines say.

use tracegate::trace::TraceParent;

/// What a receiver got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// 32 digits.
    pub trace: String,
    /// 16 digits.
    pub span: String,
    /// The flags.
    pub flags: u8,
    /// `tracestate`, empty where there is none.
    pub state: String,
}

impl Hop {
    /// Reads the lines, which must be one well-formed `traceparent` and at most one `tracestate`.
    pub fn read(lines: &[(String, String)]) -> Self {
        let values = |name: &str| lines.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
        let (parents, states) = (values("traceparent"), values("tracestate"));
        let ([parent], [] | [_]) = (parents.as_slice(), states.as_slice()) else { panic!("{lines:?}") };
        let parent: TraceParent = parent.parse().unwrap_or_else(|error| panic!("{parent}: {error}"));
        Self {
            trace: parent.trace_id().to_string(),
            span: parent.parent_id().to_string(),
            flags: parent.flags().bits(),
            state: states.concat(),
        }
    }

    /// The lines that say so, with these flags.
    pub fn lines(&self) -> Vec<(String, String)> {
        let parent = ("traceparent".to_owned(), format!("00-{}-{}-{:02x}", self.trace, self.span, self.flags));
        let state = ("tracestate".to_owned(), self.state.clone());
        std::iter::once(parent).chain((!self.state.is_empty()).then_some(state)).collect()
    }

    /// Asserts that our member goes first, names the span that is the parent and is signed with this key; returns the others.
    pub fn assert_signed(&self, key: u8) -> &str {
        let (first, rest) = self.state.split_once(',').unwrap_or((&self.state, ""));
        let fields: Vec<&str> = first.strip_prefix("tgate=").unwrap_or_else(|| panic!("{self:?}")).split('.').collect();
        let [version, id, span, expiry, caller, mac] = fields.as_slice() else { panic!("{self:?}") };
        assert_eq!((*version, *id, *span), ("1", format!("k{key}").as_str(), self.span.as_str()), "{self:?}");
        assert!(u64::from_str_radix(expiry, 16).is_ok() && caller.len() == 16 && mac.len() == 32, "{self:?}");
        assert!(!rest.contains("tgate="), "there is one of ours: {self:?}");
        rest
    }
}
