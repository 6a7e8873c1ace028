// SPDX-License-Identifier: Apache-2.0
//! A service that OpenTelemetry's own SDK instruments: it reads the caller's trace context with the SDK's propagator, records a server span for each
//! request, and exports it by the SDK's exporter.
//!
//! `otlp-service http://HOST:PORT/v1/traces` prints `ready HOST:PORT`, answers every request with 200, and ends when its standard input does.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Span as _, SpanKind, Tracer as _, TracerProvider as _};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("otlp-service: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), HttpError> {
    let collector = std::env::args().nth(1).ok_or("expected the URL of a collector, found none")?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(collector)
        .build()?;
    let resource = Resource::builder().with_service_name("orders").build();
    let provider = SdkTracerProvider::builder().with_resource(resource).with_simple_exporter(exporter).build();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("ready {}", listener.local_addr()?);
    io::stdout().flush()?;
    let tracer = provider.tracer("orders");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tracer = tracer.clone();
            thread::spawn(move || serve(stream, &tracer));
        }
    });
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    provider.shutdown()?;
    Ok(())
}

/// Answers a connection's requests, one span for each.
fn serve(mut stream: TcpStream, tracer: &SdkTracer) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some((line, headers)) = read_head(&mut reader)? {
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let parent = TraceContextPropagator::new().extract(&headers);
        let mut span = tracer
            .span_builder(method.clone())
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("http.request.method", method),
                KeyValue::new("url.path", path),
                KeyValue::new("url.scheme", "http"),
                KeyValue::new("http.response.status_code", 200),
            ])
            .start_with_context(tracer, &parent);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        span.end();
    }
    Ok(())
}

/// The first line of a head, and its headers by names in lower case; `None` where the connection ends before one.
fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<(String, HashMap<String, String>)>> {
    let mut lines = reader.lines();
    let Some(first) = lines.next().transpose()? else { return Ok(None) };
    let mut headers = HashMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Some((first, headers)))
}

/// HTTP as the SDK's exporter wants it, without a runtime: a connection for each request.
#[derive(Debug)]
struct Client;

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let authority = request.uri().authority().ok_or("expected an absolute URL")?.clone();
        let mut stream = TcpStream::connect(authority.as_str())?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut head =
            format!("POST {} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {}\r\n", request.uri().path(), request.body().len());
        for (name, value) in request.headers() {
            head += &format!("{name}: {}\r\n", value.to_str()?);
        }
        stream.write_all(&[head.as_bytes(), b"\r\n", request.body()].concat())?;
        let (line, _) = read_head(&mut BufReader::new(stream))?.ok_or("the collector closed the connection")?;
        let status: u16 = line.split(' ').nth(1).ok_or("an answer without a status")?.parse()?;
        Ok(Response::builder().status(status).body(Bytes::new())?)
    }
}
