//! One configuration, from the first byte of a request to the end of its stream.

use crate::answer::Answer;
use crate::effects::{self, Carried};
use crate::facts::{self, Facts, MalformedPart};
use crate::header;
use crate::host::{Headers, Host, Vm};
use crate::keyring::{Key, KeyRing};
use crate::last_good::{self, Attached, LastGood};
use crate::metric::Metric;
use crate::record::{self, Seen};
use crate::response::{self, Words};
use crate::signature::{self, Signed};
use crate::stream::{DecisionId, Flow, Passed, Phase, Stream, Worker};
use crate::trust::{self, Sender, Word};
use crate::unreachable::{self, Unreachable};
use load_shed::{InFlight, Slot};
use origin_tag::Marking;
use policy_core::wire::{ConfigFault, PluginConfig};
use policy_core::{
    Caller, CanonicalPath, Decision, Policy, Reason, Request, Role, SubjectSource, Trace, Verdict,
    decide_traced, exempt,
};

pub use policy_core::name::ROOT_GUARD as ROOT;

/// Where Envoy's `jwt_authn` keeps verified payloads.
const VERIFIED_CLAIMS: [&str; 3] = ["metadata", "filter_metadata", "envoy.filters.http.jwt_authn"];

/// One configuration of the plugin. Without a usable one it refuses everything.
#[derive(Debug)]
pub struct Guard {
    serving: Serving,
    fault: Option<ConfigFault>,
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
struct InForce {
    policy: Policy,
    in_flight: InFlight,
    keys: KeyRing,
    since_ms: u64,
}

impl InForce {
    fn new(policy: Policy, keys: KeyRing, since_ms: u64) -> Box<Self> {
        let in_flight = InFlight::new(policy.pools());
        Box::new(Self { policy, in_flight, keys, since_ms })
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
            Ok((_, policy)) => {
                let keys = KeyRing::new(&policy, &secrets);
                let secret = keys.first().map(Key::secret);
                let since_ms = last.remember(at, configuration, secret, vm);
                let role = Some(policy.role());
                let serving = Serving::Policy(InForce::new(policy, keys, since_ms));
                return Self { serving, fault: None, role, foreign: false };
            }
            Err(fault) => fault,
        };
        let recalled = last.recall(at, &secrets, vm);
        let mut role = None;
        let serving = recalled.good.and_then(|good| {
            let (config, policy) = compile(at.root, &good.json).ok()?;
            role = Some(policy.role());
            let keys = KeyRing::new(&policy, &secrets);
            let serves = last_good::may_serve(&config, &good, configuration);
            serves.then(|| Serving::Policy(InForce::new(policy, keys, good.since_ms)))
        });
        let serving = serving.unwrap_or(Serving::Refuse);
        Self { serving, fault: Some(fault), role, foreign: recalled.foreign }
    }

