// SPDX-License-Identifier: Apache-2.0
//! What a host call answers (`proxy_status_t`).

/// A status other than OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// There is nothing of that name.
    NotFound = 1,
    /// An argument is out of range, or not allowed in this callback.
    BadArgument = 2,
    /// A value has no serialised form.
    SerializationFailure = 3,
    /// What is named can't be read.
    ParseFailure = 4,
    /// A pointer or size lies outside the module's memory.
    InvalidMemoryAccess = 6,
    /// Another compare-and-set number than the stored one.
    CasMismatch = 8,
    /// The host could not do it.
    InternalFailure = 10,
    /// The host has no such function.
    Unimplemented = 12,
}

/// What a host call comes to before it is a number.
pub(super) type Answer<T = ()> = Result<T, Status>;

impl Status {
    /// The number that the module gets.
    pub(super) const fn number(self) -> u32 {
        self as u32
    }
}
