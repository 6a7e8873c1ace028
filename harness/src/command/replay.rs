// SPDX-License-Identifier: Apache-2.0
//! `tracegate replay`

mod fail_on;

use std::env;
use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tracegate::config::Loaded;

use super::Outcome;
use crate::error::{Context, Error, Result};
use crate::host::{self, Metering, Module};
use crate::look::{Look, complain};
use crate::output::OutputFile;
use crate::policy::{self, PolicyError};
use crate::recording::Files;
use crate::replay::{
    By, Edge, Edges, Exporter, Format, Minted, Pass, Progress, Query, Renderer, Report, Summary, Tokens, WhatIf, WhatIfs, changed,
};
use crate::{Redactor, keys, module, replay, workspace};
use fail_on::FailOn;

/// Replay recorded traffic through the compiled module and compare with the record, or with another policy or module.
#[derive(Debug, Args)]
#[command(after_help = "\
Without a recording the sample is replayed, against its policy unless --policy names another.
A recording without --policy is replayed against the observe-only policy: trace context is
settled, nothing is refused.

--find takes `path=/files/42` (that path and all below it, at the gateway or the backend; `{…}`
stands for any one segment), `id=…` (a trace, span, correlation or request id, or any other that
stands in a URL or a header) or `caller=…` (an address, subscription, user, product or certificate
name). Given several times, all must fit.

--mint tries a policy's rules on traffic whose tokens were not logged. A minted token proves what
the rules do with it, nothing about the true issuer's signatures: such exchanges count apart, and
are a finding with --fail-on minted only. None can be minted where the policy itself holds the
public keys.

--export shows yesterday's incident in today's tracing UI: spans as the policy records them (all that
callers let be recorded, where it says nothing of sampling), at the recorded times, as long as was
recorded; with --find only those that are found. What a collector doesn't take is an error, and
what it had taken before is told.

Exit code: 0 where all agrees or can't be decided, 1 where something differs or is malformed,
2 where a file or the policy can't be used, nothing could be replayed or a collector
doesn't take what is exported.

Examples:
  cargo harness replay
  cargo harness replay logs/ --by hour
  cargo harness replay export.json --policy edge.yaml --format json --out replayed.ndjson
  cargo harness replay logs/ --format html --out replay.html
  cargo harness replay logs/ --policy edge.yaml --fail-on refused --fail-on shadow
  cargo harness replay logs/ --policy edge.yaml --against main.yaml
  cargo harness replay logs/ --policy edge.yaml --mint --rotate-keys-at 1000
  cargo harness replay logs/ --policy edge.yaml --what-if per-caller=100
  cargo harness replay logs/ --find path=/files/42 --find caller=203.0.113.9
  cargo harness replay logs/ --policy edge.yaml --export http://localhost:4318
  OTEL_EXPORTER_OTLP_HEADERS=\"x-token=$TOKEN\" cargo harness replay logs/ --export http://localhost:4318")]
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
    /// Another policy, or another module (told by its first bytes), to compare with instead of the record: only what it
    /// decides otherwise is shown
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Show what touched a path, an id or a caller, and nothing else; may be given several times
    #[arg(long, value_name = "WHAT=VALUE")]
    find: Vec<Query>,
    /// What results look like
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
    /// Where a route asks for a token and the record has none that can be read, send one of the harness's own issuer's: sound where the record
    /// admitted, with the recorded fault where it refused for one. Such exchanges count as `minted`, neither as agreed nor as differed
    #[arg(long)]
    mint: bool,
    /// From this many exchanges on the issuer of --mint signs with other keys, and publishes those alone; may be given several times
    #[arg(long, value_name = "COUNT", requires = "mint")]
    rotate_keys_at: Vec<u64>,
    /// Tell how many calls another amount of one of the policy's quotas would have refused, in all and by key; may be given several times, for as
    /// many quotas at once
    #[arg(long, value_name = "QUOTA=AMOUNT", conflicts_with_all = ["against", "find"])]
    what_if: Vec<WhatIf>,
    /// Send the spans of what is shown on to a collector, by OTLP over HTTP, with their recorded times: as http[s]://HOST:PORT, to its /v1/traces, or
    /// with another path. Headers that it asks for stand in OTEL_EXPORTER_OTLP_HEADERS
    #[arg(long, value_name = "URL")]
    export: Option<String>,
    /// Authorities, as PEM, one of whom must vouch for a collector that is reached by https, instead of the platform's
    #[arg(long, value_name = "FILE", requires = "export")]
    cacert: Option<PathBuf>,
    /// What is a reason for exit code 1, instead of `differed` and `malformed`; may be given several times
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "lenient")]
    fail_on: Vec<FailOn>,
}

/// Where a policy and a module are from.
struct Side<'a> {
    policy: Loaded,
    module: &'a Module,
}

/// All policies that are replayed with.
struct Sides<'a> {
    own: Side<'a>,
    /// What it is compared with instead of the record.
    against: Option<Side<'a>>,
    /// What other amounts would have refused, and the policy with them.
    what_if: Option<(WhatIfs, Side<'a>)>,
}

