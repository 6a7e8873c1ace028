// SPDX-License-Identifier: Apache-2.0
//! Stage `settle`: which trace a request belongs to, now that its caller is known.

use std::hash::{Hash as _, Hasher as _};
use std::net::IpAddr;

use super::carrier::{Context, Sampling};
use super::id::{SpanId, TraceId};
use super::pairs::SeenPairs;
use super::parent::{TraceFlags, TraceParent};
use super::read::{Carried, CarriedState};
use super::sampling::{Decided, DecidedBy, OtMember, Randomness, Sampler, Threshold};
use super::signature::{CallerDigest, HopKeys, SignedHop};
use super::trust::Treatment;
use super::write::{self, Keeps, OwnMembers};
use super::{TracePolicy, TrustRule};
use crate::caller::Caller;
use crate::condition::Facts;
use crate::edits::HeaderEdits;
use crate::entropy::EntropyBlock;
use crate::inputs::{Entropy, EntropyUnavailable, Inputs, PeerFact};

/// What became of a request's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What the upstream is told; `None` where the host gave no randomness, so that no id could be minted.
    pub sent: Option<TraceParent>,
    /// What became of the caller's trace.
    pub outcome: Outcome,
    /// The caller's span, where its trace goes on.
    pub parent: Option<SpanId>,
    /// Whether it is recorded, and who decided so.
    pub sampling: Decided,
    /// What the trace draws, where it goes on and the caller says so (`rv` of OpenTelemetry's `tracestate` member).
    pub randomness: Option<Randomness>,
    /// The caller's context, where it doesn't go on but a span of ours is to be linked to it.
    pub link: Option<Context>,
    /// What a valid signature of a gateway before says.
    pub signed_hop: Option<SignedHop>,
    /// Signs of a spoofed context.
    pub indicators: Indicators,
    /// The place of the trust rule that decided, if the policy has any.
    pub rule: Option<usize>,
    /// The caller's `tracestate` was malformed and is dropped.
    pub state_dropped: bool,
    /// Baggage members that were dropped.
    pub baggage_dropped: usize,
    /// Whether the response is to tell the caller our trace and span.
    pub trace_response: bool,
}

/// What became of the caller's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on, under a new parent-id.
    Continued,
    /// A fresh trace begins, linked to it.
    Linked,
    /// A fresh trace begins.
    Restarted(RestartCause),
    /// The request may not have trace context, and has.
    Rejected,
    /// The host gave no randomness, so no id could be minted: a believed context passes as it came, any other is removed.
    Unminted,
}

/// Why a fresh trace begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartCause {
    /// No trace context.
    Absent,
    /// Trace context that breaks its format's rules, and none that keeps them.
    Malformed,
    /// Several lines of a header that may stand once, and no other valid context.
    Several,
    /// The policy doesn't believe the caller.
    Untrusted,
}

/// Signs of a spoofed context: each may have an innocent cause, so none decides anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indicators {
    /// A carrier that is read breaks its format's rules, or stands in several lines.
    pub malformed: bool,
    /// Two valid carriers name different traces.
    pub conflicting: bool,
    /// The same (trace-id, parent-id) pair came from somebody else within a minute.
    pub foreign_pair: bool,
}

/// What `settle` goes by beside the trace context itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    /// Who calls, as far as it is proven.
    pub(crate) caller: &'a Caller,
    /// The route that the request matched.
    pub(crate) route: Option<&'a str>,
    /// That route's own probability.
    pub(crate) root: Option<Threshold>,
    /// Another stage has refused the request.
    pub(crate) refused: bool,
    /// Proxies of ours before the listener.
    pub(crate) trusted_hops: usize,
}

/// What settling needs from one request to the next.
#[derive(Debug)]
pub(crate) struct Settler {
    ids: EntropyBlock,
    keys: Option<HopKeys>,
    sampler: Sampler,
    /// `None` until a pair is first worth noting.
    pairs: Option<SeenPairs>,
}

