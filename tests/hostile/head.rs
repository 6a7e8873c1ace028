// SPDX-License-Identifier: Apache-2.0
//! Heads made to do harm, of about as many bytes as asked for.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A head's lines without pseudo-headers, and what is hostile about it.
pub struct Head {
    /// What is hostile about it.
    pub what: String,
    /// Its lines.
    pub lines: Vec<(String, Vec<u8>)>,
}

/// Every header that carries something, with what a sound value begins with.
const CARRIERS: [(&str, &str); 21] = [
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("traceparent", "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-"),
    ("tracestate", "a=1,"),
    ("b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"),
    ("x-b3-traceid", "0af7651916cd43dd8448eb211c80319c"),
    ("x-b3-spanid", "b7ad6b7169203331"),
    ("x-b3-parentspanid", "b7ad6b7169203331"),
    ("x-b3-sampled", "1"),
    ("x-b3-flags", "1"),
    ("uber-trace-id", "0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1"),
    ("uberctx-tenant", "7"),
    ("ot-tracer-traceid", "8448eb211c80319c"),
    ("ot-tracer-spanid", "b7ad6b7169203331"),
    ("ot-tracer-sampled", "true"),
    ("ot-baggage-tenant", "7"),
    ("x-ot-span-context", "EhQJNkcODp2SzqMRtwKpC6pn8AAYAQ=="),
    ("x-amzn-trace-id", "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1;"),
    ("request-id", "|0af7651916cd43dd8448eb211c80319c.b7ad6b7169203331."),
    ("request-context", "appId=cid-v1:7"),
    ("correlation-context", "a=1,"),
    ("baggage", "a=1,"),
];

/// What values are filled with.
const FILLERS: [&[u8]; 19] = [
    b"a",
    b"0",
    b",",
    b"a=1,",
    b"a=1;p=q,",
    b";",
    b"x=y;",
    b"Root=1-0af76519-16cd43dd8448eb211c80319c;",
    b":",
    b"%",
    b"%3A",
    b"%3",
    b"=",
    b".1",
    b"|-_#",
    b"//8=",
    b"a b\tc",
    b"\xff",
    b"a=\xc3\xa9,",
];

/// The contexts with which baggage of each format comes.
const WINNERS: [(&str, &[(&str, &str)]); 3] = [
    ("uberctx-", &[("uber-trace-id", "0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1")]),
    ("ot-baggage-", &[("ot-tracer-traceid", "8448eb211c80319c"), ("ot-tracer-spanid", "b7ad6b7169203331")]),
    ("correlation-context", &[("request-id", "|0af7651916cd43dd8448eb211c80319c.b7ad6b7169203331.")]),
];

/// Heads of about `size` bytes, names included.
pub fn heads(size: usize) -> Vec<Head> {
    long_values(size).chain(many_lines(size)).chain(many_names(size)).collect()
}

fn long_values(size: usize) -> impl Iterator<Item = Head> {
    let fill = |start: &str, filler: &[u8], size: usize| start.bytes().chain(filler.iter().copied().cycle()).take(size).collect();
    CARRIERS.into_iter().flat_map(move |(name, start)| {
        FILLERS.into_iter().flat_map(move |filler| {
            ["", start].map(|start| Head {
                what: format!("{name}: {start}{}...", filler.escape_ascii()),
                lines: vec![(name.to_owned(), fill(start, filler, size))],
            })
        })
    })
}

fn many_lines(size: usize) -> impl Iterator<Item = Head> {
    CARRIERS.into_iter().flat_map(move |(name, start)| {
        let count = size / (name.len() + start.len() + 4);
        let same = vec![(name.to_owned(), start.as_bytes().to_vec()); count];
        let empty = vec![(name.to_owned(), Vec::new()); size / (name.len() + 4)];
        let each = (0..size / (name.len() + 11)).map(|index| (name.to_owned(), format!("k{index:04}=v").into_bytes())).collect();
        [("again and again", same), ("empty", empty), ("a member each", each)]
            .map(|(what, lines)| Head { what: format!("{name} {what}"), lines })
    })
}

/// A name each, with the context that makes them the winner's baggage and without.
fn many_names(size: usize) -> impl Iterator<Item = Head> {
    WINNERS.into_iter().flat_map(move |(prefix, winner)| {
        [&[][..], winner].into_iter().map(move |context| {
            let context = context.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
            let names = (0..size / (prefix.len() + 9)).map(|index| (format!("{prefix}{index:04}"), b"v".to_vec()));
            let names = names.map(|(name, value)| if prefix.ends_with('-') { (name, value) } else { (prefix.to_owned(), value) });
            Head { what: format!("{prefix}* by the thousand, {} lines beside", context.len()), lines: context.chain(names).collect() }
        })
    })
}

/// A head of a few carriers whose values are sound ones with bytes changed, put in and left out.
pub fn random(random: &mut ChaCha8Rng, admissible: &[u8]) -> Head {
    let mut below = |limit: usize| usize::try_from(random.next_u32()).unwrap_or(0) % limit;
    let mut lines = Vec::new();
    for _ in 0..=below(8) {
        let (name, start) = CARRIERS[below(CARRIERS.len())];
        let mut value = start.as_bytes().to_vec();
        for _ in 0..below(6) {
            let (at, byte) = (below(value.len() + 1), admissible[below(admissible.len())]);
            match below(3) {
                0 => value.insert(at, byte),
                1 if at < value.len() => value[at] = byte,
                _ => value.truncate(at),
            }
        }
        lines.push((name.to_owned(), value));
    }
    Head { what: "any bytes".to_owned(), lines }
}

/// Randomness that is the same in every run.
pub fn seeded(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}
