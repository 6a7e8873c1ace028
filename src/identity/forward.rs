// SPDX-License-Identifier: Apache-2.0
//! What the upstream learns of the caller: from the gateway alone. Whatever a client sends in the place of it is removed first, on every route,
//! matched or not, and so are credentials that nobody has verified.

use std::borrow::Cow;

use super::certificate::ForwardedClientCert;
use super::credential::{self, Carried, TokenPlace};
use super::provider::{Credential, Provider};
use super::{IdentityPolicy, xfcc};
use crate::caller::{Caller, Identity, Subject};
use crate::claim::ClaimPath;
use crate::condition::Facts;
use crate::edits::HeaderEdits;
use crate::head::{Header, Headers, RequestHead, is_alike, trim_ows};
use crate::inputs::Peer;
use crate::query::{self, halves};
use crate::secret::SecretReference;

/// What the upstream is told of the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardPolicy {
    /// Headers, by names in lower case that no two share.
    pub headers: Vec<IdentityHeader>,
    /// Whether tokens that are verified go on. Others never do.
    pub tokens: bool,
    /// What goes on in `Authorization` in the place of a verified token.
    pub replacement: Option<Replacement>,
}

/// A header that tells the upstream something of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeader {
    /// Its name, in lower case.
    pub name: String,
    /// What it tells.
    pub tells: Telling,
}

/// What a header tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Telling {
    /// A claim of the first token that has it.
    Claim {
        /// Which claim.
        path: ClaimPath,
        /// What stands between several values.
        separator: Option<String>,
        /// Whose tokens; any provider's where there is none.
        provider: Option<usize>,
    },
    /// Which providers vouch for the caller.
    Provider,
    /// The policy's name for the service that calls.
    Service,
    /// The policy's name for the subscription.
    Subscription,
    /// What the caller is subscribed to.
    Product,
}

/// A credential of the gateway's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// What stands before it: `Bearer`.
    pub scheme: String,
    /// The credential.
    pub secret: SecretReference,
}

/// What one request tells the upstream of its caller.
pub(crate) struct Handover<'a> {
    pub(crate) policy: &'a IdentityPolicy,
    pub(crate) caller: &'a Caller,
    /// Providers whose credentials may go on, by their places in the policy.
    pub(crate) passed: &'a [usize],
    /// The replacement for tokens, as it stands in the header.
    pub(crate) replacement: Option<&'a [u8]>,
}

