// SPDX-License-Identifier: Apache-2.0
//! Whether a route catches every request that another one is for. Where that isn't plain, it doesn't: a route that several others catch together
//! isn't told of.

use tracegate::path::{PathMatch, Segment};
use tracegate::route::{HostMatch, RequestHost, Route};

use super::document::{Host, Match};

/// The first of the routes before the one in this place that catches all that it is for.
pub(super) fn caught_by<'r>(routes: &'r [Route], place: usize, matches: &Match) -> Option<&'r Route> {
    let route = routes.get(place)?;
    routes.iter().take(place).find(|earlier| {
        covers_methods(&earlier.methods, &route.methods)
            && covers_hosts(&earlier.hosts, &matches.hosts)
            && covers_path(earlier.path.as_ref(), route.path.as_ref())
    })
}

fn covers_methods(wide: &[String], narrow: &[String]) -> bool {
    wide.is_empty() || !narrow.is_empty() && narrow.iter().all(|method| wide.contains(method))
}

fn covers_hosts(wide: &[HostMatch], narrow: &[Host]) -> bool {
    let covers = |host: &Host| match host {
        Host::Exact(name) => matches_one(wide, name),
        // A host below it is matched by a suffix that is as long at most, and by nothing else.
        Host::Suffix(suffix) => matches_one(wide, &format!("x{suffix}")) && !wide.iter().any(|wide| matches!(wide, HostMatch::Exact(_))),
    };
    wide.is_empty() || !narrow.is_empty() && narrow.iter().all(covers)
}

fn matches_one(wide: &[HostMatch], host: &str) -> bool {
    RequestHost::read(host.as_bytes()).is_ok_and(|host| wide.iter().any(|wide| wide.matches(host)))
}

fn covers_path(wide: Option<&PathMatch>, narrow: Option<&PathMatch>) -> bool {
    let (wide, narrow) = match (wide, narrow) {
        (None, _) => return true,
        (Some(PathMatch::Prefix(prefix)), _) if prefix.is_empty() => return true,
        (Some(_), None) => return false,
        (Some(wide), Some(narrow)) => (wide, narrow),
    };
    match (wide, narrow) {
        (PathMatch::Exact(wide), PathMatch::Exact(narrow)) => wide == narrow,
        (PathMatch::Prefix(prefix), PathMatch::Exact(path) | PathMatch::Prefix(path)) => is_at_or_below(path, prefix),
        (PathMatch::Prefix(prefix), PathMatch::Template(segments)) => {
            let literal = |segment: &Segment| match segment {
                Segment::Literal(text) => Some(text.clone()),
                Segment::Parameter(_) => None,
            };
            let begin: Vec<u8> = segments.iter().map_while(literal).flat_map(|text| [vec![b'/'], text].concat()).collect();
            is_at_or_below(&begin, prefix)
        }
        (PathMatch::Template(wide), PathMatch::Exact(path)) => {
            let segments: Vec<&[u8]> = path.split(|&byte| byte == b'/').skip(1).collect();
            wide.len() == segments.len() && wide.iter().zip(segments).all(|(wide, segment)| covers_text(wide, segment))
        }
        (PathMatch::Template(wide), PathMatch::Template(narrow)) => {
            let covers = |(wide, narrow): (&Segment, &Segment)| match narrow {
                Segment::Literal(text) => covers_text(wide, text),
                Segment::Parameter(_) => matches!(wide, Segment::Parameter(_)),
            };
            wide.len() == narrow.len() && wide.iter().zip(narrow).all(covers)
        }
        (PathMatch::Exact(_), PathMatch::Prefix(_) | PathMatch::Template(_)) | (PathMatch::Template(_), PathMatch::Prefix(_)) => false,
    }
}

fn covers_text(wide: &Segment, text: &[u8]) -> bool {
    match wide {
        Segment::Literal(expected) => expected == text,
        Segment::Parameter(_) => !text.is_empty(),
    }
}

/// By whole segments.
fn is_at_or_below(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tracegate::Policy;

    use super::*;

    /// Whether the second of two routes is told to be caught by the first.
    fn is_caught(first: &Value, second: &Value) -> bool {
        let policy = json!({
            "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
            "routes": [{"name": "first", "match": first}, {"name": "second", "match": second}],
        });
        let policy = Policy::from_json(policy.to_string().as_bytes()).unwrap().policy;
        let mut full = json!({"methods": [], "hosts": [], "path": null});
        full.as_object_mut().unwrap().extend(second.as_object().unwrap().clone());
        let matches = serde_json::from_value(full).unwrap();
        caught_by(policy.routes.routes(), 1, &matches).is_some()
    }

    #[test]
    fn a_route_is_caught_by_a_wider_one_and_by_no_other() {
        let path = |kind: &str, text: &str| json!({"path": {kind: text}});
        let host = |kind: &str, text: &str| json!({"hosts": [{kind: text}]});
        for (first, second, expected) in [
            (json!({}), json!({"methods": ["GET"], "path": {"exact": "/a"}}), true),
            (json!({"methods": ["GET"]}), json!({}), false),
            (json!({"methods": ["GET", "PUT"]}), json!({"methods": ["PUT"]}), true),
            (json!({"methods": ["GET"]}), json!({"methods": ["PUT", "GET"]}), false),
            (host("exact", "API.example."), host("exact", "api.example"), true),
            (host("exact", "api.example"), json!({}), false),
            (host("suffix", ".example"), host("exact", "api.example"), true),
            (host("suffix", ".example"), host("exact", "example"), false),
            (host("suffix", ".example"), host("suffix", ".shop.example"), true),
            (host("suffix", ".example"), host("suffix", ".example"), true),
            (host("suffix", ".shop.example"), host("suffix", ".example"), false),
            (host("exact", "x.example"), host("suffix", ".example"), false),
            (host("exact", "[::1]"), host("exact", "[0:0::1]"), true),
            (path("prefix", "/"), json!({}), true),
            (path("prefix", "/a"), json!({}), false),
            (path("exact", "/a"), path("exact", "/%61"), true),
            (path("exact", "/a"), path("exact", "/a/"), false),
            (path("exact", "/a"), path("prefix", "/a"), false),
            (path("prefix", "/a"), path("exact", "/a"), true),
            (path("prefix", "/a"), path("prefix", "/a/b"), true),
            (path("prefix", "/a"), path("prefix", "/ab"), false),
            (path("prefix", "/a/b"), path("prefix", "/a"), false),
            (path("prefix", "/a"), path("template", "/a/{id}"), true),
            (path("prefix", "/a/b"), path("template", "/a/{id}"), false),
            (path("prefix", "/a"), path("template", "/{id}/a"), false),
            (path("template", "/a/{id}"), path("exact", "/a/7"), true),
            (path("template", "/a/{id}"), path("exact", "/a/"), false),
            (path("template", "/a/{id}"), path("template", "/a/{other}"), true),
            (path("template", "/a/{id}"), path("template", "/{x}/7"), false),
            (path("template", "/a/{id}"), path("prefix", "/a"), false),
            (json!({"methods": ["GET"], "path": {"prefix": "/a"}}), json!({"path": {"prefix": "/a"}}), false),
        ] {
            assert_eq!(is_caught(&first, &second), expected, "{first} {second}");
        }
    }
}
