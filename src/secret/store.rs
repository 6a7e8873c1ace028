// SPDX-License-Identifier: Apache-2.0
//! What a gateway holds of its policy's secrets now. Who uses one takes it from here when it changes, and never while a request waits.

use super::Secrets;
use super::key_vault;
use super::managed_identity::ManagedIdentity;
use super::reference::{HttpSecret, SecretForm, SecretReference, SecretSource};
use super::source::{Pending, Source};
use super::value::{SecretKey, SecretText, SecretUnavailable, SecretValue};
use crate::answer::{body, is_unauthorized};
use crate::effect::{CallId, Fetch};
use crate::event::{CallFailed, Reply};
use crate::inputs::{Entropy, Inputs};

/// A gateway's secrets.
#[derive(Debug, Default)]
pub(crate) struct SecretStore {
    /// In the order of their names.
    held: Vec<Held>,
    /// Those of them that are fetched, in the same order.
    sources: Vec<Source>,
    identities: Vec<ManagedIdentity>,
}

#[derive(Debug)]
struct Held {
    reference: SecretReference,
    /// All that it is used as.
    forms: Vec<SecretForm>,
    /// `None` until it has come.
    value: Option<SecretValue>,
}

/// What became of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretFate {
    /// A value came.
    Fetched,
    /// It is another than the one before.
    Rotated,
    /// None came that is of use.
    Failed,
}

impl SecretFate {
    /// Each once; its place here is its index.
    pub(crate) const ALL: [Self; 3] = [Self::Fetched, Self::Rotated, Self::Failed];

    /// As metrics call it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Rotated => "rotated",
            Self::Failed => "failed",
        }
    }
}

/// What a step comes to. Places are those among the secrets that are fetched.
#[derive(Debug, Default)]
pub(crate) struct Stepped {
    /// What to ask for.
    pub(crate) fetches: Vec<Fetch>,
    /// What became of fetches.
    pub(crate) fates: Vec<(usize, SecretFate)>,
    /// What the operator should read.
    pub(crate) notes: Vec<(usize, String)>,
    /// There is a value that wasn't there before.
    pub(crate) changed: bool,
}

