// SPDX-License-Identifier: Apache-2.0
//! Reads requests to a collector (`traces`, or `logs`) from standard input, each behind its length in four bytes (the highest first), and prints a
//! line of JSON for each:
//! the request as OTLP has it in JSON, and what is wrong with it.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use serde_json::json;
use tracegate_otlp::{logs, read, violations};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("otlp-reader: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let signal = std::env::args().nth(1).unwrap_or_default();
    let mut length = [0; 4];
    loop {
        match input.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let mut body = vec![0; u32::from_be_bytes(length).try_into().map_err(io::Error::other)?];
        input.read_exact(&mut body)?;
        let read = match signal.as_str() {
            "logs" => logs::read(&body).map(|request| json!({"violations": logs::violations(&request, &body), "request": request})),
            _ => read(&body).map(|request| json!({"violations": violations(&request, &body), "request": request})),
        };
        let line = read.unwrap_or_else(|error| json!({"violations": [error.to_string()], "request": null}));
        writeln!(output, "{line}")?;
    }
}
