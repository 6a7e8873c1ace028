// SPDX-License-Identifier: Apache-2.0
//! Paths, segment by segment from the first.

use std::collections::BTreeMap;

use crate::path::{self, NormalPath, PathMatch, Segment};

/// The paths of routes: a tree, in which each segment leads from one node to the next. Nodes stand side by side, not in each other: nothing
/// that is done to a tree nests as deep as the longest path of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Paths {
    /// The root first, once there is a path.
    nodes: Vec<Node>,
}

/// A path, or the start of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    /// The first place here or further on.
    first: usize,
    /// The nodes one segment further on, by that segment.
    literals: BTreeMap<Box<[u8]>, usize>,
    /// The node one segment further on, whatever that segment is, unless it is empty.
    parameter: Option<usize>,
    /// The places of routes for this path, in order.
    here: Vec<usize>,
    /// The places of routes for this path and all below it, in order.
    below: Vec<usize>,
}

impl Paths {
    /// Adds the path of a route; routes come in the policy's order.
    pub(super) fn insert(&mut self, path: Option<&PathMatch>, place: usize) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::new(place));
        }
        let (at, whole) = match path {
            None => (ROOT, false),
            Some(PathMatch::Prefix(path)) => (self.grow(path::segments(path).map(Some), place), false),
            Some(PathMatch::Exact(path)) => (self.grow(path::segments(path).map(Some), place), true),
            Some(PathMatch::Template(template)) => (self.grow(template.iter().map(literal), place), true),
        };
        if let Some(node) = self.nodes.get_mut(at) {
            if whole { node.here.push(place) } else { node.below.push(place) }
        }
    }

    /// The node that these segments lead to, `None` for a parameter.
    fn grow<'p>(&mut self, segments: impl Iterator<Item = Option<&'p [u8]>>, place: usize) -> usize {
        let mut at = ROOT;
        for segment in segments {
            let new = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { break };
            at = match segment {
                Some(literal) => *node.literals.entry(literal.into()).or_insert(new),
                None => *node.parameter.get_or_insert(new),
            };
            if at == new {
                self.nodes.push(Node::new(place));
            }
        }
        at
    }

    /// The first place of a route for `path` that `matches`, where it comes before the one that is `known`; else that one.
    ///
    /// Where a literal and a parameter both fit, one is left for later: nothing else allocates. No node is met twice.
    pub(super) fn first(&self, path: &NormalPath<'_>, known: Option<usize>, matches: impl Fn(usize) -> bool) -> Option<usize> {
        let mut first = known;
        let mut later = Vec::new();
        let mut next = Some((ROOT, path.segments()));
        while let Some((at, mut segments)) = next.take().or_else(|| later.pop()) {
            let Some(node) = self.nodes.get(at).filter(|node| is_before(node.first, first)) else { continue };
            first = earlier(&node.below, first, &matches);
            let Some(segment) = segments.next() else {
                first = earlier(&node.here, first, &matches);
                continue;
            };
            let literal = node.literals.get(segment).copied();
            let parameter = node.parameter.filter(|_| !segment.is_empty());
            if let (Some(_), Some(parameter)) = (literal, parameter) {
                later.push((parameter, segments.clone()));
            }
            next = literal.or(parameter).map(|at| (at, segments));
        }
        first
    }
}

impl Node {
    const fn new(place: usize) -> Self {
        Self { first: place, literals: BTreeMap::new(), parameter: None, here: Vec::new(), below: Vec::new() }
    }
}

const fn literal(segment: &Segment) -> Option<&[u8]> {
    match segment {
        Segment::Literal(text) => Some(text.as_slice()),
        Segment::Parameter(_) => None,
    }
}

/// The first of these places that `matches` and comes before the one that is `known`; else that one.
fn earlier(places: &[usize], known: Option<usize>, matches: impl Fn(usize) -> bool) -> Option<usize> {
    places.iter().copied().take_while(|&place| is_before(place, known)).find(|&place| matches(place)).or(known)
}

fn is_before(place: usize, known: Option<usize>) -> bool {
    known.is_none_or(|known| place < known)
}

const ROOT: usize = 0;
