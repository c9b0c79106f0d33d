//! Step 9 and what follows from it on the way back: the version of a write, what its writer has
//! seen, what it meets, and what a client is given to bring back.

use crate::carriers::{self, Binding, IfMatch};
use crate::guard::InForce;
use crate::header;
use crate::host::{Headers, Host};
use crate::metric::{Counter, Metric, VersionSource};
use crate::stream::Worker;
use crate::trust::Believed;
use arrayvec::ArrayString;
use core::fmt::Write as _;
use origin_tag::{
    CausalRefusal, Conflict, ConflictKind, Held, MERGING_LEN_MAX, Marking, Received, Seen, Stamp,
    VersionVector, Write,
};
use policy_core::{
    Caller, Context, Decision, Merging, Mode, OnLostUpdate, Policy, Pseudonym, Reason, RegionId,
};

/// What an eventual request carries on, and what is remembered of it.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    /// The version that it gets here, and what that is worth.
    pub(crate) marking: Option<Marking>,
    /// The version that came is too far ahead to be taken for sound.
    pub(crate) is_ahead: bool,
    /// What its writer has seen, where that was found out here.
    pub(crate) seen: Option<Seen>,
    /// The conflict that was found here.
    pub(crate) conflict: Option<ConflictKind>,
    /// Its `If-Match` was the mesh's, and has done its work.
    pub(crate) is_match_spent: bool,
    /// What its response is judged by.
    pub(crate) tracked: Option<Tracked>,
}

/// What is remembered of an eventual request until its response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tracked {
    /// What it is about, in [`Recent`](origin_tag::Recent); nothing where that cannot be told.
    key: Option<u64>,
    /// By which number the policy knows its context.
    context: usize,
    /// The write, if it is one and has a version.
    write: Option<Write>,
    /// A conflict has been counted.
    is_told: bool,
    /// The newest version that its client has said to have seen.
    followed: Option<Stamp>,
    /// What its entity tag is bound to, where clients get one.
    binding: Option<Binding>,
}

/// An eventual request that is let pass.
pub(crate) struct Eventual<'a> {
    pub(crate) force: &'a InForce,
    pub(crate) decision: &'a Decision<'a>,
    pub(crate) headers: &'a Headers,
    /// What its client says that it has seen.
    pub(crate) causal: Option<&'a [u8]>,
    pub(crate) believed: &'a Believed<'a>,
    /// The version that it came with, if whoever sent it may say so.
    pub(crate) came: Option<Stamp>,
    /// The canonical path, without the query.
    pub(crate) path: &'a [u8],
    pub(crate) caller: Option<&'a Caller>,
    /// A gRPC call: its path is that of a method, whatever it is about.
    pub(crate) is_grpc: bool,
}