impl Handover<'_> {
    /// Records the header changes.
    pub(crate) fn record(&self, head: &RequestHead<'_>, peer: &mut dyn Peer, edits: &mut HeaderEdits) {
        if !guards(self.policy) {
            return;
        }
        let IdentityPolicy { providers, forward, .. } = self.policy;
        let by_proxy = self.certificate_is_by_proxy(head, peer);
        let told: Vec<(&IdentityHeader, Vec<u8>)> =
            forward.headers.iter().filter_map(|header| Some((header, tell(&header.tells, self.caller, providers)?))).collect();
        // One that is replaced is removed by that.
        let is_told = |name: &String| told.iter().any(|(header, _)| header.name == *name);
        let lengths = self.guarded_lengths();
        guarded(head.headers, |name| lengths.contains(name) && self.is_guarded(name, by_proxy))
            .into_iter()
            .filter(|name| !is_told(name))
            .for_each(|name| edits.remove(name));
        self.strip(head, edits);
        for (header, value) in told {
            edits.replace(header.name.clone(), value);
        }
        let verified = self.caller.identities().any(|identity| identity.claims().is_some());
        if let Some(value) = self.replacement.filter(|_| verified) {
            edits.replace("authorization", value.to_vec());
        }
    }

    /// Whether `x-forwarded-client-cert` is there and its sender may send it.
    fn certificate_is_by_proxy(&self, head: &RequestHead<'_>, peer: &mut dyn Peer) -> bool {
        match &self.policy.forwarded_client_cert {
            ForwardedClientCert::From(from) => {
                let mut facts = Facts::new(head.headers, self.policy.trusted_hops, peer, self.caller);
                head.headers.values(xfcc::HEADER).next().is_some() && from.holds(&mut facts)
            }
            ForwardedClientCert::Keep | ForwardedClientCert::Remove => false,
        }
    }

    /// Whether a line of this name goes: one that the gateway alone may send, however it is spelt, or a credential that may not go on. Gateways
    /// and services that know headers as variables don't tell `x-user-id` from `x_user_id`.
    fn is_guarded(&self, name: &[u8], by_proxy: bool) -> bool {
        let IdentityPolicy { providers, forward, forwarded_client_cert, .. } = self.policy;
        let certificate = || {
            let by_sender = by_proxy || *forwarded_client_cert == ForwardedClientCert::Keep;
            let kept = by_sender && name == xfcc::HEADER.as_bytes();
            let guarded = !providers.is_empty() || matches!(forwarded_client_cert, ForwardedClientCert::From(_));
            guarded && is_alike(xfcc::HEADER.as_bytes(), name) && !kept
        };
        let credential = || {
            providers.iter().enumerate().any(|(index, provider)| match &provider.credential {
                Credential::Token(token) => token.places.iter().any(|place| match place {
                    TokenPlace::Header(own) => is_alike(own.as_bytes(), name) && !(own.as_bytes() == name && self.passes(place)),
                    _ => false,
                }),
                Credential::SubscriptionKey(keys) => {
                    let passes = keys.forward && self.passed.contains(&index);
                    is_alike(keys.header.as_bytes(), name) && !(keys.header.as_bytes() == name && passes)
                }
                Credential::Certificate(_) => false,
            })
        };
        let is_ours = || forward.headers.iter().any(|header| is_alike(header.name.as_bytes(), name)) || certificate() || credential();
        !name.starts_with(b":") && is_ours()
    }

    /// How long the names are of which [`is_guarded`](Self::is_guarded) says that they go: most headers are none of them.
    fn guarded_lengths(&self) -> Lengths {
        let mut lengths = Lengths::of(xfcc::HEADER);
        self.policy.forward.headers.iter().for_each(|header| lengths.add(&header.name));
        for provider in &self.policy.providers {
            match &provider.credential {
                Credential::Token(token) => token.places.iter().for_each(|place| {
                    if let TokenPlace::Header(own) = place {
                        lengths.add(own);
                    }
                }),
                Credential::SubscriptionKey(keys) => lengths.add(&keys.header),
                Credential::Certificate(_) => {}
            }
        }
        lengths
    }

    /// Whether a token in this place may go on: some provider that looks there has let it pass.
    fn passes(&self, place: &TokenPlace) -> bool {
        let token = |index: usize| self.policy.providers.get(index).and_then(Provider::token);
        let looks_there = |index: usize| token(index).is_some_and(|token| token.places.contains(place));
        self.policy.forward.tokens && self.passed.iter().any(|index| looks_there(*index))
    }

    /// Takes out credentials that stand beside others, in the query, in a cookie or behind a scheme.
    fn strip(&self, head: &RequestHead<'_>, edits: &mut HeaderEdits) {
        let mut target: Cow<'_, [u8]> = Cow::Borrowed(head.path);
        let mut cookies: Vec<&str> = Vec::new();
        let mut authorization = false;
        for (index, provider) in self.policy.providers.iter().enumerate() {
            match &provider.credential {
                Credential::Token(token) => {
                    for place in &token.places {
                        // What we don't take for a token has been verified by nobody, whatever else passes.
                        let passes = self.passes(place);
                        match place {
                            TokenPlace::Authorization { scheme } => {
                                let passes = passes && place.look(head) != Carried::Nothing;
                                authorization |= !passes && credential::names_scheme(head, scheme);
                            }
                            TokenPlace::Query(name) => {
                                let own = |found: &[u8]| passes && found == name.as_bytes();
                                let rest = query::without(&target, |found| query::reads_as(found, name.as_bytes()), own);
                                target = rest.map_or(target, Cow::Owned);
                            }
                            TokenPlace::Cookie(name) if !passes => cookies.push(name),
                            TokenPlace::Cookie(_) | TokenPlace::Header(_) => {}
                        }
                    }
                }
                Credential::SubscriptionKey(keys) => {
                    let passes = keys.forward && self.passed.contains(&index);
                    let own = |found: &[u8]| passes && keys.is_parameter(found);
                    let rest = query::without(&target, |found| query::reads_as(found, keys.query.as_bytes()), own);
                    target = rest.map_or(target, Cow::Owned);
                }
                Credential::Certificate(_) => {}
            }
        }
        if authorization {
            edits.remove("authorization");
        }
        if let Cow::Owned(target) = target {
            edits.replace(":path", target);
        }
        if !cookies.is_empty() {
            strip_cookies(head, &cookies, edits);
        }
    }
}

