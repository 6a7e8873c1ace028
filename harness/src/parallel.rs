// SPDX-License-Identifier: Apache-2.0
//! Work spread over threads, its results in the order of the work.
//!
//! Items go round in batches, so that a thread is woken for many at once, and channels are short: what is under way is
//! bounded, however fast one side is. A side that ends takes the others with it.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};
use std::vec;

/// Does `work` on every item of `items` in threads of `scope`: one that iterates, and `workers` (at least one) that work
/// and append what comes of an item, nothing or several things. `size` is about what an item takes in bytes; the threads are
/// named after the two `tasks`.
///
/// # Errors
///
/// When there is no thread to be had.
pub(crate) fn spread<'scope, T, U, W>(
    scope: &'scope Scope<'scope, '_>,
    tasks: [&str; 2],
    workers: usize,
    items: impl Iterator<Item = T> + Send + 'scope,
    size: fn(&T) -> usize,
    work: W,
) -> io::Result<InOrder<U>>
where
    T: Send + 'scope,
    U: Send + 'scope,
    W: Fn(T, &mut Vec<U>) + Clone + Send + 'scope,
{
    let [iterating, doing] = tasks;
    let named = |name: &str| Builder::new().name(name.to_owned());
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    for _ in 0..workers.max(1) {
        let (to_worker, items) = sync_channel(AHEAD);
        let (results, from_worker) = sync_channel(AHEAD);
        let work = work.clone();
        named(doing).spawn_scoped(scope, move || work_on(&items, &results, work))?;
        senders.push(to_worker);
        receivers.push(from_worker);
    }
    named(iterating).spawn_scoped(scope, move || deal(items, size, &senders))?;
    Ok(InOrder { receivers, next: 0, batch: Vec::new().into_iter() })
}

/// Deals batches to the workers in turn, until there are no items or no workers.
fn deal<T>(mut items: impl Iterator<Item = T>, size: fn(&T) -> usize, workers: &[SyncSender<Vec<T>>]) {
    for worker in workers.iter().cycle() {
        let (mut batch, mut held) = (Vec::new(), 0);
        while batch.len() < BATCH && held < BATCH_BYTES {
            let Some(item) = items.next() else { break };
            held += size(&item);
            batch.push(item);
        }
        if batch.is_empty() || worker.send(batch).is_err() {
            return;
        }
    }
}

fn work_on<T, U>(items: &Receiver<Vec<T>>, results: &SyncSender<Vec<U>>, work: impl Fn(T, &mut Vec<U>)) {
    for batch in items {
        let mut done = Vec::with_capacity(batch.len());
        batch.into_iter().for_each(|item| work(item, &mut done));
        if results.send(done).is_err() {
            return;
        }
    }
}

/// What comes of the work, in the order of the items.
pub(crate) struct InOrder<U> {
    receivers: Vec<Receiver<Vec<U>>>,
    /// Whose batch comes next.
    next: usize,
    batch: vec::IntoIter<U>,
}

impl<U> Iterator for InOrder<U> {
    type Item = U;

    fn next(&mut self) -> Option<U> {
        loop {
            if let Some(result) = self.batch.next() {
                return Some(result);
            }
            // Dealt in turn: where the next one has nothing, nobody has.
            self.batch = self.receivers.get(self.next)?.recv().ok()?.into_iter();
            self.next = (self.next + 1) % self.receivers.len();
        }
    }
}

/// How many batches wait for a worker, and how many for whoever takes its results.
const AHEAD: usize = 1;
/// How many items are in a batch, at most.
const BATCH: usize = 64;
/// How many bytes of items are in a batch, at most, but for the last of them.
const BATCH_BYTES: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for workers in [0, 1, 2, 5] {
            thread::scope(|scope| {
                let work = |number: u64, done: &mut Vec<u64>| (0..number % 3).for_each(|_| done.push(number));
                let done = spread(scope, ["count", "repeat"], workers, 0..10_000, |_| 1, work).unwrap();
                let expected = (0..10_000).flat_map(|number| (0..number % 3).map(move |_| number));
                assert!(done.eq(expected), "{workers} workers");
            });
        }
    }

    #[test]
    fn what_is_under_way_is_bounded_and_ends_with_its_taker() {
        for (size, most) in [(1, 10 * BATCH), (BATCH_BYTES, 10)] {
            let begun = AtomicU64::new(0);
            let items = || std::iter::repeat_with(|| begun.fetch_add(1, Ordering::Relaxed));
            thread::scope(|scope| {
                let size_of: fn(&u64) -> usize = if size == 1 { |_| 1 } else { |_| BATCH_BYTES };
                let mut done = spread(scope, ["count", "pass"], 2, items(), size_of, |number, done| done.push(number)).unwrap();
                assert_eq!(done.by_ref().take(3).collect::<Vec<_>>(), [0, 1, 2]);
            });
            // The scope has ended though the items have no end.
            let begun = usize::try_from(begun.load(Ordering::Relaxed)).unwrap();
            assert!(begun <= 3 + most, "{begun} items of {size}");
        }
    }
}
