// SPDX-License-Identifier: Apache-2.0
//! Limitador's engine, and the limits that it keeps.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;

#[cfg(feature = "redis")]
use limitador::AsyncRateLimiter;
use limitador::errors::LimitadorError;
use limitador::limit::{Context, Limit, Namespace};
#[cfg(feature = "redis")]
use limitador::storage::redis::AsyncRedisStorage;
use limitador::{CheckResult, RateLimiter};

/// An engine, by where it counts.
pub(crate) enum Engine {
    /// In memory.
    Memory(RateLimiter),
    /// In Redis. It looks and counts in two calls, and may admit too many.
    #[cfg(feature = "redis")]
    Redis(AsyncRateLimiter),
}

impl Engine {
    pub(crate) fn in_memory() -> Self {
        Self::Memory(RateLimiter::new(MOST_COUNTERS))
    }

    #[cfg(feature = "redis")]
    pub(crate) async fn in_redis(url: &str) -> Result<Self, Box<dyn Error>> {
        let storage = AsyncRedisStorage::new(url).await.map_err(|error| format!("can't use Redis at {url}: {error}"))?;
        Ok(Self::Redis(AsyncRateLimiter::new_with_storage(Box::new(storage))))
    }

    /// Takes the limits of a file.
    pub(crate) async fn read(&self, file: &Path) -> Result<(), Box<dyn Error>> {
        let text = fs::read_to_string(file).map_err(|error| format!("can't read {}: {error}", file.display()))?;
        let limits: Vec<Limit> = serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        match self {
            Self::Memory(limiter) => limiter.configure_with(limits)?,
            #[cfg(feature = "redis")]
            Self::Redis(limiter) => limiter.configure_with(limits).await?,
        }
        Ok(())
    }

    /// Counts hits where every limit that applies has room for them.
    pub(crate) async fn count(
        &self,
        namespace: &Namespace,
        descriptors: Vec<HashMap<String, String>>,
        hits: u64,
    ) -> Result<CheckResult, LimitadorError> {
        let mut context = Context::default();
        context.list_binding("descriptors".to_owned(), descriptors);
        match self {
            Self::Memory(limiter) => limiter.check_rate_limited_and_update(namespace, &context, hits),
            #[cfg(feature = "redis")]
            Self::Redis(limiter) => limiter.check_rate_limited_and_update(namespace, &context, hits).await,
        }
    }
}

/// The most counters of limits with variables.
const MOST_COUNTERS: u64 = 100_000;
