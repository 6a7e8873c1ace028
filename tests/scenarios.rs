// SPDX-License-Identifier: Apache-2.0
//! Whole exchanges on the native core, in virtual time.

#[path = "scenarios/ends.rs"]
mod ends;
#[path = "scenarios/gateways.rs"]
mod gateways;
#[path = "scenarios/many.rs"]
mod many;
#[path = "scenarios/outages.rs"]
mod outages;
#[path = "scenarios/refusals.rs"]
mod refusals;
#[path = "scenarios/replies.rs"]
mod replies;
#[path = "scenarios/seeds.rs"]
mod seeds;
#[path = "scenarios/time.rs"]
mod time;
#[path = "scenarios/traces.rs"]
mod traces;

/// Opens `/open` and `/orders`, tries a denial of `/trial`, denies `/admin` and refuses the rest with 404.
const POLICY: &str = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"}, "routes": [
    {"name": "orders", "match": {"path": {"prefix": "/orders"}}},
    {"name": "trial", "match": {"path": {"prefix": "/trial"}}, "rules": [{"name": "no", "require": "deny", "mode": "shadow"}]},
    {"name": "admin", "match": {"path": {"prefix": "/admin"}}, "rules": [{"name": "no", "require": "deny"}]}]}"#;

/// The same edge a day later: `/trial` is denied in earnest, the rest is refused with 410, and a tracestate member is written.
const NEW_POLICY: &str = r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"tracestate": {"member": "tgate"}},
    "default": {"action": "refuse", "status": 410}, "routes": [
    {"name": "orders", "match": {"path": {"prefix": "/orders"}}},
    {"name": "trial", "match": {"path": {"prefix": "/trial"}}, "rules": [{"name": "no", "require": "deny"}]},
    {"name": "admin", "match": {"path": {"prefix": "/admin"}}, "rules": [{"name": "no", "require": "deny"}]}]}"#;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

const ADMITTED: &str = "tracegate.requests.admitted.none";
const SHADOWED: &str = "tracegate.requests.shadowed.AccessDenied";
const DENIED: &str = "tracegate.requests.refused.AccessDenied";
const NOT_FOUND: &str = "tracegate.requests.refused.OperationNotFound";
const AMBIGUOUS_PATH: &str = "tracegate.requests.refused.RequestPathAmbiguous";
const UNREADABLE: &str = "tracegate.requests.refused.RequestHeadersUnreadable";
const CONTINUED: &str = "tracegate.traces.continued.none";
const RESTARTED: &str = "tracegate.traces.restarted.absent";
const MALFORMED: &str = "tracegate.traces.restarted.malformed";
const SEVERAL: &str = "tracegate.traces.restarted.several";
const REJECTED: &str = "tracegate.requests.refused.TraceContextRejected";
const UNTRUSTED: &str = "tracegate.traces.restarted.untrusted";
const MALFORMED_CARRIER: &str = "tracegate.indicators.spoofing.malformed_carrier";
const UNMINTED: &str = "tracegate.traces.unminted.no_entropy";
const STATE_DROPPED: &str = "tracegate.tracestates.dropped.malformed";
