// SPDX-License-Identifier: Apache-2.0
//! What a request carries of trace context.

use super::Carrier;

/// The trace headers of a request, the lines of a name joined by commas, as API Management logs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried(Vec<(Carrier, Vec<u8>)>);

impl Carried {
    /// The trace headers among `lines`.
    pub fn of<N: AsRef<[u8]>, V: AsRef<[u8]>>(lines: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut carried = Self::default();
        for (name, value) in lines {
            let (Some(carrier), value) = (Carrier::named(name.as_ref()), value.as_ref().trim_ascii()) else { continue };
            match carried.0.iter_mut().find(|(known, _)| *known == carrier) {
                None => carried.0.push((carrier, value.to_vec())),
                Some((_, joined)) => {
                    joined.push(b',');
                    joined.extend_from_slice(value);
                }
            }
        }
        carried
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A carrier's value.
    #[must_use]
    pub fn get(&self, carrier: Carrier) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| *known == carrier).map(|(_, value)| value.as_slice())
    }

    /// Whether a carrier arrived as it was sent with another value behind it, joined by a comma.
    #[must_use]
    pub fn is_appended_to(&self, carrier: Carrier, arrived: &Self) -> bool {
        let values = self.get(carrier).zip(arrived.get(carrier));
        values.and_then(|(sent, arrived)| arrived.strip_prefix(sent)).is_some_and(|rest| rest.starts_with(b","))
    }

    /// Carriers and their values.
    pub fn iter(&self) -> impl Iterator<Item = (Carrier, &[u8])> {
        self.0.iter().map(|(carrier, value)| (*carrier, value.as_slice()))
    }
}
