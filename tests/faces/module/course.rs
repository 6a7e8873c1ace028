// SPDX-License-Identifier: Apache-2.0
//! What became of one exchange on the native core, and whether a module can have been told the same.

use std::collections::{BTreeMap, BTreeSet};

use tracegate_harness::host::{Facts, Tls};

use super::super::bytes::Bytes;
use super::super::said::{Answer, Awaits, Call, Decided, Edit, Failed, Heard, Lines, Said, Told};
use super::super::turn::{Ask, Turn};

/// One exchange as the native core had it.
#[derive(Debug, Default)]
pub(in crate::faces) struct Course {
    pub(super) request: Option<Lines>,
    pub(super) trailers: Option<(Lines, Vec<Edit>)>,
    pub(super) facts: Facts,
    /// The last one.
    pub(super) verdict: Option<Decided>,
    pub(super) response: Option<(Lines, Vec<Edit>)>,
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    stage: Stage,
    awaits: Awaits,
    /// When its client was answered, which ends it in a proxy.
    answered: Option<i64>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Opened,
    /// It has a head.
    Begun,
    Answered,
    Cancelled,
    Closed,
}

/// What became of each exchange.
///
/// # Errors
///
/// Why no proxy can tell a module all of it.
pub(in crate::faces) fn courses(conversation: &[Turn]) -> Result<BTreeMap<u32, Course>, &'static str> {
    let Some((Turn { said: Said::Start { .. }, heard: Heard::Started { error: None }, .. }, rest)) = conversation.split_first() else {
        return Err("a gateway that doesn't start is never told anything");
    };
    let mut told = SoFar::default();
    for turn in rest {
        told.follow(turn)?;
    }
    if told.courses.values().any(|course| !course.is_whole()) {
        return Err("a proxy tells every exchange that it is over");
    }
    Ok(told.courses)
}

/// What has been told so far.
#[derive(Debug, Default)]
struct SoFar {
    courses: BTreeMap<u32, Course>,
    /// The wall clock's lead.
    lead: Option<i64>,
    /// Exchanges to be woken.
    woken: BTreeSet<u32>,
    /// Calls that are out, and whether by gRPC.
    out: BTreeMap<u64, bool>,
    /// Calls that go out with the next tick, likewise.
    deferred: BTreeMap<u64, bool>,
}