    /// Why the newest configuration was refused, if it was. What serves then is [`Guard::policy`].
    pub fn fault(&self) -> Option<&ConfigFault> {
        self.fault.as_ref()
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

    /// Whether the policy names keys and the VM has the secret of none: then nothing is signed, no
    /// signature is believed, and no configuration survives this VM.
    pub fn lacks_secrets(&self) -> bool {
        self.in_force()
            .is_some_and(|force| force.policy.hmac().is_some() && force.keys.first().is_none())
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
                // The answer matters more than its record.
                let _ = host.record(&record::without_policy(id));
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
    /// than among the headers.
    pub fn on_request_trailers(&self, stream: &Stream, host: &mut impl Host) -> Flow {
        if !stream.is_open() {
            return Flow::Pause;
        }
        // A request whose trailers cannot be read or cleaned stays where it is.
        let Some(trailers) = host.request_trailers() else { return Flow::Pause };
        for (name, _) in trailers.iter().filter(|(name, _)| header::is_reserved(name)) {
            if host.remove_request_trailer(name).is_err() {
                return Flow::Pause;
            }
        }
        Flow::Continue
    }

    /// Sees what came back: a region that could not be reached turns into a hold, so does a refusal
    /// that is between regions alone, and what only the mesh may say is not the upstream's to say.
    pub fn on_response_headers(&self, stream: &mut Stream, host: &mut impl Host) -> Flow {
        let (Phase::Passed(passed), Some(force)) = (&mut stream.phase, self.in_force()) else {
            return Flow::Continue;
        };
        let policy = &force.policy;
        let is_elsewhere = passed.region != policy.here();
        let answer = if let Some(how) = unreachable::of(host, is_elsewhere) {
            let reason = passed.if_unreachable;
            host.count(Metric::Unreachable(reason));
            let unprocessed = how == Unreachable::NeverSent;
            Some(Answer { unprocessed, ..Answer::to(passed.id, reason) })
        } else {
            clean(policy, passed, host).map(|reason| Answer::not_now(passed.id, reason))
        };
        let Some(answer) = answer else {
            let id = passed.id.to_string();
            let _ = host.set_response_header(header::DECISION, id.as_bytes());
            if passed.is_bound {
                let _ = host.set_response_header("cache-control", b"private, no-store");
            }
            return Flow::Continue;
        };
        record::amend(&mut passed.record, answer.reason);
        // The answer matters more than its record.
        let _ = host.record(&passed.record);
        let answer = Answer { is_grpc: passed.is_grpc, ..answer };
        stream.phase = Phase::Answered(passed.slot.take());
        answer.give(host)
    }

    /// The stream is over: what it took is given back. More than once does no harm.
    pub fn on_done(&self, stream: &mut Stream) {
        let slot = match std::mem::replace(&mut stream.phase, Phase::Done) {
            Phase::Passed(passed) => passed.slot,
            Phase::Answered(slot) => slot,
            Phase::New | Phase::Done => None,
        };
        if let Some(force) = self.in_force() {
            give_back(&force.in_flight, slot);
        }
    }
}

/// Reads a configuration for a root.
fn compile(root: &[u8], configuration: &[u8]) -> Result<(PluginConfig, Policy), ConfigFault> {
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
    Ok((config, policy))
}

/// Takes the words of the mesh from a response that are not the upstream's to say. Returns the
/// refusal of a peer that its sender has to answer for.
///
/// A response that keeps a wrong word because the proxy would not take it is still the response; the
/// caller is told no more by it than by the application itself.
fn clean(policy: &Policy, passed: &mut Passed, host: &mut impl Host) -> Option<Reason> {
    let Some(headers) = host.response_headers() else {
        let _ = host.remove_response_header(header::REASON.as_bytes());
        let _ = host.remove_response_header(header::PROCESSED.as_bytes());
        return None;
    };
    let words = Words::read(&headers);
    if words.names.is_empty() {
        return None;
    }
    let refusal = words.refusal(policy, passed, host);
    if let Some(reason) = refusal {
        host.count(Metric::Refused(reason));
        if policy.role().routes() && response::is_between_regions(reason) {
            return Some(reason);
        }
        record::amend(&mut passed.record, reason);
        let _ = host.record(&passed.record);
    }
    let stays = |name: &[u8]| {
        // The decision is written anew.
        let is_next = name == header::DECISION.as_bytes();
        is_next || (refusal.is_some() && response::may_stay(name))
    };
    let mut stripped = false;
    for name in words.names.iter().filter(|name| !stays(name)) {
        let _ = host.remove_response_header(name);
        stripped = true;
    }
    if stripped {
        host.count(Metric::UpstreamStripped);
    }
    None
}

fn give_back(in_flight: &InFlight, slot: Option<Slot>) {
    if let Some(slot) = slot {
        in_flight.release(slot);
    }
}

/// A request whose headers are there.
struct Arrived<'g, 'h> {
    force: &'g InForce,
    headers: &'h Headers,
    end_of_stream: bool,
}

impl<'g> Arrived<'g, '_> {
    fn judge<H: Host>(
        self,
        worker: &mut Worker,
        stream: &mut Stream,
        mut turn: Turn<'_, H>,
        trace: &mut impl Trace<'g>,
    ) -> Flow {
        let InForce { policy, in_flight, keys, .. } = self.force;
        let Ok(sender) = Sender::of(policy, turn.host) else {
            return turn.refuse(stream, &Decision::early(Reason::PeerUntrusted));
        };
        turn.sender = sender;
        let read = Facts::read(self.headers, !self.end_of_stream).and_then(|facts| {
            let word = if sender.is_trusted() {
                Word::read(policy, &facts.claimed)?
            } else {
                Word::default()
            };
            let path = CanonicalPath::parse(facts.target).map_err(|_| MalformedPart(":path"))?;
            Ok((facts, word, path))
        });
        let (facts, word, path) = match read {
            Ok(read) => read,
            Err(part) => return turn.refuse(stream, &Decision::malformed(part.0)),
        };
        let signed = signed(policy, keys, &facts, turn.host);
        let may_stay = |name: &[u8]| sender.may_set(name) || signed.covers(name);
        turn.stripped = facts.reserved.iter().filter(|name| !may_stay(name)).count();
        if turn.stripped > 0 {
            turn.host.count(Metric::Stripped);
        }
        let request = Request {
            method: facts.method,
            host: facts.host,
            path: &path,
            kind: facts.kind,
            idempotency_key: facts.idempotency_key,
            deadline: facts.deadline.into_iter().chain(word.deadline).min(),
            token: word.token,
        };
        // Other regions look at the health of this one without having passed anything.
        if let Sender::Region(from) = sender
            && exempt(policy, &request).is_none()
        {
            if word.via.is_loop(policy.here()) {
                return turn.refuse(stream, &Decision::early(Reason::Loop));
            }
            if word.via.last() != Some(from) {
                return turn.refuse(stream, &Decision::early(Reason::PeerUntrusted));
            }
        }
        let told = if sender.is_trusted() {
            Some(word.subject.unwrap_or(Caller::Anonymous))
        } else {
            signed.subject.and_then(trust::parse_subject)
        };
        let mut caller = told;
        let state = policy.configured_state();
        let ask = |source: &SubjectSource| {
            *caller.get_or_insert_with(|| claims(source, &facts, turn.host))
        };
        let mut decision = decide_traced(policy, state, &request, ask, trace);
        if !decision.verdict().is_pass() {
            return turn.refuse(stream, &decision);
        }
        let Ok(slot) = self.admit(&decision) else {
            decision.reason = Reason::ShedGuard;
            decision.status = policy.shed_status();
            return turn.refuse(stream, &decision);
        };
        let stamped = match signed.version {
            Some(_) => Ok(None),
            None => stamp(worker, policy, &decision, turn.host),
        };
        let version = match stamped {
            Ok(version) => version,
            Err(reason) => {
                give_back(in_flight, slot);
                decision.reason = reason;
                decision.status = reason.status();
                return turn.refuse(stream, &decision);
            }
        };
        let target = path.rewritten();
        let subject = caller.as_ref().and_then(trust::subject);
        let carried = Carried {
            via: word.via,
            target: target.as_deref(),
            subject,
            version: version.as_ref().map(|(text, marking)| (text.as_str(), *marking)),
            sig: sign(policy, keys, &facts, sender, subject, turn.host),
        };
        let applied = effects::apply(turn.host, policy, &decision, &facts, &carried, may_stay);
        if applied.is_err() {
            give_back(in_flight, slot);
            return turn.refuse(stream, &Decision::early(Reason::HostFailure));
        }
        let record = turn.record(&decision, carried.version.map(|(text, _)| text));
        stream.phase = Phase::Passed(Passed {
            id: turn.id,
            is_grpc: turn.is_grpc,
            region: decision.region.unwrap_or(policy.here()),
            is_bound: decision.context.is_some_and(|context| context.is_bound),
            if_unreachable: fencing::unreachable(decision.leased),
            slot,
            record,
        });
        Flow::Continue
    }

    /// A place for a request that runs here, where this is the place to count it; probes are never
    /// counted.
    fn admit(&self, decision: &Decision<'_>) -> Result<Option<Slot>, Full> {
        let InForce { policy, in_flight, .. } = self.force;
        let Some(context) = decision.context else { return Ok(None) };
        if decision.verdict() != Verdict::Allow || !policy.is_shed_point() {
            return Ok(None);
        }
        in_flight.admit(context.pool, context.priority).map(Some).ok_or(Full)
    }
}

/// The worker has as much in flight as it may.
struct Full;

/// The version of an eventual write, as text and as what it is worth.
fn stamp(
    worker: &mut Worker,
    policy: &Policy,
    decision: &Decision<'_>,
    host: &mut impl Host,
) -> Result<Option<(String, Marking)>, Reason> {
    if !decision.stamped {
        return Ok(None);
    }
    let now = host.unix_ms().ok_or(Reason::ClockUnsynced)?;
    let code = policy.region_code(policy.here());
    match worker.stamper.mark(policy.versioning(), code, now) {
        Marking::Refused => Err(Reason::ClockUnsynced),
        marking @ (Marking::Synced(stamp) | Marking::Unsynced(stamp)) => {
            Ok(Some((stamp.to_string(), marking)))
        }
    }
}

/// What a workload passes on that the guard before it has signed.
fn signed<'h>(
    policy: &Policy,
    keys: &KeyRing,
    facts: &Facts<'h>,
    host: &mut impl Host,
) -> Signed<'h> {
    let claimed = &facts.claimed;
    let (Role::Outbound, Some(sig), None) = (policy.role(), claimed.sig, claimed.repeated) else {
        return Signed::default();
    };
    // Without a clock nobody can tell how old a signature is.
    let Some(now_ms) = host.unix_ms() else { return Signed::default() };
    let claims = Signed { subject: claimed.subject, version: claimed.origin.zip(claimed.version) };
    signature::verify(keys, policy.region_name(policy.here()), sig, claims, now_ms)
}

