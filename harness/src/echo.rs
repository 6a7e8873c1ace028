// SPDX-License-Identifier: Apache-2.0
//! An upstream that answers with what reached it: 200 and `{method, path, headers: [[name, value]…]}`, repeated lines and
//! raw bytes kept, and `trailers` alike where there are any.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http::{Connection, Field, Request};
use crate::redact::json_bytes;
use crate::server::Server;

/// A running echo; it ends when dropped.
#[derive(Debug)]
pub struct Echo(Server);

impl Echo {
    /// Listens on a free port of the loopback address.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub fn start() -> io::Result<Self> {
        Server::start(serve).map(Self)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

/// Answers until the peer closes, or sends what is no HTTP.
fn serve(mut connection: Connection) {
    while let Ok(Some(request)) = connection.read_request() {
        let body = echo(&request).to_string();
        let body = if request.method == "HEAD" { "" } else { &body };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if connection.send([head.as_bytes(), body.as_bytes()].concat().as_slice()).is_err() {
            return;
        }
    }
}

fn echo(Request { method, target, fields, trailers, .. }: &Request) -> Value {
    let lines = |fields: &[Field]| -> Vec<Value> {
        fields.iter().map(|(name, value)| json!([String::from_utf8_lossy(name), json_bytes(value)])).collect()
    };
    let mut echo = json!({"method": method, "path": target, "headers": lines(fields)});
    if !trailers.is_empty() {
        echo["trailers"] = json!(lines(trailers));
    }
    echo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_it_comes_back_byte_for_byte() {
        let echo = Echo::start().unwrap();
        let mut connection = Connection::open(echo.address()).unwrap();
        for _ in 0..2 {
            connection
                .send(b"POST /a?b HTTP/1.1\r\nA: 1\r\nx: \xff\r\na: 2\r\ntransfer-encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\nt: 1\r\n\r\n")
                .unwrap();
            let response = connection.read_response().unwrap();
            let body: Value = serde_json::from_slice(&response.body).unwrap();
            assert_eq!(response.status, 200);
            let headers = json!([["A", "1"], ["x", {"base64": "/w=="}], ["a", "2"], ["transfer-encoding", "chunked"]]);
            assert_eq!(body, json!({"method": "POST", "path": "/a?b", "headers": headers, "trailers": [["t", "1"]]}));
        }
    }
}
