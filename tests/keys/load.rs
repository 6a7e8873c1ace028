// SPDX-License-Identifier: Apache-2.0
//! Steady load: clients that send one request after the other, each on a connection of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use tracegate_harness::http::Connection;
use tracegate_tests::get;

/// How many clients there are: enough that both workers have some.
const CLIENTS: usize = 8;

/// Clients at work.
pub struct Load {
    ending: Arc<AtomicBool>,
    token: Arc<Mutex<String>>,
    clients: Vec<JoinHandle<BTreeMap<String, u64>>>,
}

impl Load {
    /// Begins to send requests with this token.
    pub fn start(listener: SocketAddr, token: &str) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let token = Arc::new(Mutex::new(token.to_owned()));
        let client = |_| {
            let (ending, token) = (Arc::clone(&ending), Arc::clone(&token));
            thread::spawn(move || {
                let mut connection = Connection::open(listener).expect("Envoy listens");
                let mut outcomes = BTreeMap::new();
                while !ending.load(Ordering::Relaxed) {
                    let token = token.lock().expect("no thread has panicked").clone();
                    *outcomes.entry(outcome(&mut connection, &token)).or_default() += 1;
                }
                outcomes
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { ending, token, clients }
    }

    /// From now on, requests carry this token.
    pub fn carry(&self, token: &str) {
        token.clone_into(&mut self.token.lock().expect("no thread has panicked"));
    }

    /// Ends the load: how often each thing happened.
    pub fn end(self) -> BTreeMap<String, u64> {
        self.ending.store(true, Ordering::Relaxed);
        let mut all = BTreeMap::new();
        for client in self.clients {
            for (outcome, count) in client.join().expect("a client comes to its end") {
                *all.entry(outcome).or_default() += count;
            }
        }
        all
    }
}

/// What becomes of a request with this token: `200`, or a status and a reason.
pub fn outcome(connection: &mut Connection, token: &str) -> String {
    connection.send(&get("/orders", &[("authorization", format!("Bearer {token}").as_bytes())])).expect("Envoy takes a request");
    let response = connection.read_response().expect("Envoy answers");
    let reason = response.field("tracegate-reason").map(|reason| format!(" {}", String::from_utf8_lossy(reason)));
    format!("{}{}", response.status, reason.unwrap_or_default())
}
