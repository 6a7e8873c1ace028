// SPDX-License-Identifier: Apache-2.0
//! Every format against every other.

use super::*;

/// What every format is told of a trace that goes on under the span 0102030405060708.
fn told(format: Format, sampled: bool) -> Vec<String> {
    let (span, flag) = ("0102030405060708", u8::from(sampled));
    match format {
        Format::TraceContext => vec![format!("traceparent: 00-{TRACE}-{span}-0{flag}")],
        Format::B3 => vec![format!("b3: {TRACE}-{span}-{flag}")],
        Format::B3Multi => vec![format!("x-b3-sampled: {flag}"), format!("x-b3-spanid: {span}"), format!("x-b3-traceid: {TRACE}")],
        Format::Jaeger => vec![format!("uber-trace-id: {TRACE}:{span}:0:{flag}")],
        Format::OtTrace => {
            vec![
                format!("ot-tracer-sampled: {sampled}"),
                format!("ot-tracer-spanid: {span}"),
                format!("ot-tracer-traceid: {}", &TRACE[16..]),
            ]
        }
        Format::OtSpanContext => vec![format!(
            "x-ot-span-context: {}",
            if sampled { "EhQJnDGAHCHrSIQRCAcGBQQDAgEYAQ==" } else { "EhIJnDGAHCHrSIQRCAcGBQQDAgE=" }
        )],
        Format::XRay => vec![format!("x-amzn-trace-id: Root=1-{}-{};Parent={span};Sampled={flag}", &TRACE[..8], &TRACE[8..])],
        Format::RequestId => vec![format!("request-id: |{TRACE}.{span}.")],
    }
}

/// A valid carrier in every format, all of the same trace; sampled, where the format says so.
fn carrier(format: Format) -> Vec<(&'static str, String)> {
    match format {
        Format::TraceContext => vec![("traceparent", PARENT.to_owned())],
        Format::B3 => vec![("b3", format!("{TRACE}-{SPAN}-1"))],
        Format::B3Multi => vec![("x-b3-traceid", TRACE.to_owned()), ("x-b3-spanid", SPAN.to_owned()), ("x-b3-sampled", "1".to_owned())],
        Format::Jaeger => vec![("uber-trace-id", format!("{TRACE}:{SPAN}:0:1"))],
        Format::OtTrace => {
            vec![("ot-tracer-traceid", TRACE.to_owned()), ("ot-tracer-spanid", SPAN.to_owned()), ("ot-tracer-sampled", "true".to_owned())]
        }
        Format::OtSpanContext => vec![("x-ot-span-context", "EhQJnDGAHCHrSIQRMTMgaXFrrbcYAQ==".to_owned())],
        Format::XRay => vec![("x-amzn-trace-id", format!("Root=1-{}-{};Parent={SPAN};Sampled=1", &TRACE[..8], &TRACE[8..]))],
        Format::RequestId => vec![("request-id", format!("|{TRACE}.{SPAN}."))],
    }
}

fn lent<'a>(lines: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    lines.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn every_format_goes_on_in_every_other_and_in_no_third() {
    for from in Format::ALL {
        for to in Format::ALL {
            let (settled, upstream) = upstream(&lent(&carrier(from)), &formats(&[from], &[to]), &mut counting);
            assert_eq!(settled.outcome, Outcome::Continued, "{from:?} to {to:?}");
            let mut expected = told(to, true);
            if from == Format::OtSpanContext {
                expected = expected
                    .into_iter()
                    .map(|line| line.replace(&TRACE[..16], &"0".repeat(16)).replace("Root=1-0af76519-16cd43dd", "Root=1-00000000-00000000"))
                    .collect();
            }
            assert_eq!(shown(&upstream), expected, "{from:?} to {to:?}");
        }
    }
    let all = formats(&[Format::TraceContext], &Format::ALL);
    let mut expected: Vec<String> = Format::ALL.into_iter().flat_map(|format| told(format, true)).collect();
    expected.sort();
    assert_eq!(shown(&upstream(&[("traceparent", PARENT)], &all, &mut counting).1), expected, "all at once");
}

