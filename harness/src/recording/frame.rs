// SPDX-License-Identifier: Apache-2.0
//! A stream of bytes cut into JSON objects, one record each, with white space free between and inside them.
//!
//! Objects may follow one another, stand in an array, or in an envelope `{"records": […]}` or `{"value": […]}`, any number of times. What is
//! no JSON is reported with its place and skipped: reading goes on at the next line that begins with `{`. Memory is
//! bounded by [`MAX_RECORD`].

use std::io::{self, Read};

use super::lookahead::Lookahead;
use super::scanner::{Found, Scanner};

/// One JSON object, as text not yet parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// Its bytes, from `{` to `}`.
    pub(super) bytes: Vec<u8>,
}

/// What is wrong with the stream.
#[derive(Debug)]
pub(super) enum FrameError {
    /// A record is malformed; reading goes on behind it.
    Malformed {
        /// The line on which it begins.
        line: u64,
        /// What was expected and found.
        message: String,
    },
    /// The array or envelope that begins on this line is not closed: the file is cut short.
    Unclosed {
        /// The line.
        line: u64,
    },
    /// The file is not what it must be.
    Unusable {
        /// The line that shows it.
        line: u64,
        /// What was expected and found.
        message: String,
    },
    /// The bytes can't be had.
    Unreadable {
        /// The line on which what was being read begins.
        line: u64,
        /// Why.
        error: io::Error,
    },
}

/// Cuts a stream into frames.
pub(super) struct Frames<R> {
    bytes: Lookahead<R>,
    /// The array or envelope that records stand in, if they do.
    container: Option<Container>,
    /// Something other than white space has been met.
    begun: bool,
    finished: bool,
}

#[derive(Clone, Copy)]
struct Container {
    line: u64,
    envelope: bool,
}

/// What one look at the buffer found.
enum Scan {
    /// An object of this many bytes.
    Whole(usize),
    /// The beginning of an envelope, of this many bytes.
    Envelope(usize),
    /// No JSON: what was expected, and after how many bytes to go on.
    Broken { message: String, resume: usize },
    /// More than is kept; its end is still to come.
    TooLong(Scanner),
}

