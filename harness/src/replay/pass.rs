// SPDX-License-Identifier: Apache-2.0
//! One pass of recorded traffic through an edge, or through two.
//!
//! ```text
//! read and cut ─▶ decode ─▶ put in time order, decide ─▶ compare, render ─▶ count, write
//!  one thread     several         one thread               one thread      this thread
//!  a file or run of files
//! ```

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::edges::{Edges, Executed, Lost};
use super::exporter::Exporter;
use super::held::Held;
use super::progress::Progress;
use super::render::{Renderer, Shown};
use super::report::Report;
use crate::error::{Context, Result};
use crate::{parallel, recording};

/// What a pass goes through, and how it is shown.
#[derive(Debug)]
pub struct Pass<'a> {
    /// Compares and renders; it knows the recordings.
    pub renderer: Renderer<'a>,
    /// Advances by the bytes read.
    pub progress: &'a mut Progress,
    /// Where what leaves of exchanges is sent on to, if it is.
    pub exporter: Option<&'a mut Exporter>,
}

/// What a pass came to, besides its report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Exchanges sent through.
    pub exchanges: u64,
    /// Of these, replayed where they stand, further out of order than the window.
    pub late: u64,
    /// Records that can't be read.
    pub malformed: u64,
    /// A file can't be read to its end.
    pub fatal: bool,
}

impl Pass<'_> {
    /// Sends every exchange through, reports those that are found, and writes what is shown of them. What can't be read is
    /// told on standard error as soon as it is met.
    ///
    /// # Errors
    ///
    /// When the module traps, `out` can't be written, a collector doesn't take what is sent on, or there is no thread to be had.
    pub fn run(self, edges: &mut Edges<'_>, report: &mut Report, out: &mut impl Write) -> Result<Passed> {
        let Self { renderer, progress, mut exporter } = self;
        let bar = progress.bar.clone();
        let no_thread = || "can't start a thread";
        let (mut passed, mut held) = (Passed::default(), Held::default());
        // Counted on the thread that renders, which has the time.
        let sampling = report.sampling.take().map(Mutex::new);
        let passed = thread::scope(|scope| {
            let ordered = recording::in_order(scope, renderer.files, renderer.redactor, &bar).context(no_thread)?;
            let executed = ordered.map(|next| edges.execute(next, renderer.files));
            let sampling = sampling.as_ref();
            let show = move |next: Result<Executed, Lost>, all: &mut Vec<_>| {
                let next = next.map(|executed| renderer.show(executed));
                if let (Some(sampling), Ok(shown)) = (sampling, &next) {
                    sampling.lock().unwrap_or_else(PoisonError::into_inner).add(&shown.replayed);
                }
                all.push(next);
            };
            for next in parallel::spread(scope, ["decide", "render"], RENDERERS, executed, size, show).context(no_thread)? {
                progress.reveal();
                match next {
                    Ok(shown) => {
                        if passed.exchanges == 0 {
                            out.write_all(renderer.begin().as_bytes()).context(|| "can't write the results")?;
                        }
                        passed.exchanges += 1;
                        passed.late += u64::from(shown.late);
                        held.push(shown, report.limits.as_mut(), &renderer);
                        while let Some(shown) = held.next(report.limits.as_mut(), &renderer, false) {
                            take(&shown, &renderer, report, exporter.as_deref_mut(), out)?;
                        }
                    }
                    Err(Lost::Unread(unread)) => {
                        bar.suspend(|| eprintln!("{}", renderer.files.locate(&unread)));
                        passed.malformed += u64::from(!unread.fatal);
                        passed.fatal |= unread.fatal;
                    }
                    Err(Lost::Trapped(error)) => return Err(error),
                }
            }
            while let Some(shown) = held.next(report.limits.as_mut(), &renderer, true) {
                take(&shown, &renderer, report, exporter.as_deref_mut(), out)?;
            }
            Ok(passed)
        });
        report.sampling = sampling.map(|sampling| sampling.into_inner().unwrap_or_else(PoisonError::into_inner));
        passed
    }
}

/// Counts an exchange, sends on what left of it, and writes what is shown of it.
fn take(shown: &Shown, renderer: &Renderer<'_>, report: &mut Report, exporter: Option<&mut Exporter>, out: &mut impl Write) -> Result<()> {
    if shown.found {
        report.add(&shown.replayed, renderer.files, renderer.redactor);
        // Each collector of the policy's gets the same.
        if let (Some(exporter), Some(request)) = (exporter, shown.replayed.exported.first()) {
            exporter.add(request)?;
        }
    }
    out.write_all(&shown.text).context(|| "can't write the results")
}

/// About what an exchange takes in memory on its way to be shown.
fn size(next: &Result<Executed, Lost>) -> usize {
    next.as_ref().map_or(0, |executed| executed.recorded.size)
}

/// Rendering takes less than deciding; what is sampled is counted in order, so by one.
const RENDERERS: usize = 1;
