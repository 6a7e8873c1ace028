// SPDX-License-Identifier: Apache-2.0
//! Counters in real Redis, behind two services, behind two real Envoys: one truth, and one that outlives them. In the long suite: it takes programs of
//! others, and minutes to build.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tracegate_harness::http::Connection;
use tracegate_harness::rate_limit_service::RateLimitService;
use tracegate_harness::tools;
use tracegate_tests::present;

use super::across::{global, limits};
use super::{ask, policy, start};

/// A Redis on loopback that keeps nothing on disk; it ends when dropped.
struct Redis {
    process: Child,
    url: String,
}

impl Redis {
    /// `None` where it can't be had.
    fn start() -> Option<Self> {
        let program = present(tools::program("redis-server", "redis-server"))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let redis = Self { process, url: format!("redis://127.0.0.1:{port}") };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < deadline, "Redis doesn't listen");
            thread::sleep(Duration::from_millis(50));
        }
        Some(redis)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "the long suite's"]
fn two_services_on_one_redis_are_one_truth_that_outlives_them() {
    // Limitador reads and counts in two steps here too ("does not guarantee exact limits"): of two slices asked for at the same moment both may be
    // granted where one is left. Requests that come one after the other ask one after the other.
    for (mode, most) in [(json!("exact"), 100), (json!({"lease": {"max_slice": 10}}), 110)] {
        let Some(redis) = Redis::start() else { return };
        let policy = policy(&global(100, &json!({"mode": mode})));
        let folder = TempDir::new().unwrap();
        let limits = limits(&policy, folder.path());
        let service = || RateLimitService::start_on_redis(&limits, &redis.url).unwrap_or_else(|error| panic!("{error}"));
        let services = [service(), service()];
        let [Some(first), Some(second)] = services.each_ref().map(|service| start(&policy, 2, Some(service.address()))) else { return };
        let mut connections = [&first, &second].map(|edge| Connection::open(edge.listener()).unwrap());
        let found: Vec<String> = (0..160).map(|request| ask(&mut connections[request % 2], "alice")).collect();
        let admitted = found.iter().filter(|outcome| *outcome == "200").count();
        println!("{mode}: {admitted} of 160 admitted");
        assert!((100..=most).contains(&admitted), "{mode}: {admitted}");
        // Both services are started anew, and a gateway that never heard of it asks.
        drop(services);
        let service = service();
        let Some(third) = start(&policy, 1, Some(service.address())) else { return };
        assert_eq!(ask(&mut Connection::open(third.listener()).unwrap(), "alice"), "403 QuotaExceeded", "{mode}");
    }
}
