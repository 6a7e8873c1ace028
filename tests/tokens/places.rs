// SPDX-License-Identifier: Apache-2.0
//! Where a request carries its token, and that it carries one: RFC 6750 section 2, RFC 9110 section 11.4.

use tracegate::identity::Algorithm;

use super::table::{ADMITTED, Table};

const ABSENT: &str = "TokenNotPresent";
const SEVERAL: &str = "TokenAmbiguous";
const INVALID: &str = "JwtInvalid";

/// Adds the rows: under `all` tokens come as `Bearer` alone, under `places` in four ways.
pub fn add(table: &mut Table) {
    let token = table.forge.good(Algorithm::Es256);
    let escaped = token.replace('.', "%2E").replace('e', "%65");
    let bearer = || ("authorization", format!("Bearer {token}"));
    let lines = |lines: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        lines.iter().map(|(name, value)| (*name, value.replace("$T", &token))).collect()
    };
    let query = |query: &str| format!("/places/x?{}", query.replace("$T", &token).replace("$E", &escaped));
    let mut row = |name: &str, path: &str, lines: Vec<(&'static str, String)>, expected| {
        table.request(name, path, lines, &[&token, &escaped], expected);
    };
    for (name, value, expected) in [
        ("a scheme in small letters", "bearer $T", ADMITTED),
        ("a scheme in capitals", "BEARER $T", ADMITTED),
        ("three spaces behind the scheme", "Bearer   $T", ADMITTED),
        ("a tab behind the scheme", "Bearer\t$T", ABSENT),
        ("nothing behind the scheme", "Bearer$T", ABSENT),
        ("a colon behind the scheme", "Bearer: $T", ABSENT),
        ("a scheme alone", "Bearer", INVALID),
        ("another scheme", "Basic $T", ABSENT),
        ("a longer scheme", "BearerX $T", ABSENT),
        ("no scheme", "$T", ABSENT),
        ("two tokens and a comma", "Bearer $T, Bearer $T", SEVERAL),
        ("two tokens and a comma without spaces", "Bearer $T,$T", INVALID),
        ("another scheme ahead", "Basic YTpi, Bearer $T", SEVERAL),
        ("a parameter", "Bearer token=$T", INVALID),
    ] {
        row(name, "/all", lines(&[("authorization", value)]), expected);
    }
    row("no token", "/all", vec![], ABSENT);
    row("another header", "/all", lines(&[("x-token", "$T"), ("proxy-authorization", "Bearer $T")]), ABSENT);
    row("a query that nobody reads", "/all?access_token=x", vec![bearer()], ADMITTED);
    row("the scheme that the policy names", "/scheme", lines(&[("authorization", "dpop $T")]), ADMITTED);
    row("another scheme than the policy's", "/scheme", vec![bearer()], ABSENT);
    row("the policy's scheme and no token", "/scheme", lines(&[("authorization", "DPoP x")]), INVALID);
    row("the header that the policy names", "/header", lines(&[("x-token", "$T")]), ADMITTED);
    row("the header that the policy names, in capitals", "/header", lines(&[("X-TOKEN", "$T")]), ADMITTED);
    row("a scheme in it", "/header", lines(&[("x-token", "Bearer $T")]), INVALID);
    row("another header than the policy's", "/header", vec![bearer()], ABSENT);
    row("the header twice", "/header", lines(&[("x-token", "$T"), ("x-token", "$T")]), SEVERAL);
    row("the header twice, once empty", "/header", lines(&[("x-token", ""), ("x-token", "$T")]), SEVERAL);
    row("two tokens in the header", "/header", lines(&[("x-token", "$T, $T")]), INVALID);
    for (name, text, expected) in [
        ("in the query", "access_token=$T", ADMITTED),
        ("in the query, among others", "a=1&access_token=$T&b=2", ADMITTED),
        ("in the query, escaped", "access_token=$E", ADMITTED),
        ("in the query, its name escaped", "access%5Ftoken=$T", ADMITTED),
        ("in the query, in capitals", "ACCESS_TOKEN=$T", ABSENT),
        ("in the query, empty", "access_token=", INVALID),
        ("in the query, without `=`", "access_token", INVALID),
        ("in the query, twice", "access_token=$T&access_token=$T", SEVERAL),
        ("in the query, twice, a name escaped", "access_token=$T&access%5ftoken=$T", SEVERAL),
        ("in the query, twice, a name escaped throughout", "%61%63cess_token=$T&access_token=x", SEVERAL),
        ("in the query, twice, once empty", "access_token=$T&access_token=", SEVERAL),
        ("in the query, twice, once without `=`", "access_token&access_token=$T", SEVERAL),
        ("in the query, a space behind", "access_token=$T%20", INVALID),
        ("in the query, a `+` behind", "access_token=$T+", INVALID),
        ("in the query, a line break behind", "access_token=$T%0A", INVALID),
        ("in the query, a zero behind", "access_token=$T%00", INVALID),
        ("in the query, escaped twice", "access_token=%2565$T", INVALID),
    ] {
        row(name, &query(text), vec![], expected);
    }
    for (name, cookies, expected) in [
        ("in a cookie", &["session=$T"][..], ADMITTED),
        ("in a cookie among others", &["theme=dark; session=$T;lang=de"], ADMITTED),
        ("in a cookie in quotes", &["session=\"$T\""], ADMITTED),
        ("in a cookie of another name", &["sessions=$T; Session=$T"], ABSENT),
        ("in a cookie, half in quotes", &["session=\"$T"], INVALID),
        ("in a cookie, empty", &["session="], INVALID),
        ("in a cookie twice", &["session=$T; session=$T"], SEVERAL),
        ("in a cookie twice, once empty", &["session=; session=$T"], SEVERAL),
        ("in two cookies", &["session=$T", "session=$T"], SEVERAL),
        ("in two lines of cookies", &["a=1; session=$T", "session=x; b=2"], SEVERAL),
    ] {
        let cookies: Vec<(&'static str, &str)> = cookies.iter().map(|cookie| ("cookie", *cookie)).collect();
        row(name, "/places", lines(&cookies), expected);
    }
    let places = [("authorization", "Bearer $T"), ("x-token", "$T"), ("cookie", "session=$T")];
    for (at, place) in places.iter().enumerate() {
        row(&format!("in {}", place.0), "/places", lines(&[*place]), ADMITTED);
        row(&format!("in {} and in the query", place.0), &query("access_token=$T"), lines(&[*place]), SEVERAL);
        row(&format!("in {} and an empty one in the query", place.0), &query("access_token="), lines(&[*place]), SEVERAL);
        for other in &places[at + 1..] {
            row(&format!("in {} and in {}", place.0, other.0), "/places", lines(&[*place, *other]), SEVERAL);
        }
    }
    let basic = [("authorization", "Basic YTpi"), ("x-token", "$T")];
    row("another scheme and a token elsewhere", "/places", lines(&basic), ADMITTED);
    row("no token anywhere", "/places", vec![], ABSENT);
    // Envoy joins them with a comma before any filter sees them, and an empty one with nothing.
    for (name, first, second, expected) in [
        ("two lines of Authorization", "Bearer $T", "Bearer $T", SEVERAL),
        ("two lines of Authorization, the second one of another scheme", "Bearer $T", "Basic YTpi", SEVERAL),
        ("two lines of Authorization, the first one of another scheme", "Basic YTpi", "Bearer $T", SEVERAL),
        ("two lines of Authorization, the first one empty", "", "Bearer $T", ADMITTED),
    ] {
        row(name, "/all", lines(&[("authorization", first), ("Authorization", second)]), expected);
    }
}