impl Settler {
    pub(crate) const fn new() -> Self {
        Self { ids: EntropyBlock::new(), keys: None, sampler: Sampler::new(), pairs: None }
    }

    /// Mints the id of another span; `None` where the host has no randomness.
    pub(crate) fn mint_span(&mut self, entropy: &mut dyn Entropy) -> Option<SpanId> {
        SpanId::from_bytes(self.ids.draw(entropy).ok()?)
    }

    /// Signs and verifies with these keys from now on. Without any it signs nothing and takes no signature for valid.
    pub(crate) fn provide(&mut self, keys: Option<HopKeys>) {
        self.keys = keys;
    }

    /// Decides which trace the request belongs to, and records the header changes that tell the upstream.
    pub(crate) fn settle(
        &mut self,
        carried: &Carried<'_>,
        circumstances: Circumstances<'_>,
        policy: &TracePolicy,
        inputs: &mut Inputs<'_>,
        edits: &mut HeaderEdits,
    ) -> Settled {
        let signed_hop = self.verify(carried, policy, inputs.now);
        let mut facts = Facts::new(carried.headers, circumstances.trusted_hops, &mut *inputs.peer, circumstances.caller);
        (facts.route, facts.signed_hop) = (circumstances.route, signed_hop.is_some());
        let decided = policy.trust.decide(&mut facts);
        let rule = decided.map(|(_, rule)| rule);
        let mut settled = Settled {
            sent: None,
            outcome: outcome(carried, rule.map_or(Treatment::Continue, |rule| rule.context)),
            parent: None,
            sampling: Decided { sampled: false, threshold: None, by: DecidedBy::Parent },
            randomness: None,
            link: None,
            signed_hop,
            indicators: Indicators {
                malformed: carried.malformed || carried.several,
                conflicting: carried.conflicting,
                foreign_pair: self.is_foreign(carried, &mut facts, policy, &mut *inputs.entropy, inputs.monotonic),
            },
            rule: decided.map(|(place, _)| place),
            state_dropped: false,
            baggage_dropped: 0,
            trace_response: rule.is_some_and(|rule| rule.trace_response),
        };
        let goes_on = settled.outcome == Outcome::Continued;
        let keeps = Keeps {
            context: goes_on,
            baggage: rule.is_none_or(|rule| rule.context == Treatment::Continue),
            // A policy that tells whom to believe vouches for what it reads, and for nothing else.
            unread: rule.is_none(),
        };
        let Ok(ids) = self.mint(carried, settled.outcome, inputs.entropy) else {
            if settled.outcome != Outcome::Rejected {
                settled.outcome = Outcome::Unminted;
            }
            write::leave(carried, keeps, policy, edits);
            return settled;
        };
        let honored = if rule.is_none_or(|rule| rule.honor_sampled) { carried.sampling } else { Sampling::Deferred };
        settled.parent = carried.context.filter(|_| goes_on).and_then(|(_, context)| context.span_id);
        settled.link = carried.context.map(|(_, context)| context).filter(|_| settled.outcome == Outcome::Linked);
        settled.state_dropped = goes_on && matches!(carried.state, CarriedState::Malformed(_));
        let ot = if goes_on { ot_member(carried) } else { None };
        settled.randomness = ot.as_ref().and_then(OtMember::explicit_randomness);
        let refused = circumstances.refused || settled.outcome == Outcome::Rejected;
        settled.sampling =
            self.sample(ids.trace_id, honored, ot.as_ref(), Circumstances { refused, ..circumstances }, policy, inputs.monotonic);
        let sent = ids.sent(settled.sampling.sampled);
        settled.sent = Some(sent);
        let own = OwnMembers {
            ours: policy.member.as_ref().map(|_| self.our_member(sent, rule, &mut facts, policy, inputs.now)),
            ot: ot_value(ot.as_ref(), settled.sampling),
        };
        settled.baggage_dropped = write::write(carried, sent, honored == Sampling::Debug, keeps, &own, policy, edits);
        settled
    }

