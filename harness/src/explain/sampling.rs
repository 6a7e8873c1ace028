// SPDX-License-Identifier: Apache-2.0
//! Which requests' spans leave.

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::document::Route;
use super::words::{all, join, word};

/// The section `trace.sampling` of a policy.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sampling {
    root: Root,
    max_per_second: Option<u32>,
    always_record: Vec<String>,
}

/// How traces that begin here are picked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Root {
    probability: Number,
}

/// A route's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteSampling {
    root: Root,
}

/// A rule of `trace.trust`: whether a principal's decision counts.
#[derive(Debug, Deserialize)]
pub(super) struct Trust {
    name: String,
    sampled: Option<String>,
    traceresponse: bool,
}

/// Which requests' spans leave.
#[derive(Debug, Serialize)]
pub(super) struct Sampled {
    /// `None`: all about which no caller decides.
    sampling: Option<Sampling>,
    routes: Vec<RouteSampled>,
    /// Principals whose callers decide themselves; `None`: whoever sends a valid trace context.
    callers_decide: Option<Vec<String>>,
    /// Principals who are told the trace in `traceresponse`.
    #[serde(skip)]
    told: Vec<String>,
}

/// A route with a probability of its own.
#[derive(Debug, Serialize)]
struct RouteSampled {
    route: String,
    probability: Number,
}

impl Sampled {
    pub(super) fn new(sampling: Option<Sampling>, trust: &[Trust], routes: &[Route]) -> Self {
        let names = |is: &dyn Fn(&Trust) -> bool| trust.iter().filter(|rule| is(rule)).map(|rule| rule.name.clone()).collect::<Vec<_>>();
        let own = routes.iter().filter_map(|route| {
            let probability = route.sampling.as_ref()?.root.probability.clone();
            Some(RouteSampled { route: route.name.clone(), probability })
        });
        Self {
            sampling,
            routes: own.collect(),
            callers_decide: (!trust.is_empty()).then(|| names(&|rule| rule.sampled.as_deref() == Some("honor"))),
            told: names(&|rule| rule.traceresponse),
        }
    }

    /// A line for each thing that decides.
    pub(super) fn words(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match &self.sampling {
            None => lines.push("of every request about which no caller decides".to_owned()),
            Some(Sampling { root, max_per_second, always_record }) => {
                let most = max_per_second.map(|most| format!(", at most {most} a second by each worker")).unwrap_or_default();
                lines.push(format!("of {} of the requests about which no caller decides{most}", root.probability));
                let own = |RouteSampled { route, probability }: &RouteSampled| format!("of {probability} on {}", word(route));
                lines.extend(self.routes.iter().map(own));
                let always = |what: &String| match what.as_str() {
                    "refused" => "every refusal".to_owned(),
                    "error" => "every response with a status of 500 and above".to_owned(),
                    other => word(other),
                };
                let always: Vec<String> = always_record.iter().map(always).collect();
                lines.extend((!always.is_empty()).then(|| format!("of {}, whatever was decided", join(&always, "and"))));
            }
        }
        match self.callers_decide.as_deref() {
            None => lines.push("whoever sends a valid trace context decides about its trace".to_owned()),
            Some([]) => {}
            Some(names) => lines.push(format!("callers of {} decide about their traces", all(names))),
        }
        lines
    }

    /// Who is told of the trace in responses.
    pub(super) fn told(&self) -> &[String] {
        &self.told
    }
}
