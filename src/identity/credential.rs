// SPDX-License-Identifier: Apache-2.0
//! Where a request carries its token.

use std::borrow::Cow;

use crate::head::{RequestHead, trim_ows};
use crate::query::{self, halves};

/// A place where a token may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// In `Authorization`, after this scheme, in any case (RFC 9110 section 11.4).
    Authorization {
        /// The scheme: `Bearer` (RFC 6750 section 2.1).
        scheme: String,
    },
    /// As the whole value of this header, in lower case.
    Header(String),
    /// In this parameter of the query (RFC 6750 section 2.3).
    Query(String),
    /// In this cookie.
    Cookie(String),
}

/// What a request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried<'a> {
    /// No token.
    Nothing,
    /// One.
    Token(Cow<'a, [u8]>),
    /// More than one, or one that readers could take for different ones.
    Several,
}

/// Looks in all places: a second token is an attack on whoever reads the other one (RFC 6750 section 3.1).
pub(super) fn find<'a>(head: &RequestHead<'a>, places: &[TokenPlace]) -> Carried<'a> {
    let mut found = Carried::Nothing;
    for place in places {
        match (place.look(head), &found) {
            (Carried::Nothing, _) => {}
            (token @ Carried::Token(_), Carried::Nothing) => found = token,
            _ => return Carried::Several,
        }
    }
    found
}

impl TokenPlace {
    /// What a request carries in this place.
    #[must_use]
    pub fn look<'a>(&self, head: &RequestHead<'a>) -> Carried<'a> {
        match self {
            Self::Authorization { scheme } => match one(head.headers.values("authorization").map(Cow::Borrowed)) {
                Carried::Token(Cow::Borrowed(value)) if !value.contains(&b',') => {
                    after_scheme(value, scheme).map_or(Carried::Nothing, |token| Carried::Token(token.into()))
                }
                Carried::Token(Cow::Borrowed(value)) => {
                    // Gateways join lines by commas, which no token has.
                    let parts = || value.split(|byte| *byte == b',').map(trim_ows);
                    let own = parts().position(|part| after_scheme(part, scheme).is_some());
                    let alone = parts().enumerate().all(|(place, part)| Some(place) == own || !is_credentials(part));
                    match (own, after_scheme(value, scheme)) {
                        (None, _) => Carried::Nothing,
                        (Some(_), Some(token)) if alone => Carried::Token(token.into()),
                        _ => Carried::Several,
                    }
                }
                other => other,
            },
            Self::Header(name) => one(head.headers.values(name).map(Cow::Borrowed)),
            Self::Query(name) => one(query::values(head.path, |found| found == name.as_bytes())),
            Self::Cookie(name) => {
                let pairs = head.headers.values("cookie").flat_map(|line| line.split(|byte| *byte == b';'));
                let values = pairs.map(|pair| halves(pair, b'=')).filter(|(found, _)| trim_ows(found) == name.as_bytes());
                one(values.map(|(_, value)| Cow::Borrowed(unquoted(trim_ows(value)))))
            }
        }
    }
}

fn one<'a>(mut values: impl Iterator<Item = Cow<'a, [u8]>>) -> Carried<'a> {
    match (values.next(), values.next()) {
        (None, _) => Carried::Nothing,
        (Some(value), None) => Carried::Token(value),
        (Some(_), Some(_)) => Carried::Several,
    }
}

/// The credentials, where the value has this scheme; none at all behind it is a token that is empty.
fn after_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (found, rest) = value.split_at_checked(scheme.len())?;
    let ends = rest.first().is_none_or(|byte| *byte == b' ');
    (ends && found.eq_ignore_ascii_case(scheme.as_bytes())).then(|| trim_ows(rest))
}

/// Whether some reader could take `Authorization` for credentials of this scheme: more than [`TokenPlace::look`] does, as it splits on any byte that no
/// scheme has.
pub(super) fn names_scheme(head: &RequestHead<'_>, scheme: &str) -> bool {
    // Most values have one part and are long: a search for the byte is quicker than a split.
    let most = |value: &[u8]| if value.contains(&b',') { usize::MAX } else { 1 };
    let parts = head.headers.values("authorization").flat_map(|value| value.splitn(most(value), |byte| *byte == b','));
    parts.into_iter().any(|part| {
        let start = part.iter().position(in_scheme).unwrap_or(part.len());
        let own = part.get(start..).and_then(|part| part.split_at_checked(scheme.len()));
        own.is_some_and(|(found, rest)| found.eq_ignore_ascii_case(scheme.as_bytes()) && !rest.first().is_some_and(in_scheme))
    })
}

