// SPDX-License-Identifier: Apache-2.0
//! What became of one exchange, as upstream, client, access log and collectors see it.

use std::collections::BTreeMap;

use tracegate_harness::host::HeaderMap;

/// Header lines.
pub(crate) type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// What became of one exchange.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The head that reached the upstream, if one did.
    pub(crate) upstream: Option<Lines>,
    /// The client's answer.
    pub(crate) status: u16,
    /// Of an upstream's answer all lines, of a refusal those that the policy writes.
    pub(crate) response: Lines,
    /// A refusal's body.
    pub(crate) body: Vec<u8>,
    /// A refusal's reason.
    pub(crate) reason: String,
    pub(crate) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What left for collectors when it was over.
    pub(crate) exported: Vec<Vec<u8>>,
}

pub(crate) fn lines(head: &HeaderMap) -> Lines {
    head.iter().map(|line| (line.name.clone(), line.value.clone())).collect()
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let lines = |lines: &Lines| lines.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect::<Vec<_>>();
        let mut shown = formatter.debug_struct("Outcome");
        shown.field("upstream", &self.upstream.as_ref().map(lines)).field("status", &self.status);
        shown.field("response", &lines(&self.response)).field("body", &text(&self.body)).field("reason", &self.reason);
        shown.field("properties", &lines(&self.properties.clone().into_iter().collect()));
        shown.field("exported", &self.exported.iter().map(|body| text(body)).collect::<Vec<_>>()).finish()
    }
}
