// SPDX-License-Identifier: Apache-2.0
//! A collector that takes spans with the vault's token of the moment alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tracegate_harness::http::Connection;
use tracegate_harness::server::Server;

use super::vault::Vault;

/// A running collector; it ends when dropped.
pub struct Strict {
    server: Server,
    tokens: Arc<Mutex<BTreeMap<(String, u16), u64>>>,
}

impl Strict {
    /// Listens on a free port, and knows the token of this name.
    pub fn start(vault: &Arc<Vault>, name: &'static str) -> Self {
        let tokens: Arc<Mutex<BTreeMap<(String, u16), u64>>> = Arc::default();
        let (shared, vault) = (Arc::clone(&tokens), Arc::clone(vault));
        let server = Server::start(move |mut connection: Connection| {
            while let Ok(Some(request)) = connection.read_request() {
                let shown = request.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(b"x-token"));
                let shown = shown.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
                let status = if shown == vault.value(name) { 200 } else { 401 };
                *shared.lock().unwrap_or_else(PoisonError::into_inner).entry((shown, status)).or_default() += 1;
                if connection.send(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes()).is_err() {
                    return;
                }
            }
        })
        .expect("there is a free port");
        Self { server, tokens }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How many batches came with which token, and what they were answered.
    pub fn batches(&self) -> BTreeMap<(String, u16), u64> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
