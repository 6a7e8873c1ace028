// SPDX-License-Identifier: Apache-2.0
//! As much of HTTP/1.1 as it takes to talk to Envoy on loopback, byte for byte: names and values are kept as received.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A header line as received.
pub type Field = (Vec<u8>, Vec<u8>);

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// Lines, in order.
    pub fields: Vec<Field>,
    /// The body.
    pub body: Vec<u8>,
    /// Lines behind a chunked body.
    pub trailers: Vec<Field>,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Lines, in order.
    pub fields: Vec<Field>,
    /// The body.
    pub body: Vec<u8>,
    /// Lines behind a chunked body.
    pub trailers: Vec<Field>,
}

impl Response {
    /// The first line of a name in lower case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value.as_slice())
    }
}

/// One side of a connection that is kept alive.
#[derive(Debug)]
pub struct Connection<S = TcpStream> {
    stream: S,
    /// Read and not yet used.
    buffer: Vec<u8>,
    /// Until when bytes may come and how many, and the socket that waits for them.
    limits: Option<(Instant, usize, TcpStream)>,
}

/// A stream that waits on a socket.
pub trait OnSocket {
    /// The socket.
    fn socket(&self) -> &TcpStream;
}

impl OnSocket for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Connection {
    /// Connects as a client.
    ///
    /// # Errors
    ///
    /// When nobody listens.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?)
    }
}

impl<S: Read + Write + OnSocket> Connection<S> {
    /// Takes over an accepted connection, or one made otherwise.
    ///
    /// # Errors
    ///
    /// When the socket takes no options.
    pub fn over(stream: S) -> io::Result<Self> {
        let socket = stream.socket();
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self::on(stream))
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.stream.socket().local_addr()
    }

    /// Bounds what comes from now on: until when, and how many bytes.
    ///
    /// # Errors
    ///
    /// When the socket takes no options.
    pub fn limit(&mut self, until: Instant, bytes: usize) -> io::Result<()> {
        let socket = self.stream.socket();
        socket.set_write_timeout(Some(left(until)?))?;
        self.limits = Some((until, bytes, socket.try_clone()?));
        Ok(())
    }
}