impl SoFar {
    fn follow(&mut self, turn: &Turn) -> Result<(), &'static str> {
        match &turn.said {
            Said::Compile { .. } | Said::Start { .. } => return Err("a proxy has its plugins from the start"),
            Said::Drop { .. } => return Err("a proxy tells every exchange that it is over"),
            Said::Open { exchange, .. } => drop(self.courses.insert(*exchange, Course::default())),
            Said::Step { exchange, event } => self.step(*exchange, event, turn)?,
            Said::Tick { .. } => self.out.append(&mut self.deferred),
            Said::Reply { call, answer, .. } => {
                let is_grpc = self.out.remove(call).ok_or("nobody answers what hasn't gone out")?;
                let is_possible = match answer {
                    Answer::Reply { headers, .. } => headers.is_empty() == is_grpc,
                    Answer::Failed(Failed::Disconnected) => !is_grpc,
                    Answer::Failed(Failed::Status(status)) => is_grpc && *status != 0,
                    Answer::Failed(Failed::Refused | Failed::TimedOut) => false,
                };
                if !is_possible {
                    return Err("calls fail in another way in a module's host");
                }
            }
            Said::Drain { .. } | Said::End { .. } => {}
        }
        if turn.is_timed() {
            let lead = turn.now.wrapping_sub_unsigned(turn.monotonic);
            if *self.lead.get_or_insert(lead) != lead {
                return Err("a module has one clock");
            }
        }
        match (&turn.heard, &turn.said) {
            (Heard::Woken { calls, wake, .. }, _) => {
                self.woken.extend(wake);
                self.out.extend(calls.iter().map(named));
            }
            // From within a stream goes what its request waits for.
            (Heard::Step { calls, .. }, Said::Step { event, .. }) => {
                let goes = |call: &&Call| matches!(call, Call::CheckRateLimit { awaited: true, .. }) && !matches!(event, Told::Wake(_));
                let (out, deferred): (Vec<_>, Vec<_>) = calls.iter().partition(goes);
                self.out.extend(out.into_iter().map(named));
                self.deferred.extend(deferred.into_iter().map(named));
            }
            _ => {}
        }
        Ok(())
    }

    fn step(&mut self, id: u32, event: &Told, turn: &Turn) -> Result<(), &'static str> {
        let course = self.courses.get_mut(&id).ok_or("it was opened before")?;
        let Heard::Step { verdict, properties, awaits, .. } = &turn.heard else { return Err("a step is answered by one") };
        course.know(&turn.asks)?;
        let edits = if let Decided::Continue(edits) = verdict { edits.clone() } else { Vec::new() };
        match (event, course.stage) {
            (Told::Request(head), Stage::Opened) => {
                course.request = Some(head.clone());
                course.decide(verdict, turn.now);
                course.stage = Stage::Begun;
            }
            (Told::Wake(_), Stage::Begun) if self.woken.remove(&id) => course.decide(verdict, turn.now),
            (Told::Trailers(lines), Stage::Begun) if course.trailers.is_none() => course.trailers = Some((lines.clone(), edits)),
            (Told::Response(lines), Stage::Begun) => {
                if *course.answered.get_or_insert(turn.now) != turn.now {
                    return Err("a refusal goes out at once");
                }
                if matches!(course.verdict, None | Some(Decided::Wait)) {
                    return Err("nobody answers a request that waits");
                }
                course.response = Some((lines.clone(), edits));
                course.stage = Stage::Answered;
            }
            (Told::Cancelled(_), Stage::Begun) => course.stage = Stage::Cancelled,
            (Told::Closed { request_bytes, response_bytes }, Stage::Begun | Stage::Answered | Stage::Cancelled) => {
                if course.answered.is_some_and(|answered| answered != turn.now) {
                    return Err("an answer without a body ends an exchange");
                }
                if course.awaits.cancellation && course.stage != Stage::Cancelled {
                    return Err("a module tells what is cancelled of itself");
                }
                (course.facts.request_size, course.facts.response_size) = (Some(*request_bytes), Some(*response_bytes));
                course.stage = Stage::Closed;
            }
            (Told::Closed { .. }, Stage::Opened) => course.stage = Stage::Closed,
            // A client that has gone hangs up no more.
            (Told::Closed { .. }, Stage::Closed) => {}
            (Told::HostFailed(_), _) => return Err("a module finds out by itself what its host can't do"),
            _ => return Err("events come in a proxy's order"),
        }
        course.awaits = *awaits;
        course.properties.extend(properties.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())));
        Ok(())
    }
}

/// A call's name, and whether it goes by gRPC.
const fn named(call: &Call) -> (u64, bool) {
    match call {
        Call::Fetch { call, .. } | Call::Export { call, .. } => (*call, false),
        Call::CheckRateLimit { call, .. } => (*call, true),
    }
}

impl Course {
    fn decide(&mut self, verdict: &Decided, now: i64) {
        if matches!(verdict, Decided::Refuse { .. }) {
            self.answered = Some(now);
        }
        self.verdict = Some(verdict.clone());
    }

    /// Whether all that a proxy tells of an exchange was told.
    const fn is_whole(&self) -> bool {
        let owed = match self.stage {
            Stage::Opened | Stage::Closed => false,
            // A proxy tells it when it shuts down at the latest.
            Stage::Begun | Stage::Answered | Stage::Cancelled => self.awaits.close,
        };
        !owed
    }

    /// What the host was asked of the peer and of the route.
    fn know(&mut self, asks: &[Ask]) -> Result<(), &'static str> {
        for ask in asks {
            match ask {
                Ask::Peer { fact, answer: Some(Bytes(answer)) } => {
                    let text = String::from_utf8(answer.clone()).map_err(|_| "what a proxy knows is text")?;
                    if *fact == "source-address" {
                        self.facts.source = text.parse().map_err(|_| "a proxy knows an address and a port")?;
                        continue;
                    }
                    let tls = self.facts.tls.get_or_insert_with(|| Tls { mutual: true, ..Tls::default() });
                    let known = match *fact {
                        "uri-san" => &mut tls.uri_san,
                        "dns-san" => &mut tls.dns_san,
                        "subject" => &mut tls.subject,
                        _ => &mut tls.sha256,
                    };
                    *known = Some(text);
                }
                Ask::RouteMetadata { key, answer: Some(Bytes(answer)) } => {
                    let text = String::from_utf8(answer.clone()).map_err(|_| "what a proxy knows is text")?;
                    self.facts.route_metadata.push(("tracegate".to_owned(), key.clone(), text));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
