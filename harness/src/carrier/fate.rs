// SPDX-License-Identifier: Apache-2.0
//! What becomes of a trace header on the way through a gateway.

use super::{Carried, Carrier, Read, have_arrived};

/// What became of a trace header between the gateway and the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It arrived as it came.
    Kept,
    /// It arrived in the same trace, as another span or with something added: right.
    Continued,
    /// It was malformed, or without a sound `traceparent`, and doesn't go on: right.
    Dropped,
    /// It arrived in another trace.
    Restarted,
    /// It arrived cut, rewritten or malformed.
    Altered,
    /// It didn't arrive.
    Absent,
    /// It was malformed, and so it arrived.
    Passed,
}

impl Fate {
    /// What became of a carrier that `sent` holds; `None` where it doesn't.
    #[must_use]
    pub fn of(carrier: Carrier, sent: &Carried, arrived: &Carried) -> Option<Self> {
        let fate = Self::compare(carrier, sent.get(carrier)?, arrived.get(carrier));
        let parent = sent.get(Carrier::TRACEPARENT);
        // Nobody may go by a `tracestate` whose `traceparent` is unusable.
        let is_orphan = carrier == Carrier::TRACESTATE && parent.is_some_and(|parent| !Carrier::TRACEPARENT.is_sound(parent));
        Some(if is_orphan && fate == Self::Absent { Self::Dropped } else { fate })
    }

    /// What became of a value, whatever stood beside it.
    #[must_use]
    pub fn of_values(carrier: Carrier, sent: &[u8], arrived: &[u8]) -> Self {
        Self::compare(carrier, sent, Some(arrived))
    }

    fn compare(carrier: Carrier, sent: &[u8], arrived: Option<&[u8]>) -> Self {
        let (was, arrived) = match (carrier.read(sent), arrived) {
            // Only the standard says for certain what is malformed.
            (Read::Malformed, Some(arrived)) if carrier.is_trace_context() => {
                return if carrier.is_sound(arrived) { Self::Dropped } else { Self::Passed };
            }
            (Read::Malformed, None) if carrier.is_trace_context() => return Self::Dropped,
            (_, None) => return Self::Absent,
            (_, Some(arrived)) if arrived == sent => return Self::Kept,
            (was, Some(arrived)) => (was, arrived),
        };
        match (was, carrier.read(arrived)) {
            (Read::Trace(was), Read::Trace(is)) if was == is => Self::Continued,
            (Read::Trace(_), Read::Trace(_)) => Self::Restarted,
            (Read::Members(was), Read::Members(is)) if have_arrived(&was, &is) => Self::Continued,
            (Read::Hop, Read::Hop) => Self::Continued,
            _ => Self::Altered,
        }
    }

    /// Whether the header came through as it should.
    #[must_use]
    pub const fn is_right(self) -> bool {
        matches!(self, Self::Kept | Self::Continued | Self::Dropped)
    }

    /// A word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Continued => "continued",
            Self::Dropped => "dropped",
            Self::Restarted => "restarted",
            Self::Altered => "altered",
            Self::Absent => "absent",
            Self::Passed => "passed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: &str = "0af7651916cd43dd8448eb211c80319c";
    const U: &str = "1af7651916cd43dd8448eb211c80319c";
    const S: &str = "b7ad6b7169203331";
    const R: &str = "00f067aa0ba902b7";

    /// What became of a header of which these lines came and those arrived, a `traceparent` of sound form beside a `tracestate`.
    fn fate(name: &str, sent: &[&str], arrived: &[&str]) -> Fate {
        let lines = |values: &[&str]| values.iter().map(|&value| (name.to_ascii_uppercase(), value.to_owned())).collect::<Vec<_>>();
        let beside = (name == "tracestate").then(|| ("traceparent".to_owned(), format!("00-{T}-{S}-01")));
        let sent = Carried::of(lines(sent).into_iter().chain(beside));
        Fate::of(Carrier::named(name.as_bytes()).unwrap(), &sent, &Carried::of(lines(arrived))).unwrap()
    }

