// SPDX-License-Identifier: Apache-2.0
//! A vault and an instance metadata service on one port: what they hold, whom they answer, and what they were asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tracegate_harness::http::{Connection, Request};
use tracegate_harness::server::Server;

/// A running vault; it ends when dropped.
pub struct Vault {
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The values now, by name.
    values: BTreeMap<String, String>,
    /// Tokens are `<canary>-<serial>`; the vault knows the last alone.
    serial: u32,
    /// What is answered whatever is asked; `Some("")` closes the connection.
    instead: Option<String>,
    asked: Vec<String>,
}

/// What every token begins with.
pub const TOKEN: &str = "imds-c4n4ry";

impl Vault {
    /// Starts one that holds these.
    pub fn start(values: &[(&str, &str)]) -> Self {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let state = Arc::new(Mutex::new(State { values, ..State::default() }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |mut connection: Connection| {
            while let Ok(Some(request)) = connection.read_request() {
                let answer = shared.lock().unwrap_or_else(PoisonError::into_inner).answer(&request);
                if answer.is_empty() || connection.send(answer.as_bytes()).is_err() {
                    return;
                }
            }
        })
        .expect("there is a free port");
        Self { server, state }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Holds another value from now on.
    pub fn rotate(&self, name: &str, value: &str) {
        self.with(|state| state.values.insert(name.to_owned(), value.to_owned()));
    }

    /// What it holds now.
    pub fn value(&self, name: &str) -> String {
        self.with(|state| state.values.get(name).cloned().unwrap_or_default())
    }

    /// Knows none of the tokens any more that it has given.
    pub fn revoke(&self) {
        self.with(|state| state.serial += 1);
    }

    /// Answers everything so from now on: a status and a body; without any, as it should.
    pub fn answer_instead(&self, answer: Option<(u16, &str)>) {
        self.with(|state| state.instead = answer.map(|(status, body)| answered(status, body)));
    }

    /// Ends every connection without an answer from now on.
    pub fn go_down(&self) {
        self.with(|state| state.instead = Some(String::new()));
    }

    /// How often it was asked for what begins so.
    pub fn asked(&self, start: &str) -> usize {
        self.with(|state| state.asked.iter().filter(|target| target.starts_with(start)).count())
    }

    fn with<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        run(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> String {
        self.asked.push(request.target.clone());
        if let Some(instead) = &self.instead {
            return instead.clone();
        }
        let field = |name: &str| {
            let found = request.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
        };
        let token = format!("{TOKEN}-{}", self.serial);
        match (field("host").as_str(), request.target.as_str()) {
            ("169.254.169.254", IMDS) if field("metadata") == "true" && field("x-forwarded-for").is_empty() => {
                answered(200, &json!({"access_token": token, "expires_in": "86399", "token_type": "Bearer"}).to_string())
            }
            ("shop-kv.vault.azure.net", target) if field("authorization") == format!("Bearer {token}") => {
                let name = target.strip_prefix("/secrets/").and_then(|rest| rest.strip_suffix("?api-version=7.4"));
                match name.and_then(|name| self.values.get(name)) {
                    Some(value) => answered(200, &json!({"value": value, "id": "x", "attributes": {"enabled": true}}).to_string()),
                    None => answered(404, "{}"),
                }
            }
            ("shop-kv.vault.azure.net", _) => answered(401, "{}"),
            _ => answered(400, "{}"),
        }
    }
}

fn answered(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// What is asked of the metadata service.
const IMDS: &str = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net&client_id=6a1f0c9e-1111-4c0e-9d6b-000000000001";
