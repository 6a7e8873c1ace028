// SPDX-License-Identifier: Apache-2.0
//! Why there is no response from an upstream or a service, and what the proxy says instead.

use super::grpc::Close;
use super::message::Message;
use super::release::Release;

/// Why there is no response from an upstream or a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection ended.
    Reset,
    /// Nobody listens.
    Refused,
    /// It takes too long.
    TimedOut,
    /// The circuit breaker is open.
    Overloaded,
    /// There is no endpoint to ask.
    NoHost,
}

impl Failure {
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::TimedOut => 504,
            Self::Reset | Self::Refused | Self::Overloaded | Self::NoHost => 503,
        }
    }

    /// The body of the proxy's own response.
    pub(super) fn words(self, release: Release) -> &'static str {
        match self {
            Self::Reset => "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
            Self::Refused if release.tells_transport_failures() => {
                "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, \
                 transport failure reason: delayed connect error: Connection refused"
            }
            Self::Refused => "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
            Self::TimedOut => "upstream request timeout",
            Self::Overloaded => "upstream connect error or disconnect/reset before headers. reset reason: overflow",
            Self::NoHost => "no healthy upstream",
        }
    }

    /// Envoy's response flag.
    pub(super) const fn flag(self) -> u64 {
        match self {
            Self::NoHost => 0x2,
            Self::TimedOut => 0x4,
            Self::Refused => 0x20,
            Self::Reset => 0x40,
            Self::Overloaded => 0x80,
        }
    }

    pub(super) const fn details(self) -> &'static str {
        match self {
            Self::Reset => "upstream_reset_before_response_started{connection_termination}",
            Self::Refused => "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
            Self::TimedOut => "response_timeout",
            Self::Overloaded => "upstream_reset_before_response_started{overflow}",
            Self::NoHost => "no_healthy_upstream",
        }
    }

    /// The response that a callout gets instead.
    pub(super) fn response(self, release: Release) -> Message {
        let overloaded = (self == Self::Overloaded).then_some(("x-envoy-overloaded", "true"));
        reply(self.status(), self.words(release), overloaded)
    }

    /// How a gRPC call ends instead.
    pub(super) fn close(self, release: Release) -> Close {
        Close::of_http(self.status(), self.words(release), self.details())
    }
}

/// A response of the proxy's own to a callout.
pub(super) fn reply(status: u16, words: &str, line: Option<(&str, &str)>) -> Message {
    let length = words.len().to_string();
    let framing = [("content-length", length.as_str()), ("content-type", "text/plain")];
    Message::response(status, line.into_iter().chain(framing), words.as_bytes())
}
