// SPDX-License-Identifier: Apache-2.0
//! What leaves together: an `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest` of spans, or an `ExportLogsServiceRequest` of records,
//! whose fields have the same numbers.

use std::sync::Arc;

use super::Source;
use crate::VERSION;
use crate::protobuf::{put_bytes, put_length, put_text, size_of_bytes};
use crate::span::{Value, put_attribute};

/// A batch that is being filled.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Fields of a `ScopeSpans` or `ScopeLogs`.
    items: Vec<u8>,
    pub(super) count: u32,
    /// When the first of them came, on the monotonic clock.
    pub(super) since: u64,
}

/// A batch that is full.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// The request's body: shared, as a retry sends it again.
    pub(super) body: Arc<[u8]>,
    pub(super) count: u32,
}

impl Open {
    pub(super) fn add<'m>(&mut self, items: impl Iterator<Item = &'m [u8]>, monotonic: u64) {
        if self.count == 0 {
            self.since = monotonic;
        }
        for item in items {
            put_bytes(&mut self.items, ITEMS, item);
            self.count = self.count.saturating_add(1);
        }
    }

    /// How many bytes it has.
    pub(super) const fn length(&self) -> usize {
        self.items.len()
    }

    /// Closes it: a message of this resource. What comes next takes the same memory again.
    pub(super) fn close(&mut self, resource: &Resource) -> Batch {
        let scope = resource.scope.len().saturating_add(self.items.len());
        let whole = resource.resource.len().saturating_add(size_of_bytes(scope));
        let mut body = Vec::with_capacity(size_of_bytes(whole));
        put_length(&mut body, RESOURCE, whole);
        body.extend_from_slice(&resource.resource);
        put_length(&mut body, SCOPE, scope);
        body.extend_from_slice(&resource.scope);
        body.extend_from_slice(&self.items);
        let count = std::mem::take(&mut self.count);
        self.items.clear();
        Batch { body: body.into(), count }
    }
}

/// Whose they are, and what wrote them.
#[derive(Debug)]
pub(super) struct Resource {
    /// The field `resource` of a `ResourceSpans` or `ResourceLogs`.
    resource: Vec<u8>,
    /// The field `scope` of a `ScopeSpans` or `ScopeLogs`.
    scope: Vec<u8>,
}

impl Resource {
    pub(super) fn new(Source { service, fingerprint, instance }: Source<'_>) -> Self {
        let mut message = Vec::new();
        let mut attribute = |key: &str, value: &str| put_attribute(&mut message, 1, key, Value::Text(value));
        attribute("service.name", &service.name);
        if let Some(namespace) = &service.namespace {
            attribute("service.namespace", namespace);
        }
        if let Some(instance) = instance.id() {
            attribute("service.instance.id", instance);
        }
        attribute("telemetry.sdk.name", "tracegate");
        attribute("telemetry.sdk.language", "rust");
        attribute("telemetry.sdk.version", VERSION);
        attribute("tracegate.policy.fingerprint", &fingerprint.to_string());
        for (key, value) in &service.attributes {
            attribute(key, value);
        }
        let mut resource = Vec::new();
        put_bytes(&mut resource, 1, &message);
        let (mut name, mut scope) = (Vec::new(), Vec::new());
        put_text(&mut name, 1, "tracegate");
        put_text(&mut name, 2, VERSION);
        put_bytes(&mut scope, 1, &name);
        Self { resource, scope }
    }
}

/// The field of the request.
const RESOURCE: u8 = 1;
/// The field of a `ResourceSpans` or `ResourceLogs`.
const SCOPE: u8 = 2;
/// The field of a `ScopeSpans` or `ScopeLogs`.
const ITEMS: u8 = 2;
