// SPDX-License-Identifier: Apache-2.0
//! What the component imports, by what the host lends.

use tracegate::{Expected, PeerFact, StoreError, Stored};

use super::bindings::tracegate::policy::{clocks, logging, peer, random, secrets, signatures, store};
use super::{Lend, Lent};

impl<L: Lend> clocks::Host for Lent<L> {
    fn now(&mut self) -> i64 {
        self.0.inputs().now
    }

    fn monotonic(&mut self) -> u64 {
        self.0.inputs().monotonic
    }
}

impl<L: Lend> random::Host for Lent<L> {
    fn bytes(&mut self, length: u32) -> Option<Vec<u8>> {
        self.0.random(length)
    }
}

impl<L: Lend> peer::Host for Lent<L> {
    fn ask(&mut self, fact: peer::Fact) -> Option<Vec<u8>> {
        self.0.inputs().peer.fact(match fact {
            peer::Fact::SourceAddress => PeerFact::SourceAddress,
            peer::Fact::UriSan => PeerFact::UriSan,
            peer::Fact::DnsSan => PeerFact::DnsSan,
            peer::Fact::Subject => PeerFact::Subject,
            peer::Fact::Sha256 => PeerFact::Sha256,
        })
    }

    fn route_metadata(&mut self, key: String) -> Option<Vec<u8>> {
        self.0.inputs().peer.route_metadata(&key)
    }
}

impl<L: Lend> secrets::Host for Lent<L> {
    fn environment(&mut self, variable: String) -> Option<String> {
        self.0.environment(&variable)
    }
}

impl<L: Lend> store::Host for Lent<L> {
    fn get(&mut self, name: String) -> Option<store::Stored> {
        self.0.inputs().store.get(&name).map(|Stored { value, version }| store::Stored { value, version })
    }

    fn set(&mut self, name: String, value: Vec<u8>, expected: store::Expected) -> Result<(), store::StoreError> {
        let expected = match expected {
            store::Expected::Any => Expected::Any,
            store::Expected::Absent => Expected::Absent,
            store::Expected::Version(version) => Expected::Version(version),
        };
        self.0.inputs().store.set(&name, &value, expected).map_err(|error| match error {
            StoreError::Conflict => store::StoreError::Conflict,
            StoreError::Unavailable => store::StoreError::Unavailable,
        })
    }
}

impl<L: Lend> signatures::Host for Lent<L> {
    fn verify(&mut self, hash: String, key: Vec<u8>, signature: Vec<u8>, text: Vec<u8>) -> Option<bool> {
        self.0.inputs().signatures.verify(&hash, &key, &signature, &text)
    }
}

impl<L: Lend> logging::Host for Lent<L> {
    fn log(&mut self, level: logging::Level, line: String) {
        self.0.log(level, &line);
    }
}
