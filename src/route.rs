// SPDX-License-Identifier: Apache-2.0
//! Stage: which rules apply to a request. It matches on request facts only, never on who calls.

mod host;
mod index;

pub use host::{AmbiguousHost, Host, HostMatch, HostSuffix, InvalidHost, MAX_LENGTH as HOST_MAX_LENGTH, RequestHost};

use self::index::Index;
use crate::caller::CallerMatch;
use crate::condition::Condition;
use crate::decision::{Decision, Reason, Refusal};
use crate::head::RequestHead;
use crate::path::{NormalPath, PathMatch};
use crate::trace::Threshold;

/// The policy's routes, first match wins, and what becomes of a request that none matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTable {
    routes: Vec<Route>,
    index: Index,
    default: DefaultAction,
}

/// What becomes of a request that no route matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// It goes on to the upstream.
    Admit,
    /// It is answered with this status.
    Refuse {
        /// From 400 to 599.
        status: u16,
    },
}

/// A named set of requests and the rules for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The policy's name for it.
    pub name: String,
    /// Any of these hosts; empty means every host.
    pub hosts: Vec<HostMatch>,
    /// Any of these methods, compared byte for byte (RFC 9110 section 9.1); empty means every method.
    pub methods: Vec<String>,
    /// The path; `None` means every path.
    pub path: Option<PathMatch>,
    /// What is required, all of it.
    pub rules: Vec<Rule>,
    /// What limits it, by places in the policy: first what this gateway counts, then what a service gives slices of, then what a service is asked
    /// about each request.
    pub quotas: Vec<usize>,
    /// From which randomness on its traces are recorded, where it has a say of its own.
    pub root: Option<Threshold>,
    /// Its path in words, for `http.route`; `None` where every path matches.
    pub template: Option<String>,
    /// Parameters of its path that spans tell.
    pub attributes: Vec<PathAttribute>,
    /// All decisions on it are put on record.
    pub audited: bool,
}

/// A parameter of a route's path that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathAttribute {
    /// The parameter's name.
    pub name: String,
    /// As a digest with the policy's key, so that who has an id finds every request for it, and who reads a span learns none.
    pub digest: bool,
}

/// One requirement of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The policy's name for it.
    pub name: String,
    /// Of which requests, where it isn't of all; where that can't be told, it applies.
    pub when: Option<Condition>,
    /// What is required.
    pub require: Requirement,
    /// Decided and recorded, not enforced.
    pub shadow: bool,
}

/// What a rule requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing: everybody may.
    Anonymous,
    /// The impossible: nobody may.
    Deny,
    /// Somebody of whom this is so.
    Caller(Box<CallerMatch>),
    /// Any of these.
    AnyOf(Vec<Self>),
    /// All of these.
    AllOf(Vec<Self>),
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Matched<'t> {
    /// This route's rules apply.
    Route(&'t Route),
    /// No route does: the default is decided.
    Default(Decision),
    /// Readers could take it for different things.
    Ambiguous(Refusal),
}

/// The first route that matches, else the default.
///
/// A host or path that readers could take for different ones is refused before any route is tried: a rule for `/admin` must
/// not be passed by another spelling of it. A policy without routes decides nothing by either and looks at neither.
///
/// So is a request without a path, as CONNECT may be: routes can't tell what it is for.
#[must_use]
pub(crate) fn find<'t>(head: &RequestHead<'_>, table: &'t RouteTable) -> Matched<'t> {
    if table.routes.is_empty() {
        return Matched::Default(table.default.decision());
    }
    let path = match NormalPath::read(head.path) {
        Ok(path) if path.as_bytes() != b"*" || head.method == b"OPTIONS" => path,
        _ => return Matched::Ambiguous(Refusal::of(Reason::RequestPathAmbiguous)),
    };
    let Ok(host) = RequestHost::read(head.authority) else {
        return Matched::Ambiguous(Refusal::of(Reason::RequestHostAmbiguous));
    };
    let matches = |place: usize| table.routes.get(place).is_some_and(|route| route.matches(head.method, host, &path));
    let route = table.index.first(host, &path, matches).and_then(|place| table.routes.get(place));
    route.map_or_else(|| Matched::Default(table.default.decision()), Matched::Route)
}

impl RouteTable {
    /// These routes, in the policy's order.
    #[must_use]
    pub fn new(routes: Vec<Route>, default: DefaultAction) -> Self {
        Self { index: Index::new(&routes), routes, default }
    }

