// SPDX-License-Identifier: Apache-2.0
//! From one policy, what the gateway around it has to be told, in that gateway's own configuration.
//!
//! [`Needs`] is what a policy asks of any gateway: how its listener tells addresses and certificates, what it hands to the module, where the
//! clusters are that the policy calls. Each target writes that down in its own terms. What a target can't do it says in a comment, where one
//! looks for it. Rate-limit services are told what to count.

mod access_log;
pub mod apim;
mod capabilities;
mod counted;
pub mod envoy;
pub mod envoy_gateway;
pub mod istio;
mod kubernetes;
pub mod limitador;
mod needs;
pub mod ratelimit;

pub use capabilities::{CALLBACKS, HOST_FUNCTIONS};
pub use kubernetes::Kubernetes;
pub use needs::{ClientCertHeader, Clients, Needs};

use std::fmt::Write as _;

use tracegate::Policy;

/// The first line of whatever is rendered: for whom, and from which policy, `clusters` saying under whose names it calls them. Names are the
/// policy's and could hold anything: they are escaped, lest they go on beyond their line.
fn headline(product: &str, policy: &Policy, clusters: &str) -> String {
    let service = policy.service.name.escape_debug();
    format!(
        "{product} for {service}: policy {}{clusters}, by tracegate {}. Change the policy and render again.",
        policy.fingerprint,
        tracegate::VERSION
    )
}

/// Lines as a comment in YAML.
fn comment(text: &str) -> String {
    text.lines().fold(String::new(), |mut comment, line| {
        let _ = writeln!(comment, "{}", format!("# {line}").trim_end());
        comment
    })
}

/// A file that was rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, where there are several.
    pub name: &'static str,
    /// What it holds.
    pub text: String,
}