impl<S: Read + Write> Connection<S> {
    /// Talks over any stream, whose time limits are its maker's.
    pub const fn on(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), limits: None }
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// When the peer is gone.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads a request; `None` when the peer has closed.
    ///
    /// # Errors
    ///
    /// When it is malformed, too large, or late.
    pub fn read_request(&mut self) -> io::Result<Option<Request>> {
        let head = self.read_head(|bytes| {
            let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
            let mut request = httparse::Request::new(&mut fields);
            let httparse::Status::Complete(length) = request.parse(bytes).map_err(invalid)? else { return Ok(None) };
            let method = request.method.unwrap_or_default().to_owned();
            let target = request.path.unwrap_or_default().to_owned();
            Ok(Some((length, Request { method, target, fields: owned(request.headers), body: Vec::new(), trailers: Vec::new() })))
        })?;
        let Some(mut request) = head else { return Ok(None) };
        (request.body, request.trailers) = self.read_body(&request.fields, false)?;
        Ok(Some(request))
    }

    /// Reads the response to a request that wasn't HEAD.
    ///
    /// # Errors
    ///
    /// When it is malformed, too large, or late, or the peer has closed.
    pub fn read_response(&mut self) -> io::Result<Response> {
        self.read_response_to("GET")
    }

    /// Reads the response to a request of this method.
    ///
    /// # Errors
    ///
    /// As [`read_response`](Self::read_response).
    pub fn read_response_to(&mut self, method: &str) -> io::Result<Response> {
        let (status, fields) = loop {
            let head = self.read_head(|bytes| {
                let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
                let mut response = httparse::Response::new(&mut fields);
                let httparse::Status::Complete(length) = response.parse(bytes).map_err(invalid)? else { return Ok(None) };
                Ok(Some((length, (response.code.unwrap_or_default(), owned(response.headers)))))
            })?;
            match head.ok_or(io::ErrorKind::UnexpectedEof)? {
                // The response is yet to come.
                (100 | 102..=199, _) => {}
                head => break head,
            }
        };
        let (body, trailers) = match status {
            _ if method == "HEAD" => Default::default(),
            204 | 304 => Default::default(),
            _ => self.read_body(&fields, true)?,
        };
        Ok(Response { status, fields, body, trailers })
    }

    /// Asks for a path and reads the answer.
    ///
    /// # Errors
    ///
    /// As [`read_response`](Self::read_response).
    pub fn ask(&mut self, method: &str, path: &str) -> io::Result<Response> {
        self.send(format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n").as_bytes())?;
        self.read_response()
    }

    fn read_head<T>(&mut self, parse: impl Fn(&[u8]) -> io::Result<Option<(usize, T)>>) -> io::Result<Option<T>> {
        loop {
            if !self.buffer.is_empty() {
                if let Some((length, head)) = parse(&self.buffer)? {
                    self.buffer.drain(..length);
                    return Ok(Some(head));
                }
                if self.buffer.len() > MAX_HEAD {
                    return Err(invalid("the head is too large"));
                }
            }
            if self.fill()? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The body by its framing, and trailers. A response without any framing lasts until the end of the connection.
    fn read_body(&mut self, fields: &[Field], response: bool) -> io::Result<(Vec<u8>, Vec<Field>)> {
        let field =
            |name: &str| fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value.as_slice());
        if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
            return self.read_chunks();
        }
        let body = match field("content-length") {
            Some(length) => {
                let length = std::str::from_utf8(length)
                    .ok()
                    .and_then(|length| length.parse().ok())
                    .ok_or_else(|| invalid("the length is no number"))?;
                self.take(length)?
            }
            None if response => {
                while self.fill()? > 0 {}
                std::mem::take(&mut self.buffer)
            }
            None => Vec::new(),
        };
        Ok((body, Vec::new()))
    }

    fn read_chunks(&mut self) -> io::Result<(Vec<u8>, Vec<Field>)> {
        let mut body = Vec::new();
        loop {
            let line = self.take_line()?;
            let size = std::str::from_utf8(&line).ok().and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok());
            match size.ok_or_else(|| invalid("the chunk has no size"))? {
                0 => return Ok((body, self.read_trailers()?)),
                size => {
                    body.extend(self.take(size)?);
                    self.take_line()?;
                }
            }
        }
    }

    fn read_trailers(&mut self) -> io::Result<Vec<Field>> {
        let mut lines = Vec::new();
        loop {
            let line = self.take_line()?;
            lines.extend_from_slice(&line);
            lines.extend_from_slice(b"\r\n");
            if line.is_empty() {
                break;
            }
            if lines.len() > MAX_HEAD {
                return Err(invalid("the trailers are too large"));
            }
        }
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        match httparse::parse_headers(&lines, &mut fields).map_err(invalid)? {
            httparse::Status::Complete((_, fields)) => Ok(owned(fields)),
            httparse::Status::Partial => Err(invalid("the trailers don't end")),
        }
    }

    fn take_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let mut line = self.take(end + 2)?;
                line.truncate(end);
                return Ok(line);
            }
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > MAX_BODY {
            return Err(invalid("the body is too large"));
        }
        while self.buffer.len() < length {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let room = match &self.limits {
            None => chunk.len(),
            Some((_, 0, _)) => return Err(invalid("the message is too large")),
            Some((until, bytes, socket)) => {
                socket.set_read_timeout(Some(left(*until)?))?;
                chunk.len().min(*bytes)
            }
        };
        let read = self.stream.read(chunk.get_mut(..room).unwrap_or_default())?;
        if let Some((_, bytes, _)) = &mut self.limits {
            *bytes = bytes.saturating_sub(read);
        }
        self.buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// How long it is until then; no time is an error.
pub(crate) fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn owned(fields: &[httparse::Header<'_>]) -> Vec<Field> {
    fields.iter().map(|field| (field.name.as_bytes().to_vec(), field.value.to_vec())).collect()
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_FIELDS: usize = 4096;
const MAX_HEAD: usize = 8 << 20;
const MAX_BODY: usize = 64 << 20;
