// SPDX-License-Identifier: Apache-2.0
//! Where something is fetched from: absolute `https` and `http` URIs (RFC 9110 section 4.2), taken apart for a request.

use std::fmt;
use std::str::FromStr;

/// A URI to fetch. What it holds can stand in a request's head as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchUri {
    /// `https` or `http`.
    pub scheme: &'static str,
    /// The host, with its port where it names one.
    pub authority: String,
    /// The path with its query, `/` at least.
    pub path: String,
}

impl FromStr for FetchUri {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            _ => return Err(InvalidUri),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(InvalidUri)?;
        let host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
        let sound =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#');
        let named = authority.bytes().any(|byte| byte.is_ascii_alphanumeric());
        if text.len() > MAX_LENGTH || !named || !authority.bytes().all(host) || !path.bytes().all(sound) {
            return Err(InvalidUri);
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { scheme, authority: authority.to_owned(), path })
    }
}

impl fmt::Display for FetchUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, authority, path } = self;
        write!(formatter, "{scheme}://{authority}{path}")
    }
}

/// The longest URI, in bytes.
const MAX_LENGTH: usize = 2048;

/// Text that is no URI to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUri;

impl fmt::Display for InvalidUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected an absolute URI such as https://id.shop.example/jwks.json")
    }
}

impl std::error::Error for InvalidUri {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_apart_and_put_together() {
        for (text, scheme, authority, path) in [
            ("https://id.shop.example/jwks.json", "https", "id.shop.example", "/jwks.json"),
            ("http://127.0.0.1:8080", "http", "127.0.0.1:8080", "/"),
            ("https://[::1]:8443?x=1", "https", "[::1]:8443", "/?x=1"),
            ("https://a/b%20c?p=B2C_1&q=%2F", "https", "a", "/b%20c?p=B2C_1&q=%2F"),
        ] {
            let uri = FetchUri { scheme, authority: authority.into(), path: path.into() };
            assert_eq!(text.parse(), Ok(uri.clone()), "{text}");
            assert_eq!(uri.to_string().parse(), Ok(uri), "{text}");
        }
        let long = format!("https://a/{}", "x".repeat(MAX_LENGTH));
        for text in [
            "",
            "id.shop.example",
            "ftp://a/",
            "HTTPS://a/",
            "https:///x",
            "https://u:p@a/",
            "https://a b/",
            "https://a/\r\nx: y",
            "https://a/#f",
            "https://a/\u{e9}",
            "https://:/",
            "https://a/\0",
            "//a/",
            &long,
        ] {
            assert_eq!(text.parse::<FetchUri>(), Err(InvalidUri), "{text:?}");
        }
    }
}
