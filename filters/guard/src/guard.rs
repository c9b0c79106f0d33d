//! One configuration, from the first byte of a request to the end of its stream.

use crate::answer::Answer;
use crate::candidate;
use crate::committed::Remarks;
use crate::declared;
use crate::facts;
use crate::header;
use crate::host::{Host, HostFault, Vm};
use crate::keyring::{Key, KeyRing};
use crate::last_good::{self, Attached, LastGood};
use crate::metric::Metric;
use crate::ready;
use crate::record::{self, Draft};
use crate::redaction::{self, Unredacted};
use crate::regional::{Regional, TICK_MS};
use crate::request::{Arrived, Turn};
use crate::reroute::{self, FirstPass, Wait, Waiting};
use crate::response::{self, Refusal};
use crate::shedding;
use crate::sources;
use crate::stream::{DecisionId, Flow, Passed, Phase, Stream, Worker};
use crate::unreachable::{self, Unreachable};
use crate::versioning;
use crate::view::View;
use fencing::Watch;
use policy_core::wire::{ConfigFault, PluginConfig};
use policy_core::{
    Decision, Mode, Policy, Pool, Pseudonym, Reason, RegionState, Role, Trace, Withheld,
};
use siphasher::sip::SipHasher24;
use std::cell::Cell;
use std::hash::Hasher as _;
use std::rc::Rc;

pub use policy_core::name::ROOT_GUARD as ROOT;

/// One configuration of the plugin. Without a usable one it refuses everything.
#[derive(Debug)]
pub struct Guard {
    serving: Serving,
    fault: Option<ConfigFault>,
    /// Why the candidate is not evaluated.
    candidate_fault: Option<ConfigFault>,
    /// As what it is attached, as far as that is known: by the policy in force or by the last good
    /// one that does not serve any more.
    role: Option<Role>,
    /// Something was shared in our name that nobody of us wrote.
    foreign: bool,
}

#[derive(Debug)]
enum Serving {
    Policy(Box<InForce>),
    Refuse,
}

/// A policy that serves.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) policy: Policy,
    /// The region state that it is judged by.
    view: View,
    /// A request has seen something that region state should say more of.
    wants_state: Cell<bool>,
    /// What is evaluated beside it.
    pub(crate) candidate: Option<Candidate>,
    /// Which attachment it is of.
    pub(crate) attachment: u64,
    /// The pools of the policy, these very ones.
    pub(crate) pools: Rc<[Pool]>,
    pub(crate) keys: KeyRing,
    /// Whether each tenant map is what its signature says.
    pub(crate) sound_maps: Box<[bool]>,
    since_ms: u64,
    /// What cohorts are drawn with, where there is a key.
    pub(crate) cohort_salt: Option<[u8; 16]>,
    /// What paths are hashed with, so that nobody can choose what falls together. Without a key it is
    /// nothing: then each VM hashes by its number alone, which its answers tell.
    path_key: (u64, u64),
}

/// A policy that is evaluated beside the one in force.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) policy: Policy,
    view: View,
    /// Whether each of its tenant maps is what its signature says.
    pub(crate) sound_maps: Box<[bool]>,
}

impl InForce {
    fn new(at: Attached<'_>, compiled: Compiled, keys: KeyRing, since_ms: u64) -> Box<Self> {
        let Compiled { config, policy, candidate } = compiled;
        let sound_maps = sources::sound_maps(&config.policy, &keys);
        let candidate = candidate.ok().flatten().map(|policy| {
            let body = config.candidate.as_ref().map(|candidate| &candidate.policy);
            let sound_maps = body.map(|body| sources::sound_maps(body, &keys));
            let view = View::configured(&policy);
            Candidate { policy, view, sound_maps: sound_maps.unwrap_or_default() }
        });
        let pools = policy.pools().into();
        let attachment = at.number(policy.role());
        let view = View::configured(&policy);
        let wants_state = Cell::new(false);
        let cohort_salt = keys.first().map(Key::cohort_salt);
        let path_key = keys.first().map_or((0, 0), Key::hash_key);
        Box::new(Self {
            policy,
            view,
            wants_state,
            candidate,
            attachment,
            pools,
            keys,
            sound_maps,
            since_ms,
            cohort_salt,
            path_key,
        })
    }