/// Whether text has a scheme and something behind it (RFC 9110 section 11.4).
fn is_credentials(text: &[u8]) -> bool {
    let (scheme, rest) = halves(text, b' ');
    !scheme.is_empty() && scheme.iter().all(in_scheme) && !rest.is_empty()
}

/// A byte of a token in the sense of RFC 9110 section 5.6.2.
fn in_scheme(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// A cookie's value without its quotes (RFC 6265 section 4.1.1).
fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{Header, Headers};

    fn carried(places: &[TokenPlace], lines: &[(&str, &str)]) -> String {
        let lines: Vec<Header<'_>> = [(":method", "GET")]
            .iter()
            .chain(lines)
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        match find(&RequestHead::read(Headers::new(&lines)).unwrap(), places) {
            Carried::Nothing => "nothing".into(),
            Carried::Several => "several".into(),
            Carried::Token(token) => format!("token {}", String::from_utf8_lossy(&token)),
        }
    }

    #[test]
    fn one_token_is_found_and_two_are_refused() {
        let bearer = [TokenPlace::Authorization { scheme: "Bearer".into() }];
        let header = [TokenPlace::Header("x-token".into())];
        let query = [TokenPlace::Query("access_token".into())];
        let cookie = [TokenPlace::Cookie("session".into())];
        let all = [bearer.clone(), header.clone(), query.clone(), cookie.clone()].concat();
        for (places, lines, expected) in [
            (&bearer[..], &[("authorization", "Bearer a.b.c")][..], "token a.b.c"),
            (&bearer, &[("authorization", "bEARER   a.b.c")], "token a.b.c"),
            (&bearer, &[("authorization", "Bearer")], "token "),
            (&bearer, &[("authorization", "Bearer ")], "token "),
            (&bearer, &[("authorization", "Bearera.b.c")], "nothing"),
            (&bearer, &[("authorization", "Bearer\ta.b.c")], "nothing"),
            (&bearer, &[("authorization", "Basic YTpi")], "nothing"),
            (&bearer, &[], "nothing"),
            (&bearer, &[("authorization", "Bearer a"), ("authorization", "Bearer b")], "several"),
            (&bearer, &[("authorization", "Bearer a"), ("authorization", "Basic YTpi")], "several"),
            (&bearer, &[("authorization", "Bearer a"), ("Authorization", "Bearer a")], "several"),
            (&bearer, &[("authorization", "Bearer a, Bearer b")], "several"),
            (&bearer, &[("authorization", "Basic YTpi,bearer a")], "several"),
            (&bearer, &[("authorization", "Bearer a,Basic YTpi")], "several"),
            (&bearer, &[("authorization", "Negotiate,Bearer a")], "several"),
            (&bearer, &[("authorization", "Bearer a,b")], "token a,b"),
            (&bearer, &[("authorization", "Digest a=b, c=\"Bearer d\"")], "nothing"),
            (&header, &[("x-token", "a.b.c"), ("authorization", "Bearer d")], "token a.b.c"),
            (&header, &[("x-token", "a"), ("x-token", "a")], "several"),
            (&query, &[(":path", "/x?y=1&access_token=a.b%2Ec")], "token a.b.c"),
            (&query, &[(":path", "/x?access_token=a&access%5Ftoken=b")], "several"),
            (&query, &[(":path", "/x?access_token=a%2&z")], "token a%2"),
            (&query, &[(":path", "/x?access_token")], "token "),
            (&query, &[(":path", "/access_token=a")], "nothing"),
            (&query, &[(":path", "/x?Access_Token=a")], "nothing"),
            (&cookie, &[("cookie", "theme=dark; session=a.b.c")], "token a.b.c"),
            (&cookie, &[("cookie", "theme=dark"), ("cookie", "session=\"a.b.c\"")], "token a.b.c"),
            (&cookie, &[("cookie", "session=a; session=b")], "several"),
            (&cookie, &[("cookie", "session =a; session= b")], "several"),
            (&cookie, &[("cookie", "session\t= \"a.b.c\" ")], "token a.b.c"),
            (&cookie, &[("cookie", "session=a"), ("cookie", "session=b")], "several"),
            (&cookie, &[("cookie", "xsession=a")], "nothing"),
            (&all, &[("authorization", "Bearer a"), (":path", "/?access_token=a")], "several"),
            (&all, &[("authorization", "Basic YTpi"), ("cookie", "session=a")], "token a"),
        ] {
            assert_eq!(carried(places, lines), expected, "{places:?} {lines:?}");
        }
    }
}
