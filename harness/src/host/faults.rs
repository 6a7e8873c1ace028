// SPDX-License-Identifier: Apache-2.0
//! Faults on demand: host calls that fail, lie or stay silent, replies that go astray, a clock that jumps. The same seed
//! and the same traffic give the same faults.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Where faults come from, and those that came.
#[derive(Clone, Debug)]
pub struct Faults {
    random: ChaCha8Rng,
    per_mille: u32,
    reach: Reach,
    injected: Vec<Injected>,
}

/// Where faults come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Everywhere,
    /// In one host function.
    Function(&'static str),
    /// Likewise, always the same.
    Each(&'static str, Fault),
    /// In replies.
    Replies,
}

/// A fault that was injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected {
    /// The host function, or `reply` for a callout's reply.
    pub function: &'static str,
    /// What went wrong.
    pub fault: Fault,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call does nothing and answers with this status, which isn't OK and need not be one that the ABI knows.
    Status(u32),
    /// The call does nothing and answers that all is well, as some hosts do.
    Silent,
    /// The call works, but the buffer that it hands over is wrong.
    Buffer(Mangle),
    /// The call works, but the number that it writes down is this one.
    Number(u32),
    /// The clock stands elsewhere from now on, by this many nanoseconds.
    ClockJump(i64),
    /// The reply never comes.
    ReplyLost,
    /// The reply comes this much later.
    ReplyLate(Duration),
    /// The reply comes twice.
    ReplyTwice,
}

/// How a buffer that is handed over is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mangle {
    /// No buffer, no size.
    Nil,
    /// No buffer, but its size.
    NilWithSize,
    /// A buffer, but size 0.
    NoSize,
    /// Half of the size.
    Short,
    /// A size beyond the buffer's end.
    Long,
    /// The right size, other bytes.
    Noise,
}

/// A fault that is never injected.
#[derive(Clone, Copy, Debug)]
pub struct Exclusion {
    /// The host function; `*` for all.
    pub function: &'static str,
    /// The kind of fault.
    pub fault: FaultKind,
    /// Why no module built on the SDK and on Rust's standard library survives it, and why no real host does it.
    pub reason: &'static str,
}

/// The kinds of faults that can be excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// [`Mangle::Long`].
    SizeBeyondBuffer,
    /// [`Fault::Status`], [`Fault::Silent`] and [`Fault::Number`].
    Failure,
    /// [`Fault::ReplyTwice`], but where faults are of replies alone.
    ReplyTwice,
}

/// Every fault that is never injected, with the reason.
pub const EXCLUDED: &[Exclusion] = &[
    Exclusion {
        function: "*",
        fault: FaultKind::SizeBeyondBuffer,
        reason: "the module owns what the host allocated through proxy_on_memory_allocate and has nothing to check the \
                 size against: whatever it reads there is memory of its own; hosts tell the size that they asked for",
    },
    Exclusion {
        function: "environ_sizes_get",
        fault: FaultKind::Failure,
        reason: "the C library below Rust's standard library ends the program when it can't read its environment at start; \
                 hosts have an empty one",
    },
    Exclusion { function: "environ_get", fault: FaultKind::Failure, reason: "as environ_sizes_get" },
    Exclusion {
        function: "proxy_http_call",
        fault: FaultKind::Failure,
        reason: "the SDK ends the program at statuses that the ABI doesn't give for this call, and takes a call that was never sent for one; \
                 hosts give BadArgument and InternalFailure, which scenarios of their own cover",
    },
    Exclusion {
        function: "proxy_grpc_call",
        fault: FaultKind::Failure,
        reason: "as proxy_http_call, but for the statuses: hosts give ParseFailure and InternalFailure",
    },
    Exclusion {
        function: "proxy_set_effective_context",
        fault: FaultKind::Failure,
        reason: "the SDK ends the program where it fails on an answer's way to its context; hosts refuse contexts alone that they don't know",
    },
    Exclusion {
        function: "reply",
        fault: FaultKind::ReplyTwice,
        reason: "the SDK ends the program at an answer to a call that it knows nothing of; hosts answer once. Modules that keep their own record of \
                 calls are tried with it all the same",
    },
    Exclusion { function: "proc_exit", fault: FaultKind::Failure, reason: "it doesn't return, in no host" },
];

impl Mangle {
    /// The pointer and the size that the module is told of a buffer at `place`.
    pub(super) fn apply(self, place: u32, buffer: &mut [u8]) -> (u32, u32) {
        let size = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        match self {
            Self::Nil => (0, 0),
            Self::NilWithSize => (0, size),
            Self::NoSize => (place, 0),
            Self::Short => (place, size / 2),
            Self::Long => (place, size.saturating_add(64)),
            Self::Noise => {
                buffer.iter_mut().enumerate().for_each(|(index, byte)| *byte ^= index.to_le_bytes()[0].wrapping_mul(37));
                (place, size)
            }
        }
    }
}

