// SPDX-License-Identifier: Apache-2.0
//! Why a command can't do its work: a line for people, with what lies beneath it.

use std::fmt;

/// A failed command. It ends the process with code 2.
#[derive(Debug)]
pub struct Error {
    what: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What a command comes to.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that says all there is to say.
    pub fn new(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), cause: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)?;
        let mut cause = self.cause.as_deref().map(|cause| -> &dyn std::error::Error { cause });
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Says what was being done when something failed.
pub trait Context<T> {
    /// Wraps the error with `what`.
    ///
    /// # Errors
    ///
    /// The wrapped error.
    fn context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| Error { what: what().to_string(), cause: Some(error.into()) })
    }
}
