// SPDX-License-Identifier: Apache-2.0
//! Metrics with Envoy's ids: the two lowest bits of an id are its kind, and defining a name again gives another id of the
//! same metric.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::{MAX_METRIC_NAME, MAX_METRICS};
use super::status::{Answer, Status};

/// The metrics of a proxy, which outlive its VMs. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Stats(Arc<Mutex<Vec<Stat>>>);

#[derive(Debug)]
struct Stat {
    kind: Kind,
    name: String,
    value: u64,
}

impl Stats {
    /// All values by name: of a histogram the last sample.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        self.lock().iter().map(|stat| (stat.name.clone(), stat.value)).collect()
    }

    /// The place of a metric, made where there is none.
    fn place(&self, kind: Kind, name: &str) -> usize {
        let mut stats = self.lock();
        stats.iter().position(|stat| stat.kind == kind && stat.name == name).unwrap_or_else(|| {
            stats.push(Stat { kind, name: name.to_owned(), value: 0 });
            stats.len() - 1
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Stat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metrics of one VM.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    stats: Stats,
    /// The place that each id of a kind stands for.
    ids: [Vec<usize>; 3],
}

/// `proxy_metric_type_t`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

impl Kind {
    const fn new(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Counter),
            1 => Some(Self::Gauge),
            2 => Some(Self::Histogram),
            _ => None,
        }
    }
}

impl Metrics {
    pub(super) fn of(stats: Stats) -> Self {
        Self { stats, ids: Default::default() }
    }

    /// The id of a metric.
    pub(super) fn define(&mut self, kind: u32, name: &str) -> Answer<u32> {
        let kind = Kind::new(kind).ok_or(Status::BadArgument)?;
        let ids = self.ids.get_mut(kind as usize).ok_or(Status::InternalFailure)?;
        if ids.len() >= MAX_METRICS || name.len() > MAX_METRIC_NAME {
            return Err(Status::InternalFailure);
        }
        let serial = u32::try_from(ids.len()).map_err(|_| Status::InternalFailure)?;
        ids.push(self.stats.place(kind, name));
        Ok(serial * ID_STEP + kind as u32)
    }

    /// Adds to a counter or a gauge.
    pub(super) fn increment(&self, id: u32, offset: i64) -> Answer {
        match Kind::new(id % ID_STEP) {
            Some(Kind::Histogram) | None => Err(Status::BadArgument),
            Some(kind) => self.change(id, |value| match kind {
                Kind::Counter if offset <= 0 => Err(Status::BadArgument),
                _ => {
                    *value = value.wrapping_add_signed(offset);
                    Ok(())
                }
            })?,
        }
    }

    /// Adds to a counter, sets a gauge, takes a histogram's sample.
    pub(super) fn record(&self, id: u32, number: u64) -> Answer {
        let is_counter = Kind::new(id % ID_STEP) == Some(Kind::Counter);
        self.change(id, |value| *value = if is_counter { value.wrapping_add(number) } else { number })
    }

    /// The value of a counter or a gauge.
    pub(super) fn get(&self, id: u32) -> Answer<u64> {
        match Kind::new(id % ID_STEP) {
            Some(Kind::Counter | Kind::Gauge) => self.change(id, |value| *value),
            Some(Kind::Histogram) | None => Err(Status::BadArgument),
        }
    }

    /// All values by name: of a histogram the last sample.
    pub(super) fn by_name(&self) -> BTreeMap<String, u64> {
        self.stats.by_name()
    }

    fn change<T>(&self, id: u32, change: impl FnOnce(&mut u64) -> T) -> Answer<T> {
        let kind = Kind::new(id % ID_STEP).ok_or(Status::NotFound)?;
        let serial = usize::try_from(id / ID_STEP).map_err(|_| Status::NotFound)?;
        let place = *self.ids.get(kind as usize).and_then(|ids| ids.get(serial)).ok_or(Status::NotFound)?;
        self.stats.lock().get_mut(place).map(|stat| change(&mut stat.value)).ok_or(Status::NotFound)
    }
}

const ID_STEP: u32 = 4;