    /// The region state that requests are judged by now.
    pub(crate) fn state(&self) -> Rc<RegionState> {
        self.view.get()
    }

    /// When the agent was asked for it; nothing where no agent was.
    pub(crate) fn asked_ms(&self) -> Option<u64> {
        self.view.asked_ms()
    }

    /// Takes over what is believed of the regions.
    pub(crate) fn refresh(&self, watch: &Watch, now_ms: Option<u64>) {
        self.view.refresh(&self.policy, watch, now_ms);
        if let Some(Candidate { policy, view, .. }) = &self.candidate {
            view.refresh(policy, watch, now_ms);
        }
    }

    /// What stands for what is at a path of a context for a person, in the VM with this number.
    pub(crate) fn key_of(
        &self,
        node: u32,
        context: &str,
        path: &[u8],
        subject: Option<Pseudonym>,
    ) -> u64 {
        let (first, second) = self.path_key;
        let mut hasher = SipHasher24::new_with_keys(first ^ u64::from(node), second);
        hasher.write(&subject.map_or([0; 8], |Pseudonym(bytes)| bytes));
        hasher.write(context.as_bytes());
        // No name of a context has a slash, and every path begins with one.
        hasher.write(path);
        hasher.finish()
    }

    /// Notes that a request has seen what does not go with the region state: it should be asked for.
    pub(crate) fn want_state(&self) {
        self.wants_state.set(true);
    }

    /// Whether anything was noted since this was asked last, which is forgotten then.
    pub(crate) fn take_wants_state(&self) -> bool {
        self.wants_state.take()
    }
}

impl Candidate {
    /// The region state that it is judged by now.
    pub(crate) fn state(&self) -> Rc<RegionState> {
        self.view.get()
    }
}

impl Guard {
    /// Reads a configuration. It never fails: one that cannot be used makes a guard that serves by
    /// the last good one, or answers every request with 503 `policy_unavailable`.
    pub fn configure(
        at: Attached<'_>,
        configuration: Option<&[u8]>,
        vm: &mut impl Vm,
        last: &mut LastGood,
    ) -> Self {
        let secrets = vm.secrets();
        let configuration = configuration.unwrap_or_default();
        let fault = match compile(at.root, configuration) {
            Ok(compiled) => {
                let keys = KeyRing::new(&compiled.policy, &secrets);
                let secret = keys.first().map(Key::secret);
                let since_ms = last.remember(at, configuration, secret, vm);
                let role = Some(compiled.policy.role());
                let candidate_fault = compiled.candidate.as_ref().err().cloned();
                let serving = Serving::Policy(InForce::new(at, compiled, keys, since_ms));
                return Self { serving, fault: None, candidate_fault, role, foreign: false };
            }
            Err(fault) => fault,
        };
        let recalled = last.recall(at, &secrets, vm);
        let mut role = last_good::role(configuration);
        let serving = recalled.good.and_then(|good| {
            let compiled = compile(at.root, &good.json).ok()?;
            role = role.or(Some(compiled.policy.role()));
            let keys = KeyRing::new(&compiled.policy, &secrets);
            let serves = last_good::may_serve(&compiled.config, &good, configuration);
            serves.then(|| Serving::Policy(InForce::new(at, compiled, keys, good.since_ms)))
        });
        let serving = serving.unwrap_or(Serving::Refuse);
        let foreign = recalled.foreign;
        Self { serving, fault: Some(fault), candidate_fault: None, role, foreign }
    }

    /// Why the newest configuration was refused, if it was. What serves then is [`Guard::policy`].
    pub fn fault(&self) -> Option<&ConfigFault> {
        self.fault.as_ref()
    }

    /// Why the candidate of the configuration cannot be evaluated, if it cannot. The policy in force
    /// serves all the same.
    pub fn candidate_fault(&self) -> Option<&ConfigFault> {
        self.candidate_fault.as_ref()
    }

    /// The policy in force, if there is one.
    pub fn policy(&self) -> Option<&Policy> {
        self.in_force().map(|force| &force.policy)
    }

    /// As what it is attached, as far as that is known.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// The first 12 hexadecimal digits of its hash as a number, for a gauge; 0 if there is none.
    pub fn hash_number(&self) -> u64 {
        let hash = self.policy().map_or("", |policy| policy.set().1);
        hash.get(..12).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
    }