/// What is compared with: another policy for the same module, or another module with the same policy.
enum Other {
    Policy(Box<Loaded>),
    Module(Box<Module>),
}

impl Other {
    /// Reads a file, once, as it may be a pipe. `None` where the policy is wrong; what is wrong has been said.
    fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = fs::read(path).context(|| format!("can't read {}", path.display()))?;
        if bytes.starts_with(b"\0asm") {
            let module = Module::compile(&bytes, Metering::Time).context(|| path.display().to_string())?;
            return Ok(Some(Self::Module(Box::new(module))));
        }
        Ok(said(policy::from_file(path, &bytes)).map(Box::new).map(Self::Policy))
    }
}

/// A policy, or what is wrong with it on standard error.
fn said(read: Result<Loaded, PolicyError>) -> Option<Loaded> {
    read.inspect_err(|error| complain(&error.to_string())).ok()
}

impl<'a> Side<'a> {
    /// A module that isn't this checkout's may be older than the policy.
    fn start(&self, seed: u64) -> Result<Edge<'a>> {
        let version = self.module.version().unwrap_or("of no known version");
        if let Some(manifest) = self.module.manifest() {
            manifest.check_reads(&self.policy.policy)?;
        }
        let started = Edge::exporting(self.module, &self.policy, seed);
        if version == tracegate::VERSION {
            started
        } else {
            started.context(|| format!("a module {} with a policy for {}", version.escape_debug(), tracegate::VERSION))
        }
    }
}

impl Replay {
    /// Refuses what can't be meant together.
    fn check(&self) -> Result<()> {
        if self.by.is_some() && self.format != Format::Text {
            return Err(Error::new("expected --by with --format text, found another: a page has every table, JSON has none"));
        }
        if self.by.is_some() && !self.find.is_empty() {
            return Err(Error::new("expected either --by or --find, found both: what is found is shown one by one"));
        }
        if self.fail_on.contains(&FailOn::Shadow) && !self.find.is_empty() {
            return Err(Error::new("expected --fail-on shadow without --find: shadow rules count every exchange"));
        }
        if self.fail_on.contains(&FailOn::Minted) && (!self.mint || self.against.is_some()) {
            return Err(Error::new("expected --fail-on minted with --mint and without --against: there is none of these otherwise"));
        }
        let wrong = |kind: &&FailOn| kind.needs_against().is_some_and(|needed| needed != self.against.is_some());
        if let Some(kind) = self.fail_on.iter().find(wrong) {
            let with = if self.against.is_some() { "without" } else { "with" };
            return Err(Error::new(format!("expected --fail-on {} {with} --against: there is none of these otherwise", kind.name())));
        }
        Ok(())
    }

    pub(super) fn run(mut self) -> Result<Outcome> {
        self.check()?;
        if self.recordings.is_empty() {
            self.recordings.push(shorten(workspace::sample_recording()));
            self.policy.get_or_insert_with(|| shorten(workspace::sample_policy()));
        }
        let policy = match &self.policy {
            None => tracegate::Policy::from_json(policy::OBSERVE_ONLY.as_bytes()).context(|| "the observe-only policy")?,
            Some(path) => match said(policy::read(path)) {
                Some(policy) => policy,
                None => return Ok(Outcome::Unusable),
            },
        };
        let other = match self.against.as_deref().map(Other::read).transpose()? {
            Some(None) => return Ok(Outcome::Unusable),
            other => other.flatten(),
        };
        let path = self.module.clone().map_or_else(module::build, Ok)?;
        let module = host::compile_file(&path, Metering::Time)?;
        let against = other.as_ref().map(|other| match other {
            Other::Policy(other) => Side { policy: (**other).clone(), module: &module },
            Other::Module(other) => Side { policy: policy.clone(), module: other },
        });
        let what_if = match self.what_if.as_slice() {
            [] => None,
            asked => Some((WhatIfs::new(&policy, asked)?, Side { policy: changed(&policy, asked)?, module: &module })),
        };
        let sides = Sides { own: Side { policy, module: &module }, against, what_if };
        match self.out.clone() {
            None => {
                let mut out = BufWriter::with_capacity(1 << 16, io::stdout());
                let outcome = self.replay(sides, &mut out)?;
                out.flush().context(|| "can't write the results")?;
                Ok(outcome)
            }
            Some(path) => {
                let mut out = BufWriter::new(OutputFile::create(&path)?);
                let outcome = self.replay(sides, &mut out)?;
                out.into_inner().context(|| format!("can't write {}", path.display()))?.commit()?;
                Ok(outcome)
            }
        }
    }

