// SPDX-License-Identifier: Apache-2.0
//! Trace Context Level 2, rule by rule: what the caller sends and what the upstream gets. The same table runs through the
//! compiled module in the native host and in real Envoy. Beside it, tables for every other carrier and for baggage.

mod vectors {
    mod baggage;
    mod carriers;
    mod mixed;
    mod table;
}

use tracegate::trace::TraceParent;
use tracegate_harness::host::{self, Always, HeaderMap, Message, Metering, Options, Proxy, Reply, Request};
use tracegate_harness::module;
use tracegate_tests::{Edge, OPEN, WITH_MEMBER, echoed, get};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const GOOD: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What the upstream gets for a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trace {
    /// The caller's trace, these flags.
    GoesOn(u8),
    /// A fresh trace.
    Fresh,
}

struct Case {
    rule: &'static str,
    sent: Vec<(&'static str, Vec<u8>)>,
    trace: Trace,
    /// The upstream's `tracestate`.
    state: Option<String>,
}

fn cases() -> Vec<Case> {
    let parent = |text: &str| vec![("traceparent", text.as_bytes().to_vec())];
    let state = |lines: &[&str]| {
        let mut sent = vec![("traceparent", GOOD.to_vec())];
        sent.extend(lines.iter().map(|line| ("tracestate", line.as_bytes().to_vec())));
        sent
    };
    let members = |count: usize| (0..count).map(|index| format!("k{index}=v")).collect::<Vec<_>>().join(",");
    let long_key = format!("{}=v", "k".repeat(256));
    let long_value = format!("k={}", "v".repeat(256));
    let mut cases = Vec::new();
    let mut case = |rule, sent, trace, state: Option<&str>| cases.push(Case { rule, sent, trace, state: state.map(str::to_owned) });

    case("R1 absent", vec![], Trace::Fresh, None);
    case("R1 any case of the name", vec![("TraceParent", GOOD.to_vec())], Trace::GoesOn(1), None);
    case("R1 white space around the value", parent(&format!(" \t{} ", String::from_utf8_lossy(GOOD))), Trace::GoesOn(1), None);
    case("R1 two lines", [parent(std::str::from_utf8(GOOD).unwrap()), state(&["a=1"])].concat(), Trace::Fresh, None);
    case(
        "R1 two values in one line",
        parent(&format!("00-{TRACE}-b7ad6b7169203331-01,00-{TRACE}-b7ad6b7169203331-01")),
        Trace::Fresh,
        None,
    );
    case("R2 upper case", parent("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"), Trace::Fresh, None);
    case("R2 version ff", parent(&format!("ff-{TRACE}-b7ad6b7169203331-01")), Trace::Fresh, None);
    case("R2 version 00 too long", parent(&format!("00-{TRACE}-b7ad6b7169203331-01-x")), Trace::Fresh, None);
    case("R2 too short", parent(&format!("00-{TRACE}-b7ad6b7169203331-1")), Trace::Fresh, None);
    case("R2 empty", parent(""), Trace::Fresh, None);
    case("R2 sign", parent("00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), Trace::Fresh, None);
    case("R2 bytes above 0x7f", vec![("traceparent", [&GOOD[..54], b"\xff"].concat())], Trace::Fresh, None);
    case("R3 later version", parent(&format!("cc-{TRACE}-b7ad6b7169203331-01")), Trace::GoesOn(1), None);
    case("R3 later version, longer", parent(&format!("01-{TRACE}-b7ad6b7169203331-00-what-comes")), Trace::GoesOn(0), None);
    case("R3 later version, glued on", parent(&format!("01-{TRACE}-b7ad6b7169203331-00what")), Trace::Fresh, None);
    case(
        "R4 zero trace-id",
        [parent(&format!("00-{}-b7ad6b7169203331-01", "0".repeat(32))), vec![("tracestate", b"a=1".to_vec())]].concat(),
        Trace::Fresh,
        None,
    );
    case("R4 zero parent-id", parent(&format!("00-{TRACE}-{}-01", "0".repeat(16))), Trace::Fresh, None);
    case("R5 not sampled stays so", parent(&format!("00-{TRACE}-b7ad6b7169203331-00")), Trace::GoesOn(0), None);
    case("R5 random flag stays", parent(&format!("00-{TRACE}-b7ad6b7169203331-03")), Trace::GoesOn(3), None);
    case("R5 unknown flags become 0", parent(&format!("00-{TRACE}-b7ad6b7169203331-fd")), Trace::GoesOn(1), None);
    case("R8 tracestate alone", vec![("tracestate", b"a=1".to_vec())], Trace::Fresh, None);
    case("R9 lines are joined", state(&["a=1", "b=2", "c=3"]), Trace::GoesOn(1), Some("a=1,b=2,c=3"));
    case("R9 empty members", state(&["a=1,,\t, b=2 ,"]), Trace::GoesOn(1), Some("a=1,b=2"));
    case("R9 empty header", state(&[""]), Trace::GoesOn(1), None);
    case("R10 keys of Level 2", state(&["0a=1,a-b_c*d/e@f@g=2"]), Trace::GoesOn(1), Some("0a=1,a-b_c*d/e@f@g=2"));
    case("R10 upper case key", state(&["a=1,B=2"]), Trace::GoesOn(1), None);
    case("R10 longest key", state(&[&long_key]), Trace::GoesOn(1), Some(&long_key));
    case("R10 key too long", state(&[&format!("k{long_key}")]), Trace::GoesOn(1), None);
    case("R11 leading space belongs to the value", state(&["a= 1"]), Trace::GoesOn(1), Some("a= 1"));
    case("R11 empty value", state(&["a="]), Trace::GoesOn(1), None);
    case("R11 equals sign in the value", state(&["a=1=2"]), Trace::GoesOn(1), None);
    case("R11 tab in the value", state(&["a=1\t2"]), Trace::GoesOn(1), None);
    case("R11 longest value", state(&[&long_value]), Trace::GoesOn(1), Some(&long_value));
    case("R11 value too long", state(&[&format!("{long_value}v")]), Trace::GoesOn(1), None);
    case("R12 32 members", state(&[&members(32)]), Trace::GoesOn(1), Some(&members(32)));
    case("R12 33 members", state(&[&members(33)]), Trace::GoesOn(1), None);
    case("R12 33 members over two lines", state(&[&members(32), "x=1"]), Trace::GoesOn(1), None);
    case("R13 repeated keys stay", state(&["a=1,a=2"]), Trace::GoesOn(1), Some("a=1,a=2"));
    cases
}

fn assert_case(case: &Case, parents: &[String], states: &[String]) {
    let rule = case.rule;
    assert_eq!(parents.len(), 1, "{rule}: one traceparent, found {parents:?}");
    let parent: TraceParent = parents[0].parse().unwrap_or_else(|error| panic!("{rule}: {}: {error}", parents[0]));
    assert!(parents[0].starts_with("00-"), "{rule}: version 00 is what we write");
    assert_ne!(parent.parent_id().to_string(), "b7ad6b7169203331", "{rule}: the parent-id is new");
    match case.trace {
        Trace::GoesOn(flags) => assert_eq!((parent.trace_id().to_string().as_str(), parent.flags().bits()), (TRACE, flags), "{rule}"),
        Trace::Fresh => {
            assert_ne!(parent.trace_id().to_string(), TRACE, "{rule}");
            assert_eq!(parent.flags().bits(), 3, "{rule}: sampled and random");
        }
    }
    assert_eq!(states, case.state.as_slice(), "{rule}");
}

#[test]
fn every_rule_holds_through_the_module_in_the_native_host() {
    let module = host::compile_file(&module::build().unwrap(), Metering::Time).unwrap();
    let upstream = Always(Reply::now(Message::response(200, [("x", "")], b"")));
    let mut proxy = Proxy::start(&module, Options::new(OPEN, 7), upstream).unwrap();
    for case in cases() {
        let mut head: HeaderMap = [(":method", "GET"), (":path", "/"), (":authority", "api.example")].into_iter().collect();
        case.sent.iter().for_each(|(name, value)| head.add(name.as_bytes(), value.trim_ascii()));
        let finished = proxy.exchange(Request { message: Message::request(head), ..Request::default() });
        let upstream = finished.upstream.unwrap_or_else(|| panic!("{}: not forwarded", case.rule)).head;
        let values =
            |name: &str| upstream.values(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned()).collect::<Vec<_>>();
        assert_case(&case, &values("traceparent"), &values("tracestate"));
    }
}

#[test]
fn every_rule_holds_in_real_envoy() {
    let Some(edge) = Edge::start(OPEN) else { return };
    for case in cases() {
        let fields: Vec<(&str, &[u8])> = case.sent.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        let response = edge.get("/", &fields);
        assert_case(&case, &echoed(&response, "traceparent"), &echoed(&response, "tracestate"));
    }
    edge.assert_alive();
}

#[test]
fn our_member_goes_first_in_real_envoy() {
    let Some(edge) = Edge::start(WITH_MEMBER) else { return };
    let full = (0..32).map(|index| format!("k{index}=v")).collect::<Vec<_>>().join(",");
    for (sent, rest) in
        [("", ""), ("a=1,tgate=old,b=2", ",a=1,b=2"), ("a=1,B=2", ""), (&full, &full.trim_end_matches(",k31=v").replacen("k0", ",k0", 1))]
    {
        let response = edge.get("/", &[("traceparent", GOOD), ("tracestate", sent.as_bytes())]);
        let parent: TraceParent = echoed(&response, "traceparent")[0].parse().unwrap();
        assert_eq!(echoed(&response, "tracestate"), [format!("tgate={}{rest}", parent.parent_id())], "{sent}");
    }
    // Two requests never share a span.
    let mut connection = edge.connect();
    let mut parents = std::collections::BTreeSet::new();
    for _ in 0..200 {
        connection.send(&get("/", &[("traceparent", GOOD)])).unwrap();
        assert!(parents.insert(echoed(&connection.read_response().unwrap(), "traceparent")));
    }
    edge.assert_alive();
}
