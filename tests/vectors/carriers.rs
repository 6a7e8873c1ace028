// SPDX-License-Identifier: Apache-2.0
//! Each format alone, read and written again: every spelling that it accepts, and what it refuses.

use super::table::Table;
use super::table::Trace::{Fresh, GoesOn, Half, Is};

/// What one format accepts and refuses.
fn tables() -> [Table; 7] {
    [b3(), b3_in_several(), jaeger(), ottrace(), ot_span_context(), xray(), request_id()]
}

#[test]
fn every_format_reads_in_the_native_host_as_its_standard_says() {
    tables().iter().for_each(Table::run_in_native_host);
}

#[test]
fn every_format_reads_in_real_envoy_as_its_standard_says() {
    tables().iter().for_each(Table::run_in_envoy);
}

fn b3() -> Table {
    let mut table = Table::new(&["b3"], &["b3"]);
    table.case("sampled", GoesOn, &["b3: $T-$S-1"], &["b3: $T-$S-1"]);
    table.case("any case of the name", GoesOn, &["B3: $T-$S-1"], &["b3: $T-$S-1"]);
    table.case("not sampled", GoesOn, &["b3: $T-$S-0"], &["b3: $T-$S-0"]);
    table.case("debug", GoesOn, &["b3: $T-$S-d"], &["b3: $T-$S-d"]);
    table.case("open: decided here", GoesOn, &["b3: $T-$S"], &["b3: $T-$S-1"]);
    table.case("with a parent", GoesOn, &["b3: $T-$S-0-00f067aa0ba90200"], &["b3: $T-$S-0"]);
    table.case("a root's parent", GoesOn, &["b3: $T-$S-1-0000000000000000"], &["b3: $T-$S-1"]);
    table.case("64 bits", Half, &["b3: $t-$S-1"], &["b3: $T-$S-1"]);
    table.case("decision: no", Fresh, &["b3: 0"], &["b3: $T-$S-0"]);
    table.case("decision: yes", Fresh, &["b3: 1"], &["b3: $T-$S-1"]);
    table.case("decision: debug", Fresh, &["b3: d"], &["b3: $T-$S-d"]);
    table.case("two lines", Fresh, &["b3: $T-$S-0", "b3: $T-$S-0"], &["b3: $T-$S-1"]);
    table.case("two decisions", Fresh, &["b3: 0", "b3: 0"], &["b3: $T-$S-1"]);
    table.all(
        "refused",
        Fresh,
        &[
            "b3: 2",
            "b3: true",
            "b3: 00",
            "b3: D",
            "b3: $T",
            "b3: $T-",
            "b3: $T-$S-",
            "b3: $T-$S-2",
            "b3: $T-$S-true",
            "b3: $T-$S-1-",
            "b3: $T-$S-1-$S-",
            "b3: $T-$S-1-$T",
            "b3: $T0-$S-1",
            "b3: 0$t-$S-1",
            "b3: $T-0$S-1",
            "b3: 4BF92F3577B34DA6A3CE929D0E0E4736-$S-1",
            "b3: $T-00F067AA0BA902B7-1",
            "b3: 00000000000000000000000000000000-$S-1",
            "b3: $T-0000000000000000-1",
            "b3: $T:$S:1",
            "b3: $T-$S-1,$T-$S-1",
            "b3: +bf92f3577b34da6a3ce929d0e0e4736-$S-1",
        ],
        &["b3: $T-$S-1"],
    );
    let others = ["traceparent: 00-$T-$S-01", "x-b3-parentspanid: $S", "uberctx-a: 1"];
    let as_it_came = ["traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x-b3-parentspanid: 00f067aa0ba902b7"];
    table.case("what is neither read nor written passes", Fresh, &others, &[&["b3: $T-$S-1", "uberctx-a: 1"], &as_it_came[..]].concat());
    table
}

