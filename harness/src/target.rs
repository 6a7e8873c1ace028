// SPDX-License-Identifier: Apache-2.0
//! Where something is sent to.

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Instant;

use crate::Redactor;
use crate::error::Error;
use crate::tls::{Roots, Stream};

/// An `http` or `https` URL: `http://host[:port][/path][?query]`. It shows itself without the credentials that may be in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// It is reached by TLS.
    is_tls: bool,
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Target {
    /// Host and port as they stand in the URL.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is reached by TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The same host's other path.
    #[must_use]
    pub fn with_path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// Connects, by TLS where the URL says so: the host must prove its name to these authorities.
    ///
    /// # Errors
    ///
    /// When the host has no address, none takes it or the name isn't proven `until` then; or it must be proven and there are no authorities.
    pub fn open(&self, until: Instant, roots: Option<&Roots>) -> io::Result<Stream> {
        let socket = self.connect(until)?;
        match (self.is_tls, roots) {
            (false, _) => Ok(Stream::Plain(socket)),
            (true, Some(roots)) => roots.shake_hands(socket, &self.host, until),
            (true, None) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "expected authorities to prove the host's name to, found none"))
            }
        }
    }

    /// Connects to the first address that takes it.
    fn connect(&self, until: Instant) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()?.take(MAX_ADDRESSES) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl FromStr for Target {
    type Err = Error;

    /// Nothing of what was found is shown: it may be a credential.
    fn from_str(url: &str) -> Result<Self, Error> {
        let wrong = || Error::new("expected a URL as http[s]://HOST[:PORT]/PATH, found another");
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let is_tls = scheme.eq_ignore_ascii_case("https");
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or_else(wrong)?;
        if authority.contains('@') {
            return Err(Error::new("expected a URL without user information: credentials go in headers"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (authority, if is_tls { 443 } else { 80 }),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(host) => host.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
        };
        let is_path = path.bytes().all(|byte| byte.is_ascii_graphic());
        if !(is_tls || scheme.eq_ignore_ascii_case("http")) || !is_host || !is_path {
            return Err(wrong());
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { is_tls, host: bare.unwrap_or(host).to_owned(), port, authority: authority.to_owned(), path })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http{}://{}{}", if self.is_tls { "s" } else { "" }, self.authority, Redactor::new(0).url(&self.path))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

const MAX_ADDRESSES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_without_credentials() {
        for (url, host, port, authority, path) in [
            ("http://a.example", "a.example", 80, "a.example", "/"),
            ("HTTP://a.example:8080/b?c=/d#e", "a.example", 8080, "a.example:8080", "/b?c=/d"),
            ("http://127.0.0.1:1?x", "127.0.0.1", 1, "127.0.0.1:1", "/?x"),
            ("http://[::1]/", "::1", 80, "[::1]", "/"),
            ("http://[::1]:8000/", "::1", 8000, "[::1]:8000", "/"),
            ("https://a.example/b", "a.example", 443, "a.example", "/b"),
            ("HTTPS://a.example:4318", "a.example", 4318, "a.example:4318", "/"),
        ] {
            let target: Target = url.parse().unwrap();
            let found = (target.host.as_str(), target.port, target.authority(), target.path());
            assert_eq!(found, (host, port, authority, path), "{url}");
            assert_eq!(
                (target.is_tls(), target.to_string().starts_with("https://")),
                (url.starts_with(['h', 'H']) && url.as_bytes()[4] != b':', target.is_tls()),
                "{url}"
            );
        }
        let shown = "http://a/b?subscription-key=s3cret".parse::<Target>().unwrap().to_string();
        assert!(shown.starts_with("http://a/b?subscription-key=REDACTED-") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn what_is_no_http_url_is_refused_and_not_shown() {
        for url in [
            "",
            "a.example",
            "https://u:s3cret@a/",
            "ftp://a/s3cret",
            "http://",
            "http:///a",
            "http://a b/",
            "http://a/s3 cret",
            "http://a:x/",
            "http://a:70000/",
            "http://u:s3cret@a/",
            "http://[::s3cret]/",
            "http://a/\r\ns3cret:",
            "http://::1/",
            "http://a\u{e9}/",
        ] {
            let error = url.parse::<Target>().unwrap_err().to_string();
            assert!(error.starts_with("expected ") && !error.contains("s3cret"), "{url:?}: {error}");
        }
    }
}
