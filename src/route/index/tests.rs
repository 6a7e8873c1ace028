// SPDX-License-Identifier: Apache-2.0
//! The index against trying every route in turn.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::sample::{Index as Choice, select, subsequence};

use super::*;
use crate::path::{PathMatch, Segment};

/// A request by method, authority and path.
type Request<'a> = (&'a str, &'a str, &'a str);

/// The place found, and how many routes were proposed on the way.
fn found(routes: &[Route], index: &Index, (method, authority, path): Request<'_>) -> (Option<usize>, usize) {
    let host = RequestHost::read(authority.as_bytes()).unwrap();
    let path = NormalPath::read(path.as_bytes()).unwrap();
    let proposed = Cell::new(0);
    let matches = |place: usize| {
        proposed.set(proposed.get() + 1);
        routes[place].matches(method.as_bytes(), host, &path)
    };
    (index.first(host, &path, matches), proposed.get())
}

fn in_turn(routes: &[Route], (method, authority, path): Request<'_>) -> Option<usize> {
    let host = RequestHost::read(authority.as_bytes()).unwrap();
    let path = NormalPath::read(path.as_bytes()).unwrap();
    routes.iter().position(|route| route.matches(method.as_bytes(), host, &path))
}

fn route(hosts: Vec<HostMatch>, methods: &[&str], path: Option<PathMatch>) -> Route {
    let methods = methods.iter().map(|&method| method.to_owned()).collect();
    Route {
        name: "r".into(),
        hosts,
        methods,
        path,
        rules: vec![],
        quotas: vec![],
        root: None,
        template: None,
        attributes: vec![],
        audited: false,
    }
}

fn exact(host: &str) -> HostMatch {
    HostMatch::Exact(host.parse().unwrap())
}

fn suffix(host: &str) -> HostMatch {
    HostMatch::Suffix(host.parse().unwrap())
}

/// As written, with what it is before it.
fn path(written: &str) -> Option<PathMatch> {
    Some(match written.split_once(' ').unwrap() {
        ("exact", path) => PathMatch::exact(path).unwrap(),
        ("prefix", path) => PathMatch::prefix(path).unwrap(),
        ("template", path) => PathMatch::template(path).unwrap(),
        _ => panic!("{written}"),
    })
}

#[test]
fn the_first_in_order_is_found_by_path() {
    let written = [
        "exact /a/b",
        "template /a/{x}/",
        "prefix /a/b",
        "exact /",
        "template /{x}/b",
        "exact /a/",
        "prefix /a",
        "template /a/c",
        "exact *",
        "template /{x}/{y}/{z}",
        "template /d/{y}/f",
        "exact /d/e/",
        "prefix /",
        "exact /late",
    ];
    let routes: Vec<Route> = written.iter().map(|written| route(vec![], &[], path(written))).collect();
    let index = Index::new(&routes);
    for (asked, expected) in [
        ("/a/b", "exact /a/b"),
        ("/a/b/", "template /a/{x}/"),
        ("/a/b/c", "prefix /a/b"),
        ("/a/bc", "prefix /a"),
        ("/c/b", "template /{x}/b"),
        ("/a/c", "prefix /a"),
        ("/a/", "exact /a/"),
        ("/a", "prefix /a"),
        ("/", "exact /"),
        ("//", "exact /"),
        ("*", "exact *"),
        ("/d/e/f", "template /{x}/{y}/{z}"),
        ("/d/e/", "exact /d/e/"),
        ("/d/e", "prefix /"),
        ("/late", "prefix /"),
    ] {
        let request = ("GET", "", asked);
        assert_eq!(found(&routes, &index, request).0.map(|place| written[place]), Some(expected), "{asked}");
        assert_eq!(in_turn(&routes, request).map(|place| written[place]), Some(expected), "{asked}");
    }
}

