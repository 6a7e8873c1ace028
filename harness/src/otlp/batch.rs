// SPDX-License-Identifier: Apache-2.0
//! Spans of many requests in one.

use super::request::{RESOURCE_SPANS, Request, SCOPE_SPANS, SPANS};
use super::wire::put_bytes;

/// Spans that leave together, of one resource and one scope.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    resource: Vec<u8>,
    scope: Vec<u8>,
    /// As fields of a `ScopeSpans`.
    spans: Vec<u8>,
    count: u64,
}

impl Batch {
    /// Adds a request's spans. They are told to be of the first one's resource.
    pub fn add(&mut self, request: &Request) {
        if self.count == 0 {
            (self.resource, self.scope) = (request.resource.clone(), request.scope.clone());
        }
        for span in request.spans() {
            put_bytes(&mut self.spans, SPANS, span);
            self.count += 1;
        }
    }

    /// How many spans it has.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The request's body; none without spans.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        if self.count > 0 {
            let mut resource_spans = self.resource.clone();
            put_bytes(&mut resource_spans, SCOPE_SPANS, &[self.scope.as_slice(), &self.spans].concat());
            put_bytes(&mut body, RESOURCE_SPANS, &resource_spans);
        }
        body
    }

    /// Takes what there is, and leaves nothing.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::body;
    use super::*;

    #[test]
    fn a_batch_of_one_request_is_that_request() {
        let request = Request::read(&body()).unwrap();
        let mut batch = Batch::default();
        assert!(batch.body().is_empty());
        batch.add(&request);
        assert_eq!(batch.body(), body());
        batch.add(&request);
        let both = Request::read(&batch.body()).unwrap();
        assert_eq!((both.spans(), batch.count()), ([request.spans(), request.spans()].concat().as_slice(), 4));
        assert_eq!(batch.take().count(), 4);
        assert_eq!(batch.count(), 0);
    }
}
