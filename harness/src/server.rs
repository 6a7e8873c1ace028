// SPDX-License-Identifier: Apache-2.0
//! A server on loopback: a thread that accepts, and one for each connection.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::http::Connection;

/// A running server; it ends when dropped, and its connections with their peers.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a free port of the loopback address and has `serve` see to each connection.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub fn start(serve: impl Fn(Connection) + Send + Sync + 'static) -> io::Result<Self> {
        Self::start_on_streams(move |stream| {
            if let Ok(connection) = Connection::over(stream) {
                serve(connection);
            }
        })
    }

    /// The same where connections are more than HTTP over TCP.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub fn start_on_streams(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let ending = Arc::new(AtomicBool::new(false));
        let (ends, serve) = (Arc::clone(&ending), Arc::new(serve));
        let listening = thread::spawn(move || {
            for accepted in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(stream) = accepted {
                    let serve = Arc::clone(&serve);
                    thread::spawn(move || serve(stream));
                }
            }
        });
        Ok(Self { address, ending, listening: Some(listening) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        // Wakes `incoming`.
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}
