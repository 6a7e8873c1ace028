// SPDX-License-Identifier: Apache-2.0
//! A rate-limit service that tells of more than limits: HTTP/2 (RFC 9113) and gRPC byte for byte, with secrets wherever an answer has room for one.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;

/// What it tells.
pub struct Told {
    /// In headers, metadata, and every field of an answer that holds text.
    pub headers: String,
    /// In the message of a status that is an error.
    pub message: String,
}

/// Answers each call on a connection: every other one admits, the rest fail.
pub fn serve(mut stream: TcpStream, told: &Told, asked: &Mutex<Vec<u8>>) {
    // Whoever asks may go.
    let _ = answer_all(&mut stream, told, asked);
}

fn answer_all(stream: &mut TcpStream, told: &Told, asked: &Mutex<Vec<u8>>) -> io::Result<()> {
    let heard = |bytes: &[u8]| asked.lock().expect("no thread has panicked").extend_from_slice(bytes);
    stream.read_exact(&mut [0; PREFACE.len()])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    let mut calls = 0;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags, id) = (head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload)?;
        match kind {
            SETTINGS if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            PING if flags & ACK == 0 => stream.write_all(&frame(PING, ACK, 0, &payload))?,
            HEADERS | DATA => {
                heard(&payload);
                if flags & END_STREAM != 0 {
                    calls += 1;
                    stream.write_all(&if calls % 2 == 1 { admitted(id, told) } else { failed(id, told) })?;
                }
            }
            _ => {}
        }
    }
}

/// `OK`, with whatever else a `RateLimitResponse` may hold.
fn admitted(id: u32, Told { headers: secret, .. }: &Told) -> Vec<u8> {
    let header = [field(1, b"x-told"), field(2, secret.as_bytes())].concat();
    let status = [vec![8, 1], field(2, &[vec![8, 99, 16, 2], field(3, secret.as_bytes())].concat()), vec![24, 98]].concat();
    let text = [field(1, b"told"), field(2, &field(3, secret.as_bytes()))].concat();
    let response = [
        // overall_code, statuses, response_headers_to_add, request_headers_to_add, raw_body, dynamic_metadata
        vec![8, 1],
        field(2, &status),
        field(3, &header),
        field(4, &header),
        field(5, secret.as_bytes()),
        field(6, &field(1, &text)),
    ]
    .concat();
    let message = [vec![0], u32::try_from(response.len()).expect("it is short").to_be_bytes().to_vec(), response].concat();
    let head = [STATUS_200.to_vec(), literal("content-type", "application/grpc"), literal("x-told", secret), literal("set-cookie", secret)]
        .concat();
    let trailers = [literal("grpc-status", "0"), literal("grpc-message", secret), literal("x-trailer", secret)].concat();
    [frame(HEADERS, END_HEADERS, id, &head), frame(DATA, 0, id, &message), frame(HEADERS, END_HEADERS | END_STREAM, id, &trailers)].concat()
}

/// `INTERNAL`, and why.
fn failed(id: u32, Told { message, .. }: &Told) -> Vec<u8> {
    let head =
        [STATUS_200.to_vec(), literal("content-type", "application/grpc"), literal("grpc-status", "13"), literal("grpc-message", message)]
            .concat();
    frame(HEADERS, END_HEADERS | END_STREAM, id, &head)
}

/// A frame (section 4.1).
fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short").to_be_bytes();
    [&length[1..], &[kind, flags], &id.to_be_bytes(), payload].concat()
}

/// A header that isn't indexed (RFC 7541 section 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("it is short")], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// A field of protobuf with a length.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).ok().filter(|length| *length < 128).expect("it is short");
    [&[number << 3 | 2, length], value].concat()
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `:status: 200`, of the static table.
const STATUS_200: &[u8] = &[0x88];
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
