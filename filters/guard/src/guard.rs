//! One configuration, from the first byte of a request to the end of its stream.

use crate::answer::Answer;
use crate::effects;
use crate::facts::{self, Facts};
use crate::header;
use crate::host::{Headers, Host};
use crate::metric::Metric;
use crate::record;
use crate::stream::{DecisionId, Flow, Passed, Phase, Stream, Worker};
use crate::unreachable::{self, Unreachable};
use crate::via;
use load_shed::{InFlight, Slot};
use origin_tag::Marking;
use policy_core::wire::{ConfigFault, PluginConfig};
use policy_core::{
    Caller, CanonicalPath, Decision, Mode, Policy, Reason, Request, Verdict, decide,
};

pub use policy_core::name::ROOT_GUARD as ROOT;

/// Where Envoy's `jwt_authn` keeps verified payloads.
const VERIFIED_CLAIMS: [&str; 3] = ["metadata", "filter_metadata", "envoy.filters.http.jwt_authn"];

/// One configuration of the plugin. Without a usable one it refuses everything.
#[derive(Debug)]
pub struct Guard {
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    Policy(Box<Policy>, InFlight),
    Refuse(ConfigFault),
}

impl Guard {
    /// Reads a configuration. It never fails: one that cannot be used makes a guard that answers
    /// every request with 503 `policy_unavailable`.
    pub fn configure(root: &[u8], configuration: Option<&[u8]>) -> Self {
        let rule = match Self::compile(root, configuration) {
            Ok(policy) => {
                let in_flight = InFlight::new(policy.pools());
                Rule::Policy(Box::new(policy), in_flight)
            }
            Err(fault) => Rule::Refuse(fault),
        };
        Self { rule }
    }

    fn compile(root: &[u8], configuration: Option<&[u8]>) -> Result<Policy, ConfigFault> {
        if root != ROOT.as_bytes() {
            return Err(ConfigFault {
                path: String::from("pluginName"),
                message: format!(
                    "`{}` is no root of this module: `{ROOT}` is",
                    root.escape_ascii()
                ),
            });
        }
        let configuration = configuration.unwrap_or_default();
        if configuration.is_empty() {
            return Err(ConfigFault {
                path: String::from("."),
                message: String::from("there is no configuration"),
            });
        }
        Policy::compile(&PluginConfig::from_json(configuration)?)
    }

    /// Why everything is refused, if it is.
    pub fn fault(&self) -> Option<&ConfigFault> {
        match &self.rule {
            Rule::Policy(..) => None,
            Rule::Refuse(fault) => Some(fault),
        }
    }