/// Signs for the guard behind a workload what the workload may pass on.
fn sign(
    policy: &Policy,
    keys: &KeyRing,
    facts: &Facts<'_>,
    sender: Sender,
    subject: Option<&str>,
    host: &mut impl Host,
) -> Option<String> {
    if policy.role() != Role::Inbound || keys.first().is_none() {
        return None;
    }
    let claimed = facts.claimed;
    let trusted = |value| if sender.is_trusted() { value } else { None };
    let what = Signed {
        subject: subject.map(str::as_bytes).or(trusted(claimed.subject)),
        version: trusted(claimed.origin).zip(trusted(claimed.version)),
    };
    if what == Signed::default() {
        return None;
    }
    signature::sign(keys, policy.region_name(policy.here()), what, host.unix_ms()?)
}

/// The caller, by the claims of a verified token.
fn claims(source: &SubjectSource, facts: &Facts<'_>, host: &mut impl Host) -> Caller {
    if !facts.has_credentials {
        return Caller::Anonymous;
    }
    let [metadata, filter_metadata, filter] = VERIFIED_CLAIMS;
    let caller = residency::caller(source, |claim| {
        host.property(&[metadata, filter_metadata, filter, &source.issuer, claim])
    });
    caller.unwrap_or(Caller::Unreadable)
}

