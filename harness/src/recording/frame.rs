// SPDX-License-Identifier: Apache-2.0
//! A stream of bytes cut into JSON objects, one record each, with white space free between and inside them.
//!
//! Objects may follow one another, stand in an array, or in an envelope `{"records": […]}` or `{"value": […]}`, any number
//! of times; of the result of a query, `{"tables": […]}`, each row is a record. What is no JSON is reported with its place and
//! skipped: reading goes on at the next line that begins with `{`, or at the next row. Memory is bounded by [`MAX_RECORD`].

use std::io::{self, Read};

use super::columns::Columns;
use super::container::{Container, begins_rows};
use super::lookahead::Lookahead;
use super::scanner::{Found, Scanner};

/// One JSON object or row, as text not yet parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// Its bytes, from `{` to `}`, or from `[` to `]`.
    pub(super) bytes: Vec<u8>,
    /// Of what stands among a table's rows, the columns.
    pub(super) columns: Option<Columns>,
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
    /// The array, envelope or result that begins on this line is not closed: the file is cut short.
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
    /// What records stand in, if they do.
    open: Option<Open>,
    /// Something other than white space has been met.
    begun: bool,
    finished: bool,
}

/// A container that isn't closed yet.
struct Open {
    /// The line on which it begins; of rows, that of the whole result.
    line: u64,
    container: Container,
}

/// What one look at the buffer found.
enum Scan {
    /// An object or row of this many bytes.
    Whole(usize),
    /// The beginning of a container, of this many bytes.
    Begun(Container, usize),
    /// No JSON: what was expected, and after how many bytes to go on.
    Broken { message: String, resume: usize },
    /// What is of no use, as this message says; its end is still to come.
    Useless { message: String, scanner: Scanner },
}

