// SPDX-License-Identifier: Apache-2.0
//! `tracegate replay`

use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracegate::config::Loaded;

use super::Outcome;
use crate::error::{Context, Error, Result};
use crate::host::{self, Metering};
use crate::look::Look;
use crate::output::OutputFile;
use crate::recording::{Files, InOrder, Ordered, Stream, Unread, WINDOW};
use crate::replay::{self, By, Edge, Report};
use crate::{Redactor, module, policy, workspace};

/// Replay recorded traffic through the compiled module and compare with the record.
#[derive(Debug, Args)]
#[command(after_help = "\
Without a recording the sample is replayed, against its policy unless --policy names another.
A recording without --policy is replayed against the observe-only policy: trace context is
settled, nothing is refused.

Exit code: 0 where all agrees or can't be decided, 1 where something differs or is malformed,
2 where a file or the policy can't be used or nothing could be replayed.

Examples:
  cargo harness replay
  cargo harness replay logs/ --by hour
  cargo harness replay export.json --policy edge.yaml --format json --out replayed.ndjson
  cargo harness replay logs/ --policy edge.yaml --fail-on refused --fail-on shadow")]
pub(super) struct Replay {
    /// Recordings: API Management's logs in any layout, or native NDJSON, gzipped or not; a directory stands for every
    /// file below it
    #[arg(value_name = "RECORDING")]
    recordings: Vec<PathBuf>,
    /// The policy to replay against: YAML or JSON
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The module to replay through, instead of this checkout's
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
    /// A table for people, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// What the rows of the table are; `api` by default
    #[arg(long, value_enum)]
    by: Option<By>,
    /// Write results to a file, whole or not at all
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Seeds the module's randomness and the redaction digests: same inputs and seed, same bytes
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Malformed records alone are no reason for exit code 1
    #[arg(long)]
    lenient: bool,
    /// What is a reason for exit code 1, instead of `differed` and `malformed`; may be given several times
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "lenient")]
    fail_on: Vec<FailOn>,
}

/// What can be a reason for exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// The edge refuses an exchange
    Refused,
    /// The edge decides otherwise than the record has it
    Differed,
    /// The record doesn't tell
    Undecidable,
    /// A record can't be read
    Malformed,
    /// A rule in `mode: shadow` would have refused
    Shadow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What can't be replayed, counted.
#[derive(Default)]
struct Losses {
    malformed: u64,
    late: u64,
    fatal: bool,
}

impl Replay {
    pub(super) fn run(mut self) -> Result<Outcome> {
        if self.by.is_some() && self.format == Format::Json {
            return Err(Error::new("expected --by with --format text, found --format json, which has no table"));
        }
        if self.recordings.is_empty() {
            self.recordings.push(shorten(workspace::sample_recording()));
            self.policy.get_or_insert_with(|| shorten(workspace::sample_policy()));
        }
        let Some(loaded) = self.load_policy()? else { return Ok(Outcome::Unusable) };
        let path = self.module.clone().map_or_else(module::build, Ok)?;
        let module = host::compile_file(&path, Metering::Time)?;
        let edge = Edge::start(&module, &loaded.canonical, self.seed)?;
        let fingerprint = loaded.policy.fingerprint.to_string();
        match self.out.clone() {
            None => {
                let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
                let outcome = self.replay(edge, &fingerprint, module.version(), &mut out)?;
                out.flush().context(|| "can't write the results")?;
                Ok(outcome)
            }
            Some(path) => {
                let mut out = BufWriter::new(OutputFile::create(&path)?);
                let outcome = self.replay(edge, &fingerprint, module.version(), &mut out)?;
                out.into_inner().context(|| format!("can't write {}", path.display()))?.commit()?;
                Ok(outcome)
            }
        }
    }

    /// `None` where the policy is wrong; what is wrong has been said.
    fn load_policy(&self) -> Result<Option<Loaded>> {
        match &self.policy {
            None => tracegate::Policy::from_json(policy::OBSERVE_ONLY.as_bytes()).map(Some).context(|| "the observe-only policy"),
            Some(path) => match policy::read(path) {
                Ok(loaded) => Ok(Some(loaded)),
                Err(error) => {
                    eprintln!("{error}");
                    Ok(None)
                }
            },
        }
    }

