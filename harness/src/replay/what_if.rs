// SPDX-License-Identifier: Apache-2.0
//! `--what-if`: how many calls another amount of a limit would have refused, in all and by key.
//!
//! A second edge runs with the policy in which the limits have these amounts, and are enforced, `mode: shadow` or not. A caller's own limit
//! (`limit_from`) stays what it is.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tracegate::Policy;
use tracegate::config::{Loaded, Severity};

use super::{Replayed, counted_by};
use crate::Redactor;
use crate::error::{Context as _, Error, Result};

/// A limit and another amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhatIf {
    /// The policy's name for it.
    pub quota: String,
    /// How much it would allow.
    pub amount: u64,
}

/// What other amounts would have refused. Its size depends on the number of keys, which is bounded, not of exchanges.
#[derive(Debug)]
pub struct WhatIfs {
    policy: Policy,
    asked: Vec<Asked>,
}

/// What another amount would have refused.
#[derive(Debug)]
struct Asked {
    /// The limit, by its place in the policy.
    place: usize,
    quota: String,
    amount: u64,
    /// The policy's.
    own_amount: u64,
    all: Calls,
    keys: BTreeMap<String, Calls>,
}

/// Calls to routes that have the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Calls {
    pub(super) exchanges: u64,
    /// The limit would refuse them.
    pub(super) refused: u64,
    /// It does as it is.
    #[serde(rename = "policy_refused")]
    pub(super) refused_now: u64,
}

/// As a reader of JSON is told.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    quota: &'a str,
    amount: u64,
    policy_amount: u64,
    #[serde(flatten)]
    all: Calls,
    /// Those of which a call would be refused, the most refused first.
    keys: Vec<ShownKey<'a>>,
}

/// A key, likewise.
#[derive(Debug, Serialize)]
struct ShownKey<'a> {
    key: &'a str,
    #[serde(flatten)]
    calls: Calls,
}

/// What a section tells: a sentence, rows of keys, and how many keys are missing.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) heading: String,
    pub(super) rows: Vec<(&'a str, Calls)>,
    pub(super) more: Option<String>,
}

impl FromStr for WhatIf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (quota, amount) = text.split_once('=').ok_or("expected QUOTA=AMOUNT, as in per-caller=100")?;
        let digits = amount.bytes().all(|byte| byte.is_ascii_digit());
        let number = amount.parse().ok().filter(|amount| digits && (1..=MAX_AMOUNT).contains(amount));
        let amount = number.ok_or_else(|| format!("expected an amount from 1 to {MAX_AMOUNT} behind the '=', found {amount:?}"))?;
        Ok(Self { quota: quota.to_owned(), amount })
    }
}

impl WhatIfs {
    /// Nothing yet, for these limits of the policy.
    ///
    /// # Errors
    ///
    /// Where the policy has no such limit, or one is named twice.
    pub fn new(loaded: &Loaded, asked: &[WhatIf]) -> Result<Self> {
        let quotas = &loaded.policy.quota.quotas;
        let mut all: Vec<Asked> = Vec::new();
        for WhatIf { quota, amount } in asked {
            let Some(place) = quotas.iter().position(|known| known.name == *quota) else {
                let names: Vec<String> = quotas.iter().map(|quota| format!("`{}`", quota.name)).collect();
                let expected = if names.is_empty() {
                    "a policy with quotas".to_owned()
                } else {
                    format!("a quota of the policy's ({})", names.join(", "))
                };
                return Err(Error::new(format!("--what-if {quota}={amount}: expected {expected}, found {quota:?}")));
            };
            if all.iter().any(|other| other.place == place) {
                return Err(Error::new(format!("--what-if {quota}={amount}: expected one amount for {quota}, found another before")));
            }
            let own_amount = quotas.get(place).map_or(0, |quota| quota.limit.amount);
            let (quota, keys) = (quota.clone(), BTreeMap::new());
            all.push(Asked { place, quota, amount: *amount, own_amount, all: Calls::default(), keys });
        }
        Ok(Self { policy: loaded.policy.clone(), asked: all })
    }

