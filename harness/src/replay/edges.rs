// SPDX-License-Identifier: Apache-2.0
//! The edge of a replay, and the one that it is compared with: both decide about every request, one after the other.

use super::tokens::{Prepared, Tokens};
use super::{Decided, Edge, Exceeded, Replayed};
use crate::error::{Context, Error};
use crate::recording::{Files, Ordered, Recorded, Unread};
use crate::{Redactor, otlp};

/// The edge of a replay, and the one that it is compared with, if it is with one.
#[derive(Debug)]
pub struct Edges<'m> {
    /// Whose decisions are shown.
    pub edge: Edge<'m>,
    /// What it is compared with instead of the record.
    pub against: Option<Edge<'m>>,
    /// The edge whose limits have other amounts, if any is asked about.
    pub what_if: Option<Edge<'m>>,
    /// Which token each request carries.
    pub tokens: Tokens,
}

/// A record and what was decided about it.
#[derive(Debug)]
pub struct Executed {
    /// The record.
    pub recorded: Box<Recorded>,
    late: bool,
    prepared: Prepared,
    decided: Decided,
    against: Option<Decided>,
    exceeded: Exceeded,
    exported: Vec<otlp::Request>,
}

/// Why there is no decision.
#[derive(Debug)]
pub enum Lost {
    /// The record can't be read.
    Unread(Unread),
    /// The module trapped: nothing comes after this.
    Trapped(Error),
}

impl Executed {
    /// Compares what was decided; and whether the record came late.
    #[must_use]
    pub fn compare(self, redactor: &Redactor) -> (Replayed, bool) {
        let replayed = Replayed::new(self.recorded, self.prepared, self.decided, self.against, redactor);
        (Replayed { exceeded: self.exceeded, exported: self.exported, ..replayed }, self.late)
    }
}

impl<'m> Edges<'m> {
    /// Both edges, with requests as they were recorded or with minted tokens.
    #[must_use]
    pub fn new(edge: Edge<'m>, against: Option<Edge<'m>>, tokens: Tokens) -> Self {
        let mut edges = Self { edge, against, what_if: None, tokens };
        edges.serve();
        edges
    }

    /// The same with an edge whose limits have other amounts, if any is asked about.
    #[must_use]
    pub fn asking(mut self, what_if: Option<Edge<'m>>) -> Self {
        self.what_if = what_if;
        self.serve();
        self
    }

    fn serve(&mut self) {
        let Some([own, other]) = self.tokens.published() else { return };
        if let Some(what_if) = &mut self.what_if {
            what_if.serve(own.clone());
        }
        self.edge.serve(own);
        if let Some(against) = &mut self.against {
            against.serve(other);
        }
    }

    /// Decides about the next record.
    ///
    /// # Errors
    ///
    /// [`Lost`].
    pub fn execute(&mut self, next: Result<Ordered, Unread>, files: &Files) -> Result<Executed, Lost> {
        let Ordered { recorded, late } = next.map_err(Lost::Unread)?;
        let place = || files.place(recorded.place.file, recorded.place.line);
        let (prepared, rotated) = self.tokens.prepare(&recorded).context(place).map_err(Lost::Trapped)?;
        if rotated {
            self.serve();
        }
        let presented = prepared.request.as_deref().unwrap_or(&recorded.request);
        let decided = self.edge.decide(&recorded, presented).context(place).map_err(Lost::Trapped)?;
        let exported = self.edge.exported(&recorded, &decided).context(place).map_err(Lost::Trapped)?;
        let against = self.against.as_mut().map(|edge| edge.decide(&recorded, presented)).transpose();
        let against = against.context(|| format!("{} (against)", place())).map_err(Lost::Trapped)?;
        let mut exceeded = Exceeded::default();
        if self.against.is_none() {
            exceeded.policy = self.edge.exceeded(&decided).context(place).map_err(Lost::Trapped)?;
        }
        if let Some(edge) = &mut self.what_if {
            let place = || format!("{} (what if)", place());
            let otherwise = edge.decide(&recorded, presented).context(place).map_err(Lost::Trapped)?;
            exceeded.what_if = edge.exceeded(&otherwise).context(place).map_err(Lost::Trapped)?;
        }
        Ok(Executed { recorded, late, prepared, decided, against, exceeded, exported })
    }
}