fn b3_in_several() -> Table {
    const IDS: [&str; 2] = ["x-b3-traceid: $T", "x-b3-spanid: $S"];
    let mut table = Table::new(&["b3multi"], &["b3multi"]);
    let mut with = |name, trace, more: &[&'static str], decision| {
        table.case(name, trace, &[&IDS, more].concat(), &[&IDS[..], &[decision]].concat());
    };
    with("sampled", GoesOn, &["x-b3-sampled: 1"], "x-b3-sampled: 1");
    with("sampled, in a word", GoesOn, &["x-b3-sampled: True"], "x-b3-sampled: 1");
    with("not sampled", GoesOn, &["x-b3-sampled: 0"], "x-b3-sampled: 0");
    with("not sampled, in a word", GoesOn, &["x-b3-sampled: false"], "x-b3-sampled: 0");
    with("open: decided here", GoesOn, &[], "x-b3-sampled: 1");
    with("its parent goes", GoesOn, &["X-B3-ParentSpanId: 00f067aa0ba90200", "x-b3-sampled: 0"], "x-b3-sampled: 0");
    with("debug", GoesOn, &["x-b3-flags: 1"], "x-b3-flags: 1");
    with("debug outweighs", GoesOn, &["x-b3-flags: 1", "x-b3-sampled: 0"], "x-b3-flags: 1");
    with("other flags say nothing", GoesOn, &["x-b3-flags: 2", "x-b3-sampled: 0"], "x-b3-sampled: 0");
    for more in ["x-b3-sampled: d", "x-b3-sampled: 2", "x-b3-sampled: yes", "x-b3-spanid: $S", "x-b3-traceid: $T"] {
        with("refused", Fresh, &[more], "x-b3-sampled: 1");
    }
    with("two decisions", Fresh, &["x-b3-sampled: 0", "x-b3-sampled: 0"], "x-b3-sampled: 1");
    with("twice debug", Fresh, &["x-b3-flags: 1", "x-b3-flags: 1"], "x-b3-sampled: 1");
    let fresh = |decision| [IDS[0], IDS[1], decision];
    table.case("64 bits", Half, &["x-b3-traceid: $t", IDS[1], "x-b3-sampled: 0"], &fresh("x-b3-sampled: 0"));
    table.case("decision: no", Fresh, &["x-b3-sampled: 0"], &fresh("x-b3-sampled: 0"));
    table.case("decision: debug", Fresh, &["x-b3-flags: 1"], &fresh("x-b3-flags: 1"));
    for lines in [
        &[IDS[0]][..],
        &[IDS[1]],
        &[IDS[0], "x-b3-sampled: 0"],
        &["x-b3-parentspanid: $S"],
        &["x-b3-traceid: 4BF92F3577B34DA6A3CE929D0E0E4736", IDS[1]],
        &["x-b3-traceid: 4bf92f35", IDS[1]],
        &["x-b3-traceid: $T0", IDS[1]],
        &["x-b3-traceid: 0000000000000000", IDS[1]],
        &[IDS[0], "x-b3-spanid: 0000000000000000"],
        &[IDS[0], "x-b3-spanid: f067aa0ba902b7"],
    ] {
        table.case("refused", Fresh, lines, &fresh("x-b3-sampled: 1"));
    }
    table
}

