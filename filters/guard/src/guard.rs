//! One configuration, from the first byte of a request to the end of its stream.

use crate::answer::Answer;
use crate::candidate;
use crate::declared;
use crate::facts;
use crate::header;
use crate::host::{Host, HostFault, Vm};
use crate::keyring::{Key, KeyRing};
use crate::last_good::{self, Attached, LastGood};
use crate::metric::Metric;
use crate::record::{self, Draft};
use crate::redaction::{self, Unredacted};
use crate::request::{Arrived, Turn, give_back};
use crate::response::{self, Refusal};
use crate::sources;
use crate::stream::{DecisionId, Flow, Passed, Phase, Stream, Worker};
use crate::unreachable::{self, Unreachable};
use load_shed::InFlight;
use policy_core::wire::{ConfigFault, PluginConfig};
use policy_core::{Decision, Policy, Reason, Role, Trace, Withheld};

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
    /// What is evaluated beside it.
    pub(crate) candidate: Option<Candidate>,
    pub(crate) in_flight: InFlight,
    pub(crate) keys: KeyRing,
    /// Whether each tenant map is what its signature says.
    pub(crate) sound_maps: Box<[bool]>,
    since_ms: u64,
}

/// A policy that is evaluated beside the one in force.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) policy: Policy,
    /// Whether each of its tenant maps is what its signature says.
    pub(crate) sound_maps: Box<[bool]>,
}

impl InForce {
    fn new(compiled: Compiled, keys: KeyRing, since_ms: u64) -> Box<Self> {
        let Compiled { config, policy, candidate } = compiled;
        let sound_maps = sources::sound_maps(&config.policy, &keys);
        let candidate = candidate.ok().flatten().map(|policy| {
            let body = config.candidate.as_ref().map(|candidate| &candidate.policy);
            let sound_maps = body.map(|body| sources::sound_maps(body, &keys));
            Candidate { policy, sound_maps: sound_maps.unwrap_or_default() }
        });
        let in_flight = InFlight::new(policy.pools());
        Box::new(Self { policy, candidate, in_flight, keys, sound_maps, since_ms })
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
                let serving = Serving::Policy(InForce::new(compiled, keys, since_ms));
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
            serves.then(|| Serving::Policy(InForce::new(compiled, keys, good.since_ms)))
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

    fn in_force(&self) -> Option<&InForce> {
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
        match (&self.serving, headers) {
            (Serving::Refuse, _) => {
                host.count(Metric::Decision(None, Reason::PolicyUnavailable));
                stream.record = Some(Draft::without_policy(id));
                let answer = Answer { is_grpc, ..Answer::to(id, Reason::PolicyUnavailable) };
                stream.phase = Phase::Answered(None);
                answer.give(host)
            }
            (Serving::Policy(force), None) => {
                let turn = Turn::new(&force.policy, host, id, is_grpc);
                turn.refuse(stream, &Decision::early(Reason::HostFailure))
            }
            (Serving::Policy(force), Some(headers)) => {
                let turn = Turn::new(&force.policy, host, id, is_grpc);
                let arrived = Arrived { force, headers: &headers, end_of_stream };
                arrived.judge(worker, stream, turn, trace)
            }
        }
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
        *phase = Phase::Answered(passed.slot.take());
        answer.give(host)
    }

    /// Sees what came back: a region that could not be reached turns into a hold, so does a refusal
    /// that is between regions alone, what only the mesh may say is not the upstream's to say, and
    /// what may not be seen whole is redacted or refused.
    pub fn on_response_headers(
        &self,
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
        let cleaned = response::clean(policy, passed, headers.as_ref(), record, host);
        if let Some(Refusal { reason, unprocessed }) = cleaned.refusal {
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
        if passed.redact.is_empty() || cleaned.is_settled {
            if passed.is_bound {
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
            Phase::Refused(_) => return Flow::Pause,
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
        let slot = match std::mem::replace(&mut stream.phase, Phase::Done) {
            Phase::Passed(passed) => passed.slot,
            Phase::Answered(slot) | Phase::Refused(slot) => slot,
            Phase::New | Phase::Done => None,
        };
        if let Some(force) = self.in_force() {
            give_back(&force.in_flight, slot);
        }
    }
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
    stream.phase = Phase::Refused(passed.slot.take());
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
