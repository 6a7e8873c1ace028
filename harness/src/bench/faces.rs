// SPDX-License-Identifier: Apache-2.0
//! What each face of the core costs: one request decided through it, and its size.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tracegate::quota::Totals;
use tracegate::{
    Entropy, EntropyUnavailable, Event, ExchangeId, Gateway, GatewayId, Header, Headers, Inputs, NoSignatures, NoStore, PeerFact, Policy,
};

use super::core::{BROWSER, PARENT, measure};
use crate::component::{Component, Edge, Lend, Level, wit};
use crate::error::{Context, Error, Result};
use crate::host::{self, Always, HeaderMap, Message, Metering, Module, Options, Proxy, Reply, Request};
use crate::{module, policy, tools, workspace};

/// Tells nanoseconds a request by face, under the sample's policy, and bytes of each.
///
/// # Errors
///
/// When a face can't be built or fails.
pub fn run() -> Result<String> {
    let policy = policy::read(&workspace::sample_policy()).context(|| "the sample policy")?.canonical;
    let (wasm, component, browser) = (module::build()?, module::build_component()?, module::build_browser()?);
    let native = natively(&policy)?;
    let hosting = in_host(&Module::compile(&wat::parse_str(super::NOOP).context(|| "noop.wat")?, Metering::Time)?, &policy)?;
    let hosted = in_host(&host::compile_file(&wasm, Metering::Time)?, &policy)?;
    let rows = [
        ("native core: open, step, close", native),
        ("component in wasmtime: open, step, drop", in_component(&component, &policy)?),
        ("browser's face in Node: open, step, free", in_node(&browser, &policy)?),
        ("module in the native host: an exchange", hosted),
        ("  the host's own part of it", hosting),
    ];
    let mut shown = String::new();
    let _ = writeln!(shown, "{:<44} {:>10} {:>8}", "a request under the sample's policy", "ns", "ratio");
    for (name, nanoseconds) in rows {
        let _ = writeln!(shown, "{name:<44} {nanoseconds:>10.0} {:>8.2}", nanoseconds / native);
    }
    let _ = writeln!(shown, "\n{:<44} {:>10} {:>8}", "face", "bytes", "gzipped");
    for path in [&wasm, &component, &browser.join("tracegate_bg.wasm"), &browser.join("tracegate.js")] {
        let bytes = fs::read(path).context(|| format!("can't read {}", path.display()))?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzipped = encoder.write_all(&bytes).and_then(|()| encoder.finish()).context(|| "can't compress")?;
        let _ = writeln!(shown, "{:<44} {:>10} {:>8}", workspace::display(path), bytes.len(), gzipped.len());
    }
    Ok(shown)
}

/// The request, as bytes.
fn head() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    let named = BROWSER.iter().map(|&(name, value)| (name, value.as_bytes()));
    // The sample's own host, whose routes are the policy's.
    let own = named.map(|(name, value)| if name == ":authority" { (name, b"api.contoso.example".as_slice()) } else { (name, value) });
    own.chain([("traceparent", PARENT)])
}

fn natively(policy: &str) -> Result<f64> {
    let loaded = Policy::from_json(policy.as_bytes()).context(|| "the sample policy")?;
    let mut gateway = Gateway::new(GatewayId(1), loaded.policy);
    let lines: Vec<Header<'_>> = head().map(|(name, value)| Header { name: name.as_bytes(), value }).collect();
    let mut lent = Lent::new();
    Ok(measure(|| {
        let mut exchange = gateway.open(ExchangeId(1));
        drop(black_box(exchange.step(&mut gateway, Event::Request(Headers::new(black_box(&lines))), &mut lent.inputs())));
        // What dropping it does in the faces.
        drop(black_box(exchange.step(&mut gateway, Event::Closed(Totals::default()), &mut lent.inputs())));
    }))
}

fn in_component(path: &Path, policy: &str) -> Result<f64> {
    let wasm = fs::read(path).context(|| format!("can't read {}", path.display()))?;
    let mut edge: Edge<Lent> = Component::compile(&wasm)?.start(Lent::new())?;
    let compiled = edge.compile(policy)?.map_err(|_| Error::new("the component refuses the sample policy"))?;
    let gateway = edge.run(compiled, 1)?.map_err(Error::new)?;
    let lines: Vec<_> = head().map(|(name, value)| wit::Header { name: name.into(), value: value.into() }).collect();
    let event = wit::Event::Request(lines);
    let mut failed = None;
    let nanoseconds = measure(|| {
        let mut decide = || {
            let exchange = edge.open(gateway, 1)?;
            drop(black_box(edge.step(exchange, &event)?));
            edge.drop_exchange(exchange)
        };
        failed = decide().err().or(failed.take());
    });
    failed.map_or(Ok(nanoseconds), Err)
}

fn in_host(module: &Module, policy: &str) -> Result<f64> {
    let mut proxy = Proxy::start(module, Options::new(policy, 0), Always(Reply::now(Message::default())))?;
    let head: HeaderMap = head().map(|(name, value)| (name.as_bytes(), value)).collect();
    let nanoseconds = measure(|| {
        let request = Request { message: Message::request(head.clone()), ..Request::default() };
        drop(black_box(proxy.exchange(request)));
    });
    proxy.failure().map_or(Ok(nanoseconds), |failure| Err(Error::new(failure)))
}

fn in_node(face: &Path, policy: &str) -> Result<f64> {
    let node = tools::program("node", "nodejs")?;
    let lines: Vec<(&str, String)> = head().map(|(name, value)| (name, String::from_utf8_lossy(value).into_owned())).collect();
    let given = serde_json::json!({"policy": policy, "event": {"request": lines}});
    let script = workspace::root().join("tests/browser/bench.mjs");
    let mut command = Command::new(node);
    command.arg(script).arg(face).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().context(|| "can't run Node")?;
    if let Some(mut input) = process.stdin.take() {
        input.write_all(given.to_string().as_bytes()).context(|| "can't tell Node what to do")?;
    }
    let output = process.wait_with_output().context(|| "can't run Node")?;
    let told = String::from_utf8_lossy(&output.stdout);
    told.trim().parse().map_err(|_| Error::new(format!("expected nanoseconds of Node, found `{}`", told.trim())))
}

/// What is lent: clocks that stand, randomness from a seed, and an address.
struct Lent {
    randomness: Randomness,
    peer: fn(PeerFact) -> Option<Vec<u8>>,
    store: NoStore,
    signatures: NoSignatures,
}

struct Randomness(ChaCha8Rng);

impl Entropy for Randomness {
    fn fill(&mut self, bytes: &mut [u8]) -> std::result::Result<(), EntropyUnavailable> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl Lent {
    fn new() -> Self {
        let randomness = Randomness(ChaCha8Rng::seed_from_u64(0));
        Self { randomness, peer: |_| Some(b"203.0.113.9:46906".to_vec()), store: NoStore, signatures: NoSignatures }
    }
}

impl Lend for Lent {
    fn inputs(&mut self) -> Inputs<'_> {
        let Self { randomness, peer, store, signatures } = self;
        Inputs { now: 0, monotonic: 0, entropy: randomness, peer, store, signatures }
    }

    fn environment(&mut self, _: &str) -> Option<String> {
        None
    }

    fn log(&mut self, _: Level, _: &str) {}
}
