// SPDX-License-Identifier: Apache-2.0
//! What a log tells by the way: read where it is text or a number, left alone where it is anything else, never a reason to
//! lose the record.

use std::fmt;
use std::time::Duration;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::field::milliseconds;

/// Text, if there was any.
#[derive(Default)]
pub(super) struct Told(pub(super) Option<String>);

impl Told {
    /// The number that it is, if it is one.
    pub(super) fn number(&self) -> Option<u64> {
        self.0.as_ref()?.parse().ok()
    }

    /// The milliseconds that it is, if it is such a number.
    pub(super) fn milliseconds(&self) -> Option<Duration> {
        milliseconds(self.0.as_ref()?.parse().ok()?)
    }
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> Visitor<'de> for Anything {
            type Value = Told;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("anything")
            }

            fn visit_str<E>(self, text: &str) -> Result<Told, E> {
                Ok(Told(Some(text.to_owned()).filter(|text| !text.is_empty())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Told, E> {
                Ok(Told(Some(number.to_string())))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Told, E> {
                Ok(Told(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Told, E> {
                Ok(Told(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Told, E> {
                Ok(Told(None))
            }

            fn visit_unit<E>(self) -> Result<Told, E> {
                Ok(Told(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Told, A::Error> {
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Told(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Told, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Told(None))
            }
        }
        deserializer.deserialize_any(Anything)
    }
}
