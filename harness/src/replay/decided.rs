// SPDX-License-Identifier: Apache-2.0
//! What an edge decides about a request.

use crate::host::{HeaderMap, Message, Part};

/// What the edge decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The request went on to the upstream.
    Admitted {
        /// As the upstream received it, pseudo-headers included.
        upstream: HeaderMap,
        /// As the client received it.
        response: ClientResponse,
    },
    /// The edge answered.
    Refused {
        /// Why.
        reason: String,
        /// As the client received it.
        response: ClientResponse,
    },
}

/// A response as the client received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientResponse {
    /// The HTTP status; 0 where the connection was closed instead, as access logs have it.
    pub status: u32,
    /// Header lines.
    pub headers: HeaderMap,
}

impl Decided {
    /// The client's status.
    #[must_use]
    pub const fn status(&self) -> u32 {
        self.response().status
    }

    /// The response as the client received it.
    #[must_use]
    pub const fn response(&self) -> &ClientResponse {
        match self {
            Self::Admitted { response, .. } | Self::Refused { response, .. } => response,
        }
    }

    /// The request as the upstream received it, if it did.
    #[must_use]
    pub const fn upstream(&self) -> Option<&HeaderMap> {
        match self {
            Self::Admitted { upstream, .. } => Some(upstream),
            Self::Refused { .. } => None,
        }
    }

    /// Why the request was refused, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Admitted { .. } => None,
            Self::Refused { reason, .. } => Some(reason),
        }
    }

    /// `admitted` or `refused`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Admitted { .. } => "admitted",
            Self::Refused { .. } => "refused",
        }
    }
}

impl ClientResponse {
    pub(super) const CLOSED: Self = Self { status: 0, headers: HeaderMap::new(Part::Response) };
}

impl From<Message> for ClientResponse {
    fn from(message: Message) -> Self {
        let status = u32::from(message.status());
        let mut headers = message.head;
        headers.remove(b":status");
        Self { status, headers }
    }
}
