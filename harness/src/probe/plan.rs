// SPDX-License-Identifier: Apache-2.0
//! Which requests a probe sends: each with ids of its own, drawn at random.

use super::{Carrier, Fate};
use tracegate::trace::{Context, OtSpanContext, Sampling, TraceParent};

use crate::carrier::Carried;

/// A request of a probe.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) kind: Kind,
    /// Stands in a header of its own.
    pub(super) mark: String,
    /// The trace headers that it carries.
    pub(super) lines: Vec<(Carrier, String)>,
    /// Those that it is about.
    pub(super) about: Vec<Carrier>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It carries no trace header.
    Bare,
    /// It carries the headers of one system.
    Alone,
    /// It carries every header.
    All,
    /// Its `traceparent` is malformed.
    Malformed,
    /// It has two `traceparent` lines.
    Twice,
}

impl Marked {
    /// What it carries, lines joined.
    pub(super) fn sent(&self) -> Carried {
        Carried::of(self.lines.iter().map(|(carrier, value)| (carrier.name(), value)))
    }

    /// How many lines of a carrier it has.
    pub(super) fn count(&self, carrier: Carrier) -> usize {
        self.lines.iter().filter(|(known, _)| *known == carrier).count()
    }

    /// What became of a carrier.
    pub(super) fn fate(&self, carrier: Carrier, arrived: &Carried) -> Option<Fate> {
        Fate::of(carrier, &self.sent(), arrived)
    }
}

/// All requests, the bare one first.
pub(super) fn requests() -> Result<Vec<Marked>, getrandom::Error> {
    let names: [&[&str]; 11] = [
        &["traceparent"],
        &["tracestate"],
        &["baggage"],
        &["b3"],
        &["x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"],
        &["uber-trace-id"],
        &["ot-tracer-traceid", "ot-tracer-spanid", "ot-tracer-sampled"],
        &["x-ot-span-context"],
        &["x-amzn-trace-id"],
        &["request-id"],
        &["request-context"],
    ];
    let mut requests = vec![marked(Kind::Bare, &[])?];
    for names in names {
        let about: Vec<Carrier> = names.iter().filter_map(|name| Carrier::named(name.as_bytes())).collect();
        requests.push(marked(Kind::Alone, &about)?);
    }
    requests.push(marked(Kind::All, &Carrier::ALL)?);
    requests.push(marked(Kind::Malformed, &[Carrier::TRACEPARENT])?);
    requests.push(marked(Kind::Twice, &[Carrier::TRACEPARENT])?);
    Ok(requests)
}

fn marked(kind: Kind, about: &[Carrier]) -> Result<Marked, getrandom::Error> {
    let ids = Ids { trace: random(16)?, span: random(8)?, parent: random(8)? };
    // A `tracestate` means nothing without its `traceparent`.
    let needs_parent = about == [Carrier::TRACESTATE];
    let carried = needs_parent.then_some(Carrier::TRACEPARENT).into_iter().chain(about.iter().copied());
    let mut lines: Vec<(Carrier, String)> = carried.map(|carrier| (carrier, ids.value(carrier))).collect();
    match kind {
        Kind::Malformed => lines.iter_mut().for_each(|(_, value)| value.push_str("-malformed")),
        Kind::Twice => {
            let other = Ids { trace: random(16)?, ..ids };
            lines.push((Carrier::TRACEPARENT, other.value(Carrier::TRACEPARENT)));
        }
        Kind::Bare | Kind::Alone | Kind::All => {}
    }
    Ok(Marked { kind, mark: random(8)?, lines, about: about.to_vec() })
}

/// The ids that mark a request.
struct Ids {
    trace: String,
    span: String,
    parent: String,
}

impl Ids {
    /// A carrier's value with these ids.
    fn value(&self, carrier: Carrier) -> String {
        let Self { trace, span, parent } = self;
        let (time, number) = trace.split_at_checked(8).unwrap_or_default();
        match carrier.name() {
            "traceparent" => format!("00-{trace}-{span}-01"),
            "tracestate" => format!("probe={span},first={trace},second={parent}"),
            "baggage" => format!("probe={span},first={trace},second={parent};of=2"),
            "b3" => format!("{trace}-{span}-1-{parent}"),
            "x-b3-spanid" | "ot-tracer-spanid" => span.clone(),
            "x-b3-parentspanid" => parent.clone(),
            "x-b3-sampled" => "1".to_owned(),
            "x-b3-flags" => "0".to_owned(),
            "uber-trace-id" => format!("{trace}:{span}:{parent}:1"),
            "ot-tracer-traceid" => parent.clone(),
            "ot-tracer-sampled" => "true".to_owned(),
            "x-amzn-trace-id" => format!("Root=1-{time}-{number};Parent={span};Sampled=1"),
            "request-id" => format!("|{trace}.{span}."),
            "request-context" => format!("appId=cid-v1:{trace}"),
            "x-ot-span-context" => self.binary(),
            _ => trace.clone(),
        }
    }

    /// The ids as Lightstep's binary carrier has them.
    fn binary(&self) -> String {
        let parent: Result<TraceParent, _> = format!("00-{}-{}-01", self.trace, self.span).parse();
        let context =
            |parent: TraceParent| Context { trace_id: parent.trace_id(), span_id: Some(parent.parent_id()), sampling: Sampling::Accepted };
        parent.map(|parent| String::from_utf8_lossy(&OtSpanContext(context(parent)).encode()).into_owned()).unwrap_or_default()
    }
}

/// As many random bytes, in hexadecimal digits.
fn random(length: usize) -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().take(length).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_carrier_is_sent_soundly_with_ids_of_its_own() {
        let requests = requests().unwrap();
        for carrier in Carrier::ALL {
            let alone: Vec<&Marked> =
                requests.iter().filter(|marked| marked.kind == Kind::Alone && marked.about.contains(&carrier)).collect();
            let [marked] = alone.as_slice() else { panic!("{carrier:?} is sent {} times", alone.len()) };
            assert!(carrier.is_sound(marked.sent().get(carrier).unwrap()), "{marked:?}");
        }
        for marked in &requests {
            let is_sound = marked.sent().iter().all(|(carrier, value)| carrier.is_sound(value));
            assert_eq!(is_sound, !matches!(marked.kind, Kind::Malformed | Kind::Twice), "{marked:?}");
        }
        let marks: std::collections::BTreeSet<&str> = requests.iter().map(|marked| marked.mark.as_str()).collect();
        assert_eq!(marks.len(), requests.len());
        assert_ne!(requests[1].lines, super::requests().unwrap()[1].lines);
    }
}
