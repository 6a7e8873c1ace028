// SPDX-License-Identifier: Apache-2.0
//! The upstream that requests go to: the case says what it answers.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::case;
use super::loopback::{Answer, Fate, Loopback};

/// What the upstream of a case answers.
#[must_use]
pub fn answer(upstream: &case::Upstream) -> Answer {
    let case::Upstream { status, headers, body, delay_ms, trailers, never, reset } = upstream.clone();
    let fate = match (never, reset) {
        (true, _) => Fate::Never,
        (false, true) => Fate::Closed,
        (false, false) => Fate::Sent,
    };
    Answer { delay: Duration::from_millis(delay_ms), fate, ..Answer::new(status, headers, body.unwrap_or_default(), trailers) }
}

/// The upstream as a server.
pub struct Upstream {
    /// The server.
    pub server: Loopback,
    current: Arc<Mutex<case::Upstream>>,
}

impl Upstream {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub fn start() -> io::Result<Self> {
        let current = Arc::new(Mutex::new(case::Upstream::default()));
        let asked = Arc::clone(&current);
        let server = Loopback::start(move |_| answer(&asked.lock().unwrap()))?;
        Ok(Self { server, current })
    }

    /// Answers as this case has it from now on.
    pub fn play(&self, upstream: &case::Upstream) {
        self.current.lock().unwrap().clone_from(upstream);
    }
}
