// SPDX-License-Identifier: Apache-2.0
//! The service as tests of others run it: a process, asked over gRPC.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use prost::Message as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::Channel;
use tracegate::quota::rls::{self, Answer, decode_response};

const LIMITS: &str = r#"
- namespace: edge
  max_value: 20
  seconds: 3600
  conditions: ["descriptors[0].plan == 'free'"]
  variables: ["descriptors[0].user"]
- namespace: edge
  name: burst
  max_value: 3
  seconds: 3600
  conditions: ["descriptors[0].plan == 'trial'"]
  variables: []
"#;

/// A process, and what holds it.
struct Running {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    port: u16,
    _folder: TempDir,
}

fn command(limits: &str, arguments: &[&str]) -> (Command, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("limits.yaml");
    fs::write(&file, limits).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rate-limit-service"));
    command.arg("--limits").arg(file).args(arguments);
    (command, folder)
}

fn start(arguments: &[&str]) -> Running {
    start_with(LIMITS, arguments)
}

fn start_with(limits: &str, arguments: &[&str]) -> Running {
    let (mut command, folder) = command(limits, arguments);
    let mut process = command.arg("--until-eof").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (input, output) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
    let mut running = Running { process, input, output, port: 0, _folder: folder };
    let ready = running.line();
    running.port = ready.strip_prefix("ready grpc=127.0.0.1:").and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("{ready:?}"));
    running
}

impl Running {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    async fn client(&self) -> RateLimitServiceClient<Channel> {
        RateLimitServiceClient::connect(format!("http://127.0.0.1:{}", self.port)).await.unwrap()
    }

    async fn ask(&self, request: RateLimitRequest) -> Result<RateLimitResponse, Status> {
        self.client().await.should_rate_limit(request).await.map(tonic::Response::into_inner)
    }