/// One request and how to end it.
struct Turn<'g, H> {
    policy: &'g Policy,
    host: &'g mut H,
    id: DecisionId,
    is_grpc: bool,
    sender: Sender,
    stripped: usize,
}

impl<'g, H: Host> Turn<'g, H> {
    fn new(policy: &'g Policy, host: &'g mut H, id: DecisionId, is_grpc: bool) -> Self {
        Self { policy, host, id, is_grpc, sender: Sender::Anybody, stripped: 0 }
    }

    /// Counts a decision and writes its record.
    fn record(&mut self, decision: &Decision<'_>, version: Option<&str>) -> Vec<u8> {
        self.host.count(Metric::Decision(Some(self.policy.role()), decision.reason));
        let state = self.policy.configured_state();
        let seen = Seen { sender: self.sender, version, stripped: self.stripped };
        let record = record::of(self.id, self.policy, state, decision, &seen);
        // A request is not refused because its record was.
        let _ = self.host.record(&record);
        record
    }

    fn refuse(mut self, stream: &mut Stream, decision: &Decision<'_>) -> Flow {
        self.record(decision, None);
        let is_shed = decision.verdict() == Verdict::Shed;
        let answer = Answer {
            status: decision.status,
            part: decision.malformed,
            is_grpc: self.is_grpc,
            priority: decision.context.filter(|_| is_shed).map(|context| context.priority),
            ..Answer::to(self.id, decision.reason)
        };
        stream.phase = Phase::Answered(None);
        answer.give(self.host)
    }
}
