// SPDX-License-Identifier: Apache-2.0
//! Recorded traffic: read from any layout, redacted on load, put in time order.

mod field;
mod fields;
mod frame;
mod gateway_logs;
mod logged;
mod native;
mod order;
mod row;

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressBarIter};
use jiff::Timestamp;
use serde_json::value::RawValue;

pub use order::{InOrder, Ordered, WINDOW};

use crate::host::HeaderMap;
use crate::redact::Redactor;
use field::located;
use frame::{Frame, FrameError, Frames};

/// One recorded exchange, whatever layout it was read from.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Where it stands.
    pub place: Place,
    /// How long the record is, in bytes.
    pub size: usize,
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
    /// Whether a last error would have been recorded: where not, its absence says nothing.
    pub errors_recorded: bool,
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
    /// Records of an envelope that was read whole.
    unpacked: VecDeque<Frame>,
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
        Ok(Self { frames: Frames::new(progress.wrap_read(source)), file, index: 0, redactor, unpacked: VecDeque::new() })
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Recorded, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        let file = self.file;
        let unread = |line, message, fatal| Some(Err(Unread { file, line, message, fatal }));
        loop {
            let frame = match self.unpacked.pop_front() {
                Some(frame) => Ok(frame),
                None => self.frames.next()?,
            };
            let Frame { line, bytes } = match frame {
                Ok(frame) => frame,
                Err(FrameError::Malformed { line, message }) => return unread(line, message, false),
                Err(FrameError::Unclosed { line }) => {
                    return unread(line, "expected the end of the array that begins here, found the end of the file".to_owned(), true);
                }
                Err(FrameError::Unreadable(error)) => return unread(0, error.to_string(), true),
            };
            let place = Place { file, index: self.index, line };
            match read(&bytes, place, self.redactor) {
                Ok(Record::Exchange(recorded)) => {
                    self.index += 1;
                    return Some(Ok(*recorded));
                }
                Ok(Record::Envelope(frames)) => frames.into_iter().rev().for_each(|frame| self.unpacked.push_front(frame)),
                Err(message) => return unread(line, message, false),
            }
        }
    }
}

/// What one JSON object of a stream holds.
enum Record {
    Exchange(Box<Recorded>),
    /// `{"records": […]}` whose first member is another.
    Envelope(VecDeque<Frame>),
}

/// Reads one record in whichever layout it has.
fn read(bytes: &[u8], place: Place, redactor: &Redactor) -> Result<Record, String> {
    let layout: Layout<'_> = serde_json::from_slice(bytes).map_err(|error| located(&error))?;
    match layout {
        Layout { request: true, .. } => native::read(bytes, place, redactor).map(|recorded| Record::Exchange(Box::new(recorded))),
        Layout { properties: true, .. } => gateway_logs::read(bytes, place, redactor).map(|recorded| Record::Exchange(Box::new(recorded))),
        Layout { records: Some(records), .. } => Ok(Record::Envelope(unpack(bytes, records, place.line))),
        Layout { .. } => Err(
            "expected a GatewayLogs record (with `properties`), a native one (with `request`) or an envelope (with `records`), found none"
                .to_owned(),
        ),
    }
}

/// An envelope's records, each with the line on which it begins.
fn unpack(envelope: &[u8], records: Vec<&RawValue>, first_line: u64) -> VecDeque<Frame> {
    let (mut line, mut counted) = (first_line, 0);
    let frame = |record: &RawValue| {
        let bytes = record.get().as_bytes();
        let offset = bytes.as_ptr().addr().saturating_sub(envelope.as_ptr().addr());
        line += envelope.get(counted..offset).unwrap_or_default().iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
        counted = offset;
        Frame { line, bytes: bytes.to_vec() }
    };
    records.into_iter().map(frame).collect()
}

/// Which of the fields that tell layouts apart a record has.
#[derive(Default)]
struct Layout<'a> {
    request: bool,
    properties: bool,
    records: Option<Vec<&'a RawValue>>,
}

impl<'de> serde::Deserialize<'de> for Layout<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> serde::de::Visitor<'de> for Fields {
            type Value = Layout<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Layout<'de>, A::Error> {
                let mut layout = Layout::default();
                while let Some(key) = map.next_key::<String>()? {
                    layout.request |= key == "request";
                    layout.properties |= key == "properties";
                    if key == "records" {
                        layout.records = Some(map.next_value()?);
                    } else {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    }
                }
                Ok(layout)
            }
        }
        deserializer.deserialize_map(Fields)
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