impl Eventual<'_> {
    /// What it carries on.
    ///
    /// # Errors
    /// Why it may not pass.
    pub(crate) fn versions(
        &self,
        worker: &mut Worker,
        host: &mut impl Host,
    ) -> Result<Versions, Reason> {
        let policy = &self.force.policy;
        let Some(context) =
            self.decision.context.filter(|context| !context.consistency.is_leased())
        else {
            return Ok(Versions::default());
        };
        if policy.versioning().mode != Mode::Enforce {
            return self.unenforced(worker, host);
        }
        let mut tracked = self.tracked(context, worker);
        let followed = self.follow(worker, host);
        tracked.followed = followed.unwrap_or_default();
        if !self.decision.is_eventual_write() {
            return Ok(Versions { tracked: Some(tracked), ..Versions::default() });
        }
        let mut versions = match self.came {
            Some(came) => self.arrived(came, worker, host)?,
            None if self.decision.stamped => {
                self.entered(context, &tracked, followed.is_err(), worker, host)?
            }
            None => return Ok(Versions { tracked: Some(tracked), ..Versions::default() }),
        };
        let stamp = versions.marking.and_then(Marking::stamp).or(self.came);
        if let Some(stamp) = stamp {
            let seen = match versions.seen {
                Some(seen) => Some(seen.vector),
                None => self.believed.seen(stamp),
            };
            let write = Write { stamp, seen };
            tracked.write = Some(write);
            tracked.is_told = self.believed.has_conflict;
            let base = versions.seen.map(|seen| seen.version).or(self.believed.base);
            let held = tracked.key.and_then(|key| worker.recent.get(key));
            let held =
                held.filter(|held| !context.keeps_all && !tracked.is_told && is_news(base, *held));
            if let Some(conflict) = held.and_then(|held| self.judge(&write, held)) {
                versions.conflict = Some(conflict.kind);
                tracked.is_told = true;
                tell(policy, context, conflict, host);
            }
        }
        versions.tracked = Some(tracked);
        Ok(versions)
    }

    /// What is remembered of it.
    fn tracked(&self, context: &Context, worker: &Worker) -> Tracked {
        let policy = &self.force.policy;
        let subject = pseudonym(self.caller);
        let gives_tags = policy.role().routes() && context.has_etag && !self.is_grpc;
        // One path is another thing for each person that its data is about.
        let is_one = !self.is_grpc && (subject.is_some() || !context.is_bound);
        let salt = worker.stamper.node();
        Tracked {
            key: is_one.then(|| self.force.key_of(salt, &context.name, self.path, subject)),
            context: self.decision.found.map_or(0, |found| found.context),
            write: None,
            is_told: false,
            followed: None,
            binding: gives_tags.then(|| Binding::new(self.path, subject)),
        }
    }

    /// A version that came is held to its bound unless versioning is disabled; none is given.
    fn unenforced(&self, worker: &mut Worker, host: &mut impl Host) -> Result<Versions, Reason> {
        let is_disabled = self.force.policy.versioning().mode == Mode::Disabled;
        match self.came {
            Some(came) if !is_disabled && self.decision.is_eventual_write() => {
                self.arrived(came, worker, host)
            }
            _ => Ok(Versions::default()),
        }
    }

    /// A write that came with a version.
    fn arrived(
        &self,
        came: Stamp,
        worker: &mut Worker,
        host: &mut impl Host,
    ) -> Result<Versions, Reason> {
        let received = worker.stamper.receive(self.force.policy.versioning(), came, host.unix_ms());
        if received != Received::Sound {
            host.count(Metric::FutureVersion(VersionSource::Request));
        }
        match received {
            Received::Sound => Ok(Versions::default()),
            Received::Unsynced => Ok(Versions { is_ahead: true, ..Versions::default() }),
            Received::Refused => Err(Reason::ClockUnsynced),
        }
    }

    /// A write that enters the mesh here, and is stamped.
    fn entered(
        &self,
        context: &Context,
        tracked: &Tracked,
        is_behind: bool,
        worker: &mut Worker,
        host: &mut impl Host,
    ) -> Result<Versions, Reason> {
        let policy = &self.force.policy;
        let versioning = policy.versioning();
        let now_ms = host.unix_ms().ok_or(Reason::ClockUnsynced)?;
        // Where all writes are kept none is lost.
        let denies = versioning.on_lost_update == OnLostUpdate::Deny && !context.keeps_all;
        let read = tracked
            .binding
            .and_then(|binding| carriers::read_match(&self.force.keys, self.headers, binding));
        let seen = match read {
            Some(IfMatch::Seen(seen)) => Some(seen),
            Some(IfMatch::Refused) => {
                host.count(Metric::TagRefused);
                if denies {
                    return Err(Reason::LostUpdate);
                }
                None
            }
            Some(IfMatch::Foreign) | None => None,
        };
        let mut is_behind = is_behind;
        if let Some(seen) = seen {
            let held = tracked.key.and_then(|key| worker.recent.get(key));
            let is_news = |held: Held| is_news(Some(seen.version), held);
            if denies
                && held.is_some_and(|held| is_news(held) && !seen.vector.includes(&held.stamp))
            {
                return Err(Reason::LostUpdate);
            }
            // What its bearer has read is older than what is written now, in whatever region.
            for version in seen.vector.iter() {
                if !worker.stamper.observe(versioning, version.time(), now_ms) {
                    host.count(Metric::FutureVersion(VersionSource::Tag));
                    is_behind = true;
                }
            }
        }
        let code = policy.region_code(policy.here());
        match worker.stamper.mark(versioning, code, now_ms, is_behind) {
            Marking::Refused => Err(Reason::ClockUnsynced),
            marking => Ok(Versions {
                marking: Some(marking),
                seen,
                is_match_spent: seen.is_some(),
                ..Versions::default()
            }),
        }
    }

    /// Takes over what the client says that it has seen, and says what that is.
    fn follow(
        &self,
        worker: &mut Worker,
        host: &mut impl Host,
    ) -> Result<Option<Stamp>, TooFarAhead> {
        let policy = &self.force.policy;
        let versioning = policy.versioning();
        let lifetime = versioning.causal_lifetime_ms.filter(|_| policy.role().routes());
        let Some(ms) = lifetime else { return Ok(None) };
        let Some(causal) = self.causal else { return Ok(None) };
        // Without a clock it may be over.
        let Some(now_ms) = host.unix_ms() else { return Ok(None) };
        let lifetime_s = u64::from(ms) / 1_000;
        let read = carriers::read_causal(&self.force.keys, causal, now_ms / 1_000, lifetime_s);
        let followed = read.and_then(|version| {
            let is_near = worker.stamper.observe(versioning, version.time(), now_ms);
            if is_near { Ok(version) } else { Err(CausalRefusal::Ahead) }
        });
        if let Err(why) = followed {
            host.count(Metric::CausalRefused(why));
        }
        match followed {
            Err(CausalRefusal::Ahead) => Err(TooFarAhead),
            followed => Ok(followed.ok()),
        }
    }

    fn judge(&self, write: &Write, held: Held) -> Option<Conflict> {
        let vector = held.other.map(|_| held.vector());
        let versioning = self.force.policy.versioning();
        origin_tag::judge(versioning, write, held.stamp, vector.as_ref())
    }
}

