// SPDX-License-Identifier: Apache-2.0
//! Measurements. Absolute figures depend on the machine; each comes with a ratio or a difference within one run.

mod core;
mod envoy;
mod faces;
mod host;
mod quotas;
mod tokens;
mod whole_job;

pub use core::run as core;
pub use envoy::run as envoy;
pub use faces::run as faces;
pub use host::run as host;
pub use quotas::run as quotas;

/// The middle of some measurements.
fn median(values: Vec<f64>) -> f64 {
    quartile(values, 2)
}

/// What so many quarters of some measurements are below.
fn quartile(mut values: Vec<f64>, quarters: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * quarters / 4).copied().unwrap_or(f64::NAN)
}

/// A plugin that does nothing.
const NOOP: &str = include_str!("bench/noop.wat");
