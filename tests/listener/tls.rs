// SPDX-License-Identifier: Apache-2.0
//! A gateway that asks for certificates, to talk to by TLS.

use std::io::{self, Read};
use std::path::Path;

use rustls::AlertDescription;
use serde_json::{Value, json};
use tracegate_harness::http::Connection;
use tracegate_tests::certificates::{Authority, Identity};
use tracegate_tests::tls::{Stream, connect, stream};

use super::gateway::Gateway;
use super::shipped::Shipped;

/// A gateway that asks for certificates, and the authority whose word it takes.
pub struct Guarded {
    /// The gateway.
    pub gateway: Gateway,
    /// Vouches for the gateway, and for its clients.
    pub authority: Authority,
    /// Where its files are.
    _directory: tempfile::TempDir,
}

impl Guarded {
    /// Starts one as it ships, with what `change` makes of its TLS context.
    pub fn start(change: impl FnOnce(&mut Value)) -> Option<Self> {
        Self::start_changed(|tree| change(context(tree)))
    }

    /// The same with what `change` makes of its whole configuration.
    pub fn start_changed(change: impl FnOnce(&mut Value)) -> Option<Self> {
        let (authority, directory) = (Authority::new("shop"), tempfile::tempdir().expect("there is room"));
        authority.write_certificates(directory.path());
        let gateway = Gateway::start(Shipped::MutualTls, |tree| {
            let context = context(tree);
            assert_eq!(move_files(context, directory.path()), 3, "{context}");
            change(tree);
        })?;
        Some(Self { gateway, authority, _directory: directory })
    }

    /// Connects, perhaps with a certificate. What the gateway thinks of that one it may say only later.
    pub fn connect(&self, client: Option<&Identity>) -> io::Result<Connection<Stream>> {
        connect(self.gateway.envoy.listener(), &self.authority, client)
    }

    /// Connects and waits for the alert that the gateway answers with.
    pub fn refusal(&self, client: Option<&Identity>) -> AlertDescription {
        let mut stream = stream(self.gateway.envoy.listener(), &self.authority, client).expect("Envoy listens");
        let error = stream.read(&mut [0]).expect_err("nothing is sent before a request");
        match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            _ => panic!("expected an alert, found {error:?}"),
        }
    }
}

fn context(tree: &mut Value) -> &mut Value {
    &mut tree["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"]["typed_config"]
}

/// Has the files of a TLS context, `certificates/…`, looked for elsewhere; returns how many there are.
fn move_files(value: &mut Value, directory: &Path) -> usize {
    match value {
        Value::Object(fields) => {
            let mut moved = 0;
            for (name, value) in fields {
                match value.as_str().and_then(|path| path.strip_prefix("certificates/")) {
                    Some(file) if name == "filename" => {
                        *value = json!(directory.join(file));
                        moved += 1;
                    }
                    _ => moved += move_files(value, directory),
                }
            }
            moved
        }
        Value::Array(values) => values.iter_mut().map(|value| move_files(value, directory)).sum(),
        _ => 0,
    }
}
