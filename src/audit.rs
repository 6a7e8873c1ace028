// SPDX-License-Identifier: Apache-2.0
//! What is put on record of decisions: a line of JSON each, in ASCII, for the gateway's log and for collectors (OTLP logs).
//!
//! With a key, a gateway's records are chained, so that who holds it can tell a change, a gap and a restart apart (`audit verify`):
//!
//! ```text
//! line     = '{"audit":"' kind '",' members ',"mac":"' mac '"}'
//! kind     = "genesis" / "decision" / "checkpoint" / "end"
//! mac      = 64HEXDIGLC   ; HMAC-SHA-256 of all of the line that stands before ',"mac":'
//! members  ; among them:
//!   instance  whose record it is: one worker's gateway, from one configuration to the next (`service.instance.id`)
//!   sequence  counts an instance's records from 0, its genesis
//!   previous  the mac of the record before; a genesis has none
//!   key       tells which key: the first 4 bytes of HMAC-SHA-256 of "tracegate audit key"
//! ```
//!
//! No chain begins without a key and without randomness to name its instance by: records wait for both, 1024 of them at most, until the gateway ends;
//! what never had a name leaves then as [`NAMELESS`] and without a MAC, as records do at once that aren't to be chained. A checkpoint follows records
//! after a while, an end when the gateway ends. What was cut off a log's end shows where another output has a later record: a chain alone can't tell
//! it from a gateway that still runs.
//!
//! Each record is counted once, as recorded or as dropped, when it leaves or finds no room.

mod chain;
mod line;
mod record;
mod trail;

pub use chain::AuditKey;
pub(crate) use record::Decided;
pub use trail::NAMELESS;
pub(crate) use trail::{Entry, Trail};

use crate::secret::SecretReference;

/// What the policy says of records. Refusals are always on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPolicy {
    /// So is what went on.
    pub admitted: bool,
    /// So is what went on and a rule or limit in `mode: shadow` would have refused.
    pub shadowed: bool,
    /// Records go to the gateway's log.
    pub log: bool,
    /// Records go to collectors of logs.
    pub otlp: bool,
    /// How they are chained.
    pub chain: Option<ChainPolicy>,
}

/// How records are chained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainPolicy {
    /// The key.
    pub key: SecretReference,
    /// How soon after a record a checkpoint follows, in nanoseconds.
    pub checkpoint_interval: u64,
}

#[cfg(test)]
mod tests;
