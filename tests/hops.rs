// SPDX-License-Identifier: Apache-2.0
//! Gateway, service, gateway, in real Envoy: a service behind one gateway of ours calls out through another, which knows
//! the first one's signature. And what callers are told of their traces.

mod hops {
    mod chain;
    mod gateway;
    mod hop;
    mod response;
    mod rules;
    mod secrets;
    mod service;
    mod signature;
}