    /// In the policy's order.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// What becomes of a request that no route matches.
    #[must_use]
    pub const fn default_action(&self) -> DefaultAction {
        self.default
    }

    /// The route that a request matches, if it does.
    #[must_use]
    pub fn find(&self, head: &RequestHead<'_>) -> Option<&Route> {
        match find(head, self) {
            Matched::Route(route) => Some(route),
            Matched::Default(_) | Matched::Ambiguous(_) => None,
        }
    }
}

impl Route {
    fn matches(&self, method: &[u8], host: RequestHost<'_>, path: &NormalPath<'_>) -> bool {
        let any_method = self.methods.is_empty() || self.methods.iter().any(|known| known.as_bytes() == method);
        let any_host = self.hosts.is_empty() || self.hosts.iter().any(|known| known.matches(host));
        any_method && any_host && self.path.as_ref().is_none_or(|known| known.matches(path))
    }
}

impl DefaultAction {
    const fn decision(self) -> Decision {
        match self {
            Self::Admit => Decision::Admitted { shadow: None },
            Self::Refuse { status } => Decision::Refused(Refusal::new(status, Reason::OperationNotFound)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{Header, Headers};

    fn table() -> RouteTable {
        let route = |name: &str, methods: &[&str], path: &str| Route {
            name: name.into(),
            hosts: vec![HostMatch::Exact("api.example".parse().unwrap())],
            methods: methods.iter().map(|&method| method.into()).collect(),
            path: Some(PathMatch::prefix(path).unwrap()),
            rules: vec![],
            quotas: vec![],
            root: None,
            template: None,
            attributes: vec![],
            audited: false,
        };
        RouteTable::new(
            vec![route("admin", &[], "/admin"), route("trial", &["GET"], "/trial"), route("late", &[], "/admin/open")],
            DefaultAction::Refuse { status: 404 },
        )
    }

    /// The route's name, or what else it came to.
    fn found(method: &str, authority: &str, path: &str) -> String {
        let lines = [(":method", method), (":authority", authority), (":path", path)]
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() });
        match find(&RequestHead::read(Headers::new(&lines)).unwrap(), &table()) {
            Matched::Route(route) => route.name.clone(),
            Matched::Default(Decision::Refused(refusal)) | Matched::Ambiguous(refusal) => {
                format!("{} {}", refusal.status(), refusal.reason().as_str())
            }
            Matched::Default(Decision::Admitted { .. }) => "admitted".into(),
        }
    }

    #[test]
    fn the_first_route_that_matches_decides() {
        for (method, authority, path, expected) in [
            ("GET", "api.example", "/admin", "admin"),
            ("GET", "API.example:8443", "/admin/users?x=/trial", "admin"),
            ("GET", "api.example", "/trial/../%61dmin", "admin"),
            ("GET", "api.example", "//admin/./open", "admin"),
            ("GET", "api.example", "/trial/1", "trial"),
            ("POST", "api.example", "/trial/1", "404 OperationNotFound"),
            ("get", "api.example", "/trial/1", "404 OperationNotFound"),
            ("GET", "other.example", "/trial/1", "404 OperationNotFound"),
            ("GET", "api.example", "/administrator", "404 OperationNotFound"),
            ("GET", "api.example.:443", "/admin", "admin"),
            ("GET", "api.example", "/trial%2fadmin", "400 RequestPathAmbiguous"),
            ("GET", "api.example", "/trial//../admin", "400 RequestPathAmbiguous"),
            ("GET", "api.example", "*", "400 RequestPathAmbiguous"),
            ("CONNECT", "api.example", "", "400 RequestPathAmbiguous"),
            ("OPTIONS", "api.example", "*", "404 OperationNotFound"),
            ("GET", "u@api.example", "/admin", "400 RequestHostAmbiguous"),
        ] {
            assert_eq!(found(method, authority, path), expected, "{method} {authority} {path}");
        }
    }

    #[test]
    fn a_policy_without_routes_looks_at_no_path() {
        let lines = [Header { name: b":method", value: b"GET" }, Header { name: b":path", value: b"/%00" }];
        let head = RequestHead::read(Headers::new(&lines)).unwrap();
        let table = RouteTable::new(vec![], DefaultAction::Admit);
        assert_eq!(find(&head, &table), Matched::Default(Decision::Admitted { shadow: None }));
    }
}
