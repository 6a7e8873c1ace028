// SPDX-License-Identifier: Apache-2.0
//! `tracegate digest`

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::PathBuf;

use clap::Args;
use tracegate::secret::{MIN_KEY, SecretKey, SecretReference, SecretSource};
use tracegate::span::parameter_digest;

use super::Outcome;
use crate::error::{Context, Error, Result};
use crate::look::complain;
use crate::{keys, output, policy};

/// Print what spans tell of path parameters in their stead, to search for in a tracing backend: which service touched this file?
#[derive(Debug, Args)]
#[command(after_help = "\
The policy's digest key is read from the environment variable that its `export.spans.digest_key`
names, or from the one that --key does. Values are read from standard input, one a line, as they are and not percent-encoded: what
stands on the command line ends up in the shell's history, and in the sight of everybody on this
machine. One digest a line comes out: search for it as tracegate.path.<parameter>, on any span.

Exit code: 0, or 2 where the policy, its key or a value can't be used.

Examples:
  cargo harness digest edge.yaml < ids.txt
  read -rs ID && printf %s \"$ID\" | cargo harness digest edge.yaml
  cargo harness digest edge.yaml 2f1a")]
pub(super) struct Digest {
    /// The policy: YAML or JSON
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    /// The environment variable that holds the digest key, where the policy fetches it
    #[arg(long, value_name = "VARIABLE")]
    key: Option<String>,
    /// A value that may be seen; without one they are read from standard input
    #[arg(value_name = "VALUE")]
    value: Option<String>,
}

impl Digest {
    pub(super) fn run(self) -> Result<Outcome> {
        let loaded = match policy::read(&self.policy) {
            Ok(loaded) => loaded,
            Err(error) => {
                complain(&error.to_string());
                return Ok(Outcome::Unusable);
            }
        };
        let file = self.policy.display();
        let spans = &loaded.policy.export.spans;
        let Some(reference) = &spans.digest_key else {
            return Err(Error::new(format!("{file}: expected `export.spans.digest_key`, found none: spans tell no digests")));
        };
        let key = self.key(reference)?;
        if !spans.hides_parameters {
            complain(&format!(
                "{file}: no route tells a parameter as a digest (`attributes: {{path: {{NAME: digest}}}}`): no span has this"
            ));
        }
        let mut printed = String::new();
        match &self.value {
            Some(value) => printed.push_str(&digest(&key, value.as_bytes()).context(|| "VALUE")?),
            None => {
                let input = io::stdin().lock();
                if input.is_terminal() {
                    eprintln!("values, one a line; Ctrl-D ends them:");
                }
                for (line, value) in (1_u64..).zip(values(input)) {
                    printed.push_str(&value.and_then(|value| digest(&key, &value)).context(|| format!("standard input:{line}"))?);
                }
            }
        }
        if printed.is_empty() {
            return Err(Error::new("standard input: expected a value, found none"));
        }
        output::print(&printed)?;
        Ok(Outcome::Clean)
    }
}

impl Digest {
    /// The policy's key, as it is at a desk.
    fn key(&self, reference: &SecretReference) -> Result<SecretKey> {
        let name = &reference.name;
        match (&self.key, &*reference.source) {
            (Some(variable), _) => keys::of_argument(variable).context(|| format!("secrets.{name}")),
            (None, SecretSource::Environment { variable }) => keys::of_variable(variable).context(|| format!("secrets.{name}")),
            (None, SecretSource::Literal(value)) => SecretKey::read(value.as_str(), MIN_KEY)
                .map_err(|found| Error::new(format!("secrets.{name}: expected a key, found {found}"))),
            (None, SecretSource::Http(_) | SecretSource::KeyVault(_)) => {
                Err(Error::new(format!("secrets.{name} is fetched by the gateway: name an environment variable that holds it with --key")))
            }
        }
    }
}

/// The digest of a value, and the end of its line.
fn digest(key: &SecretKey, value: &[u8]) -> Result<String> {
    let wrong = |found| Err(Error::new(format!("expected what stands in one segment of a path, found {found}")));
    match value {
        [] => return wrong("nothing"),
        _ if value.contains(&b'/') => return wrong("a slash"),
        _ => {}
    }
    Ok(parameter_digest(key, value).map(|digest| format!("{digest}\n")).unwrap_or_default())
}

/// Lines, without what ends them.
fn values(mut input: impl BufRead) -> impl Iterator<Item = Result<Vec<u8>>> {
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error).context(|| "can't read it")),
        }
        if line.len() as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            return Some(Err(Error::new(format!("expected a line of fewer than {MAX_LINE} bytes, found more"))));
        }
        let value = line.strip_suffix(b"\n").unwrap_or(&line);
        Some(Ok(value.strip_suffix(b"\r").unwrap_or(value).to_vec()))
    })
}

/// Longer than any path that a gateway takes.
const MAX_LINE: u64 = 65_536;
