// SPDX-License-Identifier: Apache-2.0
//! `tracegate test`

use std::process::Stdio;
use std::time::Instant;

use clap::Args;

use super::Outcome;
use crate::error::{Context, Result};
use crate::{envoy, module, output, workspace};

/// Run what CI runs: tests of every package, in real Envoy too, lints and formatting.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo harness test\n  cargo harness test --all")]
pub(super) struct Test {
    /// The long suite too: every test in every supported Envoy, the release from two clones, a real registry, cargo-component
    #[arg(long)]
    all: bool,
    /// What could not be run is a failure, as under CI=true
    #[arg(long)]
    strict: bool,
}

/// One step: a name, and the cargo command that does it.
struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// The cargo subcommand that may be missing, and how to get it.
    needs: Option<(&'static str, &'static str)>,
}

const CLIPPY: Option<(&str, &str)> = Some(("clippy", "rustup component add clippy"));
const FMT: Option<(&str, &str)> = Some(("fmt", "rustup component add rustfmt"));

/// What to ask of cargo to lint one face.
macro_rules! face {
    ($target:expr, $feature:literal) => {
        ["clippy", "--package", "tracegate", "--lib", "--target", $target, "--features", $feature, "--", "--deny", "warnings"]
    };
}

const fn lints_of_face(name: &'static str, arguments: &'static [&'static str]) -> Step {
    Step { name, arguments, environment: &[], needs: CLIPPY }
}

const STEPS: &[Step] = &[
    // First: the tests in Envoy run what this builds.
    Step {
        name: "the rate-limit service of the tests",
        arguments: &["test", "--release", "--package", "tracegate-limitador", "--features", "service"],
        environment: &[],
        needs: None,
    },
    Step {
        name: "spans, as OpenTelemetry's own types read them",
        arguments: &["test", "--release", "--package", "tracegate-otlp", "--features", "reader,service"],
        environment: &[],
        needs: None,
    },
    Step {
        name: "tests",
        arguments: &["test", "--release", "--workspace", "--no-fail-fast"],
        // Most of them wait for somebody's clock.
        environment: &[("RUST_TEST_THREADS", "4")],
        needs: None,
    },
    Step {
        name: "schemas: the policy's, Kubernetes', bill of materials",
        arguments: &["test", "--release", "--package", "tracegate-acceptance", "--features", "validator"],
        environment: &[],
        needs: None,
    },
    Step {
        name: "documentation",
        arguments: &["doc", "--release", "--package", "tracegate", "--no-deps"],
        environment: &[("RUSTDOCFLAGS", "--deny warnings")],
        needs: None,
    },
    Step {
        name: "lints",
        arguments: &[
            "clippy",
            "--release",
            "--workspace",
            "--all-targets",
            "--features",
            "tracegate-acceptance/validator,tracegate-browser/bindings,tracegate-limitador/service,tracegate-otlp/reader,tracegate-otlp/service",
            "--",
            "--deny",
            "warnings",
        ],
        environment: &[],
        needs: CLIPPY,
    },
    lints_of_face("lints of the proxy-wasm face", &face!(module::TARGET, "proxy-wasm")),
    lints_of_face("lints of the component face", &face!(module::BARE_TARGET, "component")),
    lints_of_face("lints of the browser face", &face!(module::BARE_TARGET, "browser")),
    lints_of_face(
        "lints of the tests' probe",
        &["clippy", "--package", "tracegate-probe", "--target", module::TARGET, "--", "--deny", "warnings"],
    ),
    Step { name: "formatting", arguments: &["fmt", "--all", "--check"], environment: &[], needs: FMT },
];

/// What takes long, or programs of others.
const LONG: [Step; 4] = [
    Step {
        name: "two clones give one digest, a registry keeps images",
        arguments: &["test", "--release", "--package", "tracegate-tests", "--test", "package", "--", "--ignored", "--nocapture"],
        environment: &[],
        needs: None,
    },
    Step {
        name: "cargo-component gives the same component",
        arguments: &["test", "--release", "--package", "tracegate-tests", "--test", "parity", "--", "--ignored", "--nocapture"],
        environment: &[],
        needs: None,
    },
    Step {
        name: "ten million keys",
        arguments: &["test", "--release", "--package", "tracegate", "--lib", "ten_million", "--", "--ignored", "--nocapture"],
        environment: &[],
        needs: None,
    },
    Step {
        name: "a million keys in Envoy, limits in Redis",
        arguments: &["test", "--release", "--package", "tracegate-tests", "--test", "quotas", "--", "--ignored", "--nocapture"],
        environment: &[],
        needs: None,
    },
];

/// The tests in Envoy alone.
const IN_ENVOY: Step = Step {
    name: "tests in an older Envoy",
    arguments: &[
        "test",
        "--release",
        "--workspace",
        "--test",
        "access_log",
        "--test",
        "audit",
        "--test",
        "canary",
        "--test",
        "differential",
        "--test",
        "envoy",
        "--test",
        "hops",
        "--test",
        "hostile",
        "--test",
        "keys",
        "--test",
        "listener",
        "--test",
        "quotas",
        "--test",
        "secrets",
        "--test",
        "spans",
        "--test",
        "tokens",
        "--test",
        "vectors",
    ],
    environment: &[],
    needs: None,
};

enum Ended {
    Passed,
    Failed,
    NotRun(String),
}

impl Test {
    pub(super) fn run(self) -> Result<Outcome> {
        let mut results = Vec::new();
        let begun = Instant::now();
        module::build()?;
        module::add_target(module::BARE_TARGET)?;
        results.push(("module", begun.elapsed(), Ended::Passed));
        let strict = self.strict || std::env::var_os("CI").is_some_and(|value| value == "true");
        for version in std::iter::once(envoy::VERSION).chain(envoy::OLDER_VERSIONS) {
            let begun = Instant::now();
            let fetched = envoy::install(version);
            let ended = fetched.map_or_else(|error| Ended::NotRun(format!("tests in real Envoy {version}: {error}")), |_| Ended::Passed);
            results.push(("Envoy", begun.elapsed(), ended));
        }
        for step in STEPS {
            eprintln!("\n== {}", step.name);
            let begun = Instant::now();
            let ended = Self::run_step(step, strict, None)?;
            results.push((step.name, begun.elapsed(), ended));
        }
        for version in envoy::OLDER_VERSIONS.iter().filter(|_| self.all) {
            eprintln!("\n== tests in Envoy {version}");
            let begun = Instant::now();
            let ended = Self::run_step(&IN_ENVOY, strict, Some(version))?;
            results.push(("tests in an older Envoy", begun.elapsed(), ended));
        }
        for step in LONG.iter().filter(|_| self.all) {
            eprintln!("\n== {}", step.name);
            let begun = Instant::now();
            let ended = Self::run_step(step, strict, None)?;
            results.push((step.name, begun.elapsed(), ended));
        }
        let mut shown = "\n".to_owned();
        let mut outcome = Outcome::Clean;
        for (name, took, ended) in &results {
            let word = match ended {
                Ended::Passed => "ok",
                Ended::Failed => "FAILED",
                Ended::NotRun(_) => "NOT RUN",
            };
            shown += &format!("{word:<8} {:>6.1} s  {name}\n", took.as_secs_f64());
            outcome = outcome.max(match ended {
                Ended::Failed => Outcome::Finding,
                Ended::NotRun(_) if strict => Outcome::Finding,
                Ended::NotRun(_) | Ended::Passed => Outcome::Clean,
            });
        }
        for (_, _, ended) in &results {
            if let Ended::NotRun(why) = ended {
                shown += &format!("NOT RUN: {why}\n");
            }
        }
        output::print(&shown)?;
        Ok(outcome)
    }

    fn run_step(step: &Step, strict: bool, envoy: Option<&str>) -> Result<Ended> {
        if let Some((subcommand, how)) = step.needs {
            let present = workspace::cargo().args([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !present.is_ok_and(|status| status.success()) {
                return Ok(Ended::NotRun(format!("{}: cargo {subcommand} is missing: {how}", step.name)));
            }
        }
        let mut command = workspace::cargo();
        command.args(step.arguments).envs(step.environment.iter().copied());
        if let Some(version) = envoy {
            command.env("TRACEGATE_TEST_ENVOY", version);
        }
        if strict {
            command.env("TRACEGATE_TEST_STRICT", "1");
        }
        let status = command.status().context(|| format!("can't run cargo {}", step.arguments.join(" ")))?;
        Ok(if status.success() { Ended::Passed } else { Ended::Failed })
    }
}
