// SPDX-License-Identifier: Apache-2.0
//! What a module names as the service of a gRPC call: a cluster, or a serialised `envoy.config.core.v3.GrpcService`.
//!
//! Envoy tries the message first, and plain names may read as one: `users` is field 12 with the four bytes `sers`.

use crate::varint;

/// Whom a gRPC call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GrpcService {
    /// A cluster by its plain name.
    Name(String),
    /// A message's cluster (`envoy_grpc.cluster_name`).
    Cluster(String),
    /// A message without one.
    Nobody,
}

impl GrpcService {
    /// The cluster's name; empty for nobody's.
    pub(super) fn cluster(&self) -> &str {
        match self {
            Self::Name(cluster) | Self::Cluster(cluster) => cluster,
            Self::Nobody => "",
        }
    }

    /// Reads bytes as Envoy does. Of a message's fields the cluster's name alone counts.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let Some(targets) = fields(bytes, ENVOY_GRPC) else { return Self::Name(text(bytes)) };
        // What there is several times counts as one, the last name before the others.
        let names: Option<Vec<_>> = targets.iter().map(|target| fields(target, CLUSTER_NAME)).collect();
        match names.map(|names| names.concat()) {
            None => Self::Name(text(bytes)),
            Some(_) if targets.is_empty() => Self::Nobody,
            Some(names) => Self::Cluster(names.last().copied().map(text).unwrap_or_default()),
        }
    }
}

/// What the fields of a number hold, where they have a length; `None` where the bytes are no message.
fn fields(mut bytes: &[u8], wanted: u64) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    let mut groups = Vec::new();
    while !bytes.is_empty() {
        let tag = varint::take(&mut bytes)?;
        let number = tag >> 3;
        if !(1..=MAX_NUMBER).contains(&number) {
            return None;
        }
        match tag & 7 {
            VARINT => {
                varint::take(&mut bytes)?;
            }
            FIXED_64 => bytes = bytes.get(8..)?,
            LENGTH_DELIMITED => {
                let length = usize::try_from(varint::take(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                if number == wanted && groups.is_empty() {
                    found.push(value);
                }
            }
            START_GROUP => groups.push(number),
            END_GROUP if groups.pop() == Some(number) => {}
            FIXED_32 => bytes = bytes.get(4..)?,
            _ => return None,
        }
    }
    groups.is_empty().then_some(found)
}

/// Fields.
const ENVOY_GRPC: u64 = 1;
const CLUSTER_NAME: u64 = 1;
/// The highest number of a field.
const MAX_NUMBER: u64 = (1 << 29) - 1;

/// Wire types.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const START_GROUP: u64 = 3;
const END_GROUP: u64 = 4;
const FIXED_32: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_cluster() {
        assert_eq!(GrpcService::read(b"\x0a\x07\x0a\x05users"), GrpcService::Cluster("users".to_owned()));
        assert_eq!(GrpcService::read(b"\x0a\x04\x0a\x02up\x0a\x00"), GrpcService::Cluster("up".to_owned()));
        assert_eq!(GrpcService::read(b"\x0a\x00"), GrpcService::Cluster(String::new()));
        assert_eq!(GrpcService::read(b"\x0a\x02\x0a\x05"), GrpcService::Name("\n\u{2}\n\u{5}".to_owned()));
    }

    #[test]
    fn some_plain_names_are_messages() {
        for name in ["", "users", "empty", "inventory", "authz-svc", "st", "p1", "authz-svcusers"] {
            assert_eq!(GrpcService::read(name.as_bytes()), GrpcService::Nobody, "{name}");
        }
        for name in ["user", "authz", "service", "inventories", "ts", "s", "dead", "nowhere", "limited"] {
            assert_eq!(GrpcService::read(name.as_bytes()), GrpcService::Name(name.to_owned()), "{name}");
        }
    }
}
