// SPDX-License-Identifier: Apache-2.0
//! Credentials, replaced by digests: one that repeats can be told to repeat, none can be told.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracegate::Policy;
use tracegate::identity::{Provider, SubscriptionKeys, TokenPlace};

/// Replaces credential values by the first 32 bits of a keyed digest.
#[derive(Clone, Debug)]
pub struct Redactor {
    key: [u8; 32],
    /// Headers that carry tokens, whatever they are called; in lower case.
    headers: Vec<String>,
    /// Parameters that do. They are read as they stand, and not shown.
    parameters: Vec<String>,
}

impl Redactor {
    /// The redactor of one replay: the same seed gives the same digests.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let key = Sha256::digest(format!("tracegate redaction{seed}")).into();
        Self { key, headers: Vec::new(), parameters: Vec::new() }
    }

    /// The same redactor, which knows where a policy looks for tokens too. What stands in a query there is a request's to be decided by: a
    /// target keeps it, and nothing that is shown does.
    #[must_use]
    pub fn knowing(mut self, policy: &Policy) -> Self {
        for place in policy.identity.providers.iter().filter_map(Provider::token).flat_map(|provider| &provider.places) {
            match place {
                TokenPlace::Header(name) => self.headers.push(name.to_ascii_lowercase()),
                TokenPlace::Query(name) => self.parameters.push(name.clone()),
                // These always are credentials.
                TokenPlace::Authorization { .. } | TokenPlace::Cookie(_) => {}
            }
        }
        for SubscriptionKeys { header, query, .. } in policy.identity.providers.iter().filter_map(Provider::subscription_keys) {
            self.headers.push(header.clone());
            self.parameters.push(query.clone());
        }
        self
    }

    /// Whether a header holds a credential: by its name, or because a policy looks there for one.
    pub(crate) fn is_credential_header(&self, name: &[u8]) -> bool {
        is_credential_header(name) || self.headers.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    }

    /// Whether a parameter is where a policy looks for a token, or in any case for a key.
    fn is_token(&self, name: &str) -> bool {
        let is = |known: &String| percent_decoded(&name.replace('+', " ")).eq_ignore_ascii_case(known);
        self.parameters.iter().any(is)
    }

    /// Eight hexadecimal digits that stand for `secret`.
    #[must_use]
    pub fn digest(&self, secret: &[u8]) -> String {
        let digest: [u8; 32] = Sha256::new().chain_update(self.key).chain_update(secret).finalize().into();
        digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }

    /// A header's value as JSON: a credential, or a client's certificate, as `{"redacted": "1a2b3c4d"}`, text as text but for credentials in the
    /// parameters and URLs that it may hold, other bytes as `{"base64": "…"}`.
    #[must_use]
    pub fn header(&self, name: &[u8], value: &[u8]) -> Value {
        let text = String::from_utf8_lossy(value);
        let is_certificate = name.eq_ignore_ascii_case(b"x-forwarded-client-cert");
        if is_certificate || self.is_credential_header(name) || begins_with_scheme(&text) {
            return json!({"redacted": self.digest(value)});
        }
        // Trace context is what a replay is about, and its members are no parameters.
        if name.eq_ignore_ascii_case(b"traceparent") || name.eq_ignore_ascii_case(b"tracestate") {
            return json_bytes(value);
        }
        let shown = self.url(&self.words(&text, MAX_NESTING));
        match (shown == text, std::str::from_utf8(value)) {
            (true, _) => json_bytes(value),
            (false, Ok(_)) => Value::from(shown),
            (false, Err(_)) => json!({"redacted": self.digest(value)}),
        }
    }

    /// Text that should hold no credential, and may all the same: behind its scheme or name, or in a URL.
    #[must_use]
    pub fn text(&self, text: String) -> String {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./|".contains(&byte));
        if is_plain { text } else { self.url(&self.words(&text, MAX_NESTING)) }
    }

    /// A request's path and query, as [`url`](Self::url), but for what decides where it goes: only parameters change.
    #[must_use]
    pub fn target(&self, target: &str) -> String {
        self.parameters(target, MAX_NESTING, false)
    }

    /// Text without what stands behind the name of a credential and a colon, or behind a scheme (RFC 9110 section 11.4).
    fn words(&self, text: &str, nesting: usize) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut expected = Expected::Anything;
        for word in text.split_inclusive(WORD_ENDS) {
            let (word, end) = match word.char_indices().next_back() {
                Some((at, last)) if WORD_ENDS.contains(&last) => word.split_at_checked(at).unwrap_or((word, "")),
                _ => (word, ""),
            };
            let (is_secret, next) = expected.then(word);
            let is_escaped = || {
                let decoded = percent_decoded(word);
                decoded != word && self.words(&decoded, nesting - 1) != decoded
            };
            if !is_redacted(word) && (is_secret || (nesting > 0 && word.contains('%') && is_escaped())) {
                shown.push_str("REDACTED-");
                shown.push_str(&self.digest(word.as_bytes()));
            } else {
                shown.push_str(word);
            }
            shown.push_str(end);
            expected = next;
        }
        shown
    }

    /// A URL, or any text that may hold one, with the values of credential parameters as `REDACTED-1a2b3c4d` wherever
    /// parameters may stand, and without user information.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        self.nested_url(url, MAX_NESTING)
    }

    fn nested_url(&self, url: &str, nesting: usize) -> String {
        self.parameters(&without_user_information(url), nesting, true)
    }

    /// Where `whole`, what is no parameter may be an escaped URL too.
    fn parameters(&self, url: &str, nesting: usize, whole: bool) -> String {
        let mut redacted = String::with_capacity(url.len());
        // In a path, a segment's parameters end with the segment.
        let mut in_path = true;
        let mut before = None;
        let mut rest = url;
        while !rest.is_empty() {
            let end = rest.find(|byte| SEPARATORS.contains(&byte) || (in_path && byte == '/')).unwrap_or(rest.len());
            let (parameter, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
            match parameter.split_once('=') {
                Some((_, value)) if is_redacted(value) => redacted.push_str(parameter),
                Some((name, value)) if self.is_token(name) => match whole {
                    false => redacted.push_str(parameter),
                    true => redacted.extend([name, "=REDACTED-", &self.digest(value.as_bytes())]),
                },
                // A whole segment, as `/key=1`, is no parameter.
                Some((name, value)) if (before != Some('/') && is_credential_parameter(name)) || self.holds_credential(value, nesting) => {
                    redacted.push_str(name);
                    redacted.push_str("=REDACTED-");
                    redacted.push_str(&self.digest(value.as_bytes()));
                }
                None if whole && self.holds_credential(parameter, nesting) => {
                    redacted.push_str("REDACTED-");
                    redacted.push_str(&self.digest(parameter.as_bytes()));
                }
                _ => redacted.push_str(parameter),
            }
            let mut separator = tail.chars();
            before = separator.next();
            if let Some(separator) = before {
                in_path &= separator != '?';
                redacted.push(separator);
            }
            rest = separator.as_str();
        }
        redacted
    }

    /// Whether a value is an escaped URL with a credential in it.
    fn holds_credential(&self, value: &str, nesting: usize) -> bool {
        let decoded = percent_decoded(value);
        nesting > 0 && decoded != value && self.nested_url(&decoded, nesting - 1) != decoded
    }
}