    /// Since when it serves, in milliseconds since the Unix epoch; 0 if no clock could tell.
    pub fn since_ms(&self) -> u64 {
        self.in_force().map_or(0, |force| force.since_ms)
    }

    /// Whether a configuration was shared in our name that does not bear our seal.
    pub fn found_foreign(&self) -> bool {
        self.foreign
    }

    /// The variables of the VM's environment that the policy names and whose secrets are not there,
    /// or shorter than 32 bytes. Without any nothing is signed, no signature is believed, and no
    /// configuration survives this VM.
    pub fn missing_secrets(&self) -> &[Box<str>] {
        self.in_force().map_or(&[], |force| force.keys.missing())
    }

    /// The tenant maps whose signatures are not by a key of this VM, or not of what the maps say: they
    /// answer nothing.
    pub fn unsound_maps(&self) -> impl Iterator<Item = &str> {
        self.in_force().into_iter().flat_map(|force| {
            let maps = force.policy.tenant_maps().iter().zip(&force.sound_maps);
            maps.filter(|(_, is_sound)| !**is_sound).map(|(map, _)| &*map.name)
        })
    }

    /// Whether region state comes from an agent.
    pub fn has_agent(&self) -> bool {
        self.policy().is_some_and(|policy| policy.agent().is_some())
    }

    /// How often [`Guard::on_tick`] has something to do, in milliseconds: limits to follow, an agent to
    /// ask, or clocks to compare. Nothing where it never has.
    pub fn tick_ms(&self) -> Option<u32> {
        let policy = self.policy()?;
        if shedding::ticks(policy) {
            return Some(shedding::TICK_MS);
        }
        let has_news = self.has_agent() || policy.versioning().mode == Mode::Enforce;
        has_news.then_some(TICK_MS)
    }

    /// The configuration comes into force in a VM that may know something of the regions already.
    pub fn on_start(&self, worker: &mut Worker, regional: &mut Regional, vm: &mut impl Vm) {
        if let Some(force) = self.in_force() {
            worker.shedding.on_start(force, vm);
            regional.on_start(force, vm);
        }
    }

    /// A tick of [`tick_ms`](Self::tick_ms) is over.
    pub fn on_tick(&self, worker: &mut Worker, regional: &mut Regional, vm: &mut impl Vm) {
        if let Some(force) = self.in_force() {
            regional.on_tick(force, worker.stamper.time(), vm);
            let floor = regional.floor(&force.policy);
            worker.exchange.on_tick(force, &mut worker.stamper, floor, vm);
            worker.shedding.on_tick(force, vm);
        }
    }

    /// The proxy has an answer to a question of [`Vm::ask`], with a body of this size, or has given
    /// up waiting for one.
    pub fn on_answer(&self, regional: &mut Regional, call: u32, size: usize, vm: &mut impl Vm) {
        if let Some(force) = self.in_force() {
            regional.on_answer(force, call, size, vm);
        }
    }

    /// Whether it decides a write once more that a peer has refused as not its own.
    pub fn reroutes(&self) -> bool {
        self.policy().is_some_and(Policy::reroutes)
    }

    pub(crate) fn in_force(&self) -> Option<&InForce> {
        match &self.serving {
            Serving::Policy(force) => Some(force),
            Serving::Refuse => None,
        }
    }

    /// Decides a request.
    pub fn on_request_headers(
        &self,
        worker: &mut Worker,
        stream: &mut Stream,
        host: &mut impl Host,
        end_of_stream: bool,
    ) -> Flow {
        self.on_request_headers_traced(worker, stream, host, end_of_stream, &mut ())
    }

