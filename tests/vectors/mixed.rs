// SPDX-License-Identifier: Apache-2.0
//! Several formats at once: ids come from one carrier, the first valid one in the policy's order, and every header of a
//! carrier that isn't written goes.

use super::table::Table;
use super::table::Trace::{Fresh, GoesOn, Half, Is};

const ALL: [&str; 8] = ["tracecontext", "b3", "b3multi", "jaeger", "ottrace", "ot_span_context", "xray", "request_id"];

/// A context of each format in another trace, in the order of [`ALL`], without `tracecontext`.
const OTHERS: [(&str, &[&str]); 7] = [
    ("0af7651916cd43dd8448eb211c80312b", &["b3: 0af7651916cd43dd8448eb211c80312b-b7ad6b716920332b-1"]),
    ("0af7651916cd43dd8448eb211c80313b", &["x-b3-traceid: 0af7651916cd43dd8448eb211c80313b", "x-b3-spanid: b7ad6b716920333b"]),
    ("0af7651916cd43dd8448eb211c80314b", &["uber-trace-id: 0af7651916cd43dd8448eb211c80314b:b7ad6b716920334b:0:1"]),
    ("00000000000000008448eb211c80315b", &["ot-tracer-traceid: 8448eb211c80315b", "ot-tracer-spanid: b7ad6b716920335b"]),
    ("0000000000000000a3ce929d0e0e4736", &["x-ot-span-context: EhQJNkcODp2SzqMRtwKpC6pn8AAYAQ=="]),
    ("0af7651916cd43dd8448eb211c80317b", &["x-amzn-trace-id: Root=1-0af76519-16cd43dd8448eb211c80317b;Parent=b7ad6b716920337b"]),
    ("0af7651916cd43dd8448eb211c80318b", &["request-id: |0af7651916cd43dd8448eb211c80318b.b7ad6b716920338b."]),
];

/// What belongs to a format and names no trace.
const BESIDE: [&str; 7] = [
    "x-b3-parentspanid: b7ad6b716920333b",
    "x-b3-sampled: 1",
    "x-b3-flags: 0",
    "uberctx-tenant: 7",
    "ot-baggage-tenant: 8",
    "request-context: appId=cid-v1:7",
    "correlation-context: tenant=9",
];

fn tables() -> [Table; 4] {
    [order(), all_at_once(), from_w3c(), decisions()]
}

#[test]
fn several_formats_in_the_native_host() {
    tables().iter().for_each(Table::run_in_native_host);
}

#[test]
fn several_formats_in_real_envoy() {
    tables().iter().for_each(Table::run_in_envoy);
}

fn order() -> Table {
    let mut table = Table::new(&ALL, &["tracecontext"]);
    let told = ["traceparent: 00-$T-$S-01"];
    let everything: Vec<&str> = OTHERS.iter().flat_map(|(_, lines)| *lines).copied().chain(BESIDE).collect();
    // Baggage goes with the trace of its own format only.
    let w3c = ["traceparent: 00-$T-$S-01", "tracestate: a=1"];
    table.case("the first valid one wins", GoesOn, &[&w3c[..], &everything].concat(), &w3c);
    for broken in [&["traceparent: 00-$T-$S-1"][..], &["traceparent: 00-$T-$S-01", "traceparent: 00-$T-$S-01"], &["tracestate: a=1"], &[]] {
        for (place, (trace, _)) in OTHERS.iter().enumerate() {
            let later = OTHERS[place..].iter().flat_map(|(_, lines)| *lines).copied();
            let told = if *trace == "0af7651916cd43dd8448eb211c80318b" { [told[0]] } else { told };
            table.case("a broken one gives way", Is(trace), &broken.iter().copied().chain(later).collect::<Vec<_>>(), &told);
        }
    }
    table.case(
        "nothing but what names no trace",
        Fresh,
        &[BESIDE[0], BESIDE[2], BESIDE[3], BESIDE[4], BESIDE[5]],
        &["traceparent: 00-$T-$S-03"],
    );
    table.case(
        "with its own baggage",
        Half,
        &["ot-tracer-traceid: $t", "ot-tracer-spanid: $S", BESIDE[3], BESIDE[4], BESIDE[6]],
        &[told[0], "baggage: tenant=8"],
    );
    table.case("a foreign root gives way", GoesOn, &["request-id: |guid.1.", "traceparent: 00-$T-$S-00"], &["traceparent: 00-$T-$S-00"]);
    table
}

