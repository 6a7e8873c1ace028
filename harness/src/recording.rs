// SPDX-License-Identifier: Apache-2.0
//! Recorded traffic: read from any layout, redacted on load, put in time order.

mod frame;
mod gateway_logs;
mod native;
mod order;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressBarIter};
use jiff::Timestamp;

pub use order::{InOrder, Ordered, WINDOW};

use crate::host::HeaderMap;
use crate::redact::Redactor;
use frame::{Frame, FrameError, Frames};

/// One recorded exchange, whatever layout it was read from.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Where it stands.
    pub place: Place,
    /// When the gateway received the request.
    pub time: Timestamp,
    /// The request.
    pub request: Request,
    /// The response.
    pub response: Response,
    /// What API Management said about it.
    pub apim: Option<Apim>,
    /// What the recording's author expects.
    pub expect: Option<Expect>,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, by its place among the arguments.
    pub file: usize,
    /// Counts the file's well-formed exchanges from 0.
    pub index: u64,
    /// The line on which the record begins, from 1.
    pub line: u64,
}

/// A recorded request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host and port.
    pub authority: String,
    /// Path and query, credentials in the query redacted.
    pub path: String,
    /// Header lines, without pseudo-headers; those that were logged.
    pub headers: HeaderMap,
}

/// A recorded response.
#[derive(Clone, Debug)]
pub struct Response {
    /// What the backend answered.
    pub status: u16,
    /// Header lines.
    pub headers: HeaderMap,
}

/// What API Management recorded about an exchange.
#[derive(Clone, Debug, Default)]
pub struct Apim {
    /// The API's name.
    pub api: Option<String>,
    /// What the backend answered; `None` or 0 where the request was not forwarded.
    pub backend_response_code: Option<u16>,
    /// The last error, if there was one.
    pub last_error: Option<LastError>,
}

/// API Management's `lastError`.
#[derive(Clone, Debug)]
pub struct LastError {
    /// The policy or stage that failed.
    pub source: Option<String>,
    /// The reason code.
    pub reason: Option<String>,
    /// The text for people, which names the header that `check-header` judged.
    pub message: Option<String>,
}

/// What a recording's author expects of an exchange; what is `None` is not compared.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Whether the request is admitted.
    pub admitted: Option<bool>,
    /// The client's status.
    pub status: Option<u16>,
    /// The reason code; `Some(None)` for none.
    pub reason: Option<Option<String>>,
    /// Headers at the upstream: name and lines; `None` for absent.
    pub upstream_headers: Vec<(String, Option<Vec<Vec<u8>>>)>,
    /// Headers at the client.
    pub response_headers: Vec<(String, Option<Vec<Vec<u8>>>)>,
}

/// A record or a file that can't be replayed: where and why.
#[derive(Debug)]
pub struct Unread {
    /// The file, by its place among the arguments.
    pub file: usize,
    /// The line on which it begins, from 1; 0 for the file as a whole.
    pub line: u64,
    /// What was expected and what was found.
    pub message: String,
    /// Whether the whole file is lost, not one record.
    pub fatal: bool,
}

/// Reads one file's records, in the order in which they stand.
pub struct Records<'r> {
    frames: Frames<ProgressBarIter<File>>,
    file: usize,
    index: u64,
    redactor: &'r Redactor,
}

impl<'r> Records<'r> {
    /// Opens a recording. `progress` advances by the bytes read.
    ///
    /// # Errors
    ///
    /// When the file can't be opened.
    pub fn open(file: usize, path: &Path, redactor: &'r Redactor, progress: &ProgressBar) -> Result<Self, Unread> {
        let opened = File::open(path).and_then(|opened| {
            if opened.metadata()?.is_dir() { Err(std::io::Error::from(std::io::ErrorKind::IsADirectory)) } else { Ok(opened) }
        });
        let source = opened.map_err(|error| Unread { file, line: 0, message: error.to_string(), fatal: true })?;
        Ok(Self { frames: Frames::new(progress.wrap_read(source)), file, index: 0, redactor })
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Recorded, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        let file = self.file;
        let unread = |line, message, fatal| Some(Err(Unread { file, line, message, fatal }));
        match self.frames.next()? {
            Ok(Frame { line, bytes }) => {
                let place = Place { file, index: self.index, line };
                match read(&bytes, place, self.redactor) {
                    Ok(recorded) => {
                        self.index += 1;
                        Some(Ok(recorded))
                    }
                    Err(message) => unread(line, message, false),
                }
            }
            Err(FrameError::Malformed { line, message }) => unread(line, message, false),
            Err(FrameError::Unclosed { line }) => {
                unread(line, "expected the end of the array that begins here, found the end of the file".to_owned(), true)
            }
            Err(FrameError::Unreadable(error)) => unread(0, error.to_string(), true),
        }
    }
}

/// Reads one record in whichever layout it has.
fn read(bytes: &[u8], place: Place, redactor: &Redactor) -> Result<Recorded, String> {
    let layout: Layout = serde_json::from_slice(bytes).map_err(|error| located(&error))?;
    match layout {
        Layout { request: true, .. } => native::read(bytes, place, redactor),
        Layout { properties: true, .. } => gateway_logs::read(bytes, place, redactor),
        Layout { .. } => {
            Err("expected a GatewayLogs record (with `properties`) or a native one (with `request`), found neither".to_owned())
        }
    }
}

/// Which of the fields that tell layouts apart a record has.
struct Layout {
    request: bool,
    properties: bool,
}

impl<'de> serde::Deserialize<'de> for Layout {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> serde::de::Visitor<'de> for Fields {
            type Value = Layout;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Layout, A::Error> {
                let mut layout = Layout { request: false, properties: false };
                while let Some(key) = map.next_key::<String>()? {
                    layout.request |= key == "request";
                    layout.properties |= key == "properties";
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
                Ok(layout)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// serde_json's message, its place counted from where the record begins.
fn located(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let words = message.split(" at line ").next().unwrap_or(&message);
    match (error.line(), error.column()) {
        (0 | 1, column) => format!("{words} (column {column})"),
        (line, column) => format!("{words} (line {line} of the record, column {column})"),
    }
}

/// The paths of a replay's recordings, for messages.
#[derive(Clone, Debug)]
pub struct Files(pub Vec<PathBuf>);

impl Files {
    /// The path as given.
    #[must_use]
    pub fn name(&self, file: usize) -> String {
        self.0.get(file).map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// `FILE:LINE: message`
    #[must_use]
    pub fn locate(&self, unread: &Unread) -> String {
        match unread.line {
            0 => format!("{}: {}", self.name(unread.file), unread.message),
            line => format!("{}:{line}: {}", self.name(unread.file), unread.message),
        }
    }
}