    /// The policy in force, if there is one.
    pub fn policy(&self) -> Option<&Policy> {
        match &self.rule {
            Rule::Policy(policy, _) => Some(policy),
            Rule::Refuse(_) => None,
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
        let id = worker.next_decision();
        let headers = host.request_headers();
        let is_grpc = headers.as_ref().is_some_and(facts::wants_grpc);
        match (&self.rule, headers) {
            (Rule::Refuse(_), _) => {
                host.count(Metric::Decision(Reason::PolicyUnavailable));
                // The answer matters more than its record.
                let _ = host.record(&record::without_policy(id));
                let answer = Answer { is_grpc, ..Answer::to(id, Reason::PolicyUnavailable) };
                stream.phase = Phase::Answered(None);
                answer.give(host)
            }
            (Rule::Policy(policy, _), None) => {
                let turn = Turn { policy, host, id, is_grpc, stripped: 0 };
                turn.refuse(stream, &Decision::early(Reason::HostFailure))
            }
            (Rule::Policy(policy, in_flight), Some(headers)) => {
                let turn = Turn { policy, host, id, is_grpc, stripped: 0 };
                let arrived = Arrived { in_flight, headers: &headers, end_of_stream };
                arrived.judge(worker, stream, turn)
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

    /// Sees what came back: a region that could not be reached turns into a hold, and what only the
    /// mesh may say is not the upstream's to say.
    pub fn on_response_headers(&self, stream: &mut Stream, host: &mut impl Host) -> Flow {
        let Phase::Passed(passed) = &mut stream.phase else { return Flow::Continue };
        if let Some(how) = unreachable::of(host, passed.is_elsewhere) {
            let reason = passed.if_unreachable;
            host.count(Metric::Unreachable(reason));
            record::amend(&mut passed.record, reason);
            // The answer matters more than its record.
            let _ = host.record(&passed.record);
            let answer = Answer {
                is_grpc: passed.is_grpc,
                unprocessed: how == Unreachable::NeverSent,
                ..Answer::to(passed.id, reason)
            };
            stream.phase = Phase::Answered(passed.slot.take());
            return answer.give(host);
        }
        let id = passed.id.to_string();
        // A response that keeps a wrong word is still the response; the caller is told no more by
        // it than by the application itself.
        let _ = host.remove_response_header(header::REASON);
        let _ = host.remove_response_header(header::PROCESSED);
        let _ = host.set_response_header(header::DECISION, id.as_bytes());
        if passed.is_bound {
            let _ = host.set_response_header("cache-control", b"private, no-store");
        }
        Flow::Continue
    }

    /// The stream is over: what it took is given back. More than once does no harm.
    pub fn on_done(&self, stream: &mut Stream) {
        let slot = match std::mem::replace(&mut stream.phase, Phase::Done) {
            Phase::Passed(passed) => passed.slot,
            Phase::Answered(slot) => slot,
            Phase::New | Phase::Done => None,
        };
        if let Rule::Policy(_, in_flight) = &self.rule {
            give_back(in_flight, slot);
        }
    }
}

fn give_back(in_flight: &InFlight, slot: Option<Slot>) {
    if let Some(slot) = slot {
        in_flight.release(slot);
    }
}

/// A request whose headers are there.
struct Arrived<'g> {
    in_flight: &'g InFlight,
    headers: &'g Headers,
    end_of_stream: bool,
}

impl Arrived<'_> {
    fn judge<H: Host>(
        self,
        worker: &mut Worker,
        stream: &mut Stream,
        mut turn: Turn<'_, H>,
    ) -> Flow {
        let policy = turn.policy;
        let facts = match Facts::read(self.headers, !self.end_of_stream) {
            Ok(facts) => facts,
            Err(part) => return turn.refuse(stream, &Decision::malformed(part.0)),
        };
        turn.stripped = facts.reserved.len();
        if turn.stripped > 0 {
            turn.host.count(Metric::Stripped);
        }
        // At the edge nobody is trusted to have passed a region.
        let passed = None;
        if via::is_loop(passed, policy.region_name(policy.here())) {
            return turn.refuse(stream, &Decision::early(Reason::Loop));
        }
        let Ok(path) = CanonicalPath::parse(facts.target) else {
            return turn.refuse(stream, &Decision::malformed(":path"));
        };
        let mut decision = decide_with_claims(policy, turn.host, &facts, &path);
        if !decision.verdict().is_pass() {
            return turn.refuse(stream, &decision);
        }
        let Ok(slot) = self.admit(policy, &decision) else {
            decision.reason = Reason::ShedGuard;
            decision.status = policy.shed_status();
            return turn.refuse(stream, &decision);
        };
        let version = match stamp(worker, policy, &decision, turn.host) {
            Ok(version) => version,
            Err(reason) => {
                give_back(self.in_flight, slot);
                decision.reason = reason;
                decision.status = reason.status();
                return turn.refuse(stream, &decision);
            }
        };
        let version = version.as_ref().map(|(text, marking)| (text.as_str(), *marking));
        let target = path.rewritten();
        let applied = effects::apply(
            turn.host,
            policy,
            &decision,
            passed,
            target.as_deref(),
            version,
            &facts.reserved,
        );
        if applied.is_err() {
            give_back(self.in_flight, slot);
            return turn.refuse(stream, &Decision::early(Reason::HostFailure));
        }
        let record = turn.record(&decision, version.map(|(text, _)| text));
        stream.phase = Phase::Passed(Passed {
            id: turn.id,
            is_grpc: turn.is_grpc,
            is_elsewhere: decision.verdict() == Verdict::Route,
            is_bound: decision.context.is_some_and(|context| context.is_bound),
            if_unreachable: fencing::unreachable(decision.leased),
            slot,
            record,
        });
        Flow::Continue
    }

    /// A place for a request that runs here. One that runs elsewhere takes a place there, once that
    /// region has a guard at its east-west gateway; probes are never counted.
    fn admit(&self, policy: &Policy, decision: &Decision<'_>) -> Result<Option<Slot>, Full> {
        let Some(context) = decision.context else { return Ok(None) };
        if decision.verdict() != Verdict::Allow || policy.shedding() == Mode::Disabled {
            return Ok(None);
        }
        self.in_flight.admit(context.pool, context.priority).map(Some).ok_or(Full)
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

fn decide_with_claims<'p>(
    policy: &'p Policy,
    host: &mut impl Host,
    facts: &Facts<'_>,
    path: &CanonicalPath<'_>,
) -> Decision<'p> {
    let request = Request {
        method: facts.method,
        host: facts.host,
        path,
        kind: facts.kind,
        idempotency_key: facts.idempotency_key,
        deadline: facts.deadline,
    };
    decide(policy, policy.configured_state(), &request, |source| {
        if !facts.has_credentials {
            return Caller::Anonymous;
        }
        let [metadata, filter_metadata, filter] = VERIFIED_CLAIMS;
        let caller = residency::caller(source, |claim| {
            host.property(&[metadata, filter_metadata, filter, &source.issuer, claim])
        });
        caller.unwrap_or(Caller::Unreadable)
    })
}

/// One request and how to end it.
struct Turn<'g, H> {
    policy: &'g Policy,
    host: &'g mut H,
    id: DecisionId,
    is_grpc: bool,
    stripped: usize,
}

impl<H: Host> Turn<'_, H> {
    /// Counts a decision and writes its record.
    fn record(&mut self, decision: &Decision<'_>, version: Option<&str>) -> Vec<u8> {
        self.host.count(Metric::Decision(decision.reason));
        let state = self.policy.configured_state();
        let record = record::of(self.id, self.policy, state, decision, version, self.stripped);
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
