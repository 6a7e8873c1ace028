// SPDX-License-Identifier: Apache-2.0
//! The bytes of a recording: a file's as they are, or unpacked where they begin as gzip does (RFC 1952 section 2.3.1).

use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressBarIter};

type Bytes = io::Chain<Cursor<Vec<u8>>, ProgressBarIter<File>>;

/// A recording's bytes.
pub(super) enum Source {
    Plain(Bytes),
    Gzip(Box<MultiGzDecoder<Bytes>>),
}

impl Source {
    /// Opens a file. `progress` advances by the bytes read of it.
    pub(super) fn open(path: &Path, progress: &ProgressBar) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::other("expected a file below this directory, found none"));
        }
        let mut file = progress.wrap_read(file);
        let mut magic = Vec::new();
        file.by_ref().take(MAGIC.len().try_into().unwrap_or(0)).read_to_end(&mut magic)?;
        let is_gzip = magic == MAGIC;
        let bytes = Cursor::new(magic).chain(file);
        Ok(if is_gzip { Self::Gzip(Box::new(MultiGzDecoder::new(bytes))) } else { Self::Plain(bytes) })
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(bytes) => bytes.read(into),
            Self::Gzip(bytes) => bytes.read(into).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => io::Error::other("expected the rest of the gzip data, found the end of the file"),
                ErrorKind::InvalidInput | ErrorKind::InvalidData => io::Error::other(format!("expected sound gzip data: {error}")),
                _ => error,
            }),
        }
    }
}

const MAGIC: [u8; 2] = [0x1f, 0x8b];
