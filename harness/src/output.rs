// SPDX-License-Identifier: Apache-2.0
//! Where results go: standard output, or a file that is written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Context, Result};

/// Writes text to standard output. A reader that has gone away is an error like any other, never a panic.
///
/// # Errors
///
/// When standard output takes nothing.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context(|| "can't write to standard output")
}

/// A file in the making. Until [`commit`](Self::commit) nothing is seen of it, but for what is no regular file (a pipe, a
/// device), which is written to directly.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Temporary(NamedTempFile),
    Direct(File),
}

impl OutputFile {
    /// Begins a file at `path`; a symbolic link is followed.
    ///
    /// # Errors
    ///
    /// When the directory can't be written to.
    pub fn create(path: &Path) -> Result<Self> {
        let shown = || format!("can't write {}", path.display());
        let path = resolved(path).context(shown)?;
        let existing = fs::metadata(&path).ok();
        if existing.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            let sink = OpenOptions::new().write(true).open(&path).map(Sink::Direct).context(shown)?;
            return Ok(Self { path, sink });
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any program makes a file: the umask takes its part. A file that is there keeps its mode.
            builder.permissions(existing.map_or_else(|| fs::Permissions::from_mode(0o666), |metadata| metadata.permissions()));
        }
        // The error would name the temporary file.
        let temporary = builder.tempfile_in(directory).map_err(|error| io::Error::from(error.kind()));
        let sink = temporary.map(Sink::Temporary).context(shown)?;
        Ok(Self { path, sink })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    ///
    /// When it can't be put there; nothing is left behind then.
    pub fn commit(self) -> Result<()> {
        let shown = || format!("can't write {}", self.path.display());
        match self.sink {
            Sink::Temporary(file) => file.persist(&self.path).map(drop).context(shown),
            Sink::Direct(mut file) => file.flush().context(shown),
        }
    }
}

/// Where a path leads in the end, though nothing may be there yet.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = path.parent().unwrap_or_else(|| Path::new("")).join(target);
    }
    Err(io::Error::other("too many symbolic links"))
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Temporary(file) => file.write(bytes),
            Sink::Direct(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Temporary(file) => file.flush(),
            Sink::Direct(file) => file.flush(),
        }
    }
}

/// As many as Linux follows.
const MAX_LINKS: usize = 40;