    /// Waits for its end, which is a success.
    fn ended(&mut self) {
        let begun = Instant::now();
        loop {
            match self.process.try_wait().unwrap() {
                Some(status) => return assert!(status.success(), "{status}"),
                None if begun.elapsed() > Duration::from_secs(10) => panic!("it goes on"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn request(plan: &str, user: &str, hits_addend: u32) -> RateLimitRequest {
    let entry = |key: &str, value: &str| Entry { key: key.to_owned(), value: value.to_owned() };
    let entries = vec![entry("plan", plan), entry("user", user)];
    let descriptors = vec![RateLimitDescriptor { entries, ..RateLimitDescriptor::default() }];
    RateLimitRequest { domain: "edge".to_owned(), descriptors, hits_addend }
}

/// The core's reading of an answer.
fn read(response: &RateLimitResponse) -> Answer {
    decode_response(&response.encode_to_vec()).unwrap()
}

#[tokio::test]
async fn of_many_calls_at_once_it_admits_as_many_as_the_limit_says() {
    let service = start(&[]);
    let clients = [service.client().await, service.client().await, service.client().await, service.client().await];
    let mut calls = JoinSet::new();
    for number in 0..200 {
        let mut client = clients[number % clients.len()].clone();
        let user = if number % 2 == 0 { "ann" } else { "bob" };
        calls.spawn(async move { (user, client.should_rate_limit(request("free", user, 0)).await.unwrap().into_inner()) });
    }
    let answers = calls.join_all().await;
    for user in ["ann", "bob"] {
        let codes: Vec<Code> = answers.iter().filter(|(of, _)| *of == user).map(|(_, answer)| answer.overall_code()).collect();
        let count = |wanted| codes.iter().filter(|code| **code == wanted).count();
        assert_eq!((count(Code::Ok), count(Code::OverLimit)), (20, 80), "{user}");
    }
    assert!(answers.iter().all(|(_, answer)| answer.statuses.is_empty() && answer.response_headers_to_add.is_empty()));
}

#[tokio::test]
async fn it_answers_as_limitador_does() {
    let service = start(&["--rate-limit-headers", "draft03"]);
    let mut found = Vec::new();
    // No hits are one; hits that don't fit are not counted at all.
    for hits in [2, 2, 0, 1] {
        let response = service.ask(request("trial", "ann", hits)).await.unwrap();
        let headers = response.response_headers_to_add.iter().map(|header| (header.key.as_str(), header.value.as_str()));
        assert_eq!(headers.take(2).next(), Some(("X-RateLimit-Limit", "3, 3;w=3600;name=\"burst\"")));
        let answer = read(&response);
        assert!((3_590_000_000_000..=3_600_000_000_000).contains(&answer.until_reset.unwrap()), "{answer:?}");
        found.push((answer.code, answer.remaining.unwrap()));
    }
    assert_eq!(found, [(rls::Code::Ok, 1), (rls::Code::OverLimit, 1), (rls::Code::Ok, 0), (rls::Code::OverLimit, 0)]);

    let nothing = Answer { code: rls::Code::Ok, ..Answer::default() };
    assert_eq!(read(&service.ask(request("paid", "ann", 1)).await.unwrap()), nothing, "no limit applies");
    let elsewhere = RateLimitRequest { domain: "elsewhere".to_owned(), ..request("trial", "ann", 1) };
    assert_eq!(read(&service.ask(elsewhere).await.unwrap()), nothing, "another namespace has no limits");
    let nowhere = RateLimitRequest { domain: String::new(), ..request("trial", "ann", 1) };
    assert_eq!(read(&service.ask(nowhere).await.unwrap()), Answer::default(), "no namespace, no answer");
}

/// The example that ships, as `tracegate render --for limitador` writes it.
#[tokio::test]
async fn it_counts_what_is_rendered_window_by_window() {
    let service = start_with(include_str!("../../../envoy-config/limitador.yaml"), &[]);
    let ask = |quota: &str, subscription: &str, window: &str, hits_addend| {
        let entries = [("quota", quota), ("subscription", subscription), ("window", window)];
        let entries = entries.map(|(key, value)| Entry { key: key.to_owned(), value: value.to_owned() }).to_vec();
        let descriptors = vec![RateLimitDescriptor { entries, ..RateLimitDescriptor::default() }];
        service.ask(RateLimitRequest { domain: "shop".to_owned(), descriptors, hits_addend })
    };
    for (quota, subscription, window, hits, expected) in [
        ("monthly", "contoso", "2026-10-31T23:00:00Z", 49_999, Code::Ok),
        ("monthly", "contoso", "2026-10-31T23:00:00Z", 2, Code::OverLimit),
        ("monthly", "contoso", "2026-10-31T23:00:00Z", 1, Code::Ok),
        ("monthly", "contoso", "2026-10-31T23:00:00Z", 1, Code::OverLimit),
        ("monthly", "fabrikam", "2026-10-31T23:00:00Z", 1, Code::Ok),
        ("monthly", "contoso", "2026-11-30T23:00:00Z", 50_000, Code::Ok),
        ("another", "contoso", "2026-10-31T23:00:00Z", 50_001, Code::Ok),
    ] {
        let answer = ask(quota, subscription, window, hits).await.unwrap();
        assert_eq!(answer.overall_code(), expected, "{hits} of {quota} for {subscription} in {window}");
    }
}

#[tokio::test]
async fn it_prints_what_it_is_asked_and_answers() {
    let mut service = start(&["--log"]);
    service.ask(request("trial", "ann", 3)).await.unwrap();
    service.ask(request("trial", "\u{e9}\"", 0)).await.unwrap();
    let lines = [service.line(), service.line()].map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let line = |user: &str, hits, answer: &str| json!({"domain": "edge", "descriptors": [[["plan", "trial"], ["user", user]]], "hits": hits, "answer": answer});
    assert_eq!(lines, [line("ann", 3, "OK"), line("\u{e9}\"", 0, "OVER_LIMIT")]);
}

#[tokio::test]
async fn faults() {
    for (fail, code) in
        [("14", tonic::Code::Unavailable), ("resource-exhausted", tonic::Code::ResourceExhausted), ("INTERNAL", tonic::Code::Internal)]
    {
        let mut service = start(&["--fail", fail, "--log"]);
        assert_eq!(service.ask(request("free", "ann", 1)).await.unwrap_err().code(), code);
        assert!(service.line().contains(&format!(r#""answer":"status {}""#, i32::from(code))));
    }
    let mut garbage = start(&["--garbage", "--log"]);
    let error = garbage.ask(request("free", "ann", 1)).await.unwrap_err();
    assert!(error.code() == tonic::Code::Internal && error.message().contains("decode"), "{error:?}");
    assert!(garbage.line().contains(r#""answer":"garbage""#));

    let mut slow = start(&["--delay", "1s", "--log"]);
    let begun = Instant::now();
    slow.ask(request("free", "ann", 1)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let mut impatient = slow.client().await;
    assert!(tokio::time::timeout(Duration::from_millis(500), impatient.should_rate_limit(request("free", "ann", 20))).await.is_err());
    assert_eq!(slow.ask(request("free", "ann", 1)).await.unwrap().overall_code(), Code::Ok, "20 hits didn't fit");
    assert!([slow.line(), slow.line(), slow.line()][1].contains("OVER_LIMIT"), "counted, if nobody waits");
}

#[tokio::test]
async fn it_ends_with_its_input_or_by_a_signal_whoever_waits() {
    for how in ["EOF", "INT", "TERM"] {
        let mut service = start(&["--delay", "60s"]);
        let mut client = service.client().await;
        let waiting = tokio::spawn(async move { client.should_rate_limit(request("free", "ann", 1)).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        if how == "EOF" {
            drop(service.input.take());
        } else {
            let sent = Command::new("kill").args(["-s", how, &service.process.id().to_string()]).status().unwrap();
            assert!(sent.success());
        }
        service.ended();
        assert!(waiting.await.unwrap().is_err(), "{how}");
    }
}

#[test]
fn what_cannot_be_used_is_said() {
    let whole = "- {namespace: a, max_value: 1, seconds: 1, conditions: [], variables: []}";
    for (limits, arguments, expected) in [
        ("limits: 3", &[][..], "limits.yaml: "),
        ("- {namespace: a, max_value: many, seconds: 1, conditions: [], variables: []}", &[], "limits.yaml: "),
        ("- {namespace: a, max_value: 1, seconds: 1, variables: []}", &[], "missing field `conditions`"),
        ("- {namespace: a, max_value: 1, seconds: 1, conditions: ['a ==']}", &[], "couldn't parse a =="),
        (whole, &["--listen", "192.0.2.1:1"], "can't listen on 192.0.2.1:1: "),
        (whole, &["--listen", "localhost:1"], "--listen"),
        (whole, &["--delay", "1h"], "expected a duration such as 50ms or 2s"),
        (whole, &["--fail", "0"], "expected a gRPC status from 1 to 16, or its name"),
        (whole, &["--fail", "14", "--garbage"], "cannot be used with"),
        (whole, &["--rate-limit-headers", "draft04"], "possible values: none, draft03"),
    ] {
        let (mut command, _folder) = command(limits, arguments);
        let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
        let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!((status.code(), stdout.as_str()), (Some(2), ""), "{arguments:?} {stderr}");
        assert!(stderr.contains(expected), "{limits} {arguments:?}: {stderr}");
    }
    let missing = Command::new(env!("CARGO_BIN_EXE_rate-limit-service")).args(["--limits", "/nowhere/limits.yaml"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8(missing.stderr).unwrap().starts_with("rate-limit-service: can't read /nowhere/limits.yaml: "));
}