    /// [`Guard::on_request_headers`], with everything that the decision looks at shown to `trace`.
    pub fn on_request_headers_traced<'g>(
        &'g self,
        worker: &mut Worker,
        stream: &mut Stream,
        host: &mut impl Host,
        end_of_stream: bool,
        trace: &mut impl Trace<'g>,
    ) -> Flow {
        let id = worker.next_decision();
        let headers = host.request_headers();
        let is_grpc = headers.as_ref().is_some_and(facts::wants_grpc);
        let mut first = None;
        if let Serving::Policy(force) = &self.serving {
            match FirstPass::of(&force.policy, host) {
                Ok(Some(known)) => {
                    host.count(Metric::Rerouted);
                    match again(force, known, stream, host, end_of_stream) {
                        Ok(()) => return Flow::Pause,
                        Err(known) => first = Some(known),
                    }
                }
                Ok(None) => {}
                Err(HostFault) => {
                    let turn = Turn::new(force, host, id, is_grpc);
                    return turn.refuse(stream, &Decision::early(Reason::HostFailure));
                }
            }
        }
        match (&self.serving, headers) {
            (Serving::Refuse, _) => {
                host.count(Metric::Decision(None, Reason::PolicyUnavailable));
                stream.record = Some(Draft::without_policy(id));
                let answer = Answer { is_grpc, ..Answer::to(id, Reason::PolicyUnavailable) };
                stream.phase = Phase::Answered(None);
                answer.give(host)
            }
            (Serving::Policy(force), None) => {
                let turn = Turn::new(force, host, id, is_grpc);
                turn.refuse(stream, &Decision::early(Reason::HostFailure))
            }
            (Serving::Policy(force), Some(headers)) if ready::asks(&headers) => {
                stream.phase = Phase::Answered(None);
                ready::answer(force, host)
            }
            (Serving::Policy(force), Some(headers)) => {
                let turn = Turn::new(force, host, id, is_grpc);
                let arrived = Arrived { force, headers: &headers, end_of_stream, first };
                arrived.judge(worker, stream, turn, trace)
            }
        }
    }

    /// Region state may be another than it was: a request that waits for it is decided, if it is time.
    /// Nothing where it is not, or where the request does not wait.
    pub fn on_state(
        &self,
        worker: &mut Worker,
        stream: &mut Stream,
        host: &mut impl Host,
    ) -> Option<Flow> {
        let (Phase::Waiting(waiting), Some(force)) = (&stream.phase, self.in_force()) else {
            return None;
        };
        if waiting.wait(force, host.monotonic_ms()) == Wait::Longer {
            return None;
        }
        let Phase::Waiting(waiting) = std::mem::take(&mut stream.phase) else { return None };
        let Waiting { first, end_of_stream, .. } = waiting;
        let id = worker.next_decision();
        let headers = host.request_headers();
        let is_grpc = headers.as_ref().is_some_and(facts::wants_grpc);
        let turn = Turn::new(force, host, id, is_grpc);
        Some(match &headers {
            None => turn.refuse(stream, &Decision::early(Reason::HostFailure)),
            Some(headers) => {
                let first = Some(first);
                let arrived = Arrived { force, headers, end_of_stream, first };
                arrived.judge(worker, stream, turn, &mut ())
            }
        })
    }

    /// Sees the trailers of a request: what only the mesh may say is no more the caller's there
    /// than among the headers. A request whose trailers cannot be read or cleaned ends here; what of
    /// it has gone on already was not all of it.
    pub fn on_request_trailers(&self, stream: &mut Stream, host: &mut impl Host) -> Flow {
        let Stream { phase, record } = stream;
        let Phase::Passed(passed) = phase else { return Flow::Pause };
        if clean_trailers(host).is_ok() {
            return Flow::Continue;
        }
        let reason = Reason::HostFailure;
        record::amend(record, reason);
        let is_grpc = passed.is_grpc;
        let answer = Answer { is_grpc, unprocessed: false, ..Answer::to(passed.id, reason) };
        *phase = Phase::Answered(passed.place.take());
        answer.give(host)
    }

    /// Sees what came back: a region that could not be reached turns into a hold, so does a refusal
    /// that is between regions alone, what only the mesh may say is not the upstream's to say, and
    /// what may not be seen whole is redacted or refused.
    pub fn on_response_headers(
        &self,
        worker: &mut Worker,
        stream: &mut Stream,
        host: &mut impl Host,
        end_of_stream: bool,
    ) -> Flow {
        let Stream { phase, record } = stream;
        let (Phase::Passed(passed), Some(force)) = (&mut *phase, self.in_force()) else {
            return Flow::Continue;
        };
        let policy = &force.policy;
        let is_elsewhere = passed.region != policy.here();
        if let Some(how) = unreachable::of(host, is_elsewhere) {
            let reason = passed.if_unreachable;
            if let Some(place) = &mut passed.place {
                place.fail();
            }
            if !passed.is_probe {
                host.count(Metric::Unreachable(reason));
            }
            let unprocessed = how == Unreachable::NeverSent;
            if unprocessed {
                record::unsent(record);
            }
            return refuse(stream, host, |id| Answer { unprocessed, ..Answer::to(id, reason) });
        }
        let headers = host.response_headers();
        if let Some(place) = &mut passed.place {
            place.on_response(headers.as_ref(), force, worker, host);
        }
        if is_elsewhere {
            reroute::restore(policy, headers.as_ref(), host);
        }
        let cleaned = response::clean(policy, passed, headers.as_ref(), record, host);
        if let Some(Refusal { reason, unprocessed }) = cleaned.refusal {
            force.want_state();
            let answer = |id| Answer { unprocessed, ..Answer::not_now(id, reason) };
            return refuse(stream, host, answer);
        }
        if let Some(class) = declared::class(passed, headers.as_ref()) {
            record::declared(record, class);
            passed.is_bound |= class.is_bound();
            match declared::judge(force, passed, class, host) {
                Ok(profiles) => passed.redact = passed.redact.or(profiles),
                Err(Withheld { reason, rule, blocked_by }) => {
                    host.count(Metric::Withheld(reason));
                    let flow = refuse(stream, host, |id| Answer {
                        unprocessed: false,
                        blocked_by,
                        ..Answer::to(id, reason)
                    });
                    record::withheld(&mut stream.record, reason, rule);
                    return flow;
                }
            }
        }
        let id = passed.id.to_string();
        let _ = host.set_response_header(header::DECISION, id.as_bytes());
        if let Some(committed) = passed.committed.filter(|_| !cleaned.is_refused) {
            let mut remarks = committed.remarks(policy, &force.state(), headers.as_ref());
            remarks.has_changed |= cleaned.remark == Some(Reason::ChangedInflight);
            remark(policy, remarks, record, host);
        }
        let is_stale = passed.is_stale || cleaned.is_stale;
        if passed.is_stale {
            let _ = host.set_response_header(header::STALE, b"1");
        }
        if let (Some(tracked), Some(headers)) = (&passed.versions, &headers)
            && !cleaned.is_refused
        {
            let is_redacted = !passed.redact.is_empty() || cleaned.is_settled;
            let found = versioning::on_response(force, worker, tracked, headers, is_redacted, host);
            record::conflicted(record, found);
        }
        if passed.redact.is_empty() || cleaned.is_settled {
            if passed.is_bound || is_stale {
                let _ = host.set_response_header("cache-control", b"private, no-store");
            }
            return Flow::Continue;
        }
        let redacting = headers.as_ref().map_or(Err(Unredacted), |headers| {
            redaction::on_headers(policy, passed, headers, end_of_stream, host)
        });
        record::redacted(record, passed);
        redacting.unwrap_or_else(|Unredacted| refuse_unredacted(stream, host))
    }

    /// Sees a piece of the response's body. One that is not redacted goes on as it comes.
    pub fn on_response_body(
        &self,
        stream: &mut Stream,
        host: &mut impl Host,
        size: usize,
        end_of_stream: bool,
    ) -> Flow {
        self.redact(stream, host, |force, passed, host| {
            redaction::on_body(force, passed, size, end_of_stream, host)
        })
    }

    /// Sees the trailers of a response: those of one that is redacted are its end.
    pub fn on_response_trailers(&self, stream: &mut Stream, host: &mut impl Host) -> Flow {
        self.redact(stream, host, redaction::on_trailers)
    }

    fn redact<H: Host>(
        &self,
        stream: &mut Stream,
        host: &mut H,
        step: impl FnOnce(&InForce, &mut Passed, &mut H) -> Result<Flow, Unredacted>,
    ) -> Flow {
        let Stream { phase, record } = stream;
        let passed = match phase {
            Phase::Passed(passed) if passed.redact.is_empty() => return Flow::Continue,
            Phase::Passed(passed) => passed,
            Phase::Refused(_) | Phase::Waiting(_) => return Flow::Pause,
            // What is answered here, or by another filter, is nobody's data.
            Phase::New | Phase::Answered(_) | Phase::Done => return Flow::Continue,
        };
        let done = self.in_force().map_or(Err(Unredacted), |force| step(force, passed, host));
        record::redacted(record, passed);
        done.unwrap_or_else(|Unredacted| refuse_unredacted(stream, host))
    }

    /// The stream is over: what it took is given back, and its record is written. More than once
    /// does no harm.
    pub fn on_done(&self, worker: &mut Worker, stream: &mut Stream, host: &mut impl Host) {
        self.release(stream);
        if let Some(record) = stream.record.take() {
            record.end(worker, self.in_force(), host);
        }
    }

    /// The stream is gone, whether or not it has ended: what it took is given back. Whatever ends
    /// without the proxy's word for it leaves no record.
    pub fn release(&self, stream: &mut Stream) {
        stream.phase = Phase::Done;
    }
}

