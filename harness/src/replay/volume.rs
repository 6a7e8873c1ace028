// SPDX-License-Identifier: Apache-2.0
//! What leaves for a collector: spans in batches, gathered as the policy says and at the recorded pace. They are the module's own, in requests as it
//! makes them; HTTP's heads and TLS come on top.

use std::time::Duration;

use jiff::Timestamp;
use tracegate::export::BatchPolicy;

use crate::otlp::{Batch, Request};

/// What leaves for a collector.
#[derive(Debug)]
pub(super) struct Volume {
    policy: BatchPolicy,
    open: Batch,
    /// When the first of the open batch came.
    since: Timestamp,
    gone: Gone,
}

/// How much has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) spans: u64,
    pub(super) batches: u64,
    /// Of requests' bodies.
    pub(super) bytes: u64,
}

impl Volume {
    pub(super) fn new(policy: BatchPolicy) -> Self {
        Self { policy, open: Batch::default(), since: Timestamp::UNIX_EPOCH, gone: Gone::default() }
    }

    /// Takes an exchange's spans.
    pub(super) fn add(&mut self, time: Timestamp, request: &Request) {
        let delay = Duration::from_nanos(self.policy.schedule_delay);
        if self.open.count() > 0 && Duration::try_from(time.duration_since(self.since)).is_ok_and(|passed| passed >= delay) {
            self.gone = self.all();
            self.open = Batch::default();
        }
        if self.open.count() == 0 {
            self.since = time;
        }
        self.open.add(request);
        if self.open.count() >= self.policy.max_export_batch_size.into() {
            self.gone = self.all();
            self.open = Batch::default();
        }
    }

    /// All of it, that which is open too.
    pub(super) fn all(&self) -> Gone {
        let Gone { spans, batches, bytes } = self.gone;
        let body = self.open.body().len() as u64;
        Gone { spans: spans + self.open.count(), batches: batches + u64::from(self.open.count() > 0), bytes: bytes + body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_closed_by_size_and_by_time() {
        let body = b"\x0a\x12\x0a\x02ab\x12\x0c\x0a\x02cd\x12\x06\x0a\x04idid";
        let request = Request::read(body).unwrap();
        let policy = BatchPolicy { schedule_delay: 5_000_000_000, max_queue_size: 9, max_export_batch_size: 3, export_timeout: 1 };
        let mut volume = Volume::new(policy);
        assert_eq!(volume.all(), Gone::default());
        let (one, each) = (body.len() as u64, 8);
        for (millisecond, spans, batches) in
            [(0, 1, 1), (4_999, 2, 1), (4_999, 3, 1), (5_000, 4, 2), (9_999, 5, 2), (10_000, 6, 3), (9_000, 7, 3), (60_000, 8, 4)]
        {
            volume.add(Timestamp::from_millisecond(millisecond).unwrap(), &request);
            let bytes = one * batches + each * (spans - batches);
            assert_eq!(volume.all(), Gone { spans, batches, bytes }, "{millisecond} ms");
        }
    }
}
