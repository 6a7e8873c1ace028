// SPDX-License-Identifier: Apache-2.0
//! What a token must claim so that its holder meets what rules ask, or fails them in the one way that a record names.

use serde_json::{Map, Value, json};
use tracegate::Reason;
use tracegate::caller::CallerMatch;
use tracegate::claim::{ClaimMatch, ClaimPath};
use tracegate::identity::{EntraRules, Guid, TokenProvider, Workload};
use tracegate::matcher::{TextMatch, ValuesMatch};

use super::token::Unmintable;

/// What is claimed, in the order in which it is asked for.
#[derive(Default)]
struct Claims<'p> {
    wanted: Vec<Wanted<'p>>,
    /// What must not be claimed.
    barred: Vec<Vec<&'p str>>,
}

/// A claim.
struct Wanted<'p> {
    steps: Vec<&'p str>,
    values: Vec<String>,
    /// What rules ask of its values.
    asked: Vec<&'p ValuesMatch>,
    /// It is asked for word for word.
    verbatim: bool,
}

/// The claims of a token whose holder all of `callers` let in, but for the `fault`. `own` is what the issuer's tokens claim in any case, `subject`
/// whom they name where no rule says whom.
pub(super) fn of(
    provider: &TokenProvider,
    callers: &[&CallerMatch],
    own: &Map<String, Value>,
    subject: &str,
    fault: Option<Reason>,
) -> Result<Map<String, Value>, Unmintable> {
    let mut claims = Claims::default();
    claims.meet(provider, callers, own).ok_or(Unmintable::Rules)?;
    match fault {
        Some(Reason::TokenClaimNotFound) => claims.leave_out().ok_or(Unmintable::Fault)?,
        Some(Reason::TokenClaimValueNotAllowed) => claims.falsify().ok_or(Unmintable::Fault)?,
        _ => {}
    }
    claims.written(subject).ok_or(Unmintable::Rules)
}