/// A request that has been here before waits for region state that was asked for since.
///
/// # Errors
/// It need not: there is nobody to ask, or no clock to wait by.
fn again(
    force: &InForce,
    first: FirstPass,
    stream: &mut Stream,
    host: &mut impl Host,
    end_of_stream: bool,
) -> Result<(), FirstPass> {
    let now_ms = host.monotonic_ms().filter(|_| force.policy.agent().is_some());
    let Some(now_ms) = now_ms else { return Err(first) };
    force.want_state();
    stream.phase = Phase::Waiting(Waiting::new(first, end_of_stream, now_ms));
    Ok(())
}

/// Says of a write that has run what there is to say.
fn remark(policy: &Policy, remarks: Remarks, record: &mut Option<Draft>, host: &mut impl Host) {
    let role = policy.role();
    if remarks.lacks_acks {
        host.count(Metric::AcksMissing(role));
    }
    if remarks.has_changed {
        host.count(Metric::ChangedInflight(role));
    }
    if let Some(reason) = remarks.reason() {
        let _ = host.set_response_header(header::REASON, reason.as_str().as_bytes());
        record::amend(record, reason);
    }
    record::acknowledged(record, remarks.acknowledged);
}

/// Refuses a response that has come, and that its caller may not have.
fn refuse<'p>(
    stream: &mut Stream,
    host: &mut impl Host,
    answer: impl FnOnce(DecisionId) -> Answer<'p>,
) -> Flow {
    let Phase::Passed(passed) = &mut stream.phase else { return Flow::Pause };
    let answer = Answer { is_grpc: passed.is_grpc, ..answer(passed.id) };
    record::amend(&mut stream.record, answer.reason);
    stream.phase = Phase::Refused(passed.place.take());
    if answer.try_give(host).is_err() {
        // If even that fails nothing leaves before the caller gives up.
        let _ = host.close_response();
    }
    Flow::Pause
}