    /// Counts an exchange.
    pub(super) fn add(&mut self, replayed: &Replayed, redactor: &Redactor) {
        let Some(route) = counted_by::route(&self.policy, replayed) else { return };
        for asked in self.asked.iter_mut().filter(|asked| route.quotas.contains(&asked.place)) {
            let Some(quota) = self.policy.quota.quotas.get(asked.place) else { continue };
            let key = counted_by::label(&self.policy, quota, route, &replayed.recorded, redactor);
            let key = if asked.keys.contains_key(&key) || asked.keys.len() < MAX_KEYS { key } else { OTHERS.to_owned() };
            let refused = replayed.exceeded.what_if.contains(&asked.place);
            let refused_now = replayed.exceeded.policy.contains(&asked.place);
            for calls in [&mut asked.all, asked.keys.entry(key).or_default()] {
                calls.exchanges += 1;
                calls.refused += u64::from(refused);
                calls.refused_now += u64::from(refused_now);
            }
        }
    }

    /// A section for each limit, with its first `most` keys.
    pub(super) fn sections(&self, most: usize) -> Vec<Section<'_>> {
        self.asked.iter().map(|asked| asked.section(most)).collect()
    }

    pub(super) fn shown(&self) -> Vec<Shown<'_>> {
        self.asked.iter().map(Asked::shown).collect()
    }
}

impl Asked {
    fn section(&self, most: usize) -> Section<'_> {
        let Self { quota, amount, own_amount, all: Calls { exchanges, refused, refused_now }, .. } = self;
        let mut rows = self.rows();
        let more = rows.len().saturating_sub(most);
        rows.truncate(most);
        let heading = format!(
            "what if {quota} allowed {amount} instead of {own_amount}: {refused} of {exchanges} calls refused, {refused_now} by the policy's own amount"
        );
        Section { heading, rows, more: (more > 0).then(|| format!("… and {more} more keys (--format json has all)")) }
    }

    fn shown(&self) -> Shown<'_> {
        Shown {
            quota: &self.quota,
            amount: self.amount,
            policy_amount: self.own_amount,
            all: self.all,
            keys: self.rows().into_iter().map(|(key, calls)| ShownKey { key, calls }).collect(),
        }
    }

    /// The keys of which a call would be refused, the most refused first.
    fn rows(&self) -> Vec<(&str, Calls)> {
        let refused = self.keys.iter().filter(|(_, calls)| calls.refused > 0);
        let mut rows: Vec<(&str, Calls)> = refused.map(|(key, calls)| (key.as_str(), *calls)).collect();
        rows.sort_by_key(|(_, calls)| std::cmp::Reverse(calls.refused));
        rows
    }
}

/// The policy with other amounts, each enforced.
///
/// # Errors
///
/// Where an amount doesn't go with what else the policy says of the limit.
pub fn changed(loaded: &Loaded, asked: &[WhatIf]) -> Result<Loaded> {
    let unread = || "the canonical policy can't be read";
    // Numbers elsewhere stay as they are written.
    let mut document: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&loaded.canonical).context(unread)?;
    let mut quotas: Value = document.get("quotas").map_or(Ok(Value::Null), |raw| serde_json::from_str(raw.get())).context(unread)?;
    for WhatIf { quota, amount } in asked {
        let Some(quota) = quotas.get_mut(quota) else { continue };
        let kinds = quota.get_mut("limit").and_then(Value::as_object_mut);
        for kind in kinds.into_iter().flat_map(|kinds| kinds.values_mut()) {
            let units = kind.as_object_mut().into_iter().flatten().filter(|(name, _)| matches!(name.as_str(), "requests" | "bytes"));
            units.for_each(|(_, value)| *value = Value::from(*amount));
        }
        if let Some(fields) = quota.as_object_mut() {
            fields.insert("mode".to_owned(), Value::from("enforce"));
        }
    }
    document.insert("quotas".to_owned(), serde_json::value::to_raw_value(&quotas).context(unread)?);
    let document = serde_json::to_string(&document).context(unread)?;
    Policy::from_json(document.as_bytes()).map_err(|findings| {
        // Their places are those of a document that nobody has seen.
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
        let told: Vec<String> = errors.map(|finding| format!("{}: {}", finding.path, finding.problem)).collect();
        Error::new(format!("--what-if: {}", told.join("; ")))
    })
}

/// What stands over the rows.
pub(super) const HEADINGS: &[&str] = &["key", "exchanges", "refused", "refused now"];
/// What numbers in JSON are exact up to.
const MAX_AMOUNT: u64 = (1 << 53) - 1;
/// How many keys of a limit are told apart.
const MAX_KEYS: usize = 10_000;
const OTHERS: &str = "(others)";
