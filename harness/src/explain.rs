// SPDX-License-Identifier: Apache-2.0
//! Who can reach what, and what leaves, by a policy's own words: for each route which requests it matches, who may send them and how many; what the
//! upstream, collectors, logs and services are told of them; and where secrets are.
//!
//! | module | what it holds |
//! |---|---|
//! | `document` | the parts of a policy that say so |
//! | `caller`, `condition`, `values`, `words` | how they are put in words |
//! | `reach` | what several rules come to together |
//! | `covers` | whether one route catches all that another is for |
//! | `route`, `upstream` | one route; what goes on |
//! | `quota`, `limit` | what limits routes, and in words |
//! | `leaving` | what leaves, and where to |
//! | `spans`, `sampling` | what a span tells, and of which requests |
//! | `secrets` | where secrets are, and what for |
//! | `text` | the table for people |

mod caller;
mod condition;
mod covers;
mod document;
mod leaving;
mod limit;
mod quota;
mod reach;
mod route;
mod sampling;
mod secrets;
mod spans;
mod text;
mod upstream;
mod values;
mod words;

use serde::Serialize;
use serde_json::Value;
use tracegate::config::Loaded;
use tracegate::identity::{Keys, OnUnavailable, Provider};

use crate::error::{Context as _, Result};
use crate::look::Look;
use document::{DefaultAction, Document};
use leaving::{Leaving, Responses};
use limit::ExplainedQuota;
use route::ExplainedRoute;
use sampling::Sampled;
use secrets::ExplainedSecret;
use spans::Spans;
use upstream::Upstream;

/// Who can reach what, and what leaves.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    policy_fingerprint: String,
    routes: Vec<ExplainedRoute>,
    default: DefaultAction,
    quotas: Vec<ExplainedQuota>,
    upstream: Upstream,
    leaving: Leaving,
    secrets: Vec<ExplainedSecret>,
    /// Providers whose tokens count unverified while their keys can't be had.
    admits_unverified: Vec<String>,
}

impl Explanation {
    /// What a policy says.
    ///
    /// # Errors
    ///
    /// When it says something that there are no words for.
    pub(crate) fn new(Loaded { policy, canonical, .. }: &Loaded) -> Result<Self> {
        let whole: Value = serde_json::from_str(canonical).context(|| "can't explain this policy")?;
        let document: Document = serde_json::from_str(canonical).context(|| "can't explain this policy")?;
        let Document { service, listener, responses, secrets, mut trace, identity, quotas, routes, default, export, audit } = document;
        let providers = &policy.identity.providers;
        let sampled = Sampled::new(trace.sampling.take(), &trace.trust, &routes);
        let responses = Responses { rate_limit_headers: responses.rate_limit_headers, traceresponse: sampled.told().to_vec() };
        let tell = |spans| Spans::new(spans, service, sampled, &routes, !providers.is_empty());
        let leaving = Leaving::new(export, tell, audit, &quotas, responses, &policy.fetches());
        // The same routes, as they run.
        let run = policy.routes.routes();
        let explained = routes.into_iter().enumerate().map(|(place, route)| {
            let caught_by = covers::caught_by(run, place, &route.matches);
            ExplainedRoute::new(route, caught_by.map(|earlier| earlier.name.clone()))
        });
        Ok(Self {
            policy_fingerprint: policy.fingerprint.to_string(),
            routes: explained.collect(),
            default,
            quotas: quotas.into_iter().map(|(name, quota)| ExplainedQuota::new(name, quota)).collect(),
            upstream: Upstream::new(identity, &trace, listener.forwarded_client_cert, providers),
            leaving,
            secrets: ExplainedSecret::all(secrets, &whole),
            admits_unverified: providers.iter().filter(admits_unverified).map(|provider| provider.name.clone()).collect(),
        })
    }

    /// For people.
    pub(crate) fn text(&self, look: Look) -> String {
        let mut text = String::new();
        // A text takes all that is written to it.
        let _ = text::write(&mut text, self, look);
        text
    }
}

fn admits_unverified(provider: &&Provider) -> bool {
    let keys = provider.token().map(|token| &token.keys);
    matches!(keys, Some(Keys::Published(source)) if source.on_unavailable == OnUnavailable::Admit)
}
