// SPDX-License-Identifier: Apache-2.0
//! Host names, label by label from the last.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::paths::Paths;

/// The names of a policy that end alike. They nest as deep as a name has labels, and a policy's names are short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// Those with one label more, by that label in lower case.
    longer: BTreeMap<Box<[u8]>, Self>,
    /// For the name that is all of what they have in common.
    here: Paths,
    /// For every name that ends so and has more labels.
    below: Paths,
}

impl Names {
    /// The paths of routes for this name.
    pub(super) fn exactly(&mut self, name: &str) -> &mut Paths {
        &mut self.grow(name).here
    }

    /// The paths of routes for every name below this one.
    pub(super) fn below(&mut self, name: &str) -> &mut Paths {
        &mut self.grow(name).below
    }

    fn grow(&mut self, name: &str) -> &mut Self {
        name.rsplit('.').fold(self, |names, label| names.longer.entry(label.to_ascii_lowercase().into_bytes().into()).or_default())
    }

    /// Visits the paths of all routes for `name`, until the policy has no longer name that ends so.
    pub(super) fn each(&self, name: &[u8], mut visit: impl FnMut(&Paths)) {
        let name = if name.iter().any(u8::is_ascii_uppercase) { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) };
        let mut names = self;
        for label in name.rsplit(|&byte| byte == b'.') {
            visit(&names.below);
            match names.longer.get(label) {
                Some(longer) => names = longer,
                None => return,
            }
        }
        visit(&names.here);
    }
}