#[test]
fn the_first_in_order_is_found_by_host_and_method() {
    let routes = [
        route(vec![exact("api.shop.example"), exact("[::1]")], &["POST"], None),
        route(vec![suffix(".shop.example")], &["GET", "POST"], path("prefix /orders")),
        route(vec![exact("api.shop.example"), suffix(".api.shop.example"), exact("192.0.2.1")], &[], None),
        route(vec![], &["OPTIONS"], None),
        route(vec![suffix(".example"), exact("[::1]")], &[], None),
        route(vec![HostMatch::Exact(Host::Name("Shouted".into()))], &[], None),
    ];
    let index = Index::new(&routes);
    for (request, expected) in [
        (("POST", "api.shop.example", "/orders"), Some(0)),
        (("GET", "api.shop.example", "/orders"), Some(1)),
        (("GET", "API.Shop.Example.:443", "/orders/7"), Some(1)),
        (("GET", "api.shop.example", "/other"), Some(2)),
        (("get", "v1.api.shop.example", "/orders"), Some(2)),
        (("GET", "a.shop.example", "/other"), Some(4)),
        (("POST", "shop.example", "/orders"), Some(4)),
        (("GET", "example", "/orders"), None),
        (("GET", "evilshop.example", "/orders"), Some(4)),
        (("GET", "192.0.2.1:80", "/"), Some(2)),
        (("GET", "1.192.0.2.1", "/"), None),
        (("POST", "[0:0::1]:80", "/"), Some(0)),
        (("GET", "[::1]", "/"), Some(4)),
        (("GET", "[::2]", "/"), None),
        (("OPTIONS", "", "*"), Some(3)),
        (("GET", "", "/"), None),
        (("GET", "sHOUTED", "/"), Some(5)),
    ] {
        assert_eq!(found(&routes, &index, request).0, expected, "{request:?}");
        assert_eq!(in_turn(&routes, request), expected, "{request:?}");
    }
}

#[test]
fn what_no_policy_can_write_matches_alike() {
    let by_hand = [
        PathMatch::Exact(b"a".to_vec()),
        PathMatch::Exact(vec![]),
        PathMatch::Prefix(b"a".to_vec()),
        PathMatch::Prefix(b"*".to_vec()),
        PathMatch::Prefix(b"/a/".to_vec()),
        PathMatch::Template(vec![Segment::Literal(b"a/b".to_vec())]),
        PathMatch::Template(vec![]),
    ];
    for path in by_hand {
        let routes = [route(vec![], &[], Some(path))];
        let index = Index::new(&routes);
        for asked in ["*", "/", "/a", "/a/", "/a/b"] {
            let request = ("OPTIONS", "a", asked);
            assert_eq!(found(&routes, &index, request).0, in_turn(&routes, request), "{asked} {routes:?}");
        }
    }
}

