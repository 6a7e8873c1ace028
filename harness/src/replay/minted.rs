// SPDX-License-Identifier: Apache-2.0
//! What came of minted tokens, apart from what is compared with recorded ones: they prove rules, not signatures.

use std::collections::BTreeMap;

use serde::Serialize;
use tracegate::Policy;

use super::columns::Columns;
use super::token::Unmintable;
use super::{Agreement, Replayed, Token};

/// What came of minted tokens.
#[derive(Debug, Default)]
pub struct Minted {
    /// By what they are to be refused for, or `sound`.
    tokens: BTreeMap<&'static str, Fates>,
    /// The policy's providers, in its order.
    providers: Vec<String>,
    /// Exchanges for whose providers none can be minted.
    unmintable: BTreeMap<(String, Unmintable), u64>,
    /// How they differ, counted.
    pub(super) kinds: BTreeMap<String, u64>,
    key_fetches: u64,
    rotations: u64,
}

/// Exchanges with one kind of token.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Fates {
    agreed: u64,
    differed: u64,
    undecidable: u64,
}

/// As a reader of JSON is told.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    agreed: u64,
    differed: u64,
    tokens: &'a BTreeMap<&'static str, Fates>,
    not_mintable: BTreeMap<&'a str, u64>,
    key_fetches: u64,
    rotations: u64,
}

impl Minted {
    /// Nothing yet, for this policy's providers.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        Self { providers: policy.identity.providers.iter().map(|provider| provider.name.clone()).collect(), ..Self::default() }
    }

    /// Takes how often the issuer's key set was fetched, and how often it has rotated its keys.
    pub const fn set_issuer(&mut self, key_fetches: u64, rotations: u64) {
        (self.key_fetches, self.rotations) = (key_fetches, rotations);
    }

    pub(super) fn add(&mut self, replayed: &Replayed) {
        if let Some(name) = replayed.minted() {
            let fates = self.tokens.entry(name).or_default();
            match &replayed.agreement {
                Agreement::Agrees => fates.agreed += 1,
                Agreement::Differs(_) => fates.differed += 1,
                Agreement::Undecidable(_) => fates.undecidable += 1,
            }
        }
        if let Token::NotRecorded { provider, unmintable: Some(why), .. } = replayed.token
            && let Some(name) = self.providers.get(provider)
        {
            *self.unmintable.entry((name.clone(), why)).or_default() += 1;
        }
    }

    /// Rows for a table with [`COLUMNS`], the totals last.
    pub(super) fn rows(&self) -> Vec<(String, Vec<u64>)> {
        let row = |name: &str, Fates { agreed, differed, undecidable }: Fates| {
            (name.to_owned(), vec![agreed + differed + undecidable, agreed, differed, undecidable])
        };
        self.tokens.iter().map(|(name, fates)| row(name, *fates)).chain([row("all", self.all())]).collect()
    }

    /// What else is to be known, line by line.
    pub(super) fn told(&self) -> Vec<String> {
        let times = |count: u64| if count == 1 { "once".to_owned() } else { format!("{count} times") };
        let fetched = format!("the test issuer's keys were fetched {}, and rotated {}", times(self.key_fetches), times(self.rotations));
        let unmintable = self.unmintable.iter().map(|((name, why), count)| {
            let why = match why {
                Unmintable::Keys => "whose private keys nobody has here",
                Unmintable::Rules => "whose rules none that is made up can meet",
                Unmintable::Fault => "whose rules ask for nothing that could be wrong in the recorded way",
            };
            let exchanges = if *count == 1 { "exchange" } else { "exchanges" };
            format!("no token can be minted for {name}, {why}: {count} {exchanges} without a token")
        });
        std::iter::once(fetched).chain(unmintable).collect()
    }

    pub(super) fn shown(&self) -> Shown<'_> {
        let Fates { agreed, differed, .. } = self.all();
        let Self { tokens, unmintable, key_fetches, rotations, .. } = self;
        let mut not_mintable = BTreeMap::new();
        unmintable.iter().for_each(|((name, _), count)| *not_mintable.entry(name.as_str()).or_default() += count);
        Shown { agreed, differed, tokens, not_mintable, key_fetches: *key_fetches, rotations: *rotations }
    }

    fn all(&self) -> Fates {
        self.tokens.values().fold(Fates::default(), |all, fates| Fates {
            agreed: all.agreed + fates.agreed,
            differed: all.differed + fates.differed,
            undecidable: all.undecidable + fates.undecidable,
        })
    }
}

/// What stands over the tokens' names.
pub(super) const HEADING: &str = "minted token";
/// What stands over what differs.
pub(super) const KINDS: &str = "differed with a minted token";

pub(super) const COLUMNS: Columns = Columns {
    headings: &["exchanges", "agreed", "differed", "undecidable"],
    alarm: 2,
    numbers: |_| Vec::new(),
    parts: &[(1, "#2277bb"), (2, "#cc2222"), (3, "#999999")],
};