fn jaeger() -> Table {
    let mut table = Table::new(&["jaeger"], &["jaeger"]);
    table.case("sampled", GoesOn, &["uber-trace-id: $T:$S:0:1"], &["uber-trace-id: $T:$S:0:1"]);
    table.case("not sampled", GoesOn, &["uber-trace-id: $T:$S:0:0"], &["uber-trace-id: $T:$S:0:0"]);
    table.case("debug", GoesOn, &["Uber-Trace-Id: $T:$S:0:3"], &["uber-trace-id: $T:$S:0:3"]);
    table.case("debug alone is not sampled", GoesOn, &["uber-trace-id: $T:$S:0:2"], &["uber-trace-id: $T:$S:0:0"]);
    table.case("other flags", GoesOn, &["uber-trace-id: $T:$S:0:fd"], &["uber-trace-id: $T:$S:0:1"]);
    table.case("padded flags", GoesOn, &["uber-trace-id: $T:$S:0:00"], &["uber-trace-id: $T:$S:0:0"]);
    table.case("with a parent", GoesOn, &["uber-trace-id: $T:$S:$S:1"], &["uber-trace-id: $T:$S:0:1"]);
    table.case("an empty parent", GoesOn, &["uber-trace-id: $T:$S::0"], &["uber-trace-id: $T:$S:0:0"]);
    table.case("escaped colons", GoesOn, &["uber-trace-id: $T%3A$S%3a0%3A0"], &["uber-trace-id: $T:$S:0:0"]);
    table.case("some escaped colons", GoesOn, &["uber-trace-id: $T:$S%3A0:1"], &["uber-trace-id: $T:$S:0:1"]);
    table.case("64 bits", Half, &["uber-trace-id: $t:$S:0:1"], &["uber-trace-id: $T:$S:0:1"]);
    table.case("unpadded", Is("000000000000000000000000000003ce"), &["uber-trace-id: 3ce:f:0:1"], &["uber-trace-id: $T:$S:0:1"]);
    table.case("upper case", GoesOn, &["uber-trace-id: 4BF92F3577B34DA6A3CE929D0E0E4736:F:0:1"], &["uber-trace-id: $T:$S:0:1"]);
    table.case("two lines", Fresh, &["uber-trace-id: $T:$S:0:0", "uber-trace-id: $T:$S:0:0"], &["uber-trace-id: $T:$S:0:1"]);
    table.all(
        "refused",
        Fresh,
        &[
            "uber-trace-id: $T",
            "uber-trace-id: $T:$S",
            "uber-trace-id: $T:$S:0",
            "uber-trace-id: $T:$S:0:",
            "uber-trace-id: $T:$S:0:x",
            "uber-trace-id: $T:$S:0:+1",
            "uber-trace-id: $T:$S:0:11111111111111110",
            "uber-trace-id: $T:$S:0:0:0",
            "uber-trace-id: $T-$S-0-0",
            "uber-trace-id: $T0:$S:0:0",
            "uber-trace-id: $T:0$S:0:0",
            "uber-trace-id: :$S:0:0",
            "uber-trace-id: $T::0:0",
            "uber-trace-id: 0:$S:0:0",
            "uber-trace-id: $T:0:0:0",
            "uber-trace-id: $T%3b$S%3b0%3b0",
            "uber-trace-id: $T%3",
            "uber-trace-id: zbf92f3577b34da6a3ce929d0e0e4736:$S:0:0",
        ],
        &["uber-trace-id: $T:$S:0:1"],
    );
    table
}

fn ottrace() -> Table {
    let mut table = Table::new(&["ottrace"], &["ottrace"]);
    let mut case = |name, trace, [id, span, sampled]: [&str; 3], told: &str| {
        let mut sent = vec![format!("ot-tracer-traceid: {id}"), format!("OT-Tracer-SpanId: {span}")];
        sent.extend((!sampled.is_empty()).then(|| format!("ot-tracer-sampled: {sampled}")));
        table.case(name, trace, &sent, &["ot-tracer-traceid: $t", "ot-tracer-spanid: $S", &format!("ot-tracer-sampled: {told}")]);
    };
    case("64 bits", GoesOn, ["$t", "$S", "true"], "true");
    case("128 bits", GoesOn, ["$T", "$S", "false"], "false");
    case("sampled, in a digit", GoesOn, ["$T", "$S", "1"], "true");
    case("not sampled, in a digit", GoesOn, ["$T", "$S", "0"], "false");
    case("open: decided here", GoesOn, ["$T", "$S", ""], "true");
    case("upper case", GoesOn, ["A3CE929D0E0E4736", "00F067AA0BA902B7", "false"], "false");
    case("unpadded", Is("0000000000000000000000001c3b00da"), ["1c3b00da", "7", "false"], "false");
    for refused in [
        ["$T0", "$S", "false"],
        ["0$t", "$S", "false"],
        ["0", "$S", "false"],
        ["zbf92f3577b34da6", "$S", "false"],
        ["$T", "0$S", "false"],
        ["$T", "0", "false"],
        ["$T", "00f067aa0ba902b", "False"],
        ["$T", "$S", "2"],
        ["$T", "$S", "wired"],
    ] {
        case("refused", Fresh, refused, "true");
    }
    let fresh = ["ot-tracer-traceid: $t", "ot-tracer-spanid: $S", "ot-tracer-sampled: true"];
    let ids = ["ot-tracer-traceid: $T", "ot-tracer-spanid: $S"];
    table.case("two lines", Fresh, &[ids[0], ids[1], "ot-tracer-spanid: $S"], &fresh);
    table.case("two decisions", Fresh, &[&ids[..], &["ot-tracer-sampled: false"; 2]].concat(), &fresh);
    table.all("half of it", Fresh, &[ids[0], ids[1], "ot-tracer-sampled: false"], &fresh);
    table
}

