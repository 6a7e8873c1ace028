// SPDX-License-Identifier: Apache-2.0
//! Tokens, genuine and forged: one table of what callers send and what becomes of it, run through the compiled module in the native host,
//! there with and without the host's own verification of signatures, and in real Envoy. Wherever it can, a forgery is signed with the issuer's
//! key over exactly the text that is sent, so that nothing but the rule in question can refuse it.

mod tokens {
    mod algorithms;
    mod claims;
    mod der;
    mod forge;
    mod header;
    mod json;
    mod length;
    mod places;
    mod policy;
    mod refusal;
    mod run;
    mod segments;
    mod signature;
    mod table;
}