impl<R: Read> Frames<R> {
    pub(super) fn new(bytes: Lookahead<R>) -> Self {
        Self { bytes, container: None, begun: false, finished: false }
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            let Some(byte) = self.skip_white_space()? else {
                self.finished = true;
                return self.container.map_or(Ok(None), |container| Err(FrameError::Unclosed { line: container.line }));
            };
            let line = self.bytes.line();
            let begun = std::mem::replace(&mut self.begun, true);
            match (byte, self.container) {
                (b'{', _) => match self.scan(&[])? {
                    Scan::Whole(length) => return Ok(Some(Frame { line, bytes: self.bytes.take(length) })),
                    Scan::Envelope(length) => {
                        self.container = Some(Container { line, envelope: true });
                        self.bytes.advance(length);
                    }
                    Scan::Broken { message, resume } => {
                        self.bytes.advance(resume);
                        return Err(self.malformed(line, message));
                    }
                    Scan::TooLong(scanner) => {
                        self.skip_rest(scanner)?;
                        return Err(FrameError::Malformed { line, message: too_long() });
                    }
                },
                (b'[', None) => {
                    self.container = Some(Container { line, envelope: false });
                    self.bytes.advance(1);
                }
                (b',', Some(_)) => self.bytes.advance(1),
                (b']', Some(container)) => {
                    self.bytes.advance(1);
                    self.container = None;
                    if container.envelope {
                        self.close_envelope(container.line)?;
                    }
                }
                (found, container) => {
                    match container {
                        None => self.skip_to_next_record()?,
                        Some(_) => self.skip_element()?,
                    }
                    let expected = if begun { "a JSON object" } else { "a JSON object or a CSV header with a column that is known" };
                    return Err(self.malformed(line, format!("expected {expected}, found '{}'", found.escape_ascii())));
                }
            }
        }
    }

    /// A record that the file ends in, within an array or envelope, is that one's missing end.
    fn malformed(&mut self, line: u64, message: String) -> FrameError {
        match self.container {
            Some(container) if self.bytes.is_empty() => {
                self.finished = true;
                FrameError::Unclosed { line: container.line }
            }
            _ => FrameError::Malformed { line, message },
        }
    }

    /// Reads what an envelope holds behind its records, to its end.
    fn close_envelope(&mut self, line: u64) -> Result<(), FrameError> {
        if self.skip_white_space()?.is_none() {
            self.finished = true;
            return Err(FrameError::Unclosed { line });
        }
        let at = self.bytes.line();
        match self.scan(b"{")? {
            Scan::Whole(length) | Scan::Envelope(length) => {
                self.bytes.advance(length);
                Ok(())
            }
            Scan::TooLong(scanner) => {
                self.skip_rest(scanner)?;
                Err(FrameError::Malformed { line: at, message: too_long() })
            }
            Scan::Broken { message, resume } => {
                self.bytes.advance(resume);
                if self.bytes.is_empty() {
                    self.finished = true;
                    return Err(FrameError::Unclosed { line });
                }
                Err(FrameError::Malformed { line: at, message })
            }
        }
    }

    /// Looks for the end of the object that begins at `start`, or that began before with these brackets open.
    fn scan(&mut self, open: &[u8]) -> Result<Scan, FrameError> {
        let may_be_envelope = open.is_empty() && self.container.is_none();
        let mut scanner = Scanner::new(open, may_be_envelope);
        loop {
            let length = scanner.length();
            let Some(ahead) = self.ahead(length)? else {
                let message = "expected the end of a JSON object, found the end of the file".to_owned();
                return Ok(Scan::Broken { message, resume: scanner.again().unwrap_or(length) });
            };
            let within = ahead.get(..MAX_RECORD.saturating_sub(length).min(ahead.len())).unwrap_or_default();
            if within.is_empty() {
                return Ok(Scan::TooLong(scanner));
            }
            match scanner.run(within) {
                None => {}
                Some(Found::End) => return Ok(Scan::Whole(scanner.length())),
                Some(Found::Array) if is_envelope(self.bytes.window(scanner.length())) => return Ok(Scan::Envelope(scanner.length())),
                Some(Found::Array) => {}
                Some(Found::Broken { message, resume }) => return Ok(Scan::Broken { message, resume }),
            }
        }
    }

    /// Goes behind a record that is too long to be kept.
    fn skip_rest(&mut self, mut scanner: Scanner) -> Result<(), FrameError> {
        self.bytes.advance(scanner.length());
        while let Some(ahead) = self.ahead(0)? {
            let (before, length) = (scanner.length(), ahead.len());
            let found = scanner.run(ahead);
            match found {
                None => self.bytes.advance(length),
                Some(Found::Array) => self.bytes.advance(scanner.length() - before),
                Some(Found::End) => {
                    self.bytes.advance(scanner.length() - before);
                    return Ok(());
                }
                Some(Found::Broken { .. }) => {
                    // Where it broke another record may begin.
                    self.bytes.advance((scanner.length() - before).saturating_sub(1));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Goes to the next line that begins with `{` or `[`, perhaps behind white space.
    fn skip_to_next_record(&mut self) -> Result<(), FrameError> {
        while let Some(ahead) = self.ahead(0)? {
            let length = ahead.len();
            let line_end = ahead.iter().position(|&byte| byte == b'\n');
            self.bytes.advance(line_end.unwrap_or(length));
            if line_end.is_some() && matches!(self.skip_white_space()?, None | Some(b'{' | b'[')) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Goes behind an element of an array that is no object: to the next `,` or `]` that is in no string, or line.
    fn skip_element(&mut self) -> Result<(), FrameError> {
        let (mut in_string, mut escaped) = (false, false);
        // At least the one byte that could begin no record goes.
        let mut first = true;
        while let Some(byte) = self.byte(0)? {
            match byte {
                b'\n' => return Ok(()),
                b',' | b']' if !in_string && !first => return Ok(()),
                b'"' if !escaped => in_string = !in_string,
                _ => {}
            }
            escaped = in_string && byte == b'\\' && !escaped;
            first = false;
            self.bytes.advance(1);
        }
        Ok(())
    }

    /// The next byte that is no white space (nor a byte order mark), unread.
    fn skip_white_space(&mut self) -> Result<Option<u8>, FrameError> {
        loop {
            match self.byte(0)? {
                Some(byte) if byte.is_ascii_whitespace() => self.bytes.advance(1),
                Some(0xef) if self.byte(1)? == Some(0xbb) && self.byte(2)? == Some(0xbf) => self.bytes.advance(3),
                other => return Ok(other),
            }
        }
    }

    fn byte(&mut self, index: usize) -> Result<Option<u8>, FrameError> {
        Ok(self.ahead(index)?.and_then(|ahead| ahead.first().copied()))
    }

    fn ahead(&mut self, index: usize) -> Result<Option<&[u8]>, FrameError> {
        let line = self.bytes.line();
        self.bytes.ahead(index).map_err(|error| FrameError::Unreadable { line, error })
    }
}

impl<R: Read> Iterator for Frames<R> {
    type Item = Result<Frame, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = self.next_frame();
        self.finished |= matches!(next, Err(FrameError::Unreadable { .. }));
        next.transpose()
    }
}

fn too_long() -> String {
    format!("expected a record of at most {} MiB, found more", MAX_RECORD >> 20)
}

/// Whether `text`, up to its first `[`, is the beginning of `{"records": [` or of `{"value": [`.
fn is_envelope(text: &[u8]) -> bool {
    let dense: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(16).collect();
    dense == b"{\"records\":[" || dense == b"{\"value\":["
}

/// No gateway writes a record of this size.
pub(super) const MAX_RECORD: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames as `line:bytes`, errors as `line!message`, read a few bytes at a time.
    fn frames(text: &str) -> Vec<String> {
        struct Trickle<'a>(&'a [u8]);
        impl Read for Trickle<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let (now, later) = self.0.split_at(self.0.len().min(3));
                self.0 = later;
                into[..now.len()].copy_from_slice(now);
                Ok(now.len())
            }
        }
        frames_of(Trickle(text.as_bytes()))
    }

    fn frames_of(source: impl Read) -> Vec<String> {
        Frames::new(Lookahead::new(source))
            .map(|frame| match frame {
                Ok(Frame { line, bytes }) => format!("{line}:{}", String::from_utf8_lossy(&bytes)),
                Err(FrameError::Malformed { line, message }) => format!("{line}!{message}"),
                Err(FrameError::Unclosed { line }) => format!("{line}!unclosed"),
                Err(FrameError::Unusable { line, message }) => format!("{line}!!{message}"),
                Err(FrameError::Unreadable { error, .. }) => error.to_string(),
            })
            .collect()
    }

    #[test]
    fn any_stream_of_objects_is_cut() {
        assert_eq!(frames(""), Vec::<String>::new());
        assert_eq!(frames("{}\n{\"a\":{}} {\"b\":[{}]}{}"), ["1:{}", "2:{\"a\":{}}", "2:{\"b\":[{}]}", "2:{}"]);
        assert_eq!(frames("\u{feff}\r\n{\n \"a\":\n {\n\"b\": [\n{},\n{}\n]\n}\n}\n"), ["2:{\n \"a\":\n {\n\"b\": [\n{},\n{}\n]\n}\n}"]);
        assert_eq!(frames(r#"{"a":"}\"{\\"}"#), [r#"1:{"a":"}\"{\\"}"#]);
        assert_eq!(frames("[{},\n{\"a\":1}]{}"), ["1:{}", "2:{\"a\":1}", "2:{}"]);
        assert_eq!(frames("{\"records\":[{},{}]}\n{ \"records\" :\n[\n{\"records\":[1]}\n]\n}\n"), ["1:{}", "1:{}", "4:{\"records\":[1]}"]);
        assert_eq!(frames("{\"records\":[]}"), Vec::<String>::new());
        assert_eq!(frames("{\"records\":[{}],\n\"count\":{\"a\":[1]}}{}"), ["1:{}", "2:{}"]);
    }

    #[test]
    fn a_broken_record_costs_only_itself() {
        let another = "expected the end of a JSON object, found the beginning of another";
        for (text, expected) in [
            ("{\"a\":1\n{\"b\":2}\n", vec![format!("1!{another}"), "2:{\"b\":2}".to_owned()]),
            ("{\"a\":1,\n{\"b\":2}\n", vec![format!("1!{another}"), "2:{\"b\":2}".to_owned()]),
            // Only the line after next shows that the first was cut: the one between is not lost.
            ("{\"a\":\n{\"b\":2}\n{\"c\":3}\n", vec![format!("1!{another}"), "2:{\"b\":2}".to_owned(), "3:{\"c\":3}".to_owned()]),
            (
                "{\"a\":\n{\"b\":2}\n\"garbage\n{\"c\":3}\n",
                vec![
                    "1!expected the end of a string, found the end of the line".to_owned(),
                    "2:{\"b\":2}".to_owned(),
                    "3!expected a JSON object, found '\\\"'".to_owned(),
                    "4:{\"c\":3}".to_owned(),
                ],
            ),
            (
                "{\"a\":\"x\n{\"b\":2}\n",
                vec!["1!expected the end of a string, found the end of the line".to_owned(), "2:{\"b\":2}".to_owned()],
            ),
            (
                "{\"a\":[1}\n{\"b\":2}\n",
                vec!["1!expected the end of a JSON array or object, found '}'".to_owned(), "2:{\"b\":2}".to_owned()],
            ),
            ("{}\n{\"a\":1", vec!["1:{}".to_owned(), "2!expected the end of a JSON object, found the end of the file".to_owned()]),
            (
                "# title\nx\n{\"b\":2}\n",
                vec![
                    "1!expected a JSON object or a CSV header with a column that is known, found '#'".to_owned(),
                    "3:{\"b\":2}".to_owned(),
                ],
            ),
            ("{}\n\"s\"\n12\n{}\n", vec!["1:{}".to_owned(), "2!expected a JSON object, found '\\\"'".to_owned(), "4:{}".to_owned()]),
            (
                "  {}\n garbage\n  {}\n  {}",
                vec!["1:{}".to_owned(), "2!expected a JSON object, found 'g'".to_owned(), "3:{}".to_owned(), "4:{}".to_owned()],
            ),
            (
                "[\n  {},\n  nonsense,\n  {}\n]",
                vec!["2:{}".to_owned(), "3!expected a JSON object, found 'n'".to_owned(), "4:{}".to_owned()],
            ),
            (
                "[{},null,\"a,]\\\"\",{}]",
                vec![
                    "1:{}".to_owned(),
                    "1!expected a JSON object, found 'n'".to_owned(),
                    "1!expected a JSON object, found '\\\"'".to_owned(),
                    "1:{}".to_owned(),
                ],
            ),
            (
                "{\"records\":[{},{\"a\":]},{}]}",
                vec![
                    "1:{}".to_owned(),
                    "1!expected the end of a JSON array or object, found ']'".to_owned(),
                    "1!expected a JSON object, found '}'".to_owned(),
                    "1:{}".to_owned(),
                ],
            ),
            ("\u{1f}\u{8b}", vec!["1!expected a JSON object or a CSV header with a column that is known, found '\\x1f'".to_owned()]),
        ] {
            assert_eq!(frames(text), expected, "{text}");
        }
    }

    #[test]
    fn an_unclosed_array_or_envelope_is_a_cut_file() {
        assert_eq!(frames("\n[{},\n{}"), ["2:{}", "3:{}", "2!unclosed"]);
        assert_eq!(frames("{\"records\":[{}]"), ["1:{}", "1!unclosed"]);
        assert_eq!(frames("{\"records\":[{}],\"x\":1"), ["1:{}", "1!unclosed"]);
        assert_eq!(frames("{\"records\":[{},{\"a\":"), ["1:{}", "1!unclosed"]);
    }

    /// Each of these took minutes before restarts were bounded.
    #[test]
    fn hostile_streams_take_linear_time() {
        let nested = "{\"a\":[\n".repeat(200_000);
        let mut found = Frames::new(Lookahead::new(nested.as_bytes()));
        assert!(matches!(found.next(), Some(Err(FrameError::Malformed { line: 1, .. }))));
        assert!(found.count() <= 1);
        let arrays = format!("{{{}\"a\":[{}]}}", " ".repeat(4 << 20), "[],".repeat(200_000));
        assert_eq!(Frames::new(Lookahead::new(arrays.as_bytes())).filter(Result::is_ok).count(), 1);
    }

    #[test]
    fn a_record_that_is_too_long_costs_only_itself() {
        let long = format!("{{\"a\":\"}},{}\",\n\"b\":[{{}}]}}", "x".repeat(MAX_RECORD));
        let message = "expected a record of at most 16 MiB, found more";
        let framed = |text: &str| frames_of(text.as_bytes());
        assert_eq!(framed(&format!("{{}}\n{long} {{\"c\":1}}\n{{}}")), ["1:{}", &format!("2!{message}"), "3:{\"c\":1}", "4:{}"]);
        assert_eq!(framed(&format!("{{\"records\":[{{}},{long},{{}}]}}")), ["1:{}", &format!("1!{message}"), "2:{}"]);
        assert_eq!(framed(&format!("{{\"a\":\"{}\n{{}}", "x".repeat(MAX_RECORD))), [&format!("1!{message}"), "2:{}"]);
        assert_eq!(framed(&format!("{{\"a\":{}\n{{}}", "1".repeat(MAX_RECORD))), [&format!("1!{message}"), "2:{}"]);
    }
}