    fn replay(&self, mut edge: Edge, fingerprint: &str, version: Option<&str>, out: &mut impl Write) -> Result<Outcome> {
        let files = Files::named(&self.recordings);
        let redactor = Redactor::new(self.seed);
        let progress = progress(&files);
        let mut report = Report::new(self.by.unwrap_or_default());
        let mut losses = Losses::default();
        for next in InOrder::new(Stream::of(&files, &redactor, &progress), WINDOW) {
            let Ordered { recorded, late } = match next {
                Ok(ordered) => ordered,
                Err(unread) => {
                    losses.add(&unread, &files, &progress);
                    continue;
                }
            };
            losses.late += u64::from(late);
            let place = recorded.place;
            let replayed = edge.replay(recorded).context(|| format!("{}:{}", files.name(place.file), place.line))?;
            report.add(&replayed, &files);
            if self.format == Format::Json {
                replay::write_exchange(out, &files.name(place.file), &replayed, &redactor).context(|| "can't write the results")?;
            }
        }
        progress.finish_and_clear();
        if losses.late > 0 {
            eprintln!("{} records stand further out of order than {WINDOW} records, and were replayed where they stand", losses.late);
        }
        edge.tick()?;
        report.set_shadowed(edge.vm().metrics());
        let totals = *report.totals();
        if totals.exchanges == 0 {
            let names: Vec<String> = self.recordings.iter().map(|path| path.display().to_string()).collect();
            return Err(Error::new(format!("no exchange could be read from {}", names.join(", "))));
        }
        match self.format {
            Format::Json => replay::write_summary(out, &totals, losses.malformed, fingerprint, version, self.seed),
            Format::Text => {
                let version = version.unwrap_or("of unknown version");
                let malformed = losses.malformed;
                let look = if self.out.is_none() { Look::of_stdout() } else { Look::PLAIN };
                let mut shown = String::new();
                report.write(&mut shown, look).context(|| "can't show the results")?;
                write!(out, "{shown}\npolicy {fingerprint}, module {version}, seed {}, {malformed} malformed\n", self.seed)
            }
        }
        .context(|| "can't write the results")?;
        Ok(match () {
            () if losses.fatal => Outcome::Unusable,
            () if self.reasons_to_fail().any(|kind| kind.count(&report, &losses) > 0) => Outcome::Finding,
            () => Outcome::Clean,
        })
    }

    fn reasons_to_fail(&self) -> impl Iterator<Item = FailOn> {
        let usual: &[FailOn] = if self.lenient { &[FailOn::Differed] } else { &[FailOn::Differed, FailOn::Malformed] };
        let reasons = if self.fail_on.is_empty() { usual } else { &self.fail_on };
        reasons.iter().copied()
    }
}

impl FailOn {
    /// How often there was reason.
    fn count(self, report: &Report, losses: &Losses) -> u64 {
        let totals = report.totals();
        match self {
            Self::Refused => totals.refused,
            Self::Differed => totals.differed,
            Self::Undecidable => totals.undecidable,
            Self::Malformed => losses.malformed,
            Self::Shadow => report.shadowed(),
        }
    }
}

impl Losses {
    fn add(&mut self, unread: &Unread, files: &Files, progress: &ProgressBar) {
        progress.suspend(|| eprintln!("{}", files.locate(unread)));
        self.malformed += u64::from(!unread.fatal);
        self.fatal |= unread.fatal;
    }
}

/// A bar by bytes read, where standard error is a terminal.
fn progress(files: &Files) -> ProgressBar {
    let bytes = files.0.iter().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum();
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
    ProgressBar::with_draw_target(Some(bytes), target).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The sample's paths as one would type them.
fn shorten(path: PathBuf) -> PathBuf {
    PathBuf::from(workspace::display(&path))
}
