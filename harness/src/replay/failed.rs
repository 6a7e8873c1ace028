// SPDX-License-Identifier: Apache-2.0
//! Which side a recorded exchange failed on.

use crate::recording::{Apim, LastError, Recorded};

/// Where an exchange failed, as the record tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It didn't.
    Nowhere,
    /// The client asked for what doesn't exist or isn't right, or went away.
    Client,
    /// A policy refused, or failed itself.
    Policy,
    /// The gateway itself.
    Gateway,
    /// The backend failed, or couldn't be reached in time.
    Backend,
    /// It did, and the record doesn't tell where.
    Untold,
}

impl Failed {
    /// What the record tells.
    #[must_use]
    pub fn of(recorded: &Recorded) -> Self {
        match &recorded.apim {
            None => Self::at_backend(recorded.response.status),
            Some(Apim { last_error: Some(error), .. }) => Self::with_error(error),
            Some(apim) => Self::with_codes(apim),
        }
    }

    /// `client`, `policy`, `gateway`, `backend`, `unknown`; `None` for nowhere.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Nowhere => None,
            Self::Client => Some("client"),
            Self::Policy => Some("policy"),
            Self::Gateway => Some("gateway"),
            Self::Backend => Some("backend"),
            Self::Untold => Some("unknown"),
        }
    }

    /// The source is the policy that failed, unless the request never came to one or the reason lies beyond it.
    /// <https://learn.microsoft.com/azure/api-management/api-management-error-handling-policies#predefined-errors-for-built-in-steps>
    fn with_error(error: &LastError) -> Self {
        match (error.source.as_deref(), error.reason.as_deref()) {
            (_, Some("ClientConnectionFailure" | "OperationNotFound")) => Self::Client,
            // What a policy called by itself.
            (Some("send-request" | "send-one-way-request"), _) => Self::Policy,
            (_, Some("BackendConnectionFailure")) | (Some("forward-request"), _) => Self::Backend,
            (Some("configuration" | "pipeline" | "request-executor" | "transport"), _) => Self::Gateway,
            _ => Self::Policy,
        }
    }

    fn with_codes(apim: &Apim) -> Self {
        let backend = apim.backend_response_code.filter(|&code| code != 0);
        match (apim.response_code, backend) {
            (None, Some(backend)) => Self::at_backend(backend),
            (Some(400..), Some(backend @ 500..)) | (Some(400..500), Some(backend @ 400..)) => Self::at_backend(backend),
            (None, None) | (Some(..400), _) => Self::Nowhere,
            (Some(400..500), _) if apim.errors_recorded => Self::Policy,
            (Some(_), _) if apim.errors_recorded => Self::Gateway,
            (Some(_), _) => Self::Untold,
        }
    }

    /// RFC 9110 section 15: who erred, as the backend has it.
    const fn at_backend(status: u16) -> Self {
        match status {
            ..400 => Self::Nowhere,
            400..500 => Self::Client,
            500.. => Self::Backend,
        }
    }
}