#[test]
fn the_first_valid_carrier_wins_and_ids_are_never_mixed() {
    let other = "4bf92f3577b34da6a3ce929d0e0e4736";
    let b3 = format!("{other}-00f067aa0ba902b7-0");
    let lines = [("traceparent", PARENT), ("tracestate", "a=1"), ("b3", b3.as_str())];
    let goes_on = |extract: &[Format], lines: &[(&str, &str)]| {
        let (settled, upstream) = upstream(lines, &formats(extract, &[Format::TraceContext]), &mut counting);
        (settled.sent.unwrap().trace_id().to_string(), shown(&upstream), settled.indicators)
    };
    let (trace, sent, indicators) = goes_on(&[Format::TraceContext, Format::B3], &lines);
    assert_eq!((trace.as_str(), sent), (TRACE, vec![format!("traceparent: {CONTINUED}"), "tracestate: a=1".to_owned()]));
    assert_eq!(indicators, Indicators { conflicting: true, ..Indicators::default() });
    // The other order: the tracestate of another trace goes too.
    let (trace, sent, _) = goes_on(&[Format::B3, Format::TraceContext], &lines);
    assert_eq!((trace.as_str(), sent), (other, vec![format!("traceparent: 00-{other}-0102030405060708-00")]));
    // A malformed first one leaves the field to the second.
    let (trace, _, indicators) = goes_on(&[Format::TraceContext, Format::B3], &[("traceparent", "00-x"), ("b3", &b3)]);
    assert_eq!((trace.as_str(), indicators), (other, Indicators { malformed: true, ..Indicators::default() }));
    // 64 bits of the same trace are no conflict.
    let short = format!("{}-{SPAN}-1", &TRACE[16..]);
    assert_eq!(goes_on(&[Format::TraceContext, Format::B3], &[("traceparent", PARENT), ("b3", &short)]).2, Indicators::default());
    // What isn't read passes, where the caller is believed.
    assert_eq!(
        goes_on(&[Format::TraceContext], &lines).1,
        [format!("b3: {b3}"), format!("traceparent: {CONTINUED}"), "tracestate: a=1".to_owned()]
    );
}

#[test]
fn what_is_read_and_not_written_is_removed_with_everything_of_its_format() {
    let lines = [
        ("x-b3-traceid", TRACE),
        ("x-b3-spanid", SPAN),
        ("x-b3-parentspanid", SPAN),
        ("x-b3-flags", "1"),
        ("ot-baggage-k", "v"),
        ("OT-Baggage-K", "w"),
        ("uber-trace-id", "malformed"),
        ("uberctx-a", "b"),
        ("accept", "*/*"),
    ];
    let read = [Format::B3Multi, Format::OtTrace, Format::Jaeger];
    let (settled, upstream) = upstream(&lines, &formats(&read, &[Format::TraceContext]), &mut counting);
    assert_eq!(settled.outcome, Outcome::Continued);
    assert_eq!(shown(&upstream), ["accept: */*".to_owned(), format!("traceparent: {CONTINUED}")]);
    // Written, it is written anew, with debug as it came and nothing left over.
    let (_, upstream) = self::upstream(&lines, &formats(&read, &[Format::B3Multi]), &mut counting);
    let expected = ["accept: */*", "x-b3-flags: 1", "x-b3-spanid: 0102030405060708", &format!("x-b3-traceid: {TRACE}")];
    assert_eq!(shown(&upstream), expected);
}

#[test]
fn which_application_called_goes_on_with_a_request_id_and_without_baggage_too() {
    let id = format!("|{TRACE}.{SPAN}.");
    let lines = [("request-id", id.as_str()), ("request-context", "appId=cid-v1:7")];
    let (_, upstream) = upstream(&lines, &formats(&[Format::RequestId], &[Format::RequestId]), &mut counting);
    assert_eq!(shown(&upstream), ["request-context: appId=cid-v1:7".to_owned(), format!("request-id: |{TRACE}.0102030405060708.")]);
    let (_, upstream) = self::upstream(&lines, &formats(&[Format::RequestId], &[Format::TraceContext]), &mut counting);
    assert_eq!(upstream.into_keys().collect::<Vec<_>>(), ["traceparent"]);
}

#[test]
fn a_decision_without_a_trace_is_honored_in_a_fresh_one() {
    for (value, flags) in [("0", 2), ("1", 3), ("d", 3)] {
        let (settled, upstream) = upstream(&[("b3", value)], &formats(&[Format::B3], &[Format::B3]), &mut counting);
        assert_eq!(settled.outcome, Outcome::Restarted(RestartCause::Absent));
        assert_eq!(settled.sent.unwrap().flags().bits(), flags, "{value}");
        assert!(upstream["b3"][0].ends_with(value), "{upstream:?}");
    }
}

#[test]
fn half_a_trace_id_of_zeros_is_not_written_where_it_would_be_none() {
    let parent = "00-0af7651916cd43dd0000000000000000-b7ad6b7169203331-01";
    let (_, upstream) = upstream(
        &[("traceparent", parent), ("ot-tracer-traceid", "1")],
        &formats(&[Format::TraceContext], &[Format::OtTrace, Format::OtSpanContext, Format::B3]),
        &mut counting,
    );
    assert_eq!(shown(&upstream), ["b3: 0af7651916cd43dd0000000000000000-0102030405060708-1"]);
}