fn all_at_once() -> Table {
    let mut table = Table::new(&["jaeger", "tracecontext"], &ALL);
    let told = |flag: &str, letter: &str, decision: &'static str, jaeger: &str, word: &str| {
        let (digit, osc) = (if word == "true" { "1" } else { "0" }, if word == "true" { "$osc1" } else { "$osc0" });
        [
            format!("traceparent: 00-$T-$S-{flag}"),
            format!("b3: $T-$S-{letter}"),
            "x-b3-traceid: $T".to_owned(),
            "x-b3-spanid: $S".to_owned(),
            decision.to_owned(),
            format!("uber-trace-id: $T:$S:0:{jaeger}"),
            "ot-tracer-traceid: $t".to_owned(),
            "ot-tracer-spanid: $S".to_owned(),
            format!("ot-tracer-sampled: {word}"),
            format!("x-ot-span-context: {osc}"),
            format!("x-amzn-trace-id: Root=1-$time-$random;Parent=$S;Sampled={digit}"),
            "request-id: |$T.$S.".to_owned(),
        ]
    };
    let sampled = told("01", "1", "x-b3-sampled: 1", "1", "true");
    table.case("sampled", GoesOn, &["uber-trace-id: $T:$S:0:1"], &sampled);
    table.case("not sampled", GoesOn, &["uber-trace-id: $T:$S:0:0"], &told("00", "0", "x-b3-sampled: 0", "0", "false"));
    table.case("debug", GoesOn, &["uber-trace-id: $T:$S:0:3"], &told("01", "d", "x-b3-flags: 1", "3", "true"));
    table.case("begins here", Fresh, &["uber-trace-id: $T"], &told("03", "1", "x-b3-sampled: 1", "1", "true"));
    let stale = OTHERS.iter().flat_map(|(_, lines)| *lines).copied().filter(|line| !line.starts_with("uber"));
    let stale: Vec<&str> = stale.chain(["uber-trace-id: $T:$S:0:1", BESIDE[0], BESIDE[1], BESIDE[2], BESIDE[4]]).collect();
    table.case("what is written replaces what came", GoesOn, &stale, &sampled);
    table
}

fn from_w3c() -> Table {
    let mut table = Table::new(&["tracecontext"], &["xray"]);
    let told = ["x-amzn-trace-id: Root=1-$time-$random;Parent=$S;Sampled=0"];
    let sent = ["traceparent: 00-$T-$S-00", "tracestate: a=1", "tracestate: b=2", "x-amzn-trace-id: Root=1-0-0;Parent=junk"];
    table.case("what is read and not written goes", GoesOn, &sent, &told);
    table.case("a valid one too where it isn't read", GoesOn, &[sent[0], OTHERS[5].1[0]], &told);
    table
}

fn decisions() -> Table {
    let mut table = Table::new(&["b3", "b3multi", "tracecontext"], &["tracecontext"]);
    table.case("no trace: not sampled", Fresh, &["b3: 0"], &["traceparent: 00-$T-$S-02"]);
    table.case("no trace: sampled", Fresh, &["b3: 1"], &["traceparent: 00-$T-$S-03"]);
    table.case("the first of two", Fresh, &["b3: 0", "x-b3-sampled: 1"], &["traceparent: 00-$T-$S-02"]);
    table.case("the second, the first is broken", Fresh, &["b3: 2", "x-b3-sampled: 0"], &["traceparent: 00-$T-$S-02"]);
    table.case("a trace brings its own", GoesOn, &["b3: 0", "traceparent: 00-$T-$S-01"], &["traceparent: 00-$T-$S-01"]);
    table.case("and before it too", GoesOn, &["b3: $T-$S-0", "x-b3-sampled: 1"], &["traceparent: 00-$T-$S-00"]);
    table
}