    /// What the signature in our member says, where there is a valid one.
    fn verify(&self, carried: &Carried<'_>, policy: &TracePolicy, now: i64) -> Option<SignedHop> {
        let (keys, key) = self.keys.as_ref().zip(policy.member.as_ref())?;
        let CarriedState::Valid { state, .. } = &carried.state else { return None };
        let (_, context) = carried.context?;
        keys.verify(state, key.as_bytes(), context.trace_id, seconds(now))
    }

    /// Whether somebody else sent this pair a short while ago. Asks for every fact that tells callers apart under this policy, whatever rule
    /// decided, lest the same caller look like another on another route.
    fn is_foreign(
        &mut self,
        carried: &Carried<'_>,
        facts: &mut Facts<'_, '_>,
        policy: &TracePolicy,
        entropy: &mut dyn Entropy,
        monotonic: u64,
    ) -> bool {
        let Some((_, context)) = carried.context.filter(|_| policy.trust.tells_callers_apart()) else { return false };
        if self.pairs.is_none() {
            let Ok(seed) = self.ids.draw(entropy) else { return false };
            self.pairs = Some(SeenPairs::new(u64::from_be_bytes(seed)));
        }
        let Some(pairs) = &mut self.pairs else { return false };
        let mut sender = pairs.sender();
        tell_caller(facts, policy, |part| part.hash(&mut sender));
        pairs.observe(&context, sender.finish(), monotonic)
    }

    /// Tells this caller from others in what we sign: within this trace, lest its callers be followed from one trace to the next.
    fn caller(
        keys: &HopKeys,
        trace_id: TraceId,
        rule: Option<&TrustRule>,
        facts: &mut Facts<'_, '_>,
        policy: &TracePolicy,
    ) -> CallerDigest {
        let mut digest = keys.caller();
        digest.part(&trace_id.to_bytes());
        digest.part(rule.map(|rule| rule.name.as_bytes()).unwrap_or_default());
        tell_caller(facts, policy, |part| digest.part(part));
        digest.finish()
    }

    fn mint(&mut self, carried: &Carried<'_>, outcome: Outcome, entropy: &mut dyn Entropy) -> Result<Minted, EntropyUnavailable> {
        let (trace_id, random) = match carried.context {
            Some((_, context)) if outcome == Outcome::Continued => (context.trace_id, carried.random),
            _ => (TraceId::from_bytes(self.ids.draw(entropy)?).ok_or(EntropyUnavailable)?, true),
        };
        // A source that gives only zeros has no randomness.
        let span_id = SpanId::from_bytes(self.ids.draw(entropy)?).ok_or(EntropyUnavailable)?;
        Ok(Minted { trace_id, span_id, random })
    }

    fn sample(
        &mut self,
        trace_id: TraceId,
        honored: Sampling,
        ot: Option<&OtMember<'_>>,
        circumstances: Circumstances<'_>,
        policy: &TracePolicy,
        monotonic: u64,
    ) -> Decided {
        let randomness = ot.map_or(Randomness::of(trace_id), |ot| ot.randomness(trace_id));
        match (honored.sampled(), policy.sampling) {
            // Recorded whatever the decision, it doesn't use up what is meant for others.
            (None | Some(false), Some(sampling)) if circumstances.refused && sampling.record_refused => RECORDED_REFUSAL,
            (Some(sampled), _) => {
                let threshold = ot.and_then(OtMember::threshold).filter(|threshold| threshold.admits(randomness) == sampled);
                Decided { sampled, threshold, by: DecidedBy::Parent }
            }
            // OpenTelemetry's default sampler, `parentbased_always_on`, records every trace that begins here.
            (None, None) => Decided { sampled: true, threshold: None, by: DecidedBy::Probability },
            (None, Some(sampling)) => {
                self.sampler.decide(circumstances.root.unwrap_or(sampling.root), sampling.max_per_second, randomness, monotonic)
            }
        }
    }