impl SecretStore {
    /// A store without values. `uses` are all of a policy.
    pub(crate) fn new<'p>(uses: impl IntoIterator<Item = &'p SecretReference>) -> Self {
        let mut store = Self::default();
        for reference in uses {
            match store.held.binary_search_by(|held| held.reference.name.cmp(&reference.name)) {
                Ok(place) => store.held.iter_mut().skip(place).take(1).for_each(|held| held.forms.push(reference.form)),
                Err(place) => store.held.insert(place, Held { reference: reference.clone(), forms: vec![reference.form], value: None }),
            }
        }
        let Self { held, sources, identities } = &mut store;
        for (place, held) in held.iter().enumerate() {
            match &*held.reference.source {
                SecretSource::Environment { .. } | SecretSource::Literal(_) => {}
                SecretSource::Http(http) => sources.push(Source::new(place, None, http.refresh)),
                SecretSource::KeyVault(secret) => {
                    let identity = identities.iter().position(|identity| identity.is_of(secret)).unwrap_or_else(|| {
                        identities.push(ManagedIdentity::of(secret));
                        identities.len().saturating_sub(1)
                    });
                    sources.push(Source::new(place, Some(identity), secret.refresh));
                }
            }
        }
        store
    }

    /// Takes the values that need no fetch.
    ///
    /// # Errors
    ///
    /// [`SecretUnavailable`] for the first that isn't there, or doesn't fit its uses.
    pub(crate) fn provide(&mut self, secrets: &mut dyn Secrets) -> Result<(), SecretUnavailable> {
        for held in &mut self.held {
            let (value, missing) = match &*held.reference.source {
                SecretSource::Environment { variable } => {
                    (secrets.environment(variable).as_deref().map(SecretValue::new), "no such variable")
                }
                SecretSource::Literal(value) => (Some(value.clone()), "none"),
                SecretSource::Http(_) | SecretSource::KeyVault(_) => continue,
            };
            let first = held.forms.first().copied().unwrap_or(SecretForm::Text);
            let value = value.ok_or_else(|| SecretUnavailable::new(&held.reference, first, missing))?;
            if let Some((form, found)) = held.unfit(value.as_str()) {
                return Err(SecretUnavailable::new(&held.reference, form, found));
            }
            held.value = Some(value);
        }
        Ok(())
    }

    /// Secrets that stand in the policy and don't fit their uses, each once.
    pub(crate) fn unfit_literals<'p>(uses: impl IntoIterator<Item = &'p SecretReference>) -> Vec<SecretUnavailable> {
        let unfit = |held: &Held| {
            let SecretSource::Literal(value) = &*held.reference.source else { return None };
            held.unfit(value.as_str()).map(|(form, found)| SecretUnavailable::new(&held.reference, form, found))
        };
        Self::new(uses).held.iter().filter_map(unfit).collect()
    }

    /// A key; `None` until it has come.
    pub(crate) fn key(&self, reference: &SecretReference) -> Option<SecretKey> {
        let least = if let SecretForm::Key { least } = reference.form { least } else { super::MIN_KEY };
        SecretKey::read(self.find(&reference.name)?.as_str(), least).ok()
    }

    /// A header's value, with `scheme` before it where there is one; `None` until it has come.
    pub(crate) fn text(&self, scheme: Option<&str>, reference: &SecretReference) -> Option<SecretText> {
        SecretText::read(scheme, self.find(&reference.name)?.as_str()).ok()
    }

    fn find(&self, name: &str) -> Option<&SecretValue> {
        let place = self.held.binary_search_by(|held| held.reference.name.as_str().cmp(name)).ok()?;
        self.held.get(place)?.value.as_ref()
    }

    /// Whether something is to be asked for now.
    pub(crate) fn is_urgent(&self, now: u64) -> bool {
        let asks = |source: &Source| source.identity.and_then(|place| self.identities.get(place)?.under_way).is_some();
        self.sources.iter().any(|source| source.is_due(now) && !asks(source))
    }

    /// The value of this secret is doubted: whom it was shown to doesn't know it.
    pub(crate) fn hasten(&mut self, name: &str, now: u64) {
        let Self { held, sources, .. } = self;
        let is_it = |source: &&mut Source| held.get(source.place).is_some_and(|held| held.reference.name == name);
        sources.iter_mut().filter(is_it).for_each(|source| source.hasten(now));
    }

    /// Asks for what is due, and gives up what has had no answer.
    pub(crate) fn tick(&mut self, call: &mut dyn FnMut() -> CallId, inputs: &mut Inputs<'_>) -> Stepped {
        let mut stepped = Stepped::default();
        let (now, late) = (inputs.monotonic, |pending: Option<Pending>| pending.is_some_and(|pending| pending.is_late(inputs.monotonic)));
        for place in 0..self.identities.len() {
            if self.identities.get_mut(place).is_some_and(|identity| identity.under_way.take_if(|pending| late(Some(*pending))).is_some()) {
                self.fail_all(place, LATE, now, &mut *inputs.entropy, &mut stepped);
            }
        }
        for (place, source) in self.sources.iter_mut().enumerate().filter(|(_, source)| late(source.under_way)) {
            stepped.fail(place, source, LATE.to_owned(), now, &mut *inputs.entropy);
        }
        self.ask(call, now, &mut stepped);
        stepped
    }

    /// Takes an answer; `None` where the call is none of this store's.
    pub(crate) fn reply(
        &mut self,
        call: CallId,
        answer: Result<Reply<'_>, CallFailed>,
        next: &mut dyn FnMut() -> CallId,
        inputs: &mut Inputs<'_>,
    ) -> Option<Stepped> {
        let mut stepped = Stepped::default();
        let now = inputs.monotonic;
        let is_it = |pending: &mut Pending| pending.is(call);
        if let Some(place) = self.identities.iter_mut().position(|identity| identity.under_way.take_if(is_it).is_some()) {
            let taken =
                body(answer, MAX_ANSWER).and_then(|(_, body)| self.identities.get_mut(place).map_or(Ok(()), |one| one.take(body, now)));
            if let Err(why) = taken {
                self.fail_all(place, &format!("managed identity: {why}"), now, &mut *inputs.entropy, &mut stepped);
            }
        } else {
            let Self { held, sources, identities } = self;
            let (place, source) = sources.iter_mut().enumerate().find_map(|(place, source)| {
                source.under_way.take_if(is_it)?;
                Some((place, source))
            })?;
            let held = held.get_mut(source.place)?;
            let identity = source.identity.and_then(|place| identities.get_mut(place));
            if let Some(identity) = identity.filter(|_| !source.is_refused && is_unauthorized(answer)) {
                // It may have been revoked, or have expired by another's clock: another one is tried at once.
                identity.refused(source.token);
                source.is_refused = true;
            } else {
                match held.read(answer) {
                    Ok(value) => {
                        source.succeed(now, &mut *inputs.entropy);
                        stepped.fates.push((place, SecretFate::Fetched));
                        if held.value.as_ref() != Some(&value) {
                            let before = held.value.replace(value);
                            stepped.changed = true;
                            stepped.fates.extend(before.map(|_| (place, SecretFate::Rotated)));
                        }
                    }
                    Err(why) => stepped.fail(place, source, why, now, &mut *inputs.entropy),
                }
            }
        }
        self.ask(next, now, &mut stepped);
        Some(stepped)
    }

    /// Asks for all that is due, for a token first where one is needed.
    fn ask(&mut self, call: &mut dyn FnMut() -> CallId, now: u64, stepped: &mut Stepped) {
        let Self { held, sources, identities } = self;
        for source in sources.iter_mut().filter(|source| source.is_due(now)) {
            let Some(held) = held.get(source.place) else { continue };
            let timeout = source.refresh.timeout;
            let (cluster, uri, accept, headers) = match &*held.reference.source {
                SecretSource::Environment { .. } | SecretSource::Literal(_) => continue,
                SecretSource::Http(HttpSecret { uri, cluster, .. }) => (cluster, uri.clone(), "*/*", Vec::new()),
                SecretSource::KeyVault(secret) => {
                    let Some(identity) = source.identity.and_then(|place| identities.get_mut(place)) else { continue };
                    let Some((authorization, serial)) = identity.authorization(now) else {
                        stepped.fetches.extend(identity.fetch(call, timeout, now));
                        continue;
                    };
                    source.token = serial;
                    (&secret.vault_cluster, secret.uri(), "application/json", vec![("authorization", authorization)])
                }
            };
            let call = call();
            source.under_way = Some(Pending::new(call, timeout, now));
            stepped.fetches.push(Fetch { call, cluster: cluster.clone(), uri, accept, headers, timeout, max_body: MAX_ANSWER });
        }
    }

    /// An identity has no token: all fail that wait for one.
    fn fail_all(&mut self, identity: usize, why: &str, now: u64, entropy: &mut dyn Entropy, stepped: &mut Stepped) {
        let waits = |source: &Source| source.identity == Some(identity) && source.is_due(now);
        for (place, source) in self.sources.iter_mut().enumerate().filter(|(_, source)| waits(source)) {
            stepped.fail(place, source, why.to_owned(), now, entropy);
        }
    }
}

