// SPDX-License-Identifier: Apache-2.0
//! What is put on record: from the document to the policy.

use std::collections::BTreeMap;

use super::super::document::{self, Audited, Output};
use super::reference;
use crate::audit::{AuditPolicy, ChainPolicy};

pub(super) fn policy(audit: document::Audit, secrets: &BTreeMap<String, document::Secret>) -> AuditPolicy {
    let document::Audit { records, outputs, chain } = audit;
    AuditPolicy {
        admitted: records.decisions.contains(&Audited::Admitted),
        shadowed: records.decisions.contains(&Audited::Shadowed),
        log: outputs.contains(&Output::Log),
        otlp: outputs.contains(&Output::Otlp),
        chain: chain.map(|chain| ChainPolicy {
            key: reference(chain.key.secret, secrets),
            checkpoint_interval: chain.checkpoint_interval.value.nanoseconds(),
        }),
    }
}