/// A text without what stands between `//` and the last `@` of an authority (RFC 3986 section 3.2).
fn without_user_information(text: &str) -> Cow<'_, str> {
    if !text.contains('@') || !text.contains("//") {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split("//");
    let mut without = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(AUTHORITY_ENDS).unwrap_or(part.len());
        let (authority, rest) = part.split_at_checked(end).unwrap_or((part, ""));
        without.push_str("//");
        match authority.rsplit_once('@') {
            Some((_, host)) => without.extend(["REDACTED@", host]),
            None => without.push_str(authority),
        }
        without.push_str(rest);
    }
    Cow::Owned(without)
}

/// Whether a value is a digest already, to the letter.
fn is_redacted(value: &str) -> bool {
    value.strip_prefix("REDACTED-").is_some_and(|digits| digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a value begins with a scheme of credentials, and goes on.
fn begins_with_scheme(value: &str) -> bool {
    value.trim_start().split_once([' ', '\t']).is_some_and(|(word, _)| is_scheme(word))
}

fn is_scheme(word: &str) -> bool {
    SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// What the next word of a text is.
#[derive(Clone, Copy)]
enum Expected {
    Anything,
    /// A colon, and then a credential.
    Colon,
    Credential,
    /// The credential of RFC 7617, if it is one: `Basic` is a word of its own.
    Basic,
}

impl Expected {
    /// Whether this word is a credential, and what comes next.
    fn then(self, word: &str) -> (bool, Self) {
        let bare = word.trim_matches(['{', '[', '(', ':', '=']);
        match self {
            _ if word.is_empty() => (false, self),
            Self::Credential if !bare.is_empty() && !is_scheme(bare) => (true, Self::Anything),
            Self::Basic if BASE64_STANDARD.decode(word).is_ok_and(|pair| pair.contains(&b':')) => (true, Self::Anything),
            Self::Credential if bare.is_empty() => (false, self),
            Self::Colon if word.starts_with(':') => (!bare.is_empty(), if bare.is_empty() { Self::Credential } else { Self::Anything }),
            _ if bare.eq_ignore_ascii_case("basic") => (false, Self::Basic),
            _ if is_scheme(bare) => (false, Self::Credential),
            _ if is_credential_name(bare) && word.ends_with(':') => (false, Self::Credential),
            _ if is_credential_name(bare) => (false, Self::Colon),
            _ => (false, Self::Anything),
        }
    }
}

/// Whether a header's value is a credential, by its name in any case.
#[must_use]
pub(crate) fn is_credential_header(name: &[u8]) -> bool {
    is_credential_name(&String::from_utf8_lossy(name))
}

/// Bytes as JSON: text where they are text, else `{"base64": "…"}`.
pub(crate) fn json_bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({"base64": BASE64_STANDARD.encode(bytes)}),
    }
}

/// Whoever redirects may escape more than once.
fn is_credential_parameter(name: &str) -> bool {
    let once = percent_decoded(name);
    is_credential_name(&once) || is_credential_name(&percent_decoded(&once))
}

/// Better a harmless value too many than a credential too few.
fn is_credential_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CREDENTIAL_NAMES.contains(&name.as_str()) || CREDENTIAL_WORDS.iter().any(|word| name.contains(word))
}

