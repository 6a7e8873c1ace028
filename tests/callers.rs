// SPDX-License-Identifier: Apache-2.0
//! Callers, honest and hostile: one table of what they send, what becomes of it and what the upstream learns of them, run through the compiled
//! module in the native host and in real Envoy.

mod callers {
    mod claims;
    mod credentials;
    mod forwarding;
    mod policy;
    mod run;
    mod spoofing;
    mod table;
    mod trailers;
}
