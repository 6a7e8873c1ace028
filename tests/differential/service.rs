// SPDX-License-Identifier: Apache-2.0
//! The service that callouts go to: the callout's path says what it answers.

use std::io;
use std::time::Duration;

use super::case::decoded;
use super::loopback::{Answer, Fate, Loopback};

/// What the service answers to a path of `/status/N`, `/delay/MS`, `/body/TEXT`, `/frame/TEXT` (a gRPC message, behind what
/// the body has), `/header/NAME/VALUE`, `/size/N`, `/never`, `/reset`, `/cut` and `/trailer/NAME/VALUE`, in any
/// combination. Other segments mean nothing.
#[must_use]
pub fn answer(path: &str) -> Answer {
    let (mut status, mut delay, mut body, mut fate) = (200, 0, Vec::new(), Fate::Sent);
    let (mut fields, mut trailers) = (Vec::new(), Vec::new());
    let mut segments = path.split('?').next().unwrap_or_default().split('/');
    while let Some(segment) = segments.next() {
        let mut next = || segments.next().unwrap_or_default();
        match segment {
            "status" => status = next().parse().unwrap_or(200),
            "delay" => delay = next().parse().unwrap_or(0),
            "body" => body = decoded(next()),
            "frame" => body.extend(frame(&decoded(next()))),
            "size" => body = vec![b'x'; next().parse::<usize>().unwrap_or(0).min(LARGEST)],
            "header" => fields.push((decoded(next()), decoded(next()))),
            "trailer" => trailers.push((decoded(next()), decoded(next()))),
            "never" => fate = Fate::Never,
            "reset" => fate = Fate::Closed,
            "cut" => fate = Fate::Cut,
            _ => {}
        }
    }
    Answer { delay: Duration::from_millis(delay), fate, ..Answer::new(status, fields, body, trailers) }
}

/// The service, for an Envoy to call.
///
/// # Errors
///
/// When there is no free port.
pub fn start() -> io::Result<Loopback> {
    Loopback::start(|request| answer(&request.target))
}

/// A gRPC message as it goes over HTTP.
fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], message].concat()
}

const LARGEST: usize = 8 << 20;
