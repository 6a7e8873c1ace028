// SPDX-License-Identifier: Apache-2.0
//! A real registry keeps the images byte for byte. In the long suite: it takes programs of others.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tracegate_harness::tools;
use tracegate_tests::{packaged, present};

use super::image::Layout;
use super::name;

/// A registry on loopback; it ends when dropped.
struct Registry {
    process: Child,
    port: u16,
}

impl Registry {
    fn start(program: &Path, directory: &Path) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let configuration = directory.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n",
            directory.join("storage").display()
        );
        fs::write(&configuration, text).unwrap();
        let mut command = Command::new(program);
        let process =
            command.arg("serve").arg(&configuration).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let registry = Self { process, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < deadline, "the registry doesn't listen");
            thread::sleep(Duration::from_millis(50));
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program(name: &str, package: &str) -> Option<PathBuf> {
    present(tools::program(name, package))
}

#[test]
#[ignore = "long: takes a registry and skopeo"]
fn a_registry_gives_back_what_it_was_given() {
    let (Some(out), Some(skopeo), Some(registry)) =
        (packaged(), program("skopeo", "skopeo"), program("docker-registry", "docker-registry"))
    else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::start(&registry, directory.path());
    for variant in ["-oci-compat", "-oci-artifact"] {
        let layout = out.join(name(variant));
        let pulled = directory.path().join(variant);
        let local = |directory: &Path| format!("oci:{}:{}", directory.display(), tracegate::VERSION);
        let remote = format!("docker://127.0.0.1:{}/tracegate{variant}:{}", registry.port, tracegate::VERSION);
        for (from, to) in [(local(&layout), remote.clone()), (remote.clone(), local(&pulled))] {
            let mut command = Command::new(&skopeo);
            command.args(["--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"]);
            let copied = command.args([&from, &to]).stdin(Stdio::null()).output().unwrap();
            assert!(copied.status.success(), "{from} to {to}: {}", String::from_utf8_lossy(&copied.stderr));
        }
        let (pushed, pulled) = (Layout::read(&layout), Layout::read(&pulled));
        assert_eq!(pushed.digest, pulled.digest, "{variant}");
        assert_eq!((pushed.manifest, pushed.config, pushed.layers), (pulled.manifest, pulled.config, pulled.layers), "{variant}");
        println!("{remote}: sha256:{} in and out", pushed.digest);
    }
}
