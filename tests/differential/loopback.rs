// SPDX-License-Identifier: Apache-2.0
//! Servers on loopback that record what reaches them, and answer as they are told.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tracegate_harness::http::{Connection, Field, Request};
use tracegate_harness::server::Server;

use super::case::{head, message};
use super::observed::Seen;

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How long it takes, at most [`LONGEST`].
    pub delay: Duration,
    /// The status.
    pub status: u16,
    /// Header lines as sent, the framing's last.
    pub fields: Vec<Field>,
    /// The body, which a HEAD doesn't get.
    pub body: Vec<u8>,
    /// Lines behind it.
    pub trailers: Vec<Field>,
    /// Whether it comes at all.
    pub fate: Fate,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is sent.
    Sent,
    /// It never comes.
    Never,
    /// The connection is closed instead.
    Closed,
    /// It is sent but for its last bytes, and the connection is closed.
    Cut,
}

/// The longest delay.
pub const LONGEST: Duration = Duration::from_secs(10);

impl Default for Answer {
    fn default() -> Self {
        Self::new(200, Vec::new(), Vec::new(), Vec::new())
    }
}

impl Answer {
    /// An answer, framed: chunked when there are trailers, else with its length. 204 and 304 have neither.
    #[must_use]
    pub fn new(status: u16, mut fields: Vec<Field>, body: Vec<u8>, trailers: Vec<Field>) -> Self {
        let bare = matches!(status, 204 | 304);
        let is_framed = fields.iter().any(|(name, _)| matches!(name.as_slice(), b"content-length" | b"transfer-encoding"));
        if !trailers.is_empty() && !is_framed {
            fields.push((b"transfer-encoding".to_vec(), b"chunked".to_vec()));
        } else if !bare && !is_framed {
            fields.push((b"content-length".to_vec(), body.len().to_string().into_bytes()));
        }
        Self { delay: Duration::ZERO, status, fields, body: if bare { Vec::new() } else { body }, trailers, fate: Fate::Sent }
    }

    /// The bytes that answer a request of this method.
    #[must_use]
    pub fn bytes(&self, method: &str) -> Vec<u8> {
        let start = format!("HTTP/1.1 {} -\r\n", self.status);
        if method == "HEAD" { head(&start, &self.fields) } else { message(&start, &self.fields, &self.body, &self.trailers) }
    }
}

/// A running server; it ends when dropped.
pub struct Loopback {
    server: Server,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Loopback {
    /// Listens on a free port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> io::Result<Self> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let records = Arc::clone(&seen);
        Ok(Self { server: Server::start(move |connection| serve(connection, &records, &answer))?, seen })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What has reached it since this was last asked.
    #[must_use]
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Answers until the peer closes; connections end with the Envoy that made them.
fn serve(mut connection: Connection, seen: &Mutex<Vec<Seen>>, answer: &dyn Fn(&Request) -> Answer) {
    while let Ok(Some(request)) = connection.read_request() {
        seen.lock().unwrap().push(Seen::request(&request));
        let answer = answer(&request);
        thread::sleep(answer.delay.min(LONGEST));
        let done = match answer.fate {
            Fate::Sent => connection.send(&answer.bytes(&request.method)).is_err(),
            // Nothing more comes before the peer gives up.
            Fate::Never => connection.read_request().is_ok(),
            Fate::Closed => true,
            Fate::Cut => {
                let bytes = answer.bytes(&request.method);
                let _ = connection.send(&bytes[..bytes.len().saturating_sub(2)]);
                true
            }
        };
        if done {
            return;
        }
    }
}