#[test]
fn few_routes_are_proposed_however_many_there_are() {
    const COUNT: usize = 10_000;
    let tables: [(&dyn Fn(usize) -> Route, Request<'_>); 4] = [
        (&|place| route(vec![], &[], PathMatch::prefix(&format!("/r{place}")).ok()), ("GET", "a", "/r9999/x")),
        (&|place| route(vec![], &[], PathMatch::template(&format!("/{{x}}/r{place}/{{y}}")).ok()), ("GET", "a", "/x/r9999/y")),
        (&|place| route(vec![exact(&format!("h{place}.example"))], &[], None), ("GET", "h9999.example", "/")),
        (&|place| route(vec![suffix(&format!(".h{place}.example"))], &[], None), ("GET", "a.b.h9999.example", "/")),
    ];
    for (make, request) in tables {
        let routes: Vec<Route> = (0..COUNT).map(make).collect();
        assert_eq!(found(&routes, &Index::new(&routes), request), (Some(COUNT - 1), 1), "{request:?}");
    }
}

#[test]
fn once_a_route_is_found_later_ones_are_not_proposed() {
    let written = ["template /{x}/{y}", "exact /a/b", "prefix /a", "prefix /"];
    let routes: Vec<Route> = written.iter().map(|written| route(vec![], &[], path(written))).collect();
    let routes = [vec![route(vec![], &[], None)], routes].concat();
    assert_eq!(found(&routes, &Index::new(&routes), ("GET", "", "/a/b")), (Some(0), 1));
}

/// Neither a request nor a policy has depth that a stack must hold.
#[test]
fn paths_and_names_may_be_as_long_as_they_like() {
    let deep = "/a".repeat(100_000);
    let routes = [
        route(vec![], &[], PathMatch::exact(&format!("{deep}/b")).ok()),
        route(vec![], &[], PathMatch::template(&format!("/a{deep}/{{x}}")).ok()),
        route(vec![suffix(".a.a")], &[], path("prefix /a/a")),
    ];
    let index = Index::new(&routes).clone();
    assert_eq!(found(&routes, &index, ("GET", "a", &format!("{deep}/b"))).0, Some(0));
    assert_eq!(found(&routes, &index, ("GET", "a", &format!("/a{deep}/b"))).0, Some(1));
    assert_eq!(found(&routes, &index, ("GET", "a", &deep)).0, None);
    assert_eq!(found(&routes, &index, ("GET", "a", &"/".repeat(60 * 1024))).0, None);
    let name = "a.".repeat(30 * 1024);
    assert_eq!(found(&routes, &index, ("GET", &name, "/a/a/a")).0, Some(2));
}

fn any_host() -> impl Strategy<Value = HostMatch> {
    prop_oneof![
        select(vec!["a", "b.a", "c.b.a", "b", "[::1]", "[::2]"]).prop_map(exact),
        select(vec![".a", ".b.a", ".c.b.a", ".b"]).prop_map(suffix),
    ]
}

fn any_path() -> impl Strategy<Value = Option<PathMatch>> {
    prop_oneof![
        Just(None),
        Just(PathMatch::exact("*").ok()),
        "(/[ab]){1,3}/?|/".prop_map(|path| Some(PathMatch::exact(&path).unwrap())),
        "(/[ab]){1,3}/?|/".prop_map(|path| Some(PathMatch::prefix(&path).unwrap())),
        "(/[abx]){1,3}/?".prop_map(|path| Some(PathMatch::Template(path.split('/').skip(1).map(segment).collect()))),
    ]
}

fn segment(text: &str) -> Segment {
    if text == "x" { Segment::Parameter(text.to_owned()) } else { Segment::Literal(text.into()) }
}

fn any_routes() -> impl Strategy<Value = Vec<Route>> {
    let methods = subsequence(vec!["GET", "POST"], 0..=2);
    let any = (prop::collection::vec(any_host(), 0..3), methods, any_path());
    prop::collection::vec(any.prop_map(|(hosts, methods, path)| route(hosts, &methods, path)), 0..24)
}

fn any_request() -> impl Strategy<Value = (&'static str, &'static str, String)> {
    let hosts = vec!["", "a", "A.", "b.a", "B.a:80", "c.b.a", "d.c.b.a", "ba", "b", "x.b", "[::1]", "[0::2]:1", "[::3]", "x"];
    let path = prop_oneof![1 => Just("*".to_owned()), 9 => "(/[abc]){1,4}/?|/"];
    (select(vec!["GET", "POST", "PUT"]), select(hosts), path)
}

proptest! {
    #[test]
    fn the_same_route_is_found_as_in_turn(routes in any_routes(), requests in prop::collection::vec(any_request(), 40), cut in any::<Choice>()) {
        // Without the routes before it, a later one is found too.
        let rest = routes.get(cut.index(routes.len() + 1)..).unwrap_or_default();
        for routes in [&routes[..], rest] {
            let index = Index::new(routes);
            for (method, authority, path) in &requests {
                let request = (*method, *authority, path.as_str());
                prop_assert_eq!(found(routes, &index, request).0, in_turn(routes, request), "{:?}", request);
            }
        }
    }
}
