// SPDX-License-Identifier: Apache-2.0
//! The table: what a caller sends, what becomes of it, and what the upstream learns.

use serde_json::{Map, Value, json};
use tracegate::identity::Algorithm;
use tracegate_harness::issuer::Issuer;

use super::policy::ISSUER;
use super::{claims, credentials, spoofing};

/// One request.
pub struct Row {
    /// What is odd about it.
    pub name: String,
    pub method: &'static str,
    pub path: String,
    pub lines: Vec<(String, Vec<u8>)>,
    pub expected: Expected,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Expected {
    /// It goes on.
    Admitted {
        /// With these of the headers that tell of callers, and no other.
        told: Vec<(&'static str, String)>,
        /// And these lines as they are.
        others: Vec<(&'static str, String)>,
    },
    /// It is answered with this reason, and these challenges.
    Refused(&'static str, Vec<String>),
}

/// Rows, and what their tokens are made with.
pub struct Table {
    pub issuer: Issuer,
    /// Seconds since 1970.
    now: i64,
    rows: Vec<Row>,
    /// Every credential that a row carries: nothing of them is told anybody.
    pub credentials: Vec<String>,
}

impl Table {
    /// Every row, with tokens that are good at this time.
    pub fn new(now: i64) -> Self {
        let mut table = Self { issuer: Issuer::new(5).expect("there are such keys"), now, rows: Vec::new(), credentials: Vec::new() };
        for add in [credentials::add, claims::add, spoofing::add] {
            add(&mut table);
        }
        table
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// A customer's token with these claims beside those that it must have.
    pub fn customer(&mut self, claims: Value) -> String {
        self.token(Algorithm::Es256, "orders-api", claims)
    }

    /// A partner's.
    pub fn partner(&mut self, claims: Value) -> String {
        self.token(Algorithm::Rs256, "partners-api", claims)
    }

    fn token(&mut self, algorithm: Algorithm, audience: &str, claims: Value) -> String {
        let mut all: Map<String, Value> = Map::from_iter(
            [("iss", json!(ISSUER)), ("aud", json!(audience)), ("iat", json!(self.now)), ("exp", json!(self.now + 300))]
                .map(|(name, value)| (name.to_owned(), value)),
        );
        all.extend(claims.as_object().expect("claims are an object").clone());
        let token = self.issuer.mint(algorithm, &Value::Object(all)).expect("the issuer signs");
        self.credentials.push(token.clone());
        token
    }

    /// A GET that is admitted.
    pub fn admitted(&mut self, name: &str, path: &str, lines: &[(&str, &str)], told: &[(&'static str, &str)]) {
        self.admitted_with(name, path, lines, told, &[]);
    }

    /// A GET that is admitted, and what the upstream gets beside.
    pub fn admitted_with(
        &mut self,
        name: &str,
        path: &str,
        lines: &[(&str, &str)],
        told: &[(&'static str, &str)],
        others: &[(&'static str, &str)],
    ) {
        let owned = |lines: &[(&'static str, &str)]| lines.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let lines = lines.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let expected = Expected::Admitted { told: owned(told), others: owned(others) };
        self.rows.push(Row { name: name.to_owned(), method: "GET", path: path.to_owned(), lines, expected });
    }

    /// A GET that is refused.
    pub fn refused(&mut self, name: &str, path: &str, lines: &[(&str, &str)], reason: &'static str, challenges: &[&str]) {
        let lines = lines.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let expected = Expected::Refused(reason, challenges.iter().map(|&challenge| challenge.to_owned()).collect());
        self.rows.push(Row { name: name.to_owned(), method: "GET", path: path.to_owned(), lines, expected });
    }

    /// Any request.
    pub fn row(&mut self, row: Row) {
        self.rows.push(row);
    }
}

/// A token's line.
pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