impl<'p> Claims<'p> {
    /// `None` where it can't be met.
    fn meet(&mut self, provider: &'p TokenProvider, callers: &[&'p CallerMatch], own: &Map<String, Value>) -> Option<()> {
        // Nobody has the key of a client's certificate.
        if provider.certificate_bound {
            return None;
        }
        let is_service = callers.iter().any(|caller| !caller.services.is_empty());
        if let Some(rules) = &provider.entra {
            self.application(rules, callers, is_service)?;
        } else if is_service {
            return None;
        }
        // Who has `scp` calls for somebody else.
        let scopes = if provider.entra.is_some() && !is_service { "scp" } else { "scope" };
        callers.iter().try_for_each(|caller| self.caller(caller, scopes, own))
    }

    /// The application of Entra ID, and the service that it is.
    fn application(&mut self, rules: &'p EntraRules, callers: &[&CallerMatch], is_service: bool) -> Option<()> {
        let may = |application: &&Guid| rules.applications.is_empty() || rules.applications.contains(application);
        let is_named = |application: &Guid| rules.services.iter().any(|(_, known)| *known == Workload::Application(application.clone()));
        if !is_service {
            let application = rules.applications.first();
            application.into_iter().for_each(|application| self.verbatim(&["azp"], application.as_str()));
            return Some(());
        }
        let is_asked = |name: &String| callers.iter().all(|caller| caller.services.is_empty() || caller.services.contains(name));
        let another = rules.applications.iter().find(|application| !is_named(application));
        let (application, identity) =
            rules.services.iter().filter(|(name, _)| is_asked(name)).find_map(|(_, workload)| match workload {
                Workload::Application(application) => Some((Some(application).filter(may)?, None)).map(|(one, none)| (Some(one), none)),
                Workload::ManagedIdentity(resource) if rules.applications.is_empty() => Some((None, Some(resource))),
                Workload::ManagedIdentity(resource) => another.map(|application| (Some(application), Some(resource))),
            })?;
        application.into_iter().for_each(|application| self.verbatim(&["azp"], application.as_str()));
        identity.into_iter().for_each(|resource| self.own("xms_mirid", resource));
        self.own("idtyp", "app");
        Some(())
    }

    fn caller(&mut self, caller: &'p CallerMatch, scopes: &'static str, own: &Map<String, Value>) -> Option<()> {
        if !caller.scopes.is_empty() {
            self.verbatim(&[scopes], &caller.scopes.join(" "));
        }
        if let Some(role) = caller.roles.first() {
            self.verbatim(&caller.roles_claim.steps().collect::<Vec<_>>(), role);
        }
        if let Some(group) = caller.groups.first() {
            self.verbatim(&["groups"], group);
        }
        caller.claims.iter().try_for_each(|claim| self.claim(claim, own))
    }

    fn claim(&mut self, ClaimMatch { path, separator, matches }: &'p ClaimMatch, own: &Map<String, Value>) -> Option<()> {
        if let Some(known) = standing(path, own) {
            return holds(matches, &known, separator.as_deref()).then_some(());
        }
        let steps: Vec<&str> = path.steps().collect();
        let values: Vec<&str> = match matches {
            ValuesMatch::Present(false) => {
                self.barred.push(steps);
                return Some(());
            }
            ValuesMatch::Present(true) => Vec::new(),
            ValuesMatch::AllOf(texts) => texts.iter().map(String::as_str).collect(),
            ValuesMatch::Any(TextMatch::OneOf(texts)) => vec![texts.first()?.as_str()],
            ValuesMatch::Any(TextMatch::Exact(text) | TextMatch::Prefix(text) | TextMatch::Suffix(text) | TextMatch::Contains(text)) => {
                vec![text]
            }
            // No text can be made of a pattern.
            ValuesMatch::Any(TextMatch::Regex(_)) => return None,
        };
        // What is parted is not what was asked for.
        if separator.as_ref().is_some_and(|separator| values.iter().any(|value| value.is_empty() || value.contains(separator.as_str()))) {
            return None;
        }
        self.want(steps, |wanted| {
            wanted.asked.push(matches);
            values.into_iter().for_each(|value| wanted.add(value));
        });
        Some(())
    }

    fn verbatim(&mut self, steps: &[&'p str], value: &str) {
        self.want(steps.to_vec(), |wanted| {
            wanted.verbatim = true;
            wanted.add(value);
        });
    }

    /// A claim of which no rule says that it must be there.
    fn own(&mut self, name: &'p str, value: &str) {
        self.want(vec![name], |wanted| wanted.add(value));
    }

    /// Asks for a claim, the first word about it first.
    fn want(&mut self, steps: Vec<&'p str>, ask: impl FnOnce(&mut Wanted<'p>)) {
        if let Some(wanted) = self.wanted.iter_mut().find(|wanted| wanted.steps == steps) {
            return ask(wanted);
        }
        let mut wanted = Wanted { steps, values: Vec::new(), asked: Vec::new(), verbatim: false };
        ask(&mut wanted);
        self.wanted.push(wanted);
    }

    /// Leaves a claim out that must be there.
    fn leave_out(&mut self) -> Option<()> {
        let place = self.wanted.iter().position(|wanted| wanted.verbatim || !wanted.asked.is_empty())?;
        let left_out = self.wanted.remove(place);
        self.barred.push(left_out.steps);
        Some(())
    }

    /// Claims something else than what must be claimed.
    fn falsify(&mut self) -> Option<()> {
        let wrong = |matches: &&ValuesMatch| match matches {
            ValuesMatch::Any(matched) => matched.matches(WRONG.as_bytes()) == Some(false),
            ValuesMatch::AllOf(texts) => texts.iter().any(|text| text != WRONG),
            ValuesMatch::Present(_) => false,
        };
        if let Some(wanted) = self.wanted.iter_mut().find(|wanted| wanted.verbatim || wanted.asked.iter().any(wrong)) {
            wanted.values = vec![WRONG.to_owned()];
            return Some(());
        }
        let steps = self.barred.pop()?;
        self.want(steps, |wanted| wanted.add(WRONG));
        Some(())
    }

    /// `None` where one claim stands in another's way.
    fn written(self, subject: &str) -> Option<Map<String, Value>> {
        let mut written = Map::new();
        for Wanted { steps, values, .. } in &self.wanted {
            let value = match values.as_slice() {
                [] => json!(SOMETHING),
                [value] => json!(value),
                values => json!(values),
            };
            put(&mut written, steps, value)?;
        }
        if !self.barred.iter().any(|steps| steps == &["sub"]) {
            written.entry("sub").or_insert_with(|| json!(subject));
        }
        let is_there = |steps: &Vec<&str>| {
            let (first, rest) = steps.split_first()?;
            rest.iter().try_fold(written.get(*first)?, |value, step| value.get(*step))
        };
        if self.barred.iter().any(|steps| is_there(steps).is_some()) { None } else { Some(written) }
    }
}

impl Wanted<'_> {
    fn add(&mut self, value: &str) {
        if !self.values.iter().any(|known| known == value) {
            self.values.push(value.to_owned());
        }
    }
}

/// The texts of a claim that stands in any case; `None` where the path leads to another.
fn standing(path: &ClaimPath, own: &Map<String, Value>) -> Option<Vec<String>> {
    let mut steps = path.steps();
    let value = own.get(steps.next()?)?;
    let is_whole = steps.next().is_none();
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(if is_whole { vec![text] } else { Vec::new() })
}

fn holds(matches: &ValuesMatch, values: &[String], separator: Option<&str>) -> bool {
    let parts: Vec<&str> = match separator {
        None => values.iter().map(String::as_str).collect(),
        Some(separator) => values.iter().flat_map(|value| value.split(separator)).filter(|part| !part.is_empty()).collect(),
    };
    match matches {
        ValuesMatch::Present(present) => *present != parts.is_empty(),
        ValuesMatch::AllOf(texts) => texts.iter().all(|text| parts.contains(&text.as_str())),
        ValuesMatch::Any(matched) => parts.iter().any(|part| matched.matches(part.as_bytes()) == Some(true)),
    }
}

/// Puts a value where these names lead. `None` where something else stands there, or in the way.
fn put(within: &mut Map<String, Value>, steps: &[&str], value: Value) -> Option<()> {
    let (first, rest) = steps.split_first()?;
    if rest.is_empty() {
        return within.insert((*first).to_owned(), value).is_none().then_some(());
    }
    put(within.entry(*first).or_insert_with(|| json!({})).as_object_mut()?, rest, value)
}

/// No rule lets this in.
const WRONG: &str = "not-this-one";
/// Where anything will do.
const SOMETHING: &str = "tracegate-replay";