/// A set of lengths, those above 62 taken for one.
#[derive(Clone, Copy, Debug, Default)]
struct Lengths(u64);

impl Lengths {
    fn of(name: &str) -> Self {
        Self(Self::bit(name.len()))
    }

    fn add(&mut self, name: &str) {
        self.0 |= Self::bit(name.len());
    }

    fn contains(self, name: &[u8]) -> bool {
        self.0 & Self::bit(name.len()) != 0
    }

    fn bit(length: usize) -> u64 {
        u32::try_from(length).ok().and_then(|length| 1_u64.checked_shl(length)).unwrap_or(1 << 63)
    }
}

/// Removes from trailers what a client must not send as a header: some services merge the ones into the others (RFC 9110 section 6.5.1).
pub(crate) fn guard_trailers(policy: &IdentityPolicy, lines: Headers<'_>, edits: &mut HeaderEdits) {
    if !guards(policy) && policy.forwarded_client_cert != ForwardedClientCert::Keep {
        return;
    }
    let cookies = policy.providers.iter().filter_map(Provider::token).flat_map(|token| &token.places);
    let cookies = cookies.into_iter().any(|place| matches!(place, TokenPlace::Cookie(_)));
    // A listener that writes it writes no trailer.
    let certificate = !policy.providers.is_empty() || policy.forwarded_client_cert == ForwardedClientCert::Keep;
    let credential = |name: &[u8]| {
        is_alike(b"authorization", name)
            || (cookies && is_alike(b"cookie", name))
            || (certificate && is_alike(xfcc::HEADER.as_bytes(), name))
    };
    let nobody = Handover { policy, caller: &Caller::unknown(), passed: &[], replacement: None };
    let names = guarded(lines, |name| nobody.is_guarded(name, false) || credential(name));
    names.into_iter().for_each(|name| edits.remove(name));
}

/// Whether there is anything that clients must not send: headers of our own, too, are so without anybody who vouches for callers.
const fn guards(policy: &IdentityPolicy) -> bool {
    let IdentityPolicy { providers, forward, forwarded_client_cert, .. } = policy;
    !providers.is_empty() || !forward.headers.is_empty() || matches!(forwarded_client_cert, ForwardedClientCert::From(_))
}

