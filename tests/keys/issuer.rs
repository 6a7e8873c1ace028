// SPDX-License-Identifier: Apache-2.0
//! An issuer's server: what it publishes, how it answers, and how often it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tracegate_harness::http::Connection;
use tracegate_harness::server::Server;

/// How the server answers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Before it says anything.
    pub after: Duration,
    /// Everything that goes over the wire; nothing closes the connection.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// An answer with this status, media type and body.
    pub fn new(status: u16, media_type: &str, body: &str) -> Self {
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n", body.len());
        Self { after: Duration::ZERO, bytes: format!("{head}{body}").into_bytes() }
    }

    /// A key set.
    pub fn keys(body: &str) -> Self {
        Self::new(200, "application/json", body)
    }

    /// The same, later.
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

/// An issuer's server.
pub struct Idp {
    server: Server,
    state: Arc<Mutex<(Answer, Vec<String>)>>,
}

impl Idp {
    /// Starts one that answers so.
    pub fn start(answer: Answer) -> Self {
        let state = Arc::new(Mutex::new((answer, Vec::new())));
        let shared = Arc::clone(&state);
        let server = Server::start(move |mut connection: Connection| {
            while let Ok(Some(request)) = connection.read_request() {
                let answer = {
                    let mut state = shared.lock().expect("no thread has panicked");
                    state.1.push(request.target);
                    state.0.clone()
                };
                thread::sleep(answer.after);
                if answer.bytes.is_empty() || connection.send(&answer.bytes).is_err() {
                    return;
                }
            }
        })
        .expect("there is a free port");
        Self { server, state }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Answers so from now on.
    pub fn answer(&self, answer: Answer) {
        self.state.lock().expect("no thread has panicked").0 = answer;
    }

    /// What it was asked for, in order.
    pub fn targets(&self) -> Vec<String> {
        self.state.lock().expect("no thread has panicked").1.clone()
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.state.lock().expect("no thread has panicked").1.len()
    }
}