/// A parameter's name may be written with escapes, as `subscription%2Dkey`.
pub(crate) fn percent_decoded(name: &str) -> String {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let mut byte = [0];
        match tail.split_first_chunk::<2>() {
            Some((digits, after)) if *first == b'%' && hex::decode_to_slice(digits, &mut byte).is_ok() => {
                decoded.extend_from_slice(&byte);
                rest = after;
            }
            _ => decoded.push(*first),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

const AUTHORITY_ENDS: [char; 9] = ['/', '?', '#', ' ', '\t', '"', '<', '>', '\\'];
const SEPARATORS: [char; 11] = ['?', '&', ';', '#', ',', ' ', '\t', '"', '\'', '<', '>'];
const WORD_ENDS: [char; 7] = [' ', '\t', '\u{a0}', '"', '\'', ',', ';'];
/// Schemes of credentials, in lower case.
const SCHEMES: [&str; 6] = ["apikey", "basic", "bearer", "negotiate", "sharedaccesssignature", "sharedkey"];
/// How often a URL is looked for within a URL.
const MAX_NESTING: usize = 3;

/// Names that are credentials' as a whole, in lower case; among them the signatures that OpenTelemetry's `url.query` redacts.
const CREDENTIAL_NAMES: &[&str] = &["assertion", "awsaccesskeyid", "client_assertion", "code", "jwt", "key", "sig", "x-functions-key"];

/// Words that make a name a credential's.
const CREDENTIAL_WORDS: &[&str] = &[
    "accountkey",
    "sharedkey",
    "api-key",
    "api_key",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "password",
    "secret",
    "signature",
    "subscription-key",
    "subscription_key",
    "token",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_urls_become_digests() {
        let redactor = Redactor::new(0);
        let shown = |url: &str| redactor.url(url).replace(&redactor.digest(b"s3cret"), "*");
        for (url, expected) in [
            (
                "/a?x=1&Subscription-Key=s3cret&y=&subscription%2Dkey=s3cret",
                "/a?x=1&Subscription-Key=REDACTED-*&y=&subscription%2Dkey=REDACTED-*",
            ),
            (
                "/a?x=1;sig=s3cret&r=/b?access_token=s3cret#id_token=s3cret",
                "/a?x=1;sig=REDACTED-*&r=/b?access_token=REDACTED-*#id_token=REDACTED-*",
            ),
            ("/a;key=s3cret", "/a;key=REDACTED-*"),
            ("/a;key=s3cret/../b?c=/d", "/a;key=REDACTED-*/../b?c=/d"),
            ("<https://h/?sig=s3cret>; rel=next", "<https://h/?sig=REDACTED-*>; rel=next"),
            ("https://u:s3cret@h/?a=1", "https://REDACTED@h/?a=1"),
            ("https://u:s3cret=@h/?a=1", "https://REDACTED@h/?a=1"),
            ("https://u;a,b&c'd:s3cret@x@h:8/?a=1", "https://REDACTED@h:8/?a=1"),
            ("a=//u:s3cret@h b=//h/@x", "a=//REDACTED@h b=//h/@x"),
            ("/a?mail=a@b", "/a?mail=a@b"),
            ("/key=1", "/key=1"),
            ("/a?monkey=1", "/a?monkey=1"),
        ] {
            assert_eq!(shown(url), expected);
            assert_eq!(redactor.url(&redactor.url(url)), redactor.url(url), "redacting twice is redacting once");
        }
        assert!(!redactor.url("/a?sig=REDACTED-s3cret").contains("s3cret"), "what looks like a digest isn't one");
        assert_eq!(redactor.digest(b"s3cret").len(), 8);
        assert_ne!(Redactor::new(1).digest(b"s3cret"), redactor.digest(b"s3cret"));
    }

    #[test]
    fn credentials_in_texts_become_digests_and_harmless_words_stay() {
        let redactor = Redactor::new(0);
        for text in [
            "Bearer s3cret",
            "failed: Authorization: Bearer s3cret",
            "\"Bearer s3cret\"",
            "Bearer\ts3cret",
            "Bearer\u{a0}s3cret",
            "a Bearer%20s3cret b",
            "subscription-key: s3cret",
            "{\"access_token\":\"s3cret\"}",
            "AccountKey=s3cret;x",
            "SharedKey s3cret",
            "?subscription%252Dkey=s3cret",
            "https%3A%2F%2Fh%2F%3Fsubscription-key%3Ds3cret",
            "/proxy/https%3A%2F%2Fu%3As3cret%40h%2F",
        ] {
            let shown = redactor.text(text.to_owned());
            assert!(!shown.contains("s3cret") && shown.contains("REDACTED"), "{text}: {shown}");
            assert_eq!(redactor.text(shown.clone()), shown, "redacting twice is redacting once");
            let shown = redactor.header(b"x", text.as_bytes()).to_string();
            assert!(!shown.contains("s3cret"), "{text}: {shown}");
        }
        assert!(!redactor.text("Basic dTpzM2NyZXQ=".to_owned()).contains("dTpzM2NyZXQ"));
        for text in [
            "Basic plan",
            "basic",
            "3f2504e0-4f89-11d3",
            "|4711.1_",
            "CN=shop, O=Basic",
            "spiffe://shop/billing",
            "key-7",
            "a token of ours",
        ] {
            assert_eq!(redactor.text(text.to_owned()), text);
        }
        let deep = format!("%{}", "25".repeat(1 << 20));
        assert_eq!(redactor.text(deep.clone()), deep);
        assert_eq!(redactor.target("/p//x@y/https%3A%2F%2Fu%3Ap%40h?a=1"), "/p//x@y/https%3A%2F%2Fu%3Ap%40h?a=1");
    }

    #[test]
    fn credentials_in_headers_become_digests() {
        let redactor = Redactor::new(0);
        for name in
            ["Authorization", "cookie", "Ocp-Apim-Subscription-Key", "subscription-key", "x-access-token", "X-Functions-Key", "x-api-key"]
        {
            assert_eq!(redactor.header(name.as_bytes(), b"s3cret"), json!({"redacted": redactor.digest(b"s3cret")}), "{name}");
        }
        assert_eq!(
            redactor.header(b"location", b"https://a/?code=s3cret"),
            json!(format!("https://a/?code=REDACTED-{}", redactor.digest(b"s3cret")))
        );
        let certificate = b"By=a;Hash=b;Subject=\"CN=s3cret\"";
        assert_eq!(redactor.header(b"X-Forwarded-Client-Cert", certificate), json!({"redacted": redactor.digest(certificate)}));
        assert_eq!(redactor.header(b"tracestate", b"key=1,b=2"), json!("key=1,b=2"));
        assert_eq!(redactor.header(b"x", b"\xfftoken=s3cret"), json!({"redacted": redactor.digest(b"\xfftoken=s3cret")}));
        assert_eq!(redactor.header(b"x-raw", b"bearer s3cret"), json!({"redacted": redactor.digest(b"bearer s3cret")}));
        assert_eq!(redactor.header(b"x", b"\xff"), json!({"base64": "/w=="}));
    }

    #[test]
    fn a_policy_names_more_places_of_tokens() {
        let policy = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}, "secrets": {"s": {"environment": {"name": "S"}}},
            "identity": {"providers": {"own": {"jwt": {"issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "keys": {"secrets": [{"key": {"secret": "s"}}]},
            "tokens": [{"header": "x-pass"}, {"query": "my ticket"}, {"cookie": "c"}, {"authorization": {"scheme": "Own"}}]}}}}}"#;
        let plain = Redactor::new(0);
        let knowing = plain.clone().knowing(&Policy::from_json(policy.as_bytes()).unwrap().policy);
        let redacted = json!({"redacted": plain.digest(b"s3cret")});
        assert_eq!((plain.header(b"X-Pass", b"s3cret"), knowing.header(b"X-Pass", b"s3cret")), (json!("s3cret"), redacted));
        for url in ["/a?my+ticket=s3cret&b=1", "/a?my%20ticket=s3cret&b=1", "https://h/?x=/b%3Fmy+ticket%3Ds3cret"] {
            assert!(plain.url(url).contains("s3cret") && !knowing.url(url).contains("s3cret"), "{}", knowing.url(url));
        }
        assert_eq!(knowing.target("/a?my+ticket=s3cret&b=1"), "/a?my+ticket=s3cret&b=1", "decided by what was sent");
        assert_eq!(knowing.url("/a?ticket=1"), "/a?ticket=1");
    }
}