fn ot_span_context() -> Table {
    // { 1: { 1: "" }, 2: { 1: trace_id, 2: span_id, 4: { 1: "k", 2: "v" } } }
    const WITH_BAGGAGE: &str = "x-ot-span-context: CgIKABIaCTZHDg6dks6jEbcCqQuqZ/AAIgYKAWsSAXY=";
    let mut table = Table::new(&["ot_span_context"], &["ot_span_context"]);
    table.case("sampled", GoesOn, &["x-ot-span-context: $osc1"], &["x-ot-span-context: $osc1"]);
    table.case("not sampled", GoesOn, &["X-Ot-Span-Context: $osc0"], &["x-ot-span-context: $osc0"]);
    table.case("with baggage and what came before", GoesOn, &[WITH_BAGGAGE], &["x-ot-span-context: $osc0"]);
    table.case("two lines", Fresh, &["x-ot-span-context: $osc0"; 2], &["x-ot-span-context: $osc1"]);
    let long = format!("x-ot-span-context: {}", "A".repeat(8196));
    table.all(
        "refused",
        Fresh,
        &[
            "x-ot-span-context: $T",
            "x-ot-span-context: $T;$S",
            "x-ot-span-context: not base64!",
            "x-ot-span-context: ====",
            // Without padding, and cut.
            "x-ot-span-context: EhQJNkcODp2SzqMRtwKpC6pn8AAYAQ",
            "x-ot-span-context: EhQJNkcODp2SzqMRtwKpC6pn8A==",
            // A trace_id of zeros, no span_id, a group.
            "x-ot-span-context: EhIJAAAAAAAAAAARtwKpC6pn8AA=",
            "x-ot-span-context: EgkJNkcODp2SzqM=",
            "x-ot-span-context: ExQJNkcODp2SzqMRtwKpC6pn8AAYAQ==",
            &long,
        ],
        &["x-ot-span-context: $osc1"],
    );
    table
}

