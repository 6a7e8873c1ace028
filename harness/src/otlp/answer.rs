// SPDX-License-Identifier: Apache-2.0
//! What a collector answers: `ExportTraceServiceResponse`, and whether a failure may pass
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>).

use super::wire::{Malformed, fields};

/// What a collector says of a request that it has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// How many spans it has not taken.
    pub rejected: u64,
    /// Why, or what else it has to say.
    pub message: String,
}

/// Reads the body of an answer with 200.
///
/// # Errors
///
/// [`Malformed`], where it is no such message.
pub fn read(body: &[u8]) -> Result<Answer, Malformed> {
    let mut answer = Answer::default();
    for field in fields(body) {
        let field = field?;
        if field.number != PARTIAL_SUCCESS {
            continue;
        }
        for field in fields(field.value.bytes()?) {
            let field = field?;
            match field.number {
                1 => answer.rejected = field.value.number()?,
                2 => answer.message = field.value.text()?,
                _ => {}
            }
        }
    }
    Ok(answer)
}

const PARTIAL_SUCCESS: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rejected_is_read() {
        assert_eq!(read(b"").unwrap(), Answer::default());
        assert_eq!(read(b"\x0a\x07\x08\x05\x12\x03why").unwrap(), Answer { rejected: 5, message: "why".to_owned() });
        assert!(read(b"<html>").is_err());
    }
}
