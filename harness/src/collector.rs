// SPDX-License-Identifier: Apache-2.0
//! A collector on loopback that keeps what it is sent as it came, and answers as it is told. It takes OTLP for bytes: what they say is for others
//! to read.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::http::{Connection, Request};
use crate::server::Server;

/// A running collector; it ends when dropped.
#[derive(Debug)]
pub struct Collector {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// How a collector answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200 without a body: all is taken.
    Taken,
    /// This status, with these header lines and this body.
    With {
        /// The status.
        status: u16,
        /// Header lines.
        fields: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// The same as [`Taken`](Self::Taken), later.
    Late(Duration),
    /// The connection ends without an answer.
    Closed,
    /// The connection ends in the middle of the answer.
    Broken,
}

#[derive(Debug, Default)]
struct State {
    /// What came, in order.
    requests: Vec<Request>,
    /// What is answered next; after the last [`Answer::Taken`].
    answers: VecDeque<Answer>,
    /// What is answered when nothing else is to be; [`Answer::Taken`] by default.
    always: Option<Answer>,
    /// Keeps no bodies: where only the number of bytes is asked for.
    counts: bool,
    bytes: u64,
}

impl Collector {
    /// Listens on a free port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn start() -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |connection| {
            // A client that goes away is none of ours.
            let _ = serve(connection, &shared);
        })?;
        Ok(Self { server, state })
    }

    /// One that keeps no bodies, and counts their bytes.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_counting() -> io::Result<Self> {
        let collector = Self::start()?;
        collector.with(|state| state.counts = true);
        Ok(collector)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Answers the next requests so, one after the other.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.with(|state| state.answers.extend(answers));
    }

    /// Answers all others so from now on.
    pub fn answer_always(&self, answer: Answer) {
        self.with(|state| state.always = Some(answer));
    }

    /// What has come so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.with(|state| state.requests.clone())
    }

    /// How many bytes of bodies have come so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.with(|state| state.bytes)
    }

    fn with<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        run(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(mut connection: Connection, state: &Mutex<State>) -> io::Result<()> {
    while let Some(mut request) = connection.read_request()? {
        let answer = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.bytes += request.body.len() as u64;
            if state.counts {
                request.body.clear();
            }
            state.requests.push(request);
            state.answers.pop_front().or_else(|| state.always.clone()).unwrap_or(Answer::Taken)
        };
        match answer {
            Answer::Taken => connection.send(TAKEN)?,
            Answer::Late(after) => {
                thread::sleep(after);
                connection.send(TAKEN)?;
            }
            Answer::With { status, fields, body } => {
                let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let head = format!("HTTP/1.1 {status} \r\n{fields}content-length: {}\r\n\r\n", body.len());
                connection.send(&[head.as_bytes(), &body].concat())?;
            }
            Answer::Closed => return Ok(()),
            Answer::Broken => return connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
        }
    }
    Ok(())
}

const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
