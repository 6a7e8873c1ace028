// SPDX-License-Identifier: Apache-2.0
//! Whether a gateway's audit records are what it wrote, and all that it wrote.
//!
//! [`found`] takes records out of logs, [`key`] says which keys count and for how long, [`chain`] how one instance's records hang together, [`report`]
//! tells people.

mod chain;
mod found;
mod key;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tracegate::audit::NAMELESS;

use crate::error::{Error, Result};
use crate::replay::Progress;
use chain::{Chain, Kept};
use found::{Found, Reader};
use key::Keys;
pub(crate) use report::Report;

/// What is verified, and how.
#[derive(Debug)]
pub(crate) struct Verification {
    keys: Keys,
    /// Logs begin within a chain and end within one: they were rotated.
    partial: bool,
}

impl Verification {
    /// Takes the keys in use from these environment variables, and those that others have replaced.
    ///
    /// # Errors
    ///
    /// When a variable isn't set or holds no key, where what stands behind `@` is no time, or where a key is to count for two different times.
    pub(crate) fn new(current: &[String], retired: &[String], partial: bool) -> Result<Self> {
        Ok(Self { keys: Keys::new(current, retired)?, partial })
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
            for (instance, mut chain) in chains.extract_if(.., |_, chain| foreign(chain)) {
                if instance == NAMELESS {
                    chain.judge_nameless();
                    stray.extend(chain.flaws.iter().map(ToString::to_string));
                } else {
                    stray.extend(chain.records().map(|record| format!("{}: a record that no key given has chained", record.place)));
                }
            }
        }
        for (instance, chain) in &mut chains {
            if instance == NAMELESS {
                chain.judge_nameless();
            } else {
                chain.judge(self.partial);
            }
        }
        Ok(Report::new(chains, [stray, stray_elsewhere].concat(), self.keys.list()))
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