impl<R: Read> Frames<R> {
    pub(super) fn new(bytes: Lookahead<R>) -> Self {
        Self { bytes, open: None, begun: false, finished: false }
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            let Some(byte) = self.bytes.skip_white_space()? else {
                self.finished = true;
                return self.open.take().map_or(Ok(None), |open| Err(self.unclosed(open.line)));
            };
            let line = self.bytes.line();
            let begun = std::mem::replace(&mut self.begun, true);
            let container = self.open.as_ref().map(|open| &open.container);
            match (byte, container) {
                (b'{', _) | (b'[', Some(Container::Rows(_))) => {
                    let columns = container.and_then(Container::columns);
                    match self.scan(&[])? {
                        Scan::Whole(length) => return Ok(Some(Frame { line, bytes: self.bytes.take(length), columns })),
                        Scan::Begun(container, length) => {
                            self.bytes.advance(length);
                            self.begin(line, container)?;
                        }
                        Scan::Broken { message, resume } => {
                            self.bytes.advance(resume);
                            return Err(self.malformed(line, message));
                        }
                        Scan::Useless { message, scanner } => {
                            self.bytes.skip_rest(scanner)?;
                            return Err(FrameError::Malformed { line, message });
                        }
                    }
                }
                (b'[', None) => {
                    self.bytes.advance(1);
                    self.begin(line, Container::Array)?;
                }
                (b',', Some(_)) => self.bytes.advance(1),
                (b']', Some(_)) => self.close()?,
                (found, container) => {
                    let expected = match container {
                        None if begun => "a JSON object",
                        None => "a JSON object or a CSV header with a column that is known",
                        Some(container) => container.element(),
                    };
                    match container {
                        None => self.bytes.skip_to_next_record()?,
                        Some(_) => self.bytes.skip_element()?,
                    }
                    return Err(self.malformed(line, format!("expected {expected}, found '{}'", found.escape_ascii())));
                }
            }
        }
    }

    /// A record that the file ends in, within a container, is that one's missing end.
    fn malformed(&mut self, line: u64, message: String) -> FrameError {
        match self.open.take_if(|_| self.bytes.is_empty()) {
            Some(open) => self.unclosed(open.line),
            None => FrameError::Malformed { line, message },
        }
    }

    /// Goes into a container. Only a table's rows stand in another: elsewhere that one was cut short.
    fn begin(&mut self, line: u64, container: Container) -> Result<(), FrameError> {
        match (&mut self.open, &container) {
            (Some(open), Container::Rows(_)) => open.container = container,
            (open, _) => {
                if let Some(cut) = open.replace(Open { line, container }) {
                    return Err(cut_short(cut.line));
                }
            }
        }
        Ok(())
    }

    /// Goes behind the `]` of a container and, where that is an object, behind what it holds besides.
    fn close(&mut self) -> Result<(), FrameError> {
        let at = self.bytes.line();
        self.bytes.advance(1);
        let Some(Open { line, container }) = self.open.take() else { return Ok(()) };
        if matches!(container, Container::Array) {
            return Ok(());
        }
        match self.bytes.skip_white_space()? {
            None => return Err(self.unclosed(line)),
            Some(b',') => {
                self.bytes.advance(1);
                // Members begin with '"': the `]` was that of a broken element.
                if matches!(self.bytes.skip_white_space()?, Some(b'{' | b'[')) {
                    let message = format!("expected {}, found ']'", container.element());
                    self.open = Some(Open { line, container });
                    return Err(FrameError::Malformed { line: at, message });
                }
            }
            Some(b'{' | b'[') => return Err(cut_short(line)),
            Some(_) => {}
        }
        if matches!(container, Container::Rows(_)) {
            self.open = Some(Open { line, container: Container::Tables });
        }
        let at = self.bytes.line();
        match self.scan(b"{")? {
            Scan::Whole(length) | Scan::Begun(_, length) => {
                self.bytes.advance(length);
                Ok(())
            }
            Scan::Useless { message, scanner } => {
                self.bytes.skip_rest(scanner)?;
                Err(FrameError::Malformed { line: at, message })
            }
            Scan::Broken { message, resume } => {
                self.bytes.advance(resume);
                if self.bytes.is_empty() {
                    return Err(self.unclosed(line));
                }
                Err(FrameError::Malformed { line: at, message })
            }
        }
    }

    fn unclosed(&mut self, line: u64) -> FrameError {
        self.finished = true;
        FrameError::Unclosed { line }
    }

    /// Looks for the end of the object or row that begins here, or that began before with these brackets open.
    fn scan(&mut self, open: &[u8]) -> Result<Scan, FrameError> {
        let container = self.open.as_ref().map(|open| &open.container);
        let may_begin = open.is_empty() && !matches!(container, Some(Container::Array | Container::Envelope));
        // Asked once: a table may have any number of `rows`.
        let mut may_have_rows = matches!(container, Some(Container::Tables));
        let mut scanner = Scanner::new(open, may_begin);
        loop {
            let length = scanner.length();
            let Some(ahead) = self.bytes.more(length)? else {
                let message = "expected the end of a JSON object, found the end of the file".to_owned();
                return Ok(Scan::Broken { message, resume: scanner.again().unwrap_or(length) });
            };
            let within = ahead.get(..MAX_RECORD.saturating_sub(length).min(ahead.len())).unwrap_or_default();
            if within.is_empty() {
                return Ok(Scan::Useless { message: too_long(container.filter(|_| open.is_empty())), scanner });
            }
            match scanner.run(within) {
                None => {}
                Some(Found::End) => return Ok(Scan::Whole(scanner.length())),
                Some(Found::Array) => {
                    let length = scanner.length();
                    let text = self.bytes.window(length);
                    if let Some(container) = Container::of(text) {
                        return Ok(Scan::Begun(container, length));
                    }
                    if may_have_rows && begins_rows(text) {
                        may_have_rows = false;
                        match Columns::before_rows(text) {
                            Ok(Some(columns)) => return Ok(Scan::Begun(Container::Rows(columns), length)),
                            // They may stand behind: the table is read whole.
                            Ok(None) => {}
                            Err(message) => return Ok(Scan::Useless { message, scanner }),
                        }
                    }
                }
                Some(Found::Broken { message, resume }) => return Ok(Scan::Broken { message, resume }),
            }
        }
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

/// What is said of a container that another follows before its end.
fn cut_short(line: u64) -> FrameError {
    let message = "expected the end of the array or object that begins here, found the beginning of another".to_owned();
    FrameError::Malformed { line, message }
}

/// What is said of an element that is longer than is kept.
fn too_long(container: Option<&Container>) -> String {
    let most = MAX_RECORD >> 20;
    match container {
        Some(Container::Rows(_)) => format!("expected a row of at most {most} MiB, found more"),
        Some(Container::Tables) => format!("expected a table with `columns` and then `rows` in its first {most} MiB, found more"),
        _ => format!("expected a record of at most {most} MiB, found more"),
    }
}

/// No gateway writes a record of this size.
pub(super) const MAX_RECORD: usize = 16 << 20;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Frames as `line:bytes`, errors as `line!message`, read a few bytes at a time.
    pub(in crate::recording) fn frames(text: &str) -> Vec<String> {
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

    pub(in crate::recording) fn frames_of(source: impl Read) -> Vec<String> {
        Frames::new(Lookahead::new(source))
            .map(|frame| match frame {
                Ok(Frame { line, bytes, columns }) => {
                    format!("{line}:{}{}", if columns.is_some() { "row " } else { "" }, String::from_utf8_lossy(&bytes))
                }
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
            ("[{},[1,{\"a\":[2]}],{}]", vec!["1:{}".to_owned(), "1!expected a JSON object, found '['".to_owned(), "1:{}".to_owned()]),
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
        let found = frames("{\"records\":[{}]\n{\"records\":[{}]}");
        assert_eq!(found, ["1:{}", "1!expected the end of the array or object that begins here, found the beginning of another", "2:{}"]);
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