    fn our_member(
        &self,
        sent: TraceParent,
        rule: Option<&TrustRule>,
        facts: &mut Facts<'_, '_>,
        policy: &TracePolicy,
        now: i64,
    ) -> Vec<u8> {
        match (&self.keys, &policy.signed_hop) {
            (Some(keys), Some(hop)) => {
                let caller = Self::caller(keys, sent.trace_id(), rule, facts, policy);
                keys.sign(sent.trace_id(), sent.parent_id(), caller, seconds(now).saturating_add(hop.expires_after))
            }
            _ => sent.parent_id().encode().to_vec(),
        }
    }
}

struct Minted {
    trace_id: TraceId,
    span_id: SpanId,
    random: bool,
}

impl Minted {
    fn sent(&self, sampled: bool) -> TraceParent {
        let flag = |set, flag| if set { flag } else { TraceFlags::default() };
        let flags = flag(sampled, TraceFlags::SAMPLED).union(flag(self.random, TraceFlags::RANDOM));
        TraceParent::new(self.trace_id, self.span_id, flags)
    }
}

fn outcome(carried: &Carried<'_>, treatment: Treatment) -> Outcome {
    let invalid = if carried.several {
        RestartCause::Several
    } else if carried.malformed {
        RestartCause::Malformed
    } else {
        RestartCause::Absent
    };
    match (treatment, carried.context) {
        (Treatment::Reject, _) if carried.is_any() => Outcome::Rejected,
        (_, None) => Outcome::Restarted(invalid),
        (Treatment::Continue, Some(_)) => Outcome::Continued,
        (Treatment::Link, Some(_)) => Outcome::Linked,
        (Treatment::Restart | Treatment::Reject, Some(_)) => Outcome::Restarted(RestartCause::Untrusted),
    }
}

/// Tells what is known of the caller, of that which the policy's rules ask about; addresses without their ports.
fn tell_caller(facts: &mut Facts<'_, '_>, policy: &TracePolicy, mut tell: impl FnMut(&[u8])) {
    for &fact in policy.trust.asks() {
        if fact != PeerFact::SourceAddress {
            tell(&facts.get(fact).unwrap_or_default());
            continue;
        }
        match facts.source() {
            Some(IpAddr::V4(address)) => tell(&address.octets()),
            Some(IpAddr::V6(address)) => tell(&address.octets()),
            None => tell(b""),
        }
    }
    for &provider in policy.trust.providers() {
        match facts.caller().of(provider).flatten() {
            Some(identity) => tell(identity.telling()),
            None => tell(b""),
        }
    }
}

fn ot_member<'a>(carried: &Carried<'a>) -> Option<OtMember<'a>> {
    match &carried.state {
        CarriedState::Valid { state, .. } => OtMember::find(state),
        CarriedState::Absent | CarriedState::Unread | CarriedState::Malformed(_) => None,
    }
}

/// What OpenTelemetry's member is to say, so that it agrees with the flag; `None` where it stays as it is.
fn ot_value(ot: Option<&OtMember<'_>>, decided: Decided) -> Option<Vec<u8>> {
    match ot {
        Some(ot) if ot.threshold() == decided.threshold && ot.is_sound() => None,
        Some(ot) => Some(ot.encode_with(decided.threshold)),
        None => decided.threshold.map(|threshold| OtMember::default().encode_with(Some(threshold))),
    }
}

/// Wall-clock seconds since 1970; 0 before.
fn seconds(now: i64) -> u64 {
    u64::try_from(now).unwrap_or(0) / 1_000_000_000
}

/// Recorded for what became of it: it says nothing of how many others there are, so no threshold goes with it.
const RECORDED_REFUSAL: Decided = Decided { sampled: true, threshold: None, by: DecidedBy::Refusal };