    #[test]
    fn a_trace_goes_on_under_a_new_span_and_not_under_another_id() {
        for (name, same, other_span, other_trace, malformed) in [
            ("traceparent", format!("00-{T}-{S}-01"), format!("00-{T}-{R}-01"), format!("00-{U}-{S}-01"), format!("00-{T}-{S}")),
            ("b3", format!("{T}-{S}-1"), format!("{T}-{R}-1-{S}"), format!("{U}-{S}"), format!("{T}-{S}-x")),
            ("x-b3-traceid", S.to_owned(), format!("{:0>32}", S), R.to_owned(), "xyz".to_owned()),
            ("uber-trace-id", format!("{T}:{S}:0:1"), format!("{T}%3A{R}%3A{S}%3A1"), format!("{U}:{S}:0:1"), format!("{T}:{S}")),
            ("ot-tracer-traceid", S.to_owned(), S.to_uppercase(), R.to_owned(), String::new()),
            (
                "x-amzn-trace-id",
                format!("Root=1-{}-{}", &T[..8], &T[8..]),
                format!("Self=1-a-b;Root=1-{}-{};Sampled=1", &T[..8], &T[8..]),
                format!("Root=1-{}-{}", &U[..8], &U[8..]),
                format!("Root={T}"),
            ),
        ] {
            assert_eq!(fate(name, &[&same], &[&same]), Fate::Kept, "{name}");
            assert_eq!(fate(name, &[&same], &[&other_span]), Fate::Continued, "{name}");
            assert_eq!(fate(name, &[&same], &[&other_trace]), Fate::Restarted, "{name}");
            assert_eq!(fate(name, &[&same], &[&malformed]), Fate::Altered, "{name}");
            assert_eq!(fate(name, &[&same], &[&same, &other_trace]), Fate::Altered, "{name}");
            assert_eq!(fate(name, &[&same], &[]), Fate::Absent, "{name}");
        }
    }

    #[test]
    fn what_was_malformed_must_not_arrive() {
        let (sound, malformed) = (format!("00-{T}-{S}-01"), format!("00-{T}-{S}-01-x"));
        for (sent, arrived, expected) in [
            (&[&*malformed][..], &[][..], Fate::Dropped),
            (&[&malformed], &[&*sound], Fate::Dropped),
            (&[&malformed], &[&malformed], Fate::Passed),
            (&[&malformed], &["x"], Fate::Passed),
            (&[&sound, &sound], &[&sound], Fate::Dropped),
            (&[&sound, &sound], &[&sound, &sound], Fate::Passed),
        ] {
            assert_eq!(fate("traceparent", sent, arrived), expected, "{sent:?} {arrived:?}");
        }
        let state = |parent: &str| {
            let sent = Carried::of([("traceparent", parent), ("tracestate", "a=1")]);
            Fate::of(Carrier::TRACESTATE, &sent, &Carried::default())
        };
        assert_eq!((state(&malformed), state(&sound)), (Some(Fate::Dropped), Some(Fate::Absent)));
        assert_eq!(fate("uber-trace-id", &["nonsense"], &["nonsense"]), Fate::Kept, "whoever understands it");
    }

    #[test]
    fn members_are_all_handed_on() {
        for (name, sent, arrived, expected) in [
            ("tracestate", "a=1,b=2", "a=1,b=2", Fate::Kept),
            ("tracestate", "a=1,b=2", "z=9,a=1,b=2", Fate::Continued),
            ("tracestate", "a=1,b=2", "b=3,a=1", Fate::Continued),
            ("tracestate", "a=1,b=2", "a=1", Fate::Altered),
            ("tracestate", "a=1,b=2", "a=1,b=3", Fate::Altered),
            ("tracestate", "a=1,b=2", "a=1,,=", Fate::Altered),
            ("tracestate", "a=1,=", "a=1,=", Fate::Passed),
            ("tracestate", "a=1,=", "a=1", Fate::Dropped),
            ("baggage", "a=1;p, b=2", "b=2,c=3,a=1;p", Fate::Continued),
            ("baggage", "a=1,b=2", "a=1", Fate::Altered),
        ] {
            assert_eq!(fate(name, &[sent], &[arrived]), expected, "{name} {sent} {arrived}");
        }
        let many: Vec<String> = (0..200_000).map(|index| format!("k{index}=1")).collect();
        assert_eq!(fate("baggage", &[&many.join(",")], &[&many[1..].join(",")]), Fate::Altered);
    }

    #[test]
    fn every_hop_writes_some_of_them_anew() {
        for (name, sent, arrived, expected) in [
            ("x-b3-spanid", S, R, Fate::Continued),
            ("x-b3-spanid", S, "-", Fate::Altered),
            ("request-context", "appId=cid-v1:a", "appId=cid-v1:b", Fate::Continued),
            ("request-id", "|a.b.", "|a.b.c.", Fate::Continued),
            ("request-id", "a", "|a.1_", Fate::Continued),
            ("request-id", "|a.b.", "|c.", Fate::Restarted),
            ("x-b3-sampled", "1", "0", Fate::Altered),
            ("b3", "0", "1", Fate::Altered),
            ("x-ot-span-context", "a", "b", Fate::Altered),
        ] {
            assert_eq!(fate(name, &[sent], &[arrived]), expected, "{name} {sent} {arrived}");
        }
    }
}
