// SPDX-License-Identifier: Apache-2.0
//! Where a caller comes from, whose certificate it shows and which trace reaches the backend: true as far as the listener
//! makes it so. The shipped configurations in real Envoy, and what becomes of each promise without the line that keeps it.

mod listener {
    mod callers;
    mod certificate;
    mod gateway;
    mod probe;
    mod rendered;
    mod shipped;
    mod source;
    mod tls;
    mod tracer;
    mod trust;
}
