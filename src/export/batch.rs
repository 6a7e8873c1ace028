// SPDX-License-Identifier: Apache-2.0
//! Spans that leave together: `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`.

use std::sync::Arc;

use crate::VERSION;
use crate::config::{Fingerprint, Service};
use crate::protobuf::{put_bytes, put_length, put_text, size_of_bytes};
use crate::span::{Finished, Value, put_attribute};

/// A batch that is being filled.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Spans as fields of a `ScopeSpans`.
    spans: Vec<u8>,
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
    pub(super) fn add(&mut self, finished: &Finished, monotonic: u64) {
        if self.count == 0 {
            self.since = monotonic;
        }
        for span in std::iter::once(&finished.server).chain(&finished.client) {
            put_bytes(&mut self.spans, SPANS, span);
            self.count = self.count.saturating_add(1);
        }
    }

    /// How many bytes it has.
    pub(super) const fn length(&self) -> usize {
        self.spans.len()
    }

    /// Closes it: a message with these spans, of this resource. What comes next takes the same memory again.
    pub(super) fn close(&mut self, resource: &Resource) -> Batch {
        let scope_spans = resource.scope.len().saturating_add(self.spans.len());
        let resource_spans = resource.resource.len().saturating_add(size_of_bytes(scope_spans));
        let mut body = Vec::with_capacity(size_of_bytes(resource_spans));
        put_length(&mut body, RESOURCE_SPANS, resource_spans);
        body.extend_from_slice(&resource.resource);
        put_length(&mut body, SCOPE_SPANS, scope_spans);
        body.extend_from_slice(&resource.scope);
        body.extend_from_slice(&self.spans);
        let count = std::mem::take(&mut self.count);
        self.spans.clear();
        Batch { body: body.into(), count }
    }
}

/// Whose spans they are, and what wrote them.
#[derive(Debug)]
pub(super) struct Resource {
    /// The field `resource` of a `ResourceSpans`.
    resource: Vec<u8>,
    /// The field `scope` of a `ScopeSpans`.
    scope: Vec<u8>,
}

impl Resource {
    /// `instance` is random, and tells this VM from the others of the gateway; without it none is told.
    pub(super) fn new(service: &Service, fingerprint: Fingerprint, instance: Option<[u8; 16]>) -> Self {
        let mut message = Vec::new();
        let mut attribute = |key: &str, value: &str| put_attribute(&mut message, 1, key, Value::Text(value.as_bytes()));
        attribute("service.name", &service.name);
        if let Some(namespace) = &service.namespace {
            attribute("service.namespace", namespace);
        }
        if let Some(instance) = instance {
            attribute("service.instance.id", &uuid(instance));
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

/// A random UUID (RFC 9562 section 5.4).
fn uuid(mut random: [u8; 16]) -> String {
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut random;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (place, byte) in random.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.extend([byte >> 4, byte & 0x0f].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
    }
    text
}

const RESOURCE_SPANS: u8 = 1;
const SCOPE_SPANS: u8 = 2;
const SPANS: u8 = 2;
