// SPDX-License-Identifier: Apache-2.0
//! The answer to a call by HTTP: whether it is good.

use crate::event::{CallFailed, Reply};

/// The body of a good answer, of at most `longest` bytes. Its media type isn't asked for: key sets and secrets are served under many, and what it is
/// shows when it is read.
///
/// # Errors
///
/// What was expected and what was found.
pub(crate) fn body(answer: Result<Reply<'_>, CallFailed>, longest: usize) -> Result<(Reply<'_>, &[u8]), String> {
    let reply = answer.map_err(|failed| {
        let found = match failed {
            CallFailed::Refused => "a cluster that takes no calls",
            CallFailed::TimedOut => "none in time",
            CallFailed::Disconnected | CallFailed::Status(_) => "a broken connection",
        };
        format!("expected an answer, found {found}")
    })?;
    let status = reply.headers.values(":status").next().unwrap_or_default();
    if status != b"200" {
        return Err(format!("expected status 200, found {}", status.escape_ascii()));
    }
    if reply.body.len() > longest {
        return Err(format!("expected at most {longest} bytes, found more"));
    }
    Ok((reply, reply.body))
}

/// Whether it doesn't know who asks (RFC 9110 section 15.5.2).
pub(crate) fn is_unauthorized(answer: Result<Reply<'_>, CallFailed>) -> bool {
    answer.is_ok_and(|reply| reply.headers.values(":status").next() == Some(b"401"))
}
