// SPDX-License-Identifier: Apache-2.0
//! What the VMs of one process tell each other about a key source, in the host's shared data. All times are monotonic, in nanoseconds.

use std::num::NonZeroU64;

use crate::reader::Reader;

/// How a key source stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Which keys there are; none before the first.
    pub(super) version: Option<NonZeroU64>,
    /// When they were fetched.
    pub(super) fetched_at: u64,
    /// Until when they are fresh.
    pub(super) fresh_until: u64,
    /// How many fetches have begun.
    pub(super) begun: u64,
    /// How many of them are over, in whichever way.
    pub(super) over: u64,
    /// When the last one began.
    pub(super) begun_at: u64,
    /// Until when nobody else begins one.
    pub(super) lease_until: u64,
    /// When an unknown key last made us fetch; 0 where none has.
    pub(super) forced_at: u64,
    /// How many have failed since the last that brought keys.
    pub(super) failures: u64,
}

/// The first byte of a record: its format.
const FORMAT: u8 = 1;
/// How far the clocks of two VMs that are at work at once may lie apart.
const SKEW: u64 = 1_000_000_000;

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { version, fetched_at, fresh_until, begun, over, begun_at, lease_until, forced_at, failures } = *self;
        let version = version.map_or(0, NonZeroU64::get);
        let fields = [version, fetched_at, fresh_until, begun, over, begun_at, lease_until, forced_at, failures];
        std::iter::once(FORMAT).chain(fields.into_iter().flat_map(u64::to_le_bytes)).collect()
    }

    /// `None` for what another version wrote.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [FORMAT] = reader.take::<1>()? else { return None };
        let mut next = || reader.take::<8>().map(|bytes| u64::from_le_bytes(*bytes));
        let record = Self {
            version: NonZeroU64::new(next()?),
            fetched_at: next()?,
            fresh_until: next()?,
            begun: next()?,
            over: next()?,
            begun_at: next()?,
            lease_until: next()?,
            forced_at: next()?,
            failures: next()?,
        };
        (reader.offset() == bytes.len()).then_some(record)
    }

    /// The record as it reads `now`: hosts have clocks that jump back, and what lies further ahead than anything is set ahead never comes.
    ///
    /// VMs read the clock before they read the record: what another one has just written may be a little ahead.
    pub(super) fn at(mut self, now: u64, lease: u64, lifetime: u64) -> Self {
        let ahead = now.saturating_add(SKEW);
        if self.lease_until > ahead.saturating_add(lease) {
            self.lease_until = 0;
        }
        if self.fetched_at > ahead {
            (self.fetched_at, self.fresh_until) = (now, now);
        }
        // Another configuration may let keys live for longer.
        self.fresh_until = self.fresh_until.min(self.fetched_at.saturating_add(lifetime));
        if self.begun_at > ahead {
            self.begun_at = 0;
        }
        if self.forced_at > ahead {
            self.forced_at = 0;
        }
        self
    }

    /// Whether somebody is fetching.
    pub(super) const fn is_leased(&self, now: u64) -> bool {
        now < self.lease_until
    }

    /// Whether somebody began to fetch and was never heard of again.
    pub(super) const fn is_abandoned(&self, now: u64) -> bool {
        self.begun != self.over && !self.is_leased(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_written() {
        let record = Record {
            version: NonZeroU64::new(1),
            fetched_at: 2,
            fresh_until: 3,
            begun: 4,
            over: 5,
            begun_at: 6,
            lease_until: 7,
            forced_at: 8,
            failures: u64::MAX,
        };
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes), Some(record));
        for length in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..length]), None);
        }
        assert_eq!(Record::decode(&[bytes.clone(), vec![0]].concat()), None);
        assert_eq!(Record::decode(&[&[2], &bytes[1..]].concat()), None);
    }

    #[test]
    fn a_clock_that_jumps_back_blocks_nothing() {
        let hour = 3_600_000_000_000;
        let record = Record {
            version: NonZeroU64::new(1),
            fetched_at: 10 * hour,
            fresh_until: 11 * hour,
            begun: 1,
            begun_at: 10 * hour,
            lease_until: 10 * hour + 5,
            forced_at: 10 * hour,
            ..Record::default()
        };
        assert_eq!(record.at(10 * hour, 5, hour), record);
        let back = record.at(9 * hour, 5, hour);
        assert_eq!((back.lease_until, back.forced_at, back.begun_at, back.fresh_until), (0, 0, 0, 9 * hour));
        assert!(back.is_abandoned(9 * hour));
        assert_eq!(record.at(10 * hour, 5, hour / 2).fresh_until, 10 * hour + hour / 2, "another configuration's");
    }
}