    fn replay(&self, sides: Sides<'_>, out: &mut impl Write) -> Result<Outcome> {
        let Sides { own: side, against, what_if } = sides;
        let (what_if, otherwise) = what_if.unzip();
        let not_the_gateways = "a stand-in takes its place, and what is signed, verified or digested with it here isn't as at the gateway";
        for variable in keys::missing(&side.policy.policy) {
            eprintln!("{variable} is not set: {not_the_gateways}");
        }
        let digest_key = side.policy.policy.export.spans.digest_key.as_ref();
        if let Some(reference) = digest_key.filter(|key| key.is_fetched()) {
            eprintln!("secrets.{} is fetched by the gateway alone: {not_the_gateways}", reference.name);
        }
        let against_edge = against.as_ref().map(|other| other.start(self.seed)).transpose()?;
        let mut tokens = Tokens::recorded(&side.policy.policy, against.as_ref().map(|other| &other.policy.policy), self.seed);
        if self.mint {
            tokens = tokens.minted(self.seed, self.rotate_keys_at.clone())?;
        }
        let otherwise = otherwise.as_ref().map(|other| other.start(self.seed)).transpose()?;
        let mut edges = Edges::new(side.start(self.seed)?, against_edge, tokens).asking(otherwise);
        let connect = |url: &String| Exporter::connect(url, self.cacert.as_deref(), replay::headers(|name| env::var(name).ok())?);
        let mut exporter = self.export.as_ref().map(connect).transpose()?;
        let files = Files::named(&self.recordings);
        let mut progress = self.progress(&files);
        let name = self.against.as_ref().map(|path| path.display().to_string());
        let by = [self.by.unwrap_or_default()];
        let by = if self.format == Format::Html { By::value_variants() } else { &by };
        let mut report = Report::new(by, name);
        if against.is_none() && self.find.is_empty() {
            report.compare_spans(&side.policy, self.seed)?;
            report.compare_limits(&side.policy);
        }
        if let Some(what_if) = what_if {
            report.ask(what_if);
        }
        if self.mint && against.is_none() {
            report.count_minted(Minted::new(&side.policy.policy));
        }
        let policies = [Some(&side), against.as_ref()].into_iter().flatten().map(|side| &side.policy.policy);
        let redactor = policies.fold(Redactor::new(self.seed), Redactor::knowing);
        let renderer = Renderer { files: &files, redactor: &redactor, queries: &self.find, format: self.format, look: self.look() };
        let passed = Pass { renderer, progress: &mut progress, exporter: exporter.as_mut() }.run(&mut edges, &mut report, out)?;
        progress.bar.finish_and_clear();
        let sent = exporter.map(Exporter::finish).transpose()?;
        if passed.late > 0 {
            eprintln!("{} records stand further out of order than the window holds, and were replayed where they stand", passed.late);
        }
        edges.edge.tick()?;
        if let Some(minted) = report.minted_mut() {
            minted.set_issuer(edges.edge.fetches(), edges.tokens.rotations());
        }
        report.set_metrics(edges.edge.vm().metrics(), &side.policy.policy);
        if passed.exchanges == 0 {
            let names: Vec<String> = self.recordings.iter().map(|path| path.display().to_string()).collect();
            return Err(Error::new(format!("no exchange could be read from {}", names.join(", "))));
        }
        let fingerprint = side.policy.policy.fingerprint.to_string();
        let other = against.as_ref().map(|other| (other.policy.policy.fingerprint.to_string(), other.module.version()));
        let summary = Summary {
            malformed: passed.malformed,
            fingerprint: &fingerprint,
            version: side.module.version(),
            against: other.as_ref().map(|(fingerprint, version)| (fingerprint.as_str(), *version)),
            searched: (!self.find.is_empty()).then_some(passed.exchanges),
            seed: self.seed,
        };
        renderer.end(out, &report, &summary).context(|| "can't write the results")?;
        if let Some(sent) = sent {
            eprintln!("{sent}");
        }
        let counted = self.reasons_to_fail().map(|kind| (kind, kind.count(&report, &passed)));
        let found: Vec<(FailOn, u64)> = counted.filter(|(_, count)| *count > 0).collect();
        if !self.fail_on.is_empty() && !found.is_empty() {
            // The table need not show it.
            let shown: Vec<String> = found.iter().map(|(kind, count)| format!("{count} {}", kind.name())).collect();
            eprintln!("findings: {}", shown.join(", "));
        }
        Ok(match () {
            () if passed.fatal => Outcome::Unusable,
            () if !found.is_empty() => Outcome::Finding,
            () => Outcome::Clean,
        })
    }

    /// A bar by bytes read, where standard error is a terminal that results don't go to meanwhile.
    fn progress(&self, files: &Files) -> Progress {
        let streams = self.format == Format::Json || !self.find.is_empty();
        let mixed = streams && self.out.is_none() && io::stdout().is_terminal();
        Progress::over(files, io::stderr().is_terminal() && !mixed)
    }

    fn look(&self) -> Look {
        if self.out.is_none() { Look::of_stdout() } else { Look::PLAIN }
    }

    fn reasons_to_fail(&self) -> impl Iterator<Item = FailOn> {
        let usual: &[FailOn] = if self.lenient { &[FailOn::Differed] } else { &[FailOn::Differed, FailOn::Malformed] };
        let reasons = if self.fail_on.is_empty() { usual } else { &self.fail_on };
        reasons.iter().copied()
    }
}

/// The sample's paths as one would type them.
fn shorten(path: PathBuf) -> PathBuf {
    PathBuf::from(workspace::display(&path))
}
