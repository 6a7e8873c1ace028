// SPDX-License-Identifier: Apache-2.0
//! JSON objects whose members stand once, at every depth (RFC 7519 section 4): readers that take the first and readers that take the last of
//! two would see different tokens.

use std::collections::BTreeMap;

use crate::json::{Node, Value};

/// The members of an object.
#[derive(Debug)]
pub(super) struct Members<'a>(BTreeMap<&'a str, &'a Node>);

impl<'a> Members<'a> {
    /// `None` for anything but an object, and for one that has a member twice, itself or anywhere within.
    pub(super) fn read(node: &'a Node) -> Option<Self> {
        let Value::Mapping(entries) = &node.value else { return None };
        let mut members = BTreeMap::new();
        for (key, node) in entries {
            if !stand_once(node) || members.insert(key.text.as_str(), node).is_some() {
                return None;
            }
        }
        Some(Self(members))
    }

    /// The member of this name.
    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        self.0.get(name).copied()
    }
}

fn stand_once(node: &Node) -> bool {
    match &node.value {
        Value::Mapping(_) => Members::read(node).is_some(),
        Value::Sequence(items) => items.iter().all(stand_once),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