impl Stepped {
    fn fail(&mut self, place: usize, source: &mut Source, why: String, now: u64, entropy: &mut dyn Entropy) {
        self.fates.push((place, SecretFate::Failed));
        if source.fail(now, entropy) {
            self.notes.push((place, why));
        }
    }
}

impl Held {
    /// The first use that a text doesn't fit, and what was found.
    fn unfit(&self, text: &str) -> Option<(SecretForm, &'static str)> {
        self.forms.iter().find_map(|form| Some((*form, form.check(text).err()?)))
    }

    /// The value that an answer brings.
    ///
    /// # Errors
    ///
    /// What was expected and what was found, of which nothing is quoted.
    fn read(&self, answer: Result<Reply<'_>, CallFailed>) -> Result<SecretValue, String> {
        let (reply, body) = body(answer, MAX_ANSWER)?;
        let value = match &*self.reference.source {
            SecretSource::KeyVault(_) => SecretValue::new(&key_vault::read(body)?),
            _ if is_page(reply, body) => return Err("expected a secret, found a page of HTML".to_owned()),
            _ => SecretValue::new(std::str::from_utf8(body).map_err(|_| "expected a secret, found no text")?),
        };
        if value.as_str().len() > MAX_SECRET {
            return Err(format!("expected a secret of at most {MAX_SECRET} bytes, found more"));
        }
        match self.unfit(value.as_str()) {
            None => Ok(value),
            Some((form, found)) => Err(format!("expected {form}, found {found}")),
        }
    }
}

/// Whether an answer is a page for people: a portal's or a proxy's, which means to be no secret.
fn is_page(reply: Reply<'_>, body: &[u8]) -> bool {
    let begins = |text: &[u8], start: &[u8]| text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start));
    let body = body.trim_ascii_start();
    reply.headers.values("content-type").any(|kind| begins(kind.trim_ascii_start(), b"text/html"))
        || [&b"<!doctype"[..], b"<html"].iter().any(|start| begins(body, start))
}

const LATE: &str = "expected an answer in time, found none";
/// Bytes of the longest secret: Key Vault's own bound.
const MAX_SECRET: usize = 25_600;
/// Bytes of the longest answer. In JSON a secret may be longer than it is.
const MAX_ANSWER: usize = 65_536;
