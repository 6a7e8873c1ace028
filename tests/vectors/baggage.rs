// SPDX-License-Identifier: Apache-2.0
//! Baggage: whole members within the limits go on, what older formats carry becomes W3C's, and back.

use super::table::Table;
use super::table::Trace::{Fresh, GoesOn};

const PARENT: &str = "traceparent: 00-$T-$S-01";

fn tables() -> [Table; 5] {
    [kept(), allowed(), stripped(), to_older_formats(), limits()]
}

#[test]
fn baggage_in_the_native_host() {
    tables().iter().for_each(Table::run_in_native_host);
}

#[test]
fn baggage_in_real_envoy() {
    tables().iter().for_each(Table::run_in_envoy);
}

fn kept() -> Table {
    let mut table = Table::new(&["tracecontext", "jaeger", "ottrace", "request_id"], &["tracecontext"]);
    let mut w3c = |name, sent: &[&str], told: Option<&str>| {
        let sent: Vec<String> = sent.iter().map(|value| format!("Baggage: {value}")).chain([PARENT.to_owned()]).collect();
        let told: Vec<String> = told.iter().map(|value| format!("baggage: {value}")).chain([PARENT.to_owned()]).collect();
        table.case(name, GoesOn, &sent, &told);
    };
    w3c("as it came", &["a=1,b=;p;q=3 , c=caf%C3%A9"], Some("a=1,b=;p;q=3,c=caf%C3%A9"));
    w3c("lines are joined", &["a=1", "b=2;p", "a=3"], Some("a=1,b=2;p,a=3"));
    w3c("member by member", &["a=1,b,=2,c d=3,e=\"4\",f=5\\,g=6;,h=7;p q,i=8"], Some("a=1,i=8"));
    w3c("nothing sound", &["a,b", ",,"], None);
    w3c("bytes above 0x7f", &["a=\u{e9},b=2"], Some("b=2"));
    table.case("without a trace", Fresh, &["baggage: a=1"], &["traceparent: 00-$T-$S-03", "baggage: a=1"]);
    let jaeger = ["uber-trace-id: $T:$S:0:1", "uberctx-tenant: 7%208", "UberCtx-Raw: a b", "baggage: w3c=1;p"];
    table.case("Jaeger's", GoesOn, &jaeger, &[PARENT, "baggage: w3c=1;p,tenant=7%208,raw=a%20b"]);
    let ot = ["ot-tracer-traceid: $T", "ot-tracer-spanid: $S", "ot-tracer-sampled: true", "ot-baggage-tenant: a b%;c"];
    table.case("OpenTracing's", GoesOn, &ot, &[PARENT, "baggage: tenant=a%20b%25%3Bc"]);
    let insights = ["request-id: |$T.$S.", "correlation-context: a=1,b", "correlation-context: c=2"];
    table.case("Application Insights'", GoesOn, &insights, &[PARENT, "baggage: a=1,c=2"]);
    table.case("of another trace than its own", GoesOn, &[PARENT, jaeger[1], ot[3], insights[1]], &[PARENT]);
    table
}

fn allowed() -> Table {
    let mut table = Table::new(&["tracecontext", "ottrace"], &["tracecontext"]).allowing(&["tenant", "region"]);
    let sent = [PARENT, "baggage: tenant=7,role=admin,region=eu;p", "baggage: Tenant=8,tenant=9"];
    table.case("by key, in its own case", GoesOn, &sent, &[PARENT, "baggage: tenant=7,region=eu;p,tenant=9"]);
    table.case("none", GoesOn, &[PARENT, "baggage: role=admin"], &[PARENT]);
    let ot = ["ot-tracer-traceid: $T", "ot-tracer-spanid: $S", "ot-baggage-role: admin", "ot-baggage-region: eu"];
    table.case("OpenTracing's", GoesOn, &ot, &[PARENT, "baggage: region=eu"]);
    table
}

