// SPDX-License-Identifier: Apache-2.0
//! Whether a gateway's audit records are what it wrote, and all that it wrote.
//!
//! [`found`] takes records out of logs, [`chain`] says how one instance's hang together, [`report`] tells people.

mod chain;
mod found;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tracegate::audit::AuditKey;

use crate::error::{Error, Result};
use crate::keys;
use crate::replay::Progress;
use chain::{Chain, Kept};
use found::{Found, Reader};
pub(crate) use report::Report;

/// What is verified, and how.
#[derive(Debug)]
pub(crate) struct Verification {
    /// By their ids.
    keys: BTreeMap<String, AuditKey>,
    /// Logs begin within a chain and end within one: they were rotated.
    partial: bool,
}

impl Verification {
    /// Takes the keys from these environment variables.
    ///
    /// # Errors
    ///
    /// When one isn't set or holds no key.
    pub(crate) fn new(variables: &[String], partial: bool) -> Result<Self> {
        let mut known = BTreeMap::new();
        for variable in variables {
            let key = AuditKey::new(&keys::of_variable(variable)?).ok_or_else(|| Error::new(format!("{variable} holds no key")))?;
            known.insert(key.id().to_owned(), key);
        }
        Ok(Self { keys: known, partial })
    }

    /// Reads the logs, and those of another output that should hold nothing which they don't.
    ///
    /// # Errors
    ///
    /// When a file can't be read, or there are no records.
    pub(crate) fn run(&self, logs: &[PathBuf], against: &[PathBuf], progress: &mut Progress) -> Result<Report> {
        let (mut chains, mut stray) = self.read(logs, progress)?;
        if chains.is_empty() && stray.is_empty() {
            return Err(Error::new("there are no audit records in these logs"));
        }
        let (elsewhere, stray_elsewhere) = self.read(against, progress)?;
        for (instance, chain) in elsewhere {
            chains.entry(instance).or_default().lacks(&chain);
        }
        // Beside chains with genuine records, one without any is anybody's: clients too write into logs.
        if chains.values().any(Chain::is_genuine) {
            let foreign = |chain: &Chain| !chain.is_genuine() && !chain.is_lacking() && !chain.asks_for_another_key();
            for (_, chain) in chains.extract_if(.., |_, chain| foreign(chain)) {
                stray.extend(chain.records().map(|record| format!("{}: a record that no key given has chained", record.place)));
            }
        }
        for chain in chains.values_mut() {
            chain.judge(self.partial);
        }
        Ok(Report::new(chains, [stray, stray_elsewhere].concat(), self.keys.keys().cloned().collect()))
    }

    /// The chains, by instance, and what looks like a record and is none.
    fn read(&self, files: &[PathBuf], progress: &mut Progress) -> Result<(BTreeMap<String, Chain>, Vec<String>)> {
        let (mut chains, mut stray) = (BTreeMap::<String, Chain>::new(), Vec::new());
        for path in files {
            let mut reader = Reader::open(path)?;
            while let Some(Found { place, text }) = reader.next(progress)? {
                match Kept::read(&text, place, &self.keys) {
                    Ok((instance, kept)) => chains.entry(instance).or_default().keep(kept),
                    Err(place) if stray.len() < MAX_STRAY => stray.push(format!("{place}: no record: cut, or changed")),
                    Err(_) => {}
                }
            }
        }
        Ok((chains, stray))
    }
}

/// So many are told; whoever writes into a log could write more.
const MAX_STRAY: usize = 100;