fn xray() -> Table {
    const TOLD: [&str; 2] =
        ["x-amzn-trace-id: Root=1-$time-$random;Parent=$S;Sampled=0", "x-amzn-trace-id: Root=1-$time-$random;Parent=$S;Sampled=1"];
    let mut table = Table::new(&["xray"], &["xray"]);
    let mut case = |name, trace, sent: &str, sampled: usize| {
        table.case(name, trace, &[format!("X-Amzn-Trace-Id: {sent}")], &TOLD[sampled..=sampled]);
    };
    case("sampled", GoesOn, "Root=1-$time-$random;Parent=$S;Sampled=1", 1);
    case("not sampled", GoesOn, "Root=1-$time-$random;Parent=$S;Sampled=0", 0);
    case("asked for: decided here", GoesOn, "Root=1-$time-$random;Parent=$S;Sampled=?", 1);
    case("another decision", GoesOn, "Root=1-$time-$random;Parent=$S;Sampled=no", 1);
    case("open: decided here", GoesOn, "Root=1-$time-$random;Parent=$S", 1);
    case("another order", GoesOn, "Sampled=0;Parent=$S;Root=1-$time-$random", 0);
    case("white space, a last ;", GoesOn, "Root=1-$time-$random; Parent=$S;\tSampled=0;", 0);
    case("what isn't known", GoesOn, "Self=1-$time-0;Root=1-$time-$random;Lineage=a:1|b:2;Parent=$S;Sampled=0;x==", 0);
    case("upper case", GoesOn, "Root=1-4BF92F35-77B34DA6A3CE929D0E0E4736;Parent=00F067AA0BA902B7;Sampled=0", 0);
    case("a load balancer's root alone", GoesOn, "Root=1-$time-$random", 1);
    case("a root and a decision", GoesOn, "Root=1-$time-$random;Sampled=0", 0);
    for refused in [
        "Parent=$S;Sampled=0",
        "Sampled=0",
        "root=1-$time-$random;Parent=$S;Sampled=0",
        "Root=2-$time-$random;Parent=$S;Sampled=0",
        "Root=1-$T;Parent=$S;Sampled=0",
        "Root=1-$time-$T;Parent=$S;Sampled=0",
        "Root=1-00000000-000000000000000000000000;Parent=$S;Sampled=0",
        "Root=1-$time-$random;Parent=0000000000000000;Sampled=0",
        "Root=1-$time-$random;Parent=f067aa0ba902b7;Sampled=0",
        "Root=1-$time-$random;Root=1-$time-$random;Parent=$S;Sampled=0",
        "Root=1-$time-$random;Parent=$S;Parent=$S;Sampled=0",
        "Root=1-$time-$random;Parent=$S;Sampled=0;Sampled=0",
        "Root=1-$time-$random;;Parent=$S;Sampled=0",
        "Root=1-$time-$random;junk;Parent=$S;Sampled=0",
        "junk",
        ";",
    ] {
        case("refused", Fresh, refused, 1);
    }
    table.case("two lines", Fresh, &["x-amzn-trace-id: Root=1-$time-$random;Parent=$S;Sampled=0"; 2], &TOLD[1..]);
    table
}

fn request_id() -> Table {
    let mut table = Table::new(&["request_id"], &["request_id"]);
    let told = ["request-id: |$T.$S."];
    for sent in ["|$T.$S.", "|$T.$S_", "|$T.$S.1.2_3a.", "|$T.$S_deadbeef#", "|$T.", "|$T.1.", "|$T.$S$S."] {
        table.case("goes on", GoesOn, &[format!("Request-Id: {sent}")], &told);
    }
    for root in ["|guid-1234.1.", "|.", "|4BF92F3577B34DA6A3CE929D0E0E4736.$S.", "|00000000000000000000000000000000.$S.", "|$t.$S."] {
        table.case("a foreign root", Fresh, &[format!("request-id: {root}")], &told);
    }
    let (longest, too_long) = (format!("|$T.{}.", "a".repeat(989)), format!("|$T.{}.", "a".repeat(990)));
    table.case("1024 bytes", GoesOn, &[format!("request-id: {longest}")], &told);
    for sent in [&too_long, "$T.$S.", "|", "|$T", "|$T.$S.\u{a0}", "|$T $S.", "|$T.$S;", "00-$T-$S-01"] {
        table.case("refused", Fresh, &[format!("request-id: {sent}")], &told);
    }
    table.case("two lines", Fresh, &["request-id: |$T.$S."; 2], &told);
    let application = "request-context: appId=cid-v1:7";
    table.case("which application called", GoesOn, &["request-id: |$T.$S.", application], &[told[0], application]);
    let baggage = "correlation-context: a=1";
    let told = [told[0], application, baggage, "baggage: a=1"];
    table.case("which application called, with baggage", GoesOn, &["request-id: |$T.$S.", application, baggage], &told);
    table
}
