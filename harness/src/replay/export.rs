// SPDX-License-Identifier: Apache-2.0
//! What left for the policy's collectors, and a day's of it.

use serde::Serialize;
use tracegate::config::Loaded;

use super::Replayed;
use super::exporting::Exporting;
use super::period::Period;
use super::volume::Volume;
use crate::error::Result;

/// What left, by collector. Its size doesn't depend on the number of exchanges.
#[derive(Debug)]
pub(super) struct Export {
    collectors: Vec<(String, Volume)>,
    period: Period,
}

/// A collector, as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    pub(super) collector: &'a str,
    pub(super) spans: u64,
    pub(super) batches: u64,
    pub(super) bytes: u64,
    pub(super) spans_per_day: Option<u64>,
    pub(super) bytes_per_day: Option<u64>,
}

/// What a reader of JSON is told.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    /// From the first request to the last.
    seconds: f64,
    collectors: Vec<Row<'a>>,
}

impl Export {
    /// `None` where the policy exports nothing.
    pub(super) fn new(loaded: &Loaded) -> Result<Option<Self>> {
        let exporting = Exporting::of(loaded)?;
        let volumes = exporting.volumes();
        let names = exporting.collectors.into_iter().map(|(name, _)| name);
        let collectors = names.zip(volumes).collect();
        Ok((!exporting.is_stand_in).then(|| Self { collectors, period: Period::default() }))
    }

    /// Counts what left of an exchange.
    pub(super) fn add(&mut self, replayed: &Replayed) {
        let time = replayed.recorded.time;
        self.period.add(time);
        for ((_, volume), request) in self.collectors.iter_mut().zip(&replayed.exported) {
            volume.add(time, request);
        }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.collectors.iter().map(|(collector, volume)| {
            let gone = volume.all();
            Row {
                collector,
                spans: gone.spans,
                batches: gone.batches,
                bytes: gone.bytes,
                spans_per_day: self.period.per_day(gone.spans),
                bytes_per_day: self.period.per_day(gone.bytes),
            }
        })
    }

    pub(super) fn shown(&self) -> Shown<'_> {
        Shown { seconds: self.period.seconds(), collectors: self.rows().collect() }
    }

    /// What stands over the rows.
    pub(super) fn heading(&self) -> String {
        self.period.heading("export: what left for collectors", "of it")
    }
}

/// What stands over each column.
pub(super) const HEADINGS: &[&str] = &["collector", "spans", "batches", "bytes", "spans a day", "bytes a day"];
