// SPDX-License-Identifier: Apache-2.0
//! Which gateway it is: `service.instance.id`.

use crate::inputs::Entropy;

/// Tells one worker's gateway, from one configuration to the next, from all others: a random UUID (RFC 9562 section 5.4), from the first time on
/// that the host has randomness.
#[derive(Debug, Default)]
pub(crate) struct Instance(Option<String>);

impl Instance {
    /// Draws it, unless it is drawn.
    pub(crate) fn draw(&mut self, entropy: &mut dyn Entropy) {
        if self.0.is_none() {
            let mut random = [0; 16];
            self.0 = (entropy.fill(&mut random).is_ok() && random != [0; 16]).then(|| uuid(random));
        }
    }

    /// Its id, where it has one.
    pub(crate) fn id(&self) -> Option<&str> {
        self.0.as_deref()
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
        let mut late = Instance::default();
        late.draw(&mut |_: &mut [u8]| Err(EntropyUnavailable));
        late.draw(&mut |_: &mut [u8]| Ok(()));
        assert_eq!(late.id(), None, "nothing was drawn");
        late.draw(&mut |bytes: &mut [u8]| {
            bytes.fill(1);
            Ok(())
        });
        assert_eq!(late.id(), Some("01010101-0101-4101-8101-010101010101"));
    }
}
