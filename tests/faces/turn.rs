// SPDX-License-Identifier: Apache-2.0
//! One turn of a conversation: what was said, what the host lent for it, and what was answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde::Serialize;
use tracegate::{Expected, PeerFact, StoreError};

use super::bytes::Bytes;
use super::said::{Heard, Said};

/// Everything that was said to one instance of the core, in order.
pub type Conversation = Vec<Turn>;

/// A conversation that is being taken down. At its end the other faces are held to it.
#[derive(Debug, Default)]
pub struct Record {
    taken: Taken,
    is_beyond_modules: Cell<bool>,
}

/// What has been taken down.
pub(super) type Taken = Rc<RefCell<Conversation>>;

impl Record {
    /// What has been said so far.
    #[must_use]
    pub fn so_far(&self) -> Conversation {
        self.taken.borrow().clone()
    }

    /// What is said may be more than a proxy can tell a module: where it is, the module takes no part. Otherwise that is an error in the test.
    pub fn go_beyond_modules(&self) {
        self.is_beyond_modules.set(true);
    }

    pub(super) fn taken(&self) -> Taken {
        Rc::clone(&self.taken)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            super::agree(&self.taken.borrow(), self.is_beyond_modules.get());
        }
    }
}

/// One turn of it.
#[derive(Clone, Debug, Serialize)]
pub struct Turn {
    pub said: Said,
    /// The clocks; as texts, since JavaScript's numbers are too short.
    #[serde(serialize_with = "as_text")]
    pub now: i64,
    #[serde(serialize_with = "as_text")]
    pub monotonic: u64,
    /// What the host was asked meanwhile, and its answers.
    pub asks: Vec<Ask>,
    #[serde(skip)]
    pub heard: Heard,
    /// Lines for the log: whether each is a warning.
    #[serde(skip)]
    pub log: Vec<(bool, String)>,
}

impl Turn {
    /// One in which no clock is read and nobody is asked.
    pub(super) const fn untimed(said: Said, heard: Heard) -> Self {
        Self { said, now: 0, monotonic: 0, asks: Vec::new(), heard, log: Vec::new() }
    }

    /// Whether a clock is read in it.
    pub(super) const fn is_timed(&self) -> bool {
        !matches!(self.said, Said::Compile { .. } | Said::Open { .. } | Said::Drain { .. })
    }
}

fn as_text<S: serde::Serializer>(number: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&number.to_string())
}

/// A question to the host, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    Random { length: usize, answer: Option<Bytes> },
    Peer { fact: &'static str, answer: Option<Bytes> },
    RouteMetadata { key: String, answer: Option<Bytes> },
    Environment { variable: String, answer: Option<String> },
    Get { name: String, answer: Option<(Bytes, u32)> },
    Set { name: String, value: Bytes, expected: String, answer: Option<&'static str> },
    Verify { hash: String, key: Bytes, signature: Bytes, text: Bytes, answer: Option<bool> },
}

/// By its name in `wit/world.wit`.
pub(super) const fn fact(fact: PeerFact) -> &'static str {
    match fact {
        PeerFact::SourceAddress => "source-address",
        PeerFact::UriSan => "uri-san",
        PeerFact::DnsSan => "dns-san",
        PeerFact::Subject => "subject",
        PeerFact::Sha256 => "sha256",
    }
}

/// `any`, `absent`, or the version.
pub(super) fn expected(expected: Expected) -> String {
    match expected {
        Expected::Any => "any".to_owned(),
        Expected::Absent => "absent".to_owned(),
        Expected::Version(version) => version.to_string(),
    }
}

/// Why a value was not set.
pub(super) const fn refused(set: Result<(), StoreError>) -> Option<&'static str> {
    match set {
        Ok(()) => None,
        Err(StoreError::Conflict) => Some("conflict"),
        Err(StoreError::Unavailable) => Some("unavailable"),
    }
}