/// Refuses a response that should have been redacted. Where its headers have left it is cut off
/// behind them: the proxy can give no other answer any more.
fn refuse_unredacted(stream: &mut Stream, host: &mut impl Host) -> Flow {
    host.count(Metric::Unredacted);
    let reason = Reason::RedactionImpossible;
    refuse(stream, host, |id| Answer { unprocessed: false, ..Answer::to(id, reason) })
}

/// Takes what only the mesh may say from the trailers of a request.
fn clean_trailers(host: &mut impl Host) -> Result<(), HostFault> {
    let trailers = host.request_trailers().ok_or(HostFault)?;
    let mut reserved = trailers.iter().filter(|(name, _)| header::is_reserved(name));
    reserved.try_for_each(|(name, _)| host.remove_request_trailer(name))
}

/// A configuration that serves.
struct Compiled {
    config: PluginConfig,
    policy: Policy,
    candidate: Result<Option<Policy>, ConfigFault>,
}

/// Reads a configuration for a root.
fn compile(root: &[u8], configuration: &[u8]) -> Result<Compiled, ConfigFault> {
    if root != ROOT.as_bytes() {
        return Err(ConfigFault {
            path: String::from("pluginName"),
            message: format!("`{}` is no root of this module: `{ROOT}` is", root.escape_ascii()),
        });
    }
    if configuration.is_empty() {
        return Err(ConfigFault {
            path: String::from("."),
            message: String::from("there is no configuration"),
        });
    }
    let config = PluginConfig::from_json(configuration)?;
    let policy = Policy::compile(&config)?;
    let candidate = candidate::compile(&config);
    Ok(Compiled { config, policy, candidate })
}