/// What a writer has seen is further ahead than any version may be.
#[derive(Clone, Copy)]
struct TooFarAhead;

/// Whether what is known here is newer than what a writer has read: what is older may have been
/// replaced since, by what the writer has read.
fn is_news(base: Option<Stamp>, held: Held) -> bool {
    base.is_none_or(|base| held.stamp > base)
}

/// Counts a conflict.
fn tell(policy: &Policy, context: &Context, conflict: Conflict, host: &mut impl Host) {
    let Conflict { kind, is_tie, is_ambiguous } = conflict;
    let words = [Some(kind.as_str()), is_tie.then_some("tie"), is_ambiguous.then_some("ambiguous")];
    for kind in words.into_iter().flatten() {
        host.count_named(Counter::Conflict { role: policy.role(), context: &context.name, kind });
    }
}

fn pseudonym(caller: Option<&Caller>) -> Option<Pseudonym> {
    match caller {
        Some(Caller::Known(identity)) => identity.pseudonym,
        _ => None,
    }
}

/// What a response says of versions.
#[derive(Debug, Default, Clone, Copy)]
struct Said {
    /// The version that the upstream held when the request came.
    current: Option<Stamp>,
    /// Its vector.
    vector: Option<VersionVector>,
    /// The conflict that it has found.
    conflict: Option<ConflictKind>,
    /// The application has an entity tag of its own.
    has_tag: bool,
    /// It is a success.
    is_done: bool,
    /// It is of something new, which is at another path.
    is_created: bool,
}

impl Said {
    fn read(policy: &Policy, headers: &Headers) -> Self {
        let only = |name: &str| headers.only(name.as_bytes());
        let vector = only(header::VV).and_then(|value| parse_vector(policy, value));
        Self {
            current: only(header::CURRENT).and_then(Stamp::parse),
            vector,
            conflict: only(header::CONFLICT).and_then(ConflictKind::parse),
            has_tag: headers.first(b"etag").is_some(),
            is_done: headers.first(b":status").is_some_and(|status| status.starts_with(b"2"))
                && headers.first(b"grpc-status").is_none_or(|status| status == b"0"),
            is_created: headers.first(b":status") == Some(b"201"),
        }
    }

    /// What is there now, as far as it is known: what was held, or the write that has replaced it. A
    /// write that was refused has replaced nothing.
    fn is_there(&self, tracked: &Tracked) -> Option<Seen> {
        let write = tracked.write.filter(|_| self.is_done);
        let write = write.filter(|write| self.current.is_none_or(|held| held < write.stamp));
        let (version, vector) = match write {
            Some(write) => (write.stamp, write.vector()),
            None => (self.current?, self.vector),
        };
        let whole = vector.and_then(|vector| Seen::with(version, &vector));
        Some(whole.unwrap_or(Seen::of(version)))
    }
}

/// Sees what a response says of versions, counts what a write has met and says how that is in conflict
/// with it, and gives the client what it is to bring back. `is_redacted` is whether it is not the whole of what is held.
pub(crate) fn on_response(
    force: &InForce,
    worker: &mut Worker,
    tracked: &Tracked,
    headers: &Headers,
    is_redacted: bool,
    host: &mut impl Host,
) -> Option<ConflictKind> {
    let policy = &force.policy;
    let said = Said::read(policy, headers);
    let context = policy.contexts().get(tracked.context)?;
    let versioning = policy.versioning();
    if let Some(current) = said.current {
        // Without a clock nothing can be held to its bound.
        let now_ms = host.unix_ms();
        let observe = |now_ms| worker.stamper.observe(versioning, current.time(), now_ms);
        if !now_ms.is_some_and(observe) {
            host.count(Metric::FutureVersion(VersionSource::Response));
        }
    }
    if let (Some(key), Some(Seen { version, vector })) = (tracked.key, said.is_there(tracked)) {
        worker.recent.note(key, Held::with(version, &vector));
    }
    let write = tracked.write.as_ref().filter(|_| !context.keeps_all);
    let found = write.and_then(|write| resolve(policy, context, tracked, write, &said, host));
    if policy.role().routes() && said.is_done {
        give(force, tracked, &said, is_redacted, host);
    }
    found
}

