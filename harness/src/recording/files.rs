// SPDX-License-Identifier: Apache-2.0
//! The files of a replay: those named, and those below the directories named.

use std::fs;
use std::path::{Path, PathBuf};

use super::Unread;
use crate::look::printable;

/// The paths of a replay's recordings, in the order in which ties in time are settled.
#[derive(Clone, Debug)]
pub struct Files(pub Vec<PathBuf>);

impl Files {
    /// The files that `arguments` name; a directory stands for every file below it, sorted, without hidden ones. Links to
    /// directories are not followed. A directory that holds nothing, or can't be read, stands for itself: opening it says so.
    #[must_use]
    pub fn named(arguments: &[PathBuf]) -> Self {
        Self(arguments.iter().flat_map(|argument| if argument.is_dir() { below(argument) } else { vec![argument.clone()] }).collect())
    }

    /// The path as given.
    #[must_use]
    pub fn name(&self, file: usize) -> String {
        self.0.get(file).map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// `FILE:LINE`, for people; `FILE` where the line is 0.
    #[must_use]
    pub fn place(&self, file: usize, line: u64) -> String {
        let name = printable(&self.name(file));
        if line == 0 { name } else { format!("{name}:{line}") }
    }

    /// `FILE:LINE: message`
    #[must_use]
    pub fn locate(&self, unread: &Unread) -> String {
        format!("{}: {}", self.place(unread.file, unread.line), printable(&unread.message))
    }
}

/// Every file below a directory that is not hidden, sorted; the directory itself if there is none.
fn below(top: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![top.to_owned()];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            found.push(directory);
            continue;
        };
        for entry in entries.flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            match entry.path() {
                _ if entry.file_name().as_encoded_bytes().starts_with(b".") => {}
                path if is_directory => directories.push(path),
                path if path.is_file() => found.push(path),
                _ => {}
            }
        }
    }
    if found.is_empty() {
        return vec![top.to_owned()];
    }
    found.sort();
    found
}
