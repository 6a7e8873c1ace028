// SPDX-License-Identifier: Apache-2.0
//! Which gateway it is: `service.instance.id`.

use crate::inputs::Entropy;

/// Tells one worker's gateway, from one configuration to the next, from all others.
#[derive(Debug, Default)]
pub(crate) enum Instance {
    /// Nothing has asked for it.
    #[default]
    Undrawn,
    /// The host gave no randomness when it was first asked for, and it stays so.
    Unknown,
    /// A random UUID (RFC 9562 section 5.4).
    Drawn(String),
}

impl Instance {
    /// Draws it, the first time.
    pub(crate) fn draw(&mut self, entropy: &mut dyn Entropy) {
        if matches!(self, Self::Undrawn) {
            let mut random = [0; 16];
            let drawn = entropy.fill(&mut random).is_ok() && random != [0; 16];
            *self = if drawn { Self::Drawn(uuid(random)) } else { Self::Unknown };
        }
    }

    /// Its id, where it has one.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Undrawn | Self::Unknown => None,
            Self::Drawn(id) => Some(id),
        }
    }
}

fn uuid(mut random: [u8; 16]) -> String {
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut random;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (place, byte) in random.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.extend([byte >> 4, byte & 0x0f].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::EntropyUnavailable;

    #[test]
    fn an_instance_is_a_random_uuid_and_stays_what_it_is() {
        let mut instance = Instance::default();
        assert_eq!(instance.id(), None);
        instance.draw(&mut |bytes: &mut [u8]| {
            bytes.fill(0xff);
            Ok(())
        });
        assert_eq!(instance.id(), Some("ffffffff-ffff-4fff-bfff-ffffffffffff"));
        instance.draw(&mut |_: &mut [u8]| Err(EntropyUnavailable));
        assert_eq!(instance.id(), Some("ffffffff-ffff-4fff-bfff-ffffffffffff"));
        let mut none = Instance::default();
        none.draw(&mut |_: &mut [u8]| Err(EntropyUnavailable));
        none.draw(&mut |bytes: &mut [u8]| {
            bytes.fill(1);
            Ok(())
        });
        assert_eq!(none.id(), None, "what was told stays so");
    }
}