/// Counts what a write has met where it was applied.
fn resolve(
    policy: &Policy,
    context: &Context,
    tracked: &Tracked,
    write: &Write,
    said: &Said,
    host: &mut impl Host,
) -> Option<ConflictKind> {
    let versioning = policy.versioning();
    let met = said.current.and_then(|current| {
        let found = origin_tag::judge(versioning, write, current, said.vector.as_ref())?;
        Some((found, !said.is_done || current > write.stamp))
    });
    // The upstream knows best.
    let word = said.conflict.map(|kind| Conflict { kind, is_tie: false, is_ambiguous: false });
    let found = match (word, met) {
        (Some(word), Some((met, _))) => Some(Conflict { kind: word.kind, ..met }),
        (word, met) => word.or(met.map(|(met, _)| met)),
    };
    let found = found?;
    if !tracked.is_told {
        tell(policy, context, found, host);
    }
    if let Some((_, has_lost)) = met
        && found.kind.is_certain()
    {
        let outcome = if has_lost { "held_wins" } else { "write_wins" };
        let (role, context) = (policy.role(), &*context.name);
        host.count_named(Counter::Resolution { role, context, outcome });
    }
    Some(found.kind)
}

/// Gives the client what it is to bring back.
fn give(force: &InForce, tracked: &Tracked, said: &Said, is_redacted: bool, host: &mut impl Host) {
    let Some(seen) = said.is_there(tracked) else { return };
    // An application that never says what it holds knows nothing of versions. Of what was redacted
    // nobody should write back what was left.
    if let Some(binding) = tracked.binding
        && said.current.is_some()
        && !said.has_tag
        && !said.is_created
        && !is_redacted
        && let Some(tag) = carriers::tag(&force.keys, seen, binding)
    {
        let _ = host.set_response_header(header::ETAG, tag.as_bytes());
    }
    if let Some(lifetime_ms) = force.policy.versioning().causal_lifetime_ms
        && force.keys.first().is_some()
        && let Some(now_ms) = host.unix_ms()
    {
        let expiry_s = now_ms.saturating_add(lifetime_ms.into()) / 1_000;
        // What a client has seen once it has seen, whatever it reads now.
        let known = [seen.vector.max(), tracked.followed];
        let newest = known.into_iter().flatten().fold(seen.version, Ord::max);
        // Nobody would follow what is too far ahead, and whatever its bearer wrote would be marked.
        let bound_ms = u64::from(force.policy.versioning().max_drift_ms);
        let is_near = newest.ms() <= now_ms.saturating_add(bound_ms);
        if let Some(causal) = carriers::causal(&force.keys, newest, expiry_s)
            && is_near
        {
            let _ = host.set_response_header(header::CAUSAL, causal.as_bytes());
        }
    }
}

/// The vector that `x-meshfence-vv` says.
pub(crate) fn parse_vector(policy: &Policy, value: &[u8]) -> Option<VersionVector> {
    VersionVector::parse(value, |name| {
        Some(policy.region_code(policy.region(core::str::from_utf8(name).ok()?)?))
    })
}

/// The name of the region with this code.
pub(crate) fn region_of(policy: &Policy, code: [u8; 3]) -> Option<RegionId> {
    policy.all_regions().iter().find(|region| policy.region_code(*region) == code)
}

/// The value of `x-meshfence-vv` of a write with this version whose writer has seen this.
pub(crate) fn vector(policy: &Policy, stamp: Stamp, seen: &Seen) -> Option<ArrayString<1_024>> {
    let vector = Write { stamp, seen: Some(seen.vector) }.vector()?;
    let mut text = ArrayString::new();
    let name = |code| region_of(policy, code).map(|region| policy.region_name(region));
    vector.write_to(&mut text, name).ok()?;
    Some(text)
}

/// The value of `x-meshfence-merge`.
pub(crate) fn merging(policy: &Policy, merging: Merging) -> Option<ArrayString<MERGING_LEN_MAX>> {
    let mut text = ArrayString::new();
    write!(text, "{}", origin_tag::merging(policy, merging)).ok()?;
    Some(text)
}