fn stripped() -> Table {
    let mut table = Table::new(&["tracecontext", "request_id"], &["tracecontext", "request_id"]).allowing(&[]);
    let sent = [PARENT, "baggage: tenant=7", "correlation-context: a=1"];
    table.case("all of it", GoesOn, &sent, &[PARENT, "request-id: |$T.$S."]);
    table
}

fn to_older_formats() -> Table {
    let mut table = Table::new(&["tracecontext"], &["tracecontext", "jaeger", "ottrace", "request_id"]);
    let told = [
        PARENT,
        "uber-trace-id: $T:$S:0:1",
        "ot-tracer-traceid: $t",
        "ot-tracer-spanid: $S",
        "ot-tracer-sampled: true",
        "request-id: |$T.$S.",
    ];
    let with = |more: &[&'static str]| [&told[..], more].concat();
    let all = with(&[
        "baggage: Tenant=7;p,name=a%20b",
        "uberctx-tenant: 7",
        "uberctx-name: a%20b",
        "ot-baggage-tenant: 7",
        "ot-baggage-name: a b",
        "correlation-context: Tenant=7;p,name=a%20b",
    ]);
    table.case("in each its own way", GoesOn, &[PARENT, "baggage: Tenant=7;p,name=a%20b"], &all);
    let stale = ["uberctx-old: 1", "uberctx-name: 2", "ot-baggage-old: 3", "correlation-context: old=4"];
    table.case("what came goes", GoesOn, &[&[PARENT, "baggage: Tenant=7;p,name=a%20b"], &stale[..]].concat(), &all);
    table.case("what came goes, with nothing in its place", GoesOn, &[&[PARENT], &stale[..]].concat(), &told);
    let unprintable = with(&[
        "baggage: a=%0d%0Ax,b=%zz",
        "uberctx-a: %0d%0Ax",
        "uberctx-b: %zz",
        "ot-baggage-b: %zz",
        "correlation-context: a=%0d%0Ax,b=%zz",
    ]);
    table.case("no line is split", GoesOn, &[PARENT, "baggage: a=%0d%0Ax,b=%zz"], &unprintable);
    let long = ["a", "b", "c"].map(|key| format!("{key}={}", "x".repeat(400)));
    let sent = [PARENT.to_owned(), format!("baggage: {}", long.join(","))];
    let value = "x".repeat(400);
    let more = [sent[1].clone(), format!("correlation-context: {},{}", long[0], long[1])];
    let names = ["a", "b", "c"].into_iter().flat_map(|key| [format!("uberctx-{key}: {value}"), format!("ot-baggage-{key}: {value}")]);
    let told: Vec<String> = told.into_iter().map(str::to_owned).chain(more).chain(names).collect();
    table.case("as much as Application Insights reads", GoesOn, &sent, &told);
    table
}

fn limits() -> Table {
    let mut table = Table::new(&["tracecontext"], &["tracecontext"]);
    let members = |count: usize| (0..count).map(|index| format!("k{index}=v")).collect::<Vec<_>>().join(",");
    let mut case = |name, sent: &[&str], told: Option<&str>| {
        let sent: Vec<String> = sent.iter().map(|value| format!("baggage: {value}")).chain([PARENT.to_owned()]).collect();
        let told: Vec<String> = told.iter().map(|value| format!("baggage: {value}")).chain([PARENT.to_owned()]).collect();
        table.case(name, GoesOn, &sent, &told);
    };
    case("64 members", &[&members(64)], Some(&members(64)));
    case("65 members", &[&members(65)], Some(&members(64)));
    case("65 members over two lines", &[&members(60), &members(5)], Some(&format!("{},{}", members(60), members(4))));
    let longest = format!("a={}", "x".repeat(8190));
    case("8192 bytes", &[&longest], Some(&longest));
    case("8193 bytes", &[&format!("{longest}x")], None);
    case("a member that doesn't fit, one that does", &["a=1", &longest, "b=2"], Some("a=1,b=2"));
    case("no room for another", &[&longest, "b=2"], Some(&longest));
    table
}
