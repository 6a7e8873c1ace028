// SPDX-License-Identifier: Apache-2.0
//! What the upstream is told of callers and of traces.

use serde::Serialize;
use tracegate::identity::Provider;

use super::document::{CallerToHeader, ClaimToHeader, ForwardedClientCert, Identity, ReplaceToken, Trace};
use super::words::{all, word};

/// What goes on to the upstream.
#[derive(Debug, Serialize)]
pub(super) struct Upstream {
    pub(super) headers: Vec<Header>,
    token: Token,
    #[serde(skip)]
    replacement: Option<ReplaceToken>,
    trace_context: TraceContext,
    /// The only keys of baggage that go on; `None`: all do.
    baggage: Option<Vec<String>>,
    /// What becomes of `x-forwarded-client-cert`; `None`: without providers it is left alone.
    forwarded_client_cert: Option<ForwardedClientCert>,
}

/// What carries the trace.
#[derive(Debug, Serialize)]
struct TraceContext {
    formats: Vec<String>,
    /// The key of our member in `tracestate`.
    member: Option<String>,
    /// The secret that signs it.
    signed_with: Option<String>,
}

/// A header that tells something of the caller.
#[derive(Debug, Serialize)]
pub(super) struct Header {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    separator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
}

/// What becomes of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Token {
    /// None goes on.
    Stripped,
    /// Verified ones go on.
    Forwarded,
    /// A credential of the gateway's own goes on in the place of a verified one.
    Replaced,
    /// No provider looks for any: they are other headers to the gateway.
    Untouched,
}

impl Upstream {
    pub(super) fn new(identity: Identity, trace: &Trace, forwarded: ForwardedClientCert, providers: &[Provider]) -> Self {
        let Identity { claim_to_headers, caller_to_headers, forward_token, replace_token } = identity;
        let token = match &replace_token {
            _ if !providers.iter().any(|provider| provider.token().is_some()) => Token::Untouched,
            Some(_) => Token::Replaced,
            None if forward_token => Token::Forwarded,
            None => Token::Stripped,
        };
        // These are the gateway's alone, whoever vouches for callers: what a client sends by these names goes.
        let (claims, callers) = (claim_to_headers.into_iter().map(Header::from), caller_to_headers.into_iter().map(Header::from));
        let guards_certificate = !providers.is_empty() || matches!(forwarded, ForwardedClientCert::From(_));
        let trace_context = TraceContext {
            formats: trace.propagation.inject.clone(),
            member: trace.tracestate.member.clone(),
            signed_with: trace.signed_hop.as_ref().map(|hop| hop.active.key.secret.clone()),
        };
        Self {
            headers: claims.chain(callers).collect(),
            token,
            replacement: replace_token,
            trace_context,
            baggage: trace.propagation.baggage.allow.clone(),
            forwarded_client_cert: Some(forwarded).filter(|_| guards_certificate),
        }
    }

    /// What goes on beside headers of the policy's own, by what it is.
    pub(super) fn others(&self) -> [(&'static str, String); 4] {
        let TraceContext { formats, member, signed_with } = &self.trace_context;
        let signed = signed_with.as_ref().map(|secret| format!(", signed with the secret {}", word(secret))).unwrap_or_default();
        let member = member.as_ref().map(|member| format!("; member {} of tracestate{signed}", word(member))).unwrap_or_default();
        let baggage = match self.baggage.as_deref() {
            None => "every key".to_owned(),
            Some([]) => "none".to_owned(),
            Some(keys) => format!("{} alone", all(keys)),
        };
        let certificate = match &self.forwarded_client_cert {
            None => "untouched: no provider looks for any".to_owned(),
            Some(ForwardedClientCert::Remove) => "none".to_owned(),
            Some(ForwardedClientCert::Keep) => "as the listener writes it".to_owned(),
            Some(ForwardedClientCert::From(condition)) => format!("as it comes, when {}; none otherwise", condition.words()),
        };
        [
            ("(tokens)", self.token()),
            ("(trace context)", format!("{}{member}", all(formats))),
            ("(baggage)", baggage),
            ("(x-forwarded-client-cert)", certificate),
        ]
    }

    /// What becomes of tokens, in a sentence.
    fn token(&self) -> String {
        match (self.token, &self.replacement) {
            (Token::Replaced, Some(ReplaceToken { scheme, credential })) => {
                format!("replaced: in the place of a verified one goes {} and the secret {}", word(scheme), word(&credential.secret))
            }
            (Token::Replaced, None) => "replaced".to_owned(),
            (Token::Stripped, _) => "stripped: none goes on".to_owned(),
            (Token::Forwarded, _) => "forwarded: verified ones go on, others don't".to_owned(),
            (Token::Untouched, _) => "untouched: no provider looks for any".to_owned(),
        }
    }
}

impl Header {
    /// `claim roles, parted by ","`
    pub(super) fn tells(&self) -> String {
        let claim = self.claim.as_ref().map(|claim| format!("claim {}", word(claim)));
        let caller = self.caller.as_ref().map(|caller| match caller.as_str() {
            "provider" => "which providers vouch for the caller".to_owned(),
            fact => format!("the caller's {fact}"),
        });
        let provider = self.provider.as_ref().map(|provider| format!("of {}", word(provider)));
        let tells: Vec<String> = claim.into_iter().chain(caller).chain(provider).collect();
        let separator = self.separator.as_ref().map(|separator| format!(", parted by {separator:?}")).unwrap_or_default();
        tells.join(" ") + &separator
    }
}

impl From<ClaimToHeader> for Header {
    fn from(ClaimToHeader { claim, header, separator, provider }: ClaimToHeader) -> Self {
        Self { name: header, claim: Some(claim), separator, provider, caller: None }
    }
}

impl From<CallerToHeader> for Header {
    fn from(CallerToHeader { caller, header }: CallerToHeader) -> Self {
        Self { name: header, claim: None, separator: None, provider: None, caller: Some(caller) }
    }
}
