// SPDX-License-Identifier: Apache-2.0
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tracegate::quota::rls::fuzz_rate_limit_answer(bytes));
