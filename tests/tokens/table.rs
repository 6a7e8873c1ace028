// SPDX-License-Identifier: Apache-2.0
//! The table: what a caller sends, where to, and what becomes of it.

use super::forge::Forge;
use super::{algorithms, claims, header, json, length, places, segments, signature};

/// One request.
pub struct Row {
    /// What is odd about it.
    pub name: String,
    /// `/` and the name of the provider that it has to satisfy, perhaps with a query.
    pub path: String,
    /// Its lines.
    pub lines: Vec<(&'static str, String)>,
    /// Every token that it carries.
    pub tokens: Vec<String>,
    /// [`ADMITTED`] or the reason code of its refusal.
    pub expected: &'static str,
    /// Whether a second later something else may be true of it.
    pub fleeting: bool,
}

/// It goes on to the upstream.
pub const ADMITTED: &str = "admitted";

/// Rows, and what their tokens are made with.
pub struct Table {
    /// What tokens are made with.
    pub forge: Forge,
    rows: Vec<Row>,
}

impl Table {
    /// Every row, for tokens of this forge.
    pub fn new(forge: Forge) -> Self {
        let mut table = Self { forge, rows: Vec::new() };
        for add in [
            algorithms::add,
            header::add,
            signature::add,
            segments::add,
            length::add,
            json::add,
            claims::add_dates,
            claims::add_names,
            places::add,
        ] {
            add(&mut table);
        }
        table
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// A token in `Authorization`.
    pub fn token(&mut self, provider: &str, name: impl Into<String>, token: impl Into<String>, expected: &'static str) {
        let token = token.into();
        let lines = vec![("authorization", format!("Bearer {token}"))];
        self.request(name, &format!("/{provider}"), lines, &[&token], expected);
    }

    /// A token with this header.
    pub fn header(&mut self, name: impl Into<String>, header: impl AsRef<[u8]>, expected: &'static str) {
        let claims = self.forge.claims();
        let token = self.forge.token(header, claims);
        self.token("all", name, token, expected);
    }

    /// A token with these claims.
    pub fn claims(&mut self, provider: &str, name: impl Into<String>, claims: impl AsRef<[u8]>, expected: &'static str) {
        let header = self.forge.header();
        let token = self.forge.token(header, claims);
        self.token(provider, name, token, expected);
    }

    /// Any request.
    pub fn request(
        &mut self,
        name: impl Into<String>,
        path: &str,
        lines: Vec<(&'static str, String)>,
        tokens: &[&str],
        expected: &'static str,
    ) {
        let tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        let name = format!("{path:.8}: {}", name.into());
        self.rows.push(Row { name, path: path.to_owned(), lines, tokens, expected, fleeting: false });
    }

    /// Of the row added last something else may be true a second later.
    pub fn fleeting(&mut self) {
        if let Some(row) = self.rows.last_mut() {
            row.fleeting = true;
        }
    }
}
