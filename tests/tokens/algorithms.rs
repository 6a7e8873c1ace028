// SPDX-License-Identifier: Apache-2.0
//! Genuine tokens: every algorithm, with every way to write its key down.

use tracegate::identity::Algorithm;

use super::table::{ADMITTED, Table};

/// Adds the rows.
pub fn add(table: &mut Table) {
    for algorithm in Algorithm::ALL {
        for provider in if algorithm.is_symmetric() { &["shared"][..] } else { &["all", "pem"] } {
            let token = table.forge.good(algorithm);
            table.token(provider, format!("a genuine token of {algorithm}"), token, ADMITTED);
        }
    }
    for (provider, algorithm) in
        [("rs", Algorithm::Rs256), ("ps", Algorithm::Ps256), ("bound", Algorithm::Ps256), ("bound", Algorithm::EdDsa)]
    {
        let token = table.forge.good(algorithm);
        table.token(provider, format!("{algorithm} where its key is for it"), token, ADMITTED);
    }
}