/// The names in lower case, each once, of the lines that are guarded.
fn guarded(lines: Headers<'_>, is_guarded: impl Fn(&[u8]) -> bool) -> Vec<String> {
    let mut names = Vec::new();
    for Header { name, .. } in lines.iter().filter(|line| is_guarded(line.name)) {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Removes these cookies; the others go on in one line (RFC 9113 section 8.2.3).
fn strip_cookies(head: &RequestHead<'_>, names: &[&str], edits: &mut HeaderEdits) {
    let pairs = || head.headers.values("cookie").flat_map(|line| line.split(|byte| *byte == b';')).map(trim_ows);
    let is_taken = |pair: &&[u8]| names.iter().any(|name| query::reads_as(trim_ows(halves(pair, b'=').0), name.as_bytes()));
    if !pairs().any(|pair| is_taken(&pair)) {
        return;
    }
    let rest: Vec<&[u8]> = pairs().filter(|pair| !pair.is_empty() && !is_taken(pair)).collect();
    if rest.is_empty() {
        edits.remove("cookie");
    } else {
        edits.replace("cookie", rest.join(&b"; "[..]));
    }
}

/// What a header says; `None` where there is nothing to say, or more than [`MAX_VALUE`]: half of a list would be another.
fn tell(telling: &Telling, caller: &Caller, providers: &[Provider]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    match telling {
        Telling::Claim { path, separator, provider } => {
            let mut identities = caller.identities().filter(|identity| provider.is_none_or(|provider| identity.provider == provider));
            let (claims, texts) = identities.find_map(|identity| {
                let claims = identity.claims()?;
                Some((claims, claims.texts(path)?))
            })?;
            let parts = separator.as_deref().or_else(|| claims.is_list(path).then_some(DEFAULT_SEPARATOR));
            join(texts, parts, &mut value);
        }
        Telling::Provider => {
            let names = caller.identities().filter_map(|identity| providers.get(identity.provider)).map(|provider| provider.name.as_str());
            join(names, Some(DEFAULT_SEPARATOR), &mut value);
        }
        Telling::Service => join(caller.identities().find_map(|identity| identity.service.as_deref()), None, &mut value),
        Telling::Subscription => join(caller.identities().find_map(|identity| subscription(identity)?.0), None, &mut value),
        Telling::Product => join(caller.identities().find_map(|identity| subscription(identity)?.1), None, &mut value),
    }
    (!value.is_empty() && value.len() <= MAX_VALUE).then_some(value)
}

/// A subscription's name and product.
fn subscription(identity: &Identity) -> Option<(Option<&str>, Option<&str>)> {
    match &identity.subject {
        Subject::Subscription { id, product } => Some((Some(id), product.as_deref())),
        Subject::Token(_) | Subject::Certificate { .. } => None,
    }
}

/// Writes texts one after another. What isn't printable ASCII is percent-encoded, and so are `%`, white space at the ends, and what parts values:
/// a role called `reader,admin` is one role.
fn join(texts: impl IntoIterator<Item: AsRef<str>>, separator: Option<&str>, value: &mut Vec<u8>) {
    for (index, text) in texts.into_iter().enumerate() {
        let text = text.as_ref();
        if index > 0 {
            value.extend_from_slice(separator.unwrap_or(DEFAULT_SEPARATOR).as_bytes());
        }
        let inner = text.trim_matches(' ').len();
        let start = text.len().saturating_sub(text.trim_start_matches(' ').len());
        for (place, byte) in text.bytes().enumerate() {
            let at_end = byte == b' ' && !(start..start.saturating_add(inner)).contains(&place);
            let parts = separator.is_some_and(|separator| separator.as_bytes().contains(&byte));
            if at_end || parts || byte == b'%' || !matches!(byte, b' '..=b'~') {
                value.push(b'%');
                value.extend([byte >> 4, byte & 0xf].iter().filter_map(|digit| HEX.get(usize::from(*digit))));
            } else {
                value.push(byte);
            }
        }
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";
/// Between the values of a list.
const DEFAULT_SEPARATOR: &str = ",";
/// Bytes of the longest value of a header.
const MAX_VALUE: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_one_printable_line() {
        let joined = |texts: &[&str], separator| {
            let mut value = Vec::new();
            join(texts.iter().copied(), separator, &mut value);
            String::from_utf8(value).unwrap()
        };
        for (texts, separator, expected) in [
            (&["gold"][..], None, "gold"),
            (&["Doe, Jane"], None, "Doe, Jane"),
            (&["reader,admin"], Some(","), "reader%2Cadmin"),
            (&["reader", "wri ter"], Some(","), "reader,wri ter"),
            (&["a b", "c"], Some(" "), "a%20b c"),
            (&["a\r\nx-admin: 1\0"], None, "a%0D%0Ax-admin: 1%00"),
            (&["100%"], None, "100%25"),
            (&["  a b "], None, "%20%20a b%20"),
            (&["  "], None, "%20%20"),
            (&["Zoë\t\u{7f}"], None, "Zo%C3%AB%09%7F"),
            (&[], Some(","), ""),
        ] {
            assert_eq!(joined(texts, separator), expected, "{texts:?}");
        }
    }

    #[test]
    fn names_that_some_reader_takes_for_one_another_are_alike() {
        for (other, expected) in [
            (&b"x-user-id"[..], true),
            (b"X-User-ID", true),
            (b"x_user_id", true),
            (b"x.user-id", true),
            (b"x-user_id", true),
            (b"xxuser-id", false),
            (b"x-user-i", false),
            (b"x-user-idd", false),
            (b"x-us\xe9r-d", false),
        ] {
            assert_eq!(is_alike(b"x-user-id", other), expected, "{}", other.escape_ascii());
        }
    }
}