impl Faults {
    /// Faults by `seed`, in `per_mille` of 1,000 calls and replies.
    #[must_use]
    pub fn new(seed: u64, per_mille: u32) -> Self {
        Self::within(Reach::Everywhere, seed, per_mille)
    }

    /// Faults of one host function: each time it fails.
    #[must_use]
    pub fn only(function: &'static str, seed: u64, per_mille: u32) -> Self {
        Self::within(Reach::Function(function), seed, per_mille)
    }

    /// One fault in each call of one host function.
    #[must_use]
    pub fn each(function: &'static str, fault: Fault) -> Self {
        Self::within(Reach::Each(function, fault), 0, 1000)
    }

    /// Replies that go astray.
    #[must_use]
    pub fn of_replies(seed: u64, per_mille: u32) -> Self {
        Self::within(Reach::Replies, seed, per_mille)
    }

    fn within(reach: Reach, seed: u64, per_mille: u32) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), per_mille, reach, injected: Vec::new() }
    }

    /// What has gone wrong so far, in order, the first 100,000 of it.
    #[must_use]
    pub fn injected(&self) -> &[Injected] {
        &self.injected
    }

    /// What goes wrong in this call, if anything. `hands_over` tells whether it returns a buffer.
    pub(super) fn of_call(&mut self, function: &'static str, hands_over: bool) -> Option<Fault> {
        let reached = match self.reach {
            Reach::Everywhere => true,
            Reach::Function(only) | Reach::Each(only, _) => only == function,
            Reach::Replies => false,
        };
        if !reached || !self.strikes() {
            return None;
        }
        if self.reach != Reach::Everywhere {
            let fault = if let Reach::Each(_, fault) = self.reach { fault } else { Fault::Status(self.status()) };
            self.note(function, fault);
            return Some(fault);
        }
        let excluded = |kind| EXCLUDED.iter().any(|known| known.fault == kind && (known.function == "*" || known.function == function));
        let fault = match self.below(4) {
            0 if matches!(function, "proxy_get_current_time_nanoseconds" | "clock_time_get") => Fault::ClockJump(self.jump()),
            0 if !hands_over => Fault::Number(self.random.next_u32()),
            0 | 1 if hands_over => Fault::Buffer(match self.below(6) {
                0 => Mangle::Nil,
                1 => Mangle::NoSize,
                2 => Mangle::Short,
                3 => Mangle::Noise,
                4 => Mangle::NilWithSize,
                _ => Mangle::Long,
            }),
            2 => Fault::Silent,
            _ => Fault::Status(self.status()),
        };
        let kind = match fault {
            Fault::Buffer(Mangle::Long) => Some(FaultKind::SizeBeyondBuffer),
            Fault::Status(_) | Fault::Silent | Fault::Number(_) => Some(FaultKind::Failure),
            _ => None,
        };
        if kind.is_some_and(excluded) {
            return None;
        }
        self.note(function, fault);
        Some(fault)
    }

    /// What goes wrong with a callout's reply, if anything.
    pub(super) fn of_reply(&mut self) -> Option<Fault> {
        if matches!(self.reach, Reach::Function(_) | Reach::Each(..)) || !self.strikes() {
            return None;
        }
        // See `EXCLUDED`.
        let kinds = if self.reach == Reach::Everywhere { 2 } else { 3 };
        let fault = match self.below(kinds) {
            0 => Fault::ReplyLost,
            1 => Fault::ReplyLate(Duration::from_millis(u64::from(self.below(60_000)))),
            _ => Fault::ReplyTwice,
        };
        self.note("reply", fault);
        Some(fault)
    }

    fn strikes(&mut self) -> bool {
        self.below(1000) < self.per_mille
    }

    /// A status of the ABI's, or one that it doesn't know.
    fn status(&mut self) -> u32 {
        match self.below(16) {
            0 => u32::MAX,
            1 => self.random.next_u32().max(1),
            low => low,
        }
    }

    /// Up to some ten years, either way.
    fn jump(&mut self) -> i64 {
        (self.random.next_u64() >> 5).cast_signed() - (1 << 58)
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.random.next_u32() % limit.max(1)
    }

    fn note(&mut self, function: &'static str, fault: Fault) {
        if self.injected.len() < MAX_NOTED {
            self.injected.push(Injected { function, fault });
        }
    }
}

const MAX_NOTED: usize = 100_000;
