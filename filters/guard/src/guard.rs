//! One configuration, from the first byte of a request to the end of its stream.

use crate::answer::Answer;
use crate::effects;
use crate::facts::Facts;
use crate::header;
use crate::host::{Headers, Host, HostFault};
use crate::metric::Metric;
use crate::record;
use crate::stream::{DecisionId, Flow, Passed, Phase, Stream, Worker};
use crate::unreachable::{self, Unreachable};
use crate::via;
use load_shed::{InFlight, Slot};
use origin_tag::Marking;
use policy_core::wire::{ConfigFault, PluginConfig};
use policy_core::{
    Caller, CanonicalPath, Decision, Mode, Policy, Reason, Request, RequestKind, Verdict, decide,
};

/// The root that holds all four policies in one pass.
pub const ROOT: &str = "guard";

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
        let Rule::Policy(policy, in_flight) = &self.rule else {
            host.count(Metric::Decision(Verdict::Hold, Reason::PolicyUnavailable));
            // The answer matters more than its record.
            let _ = host.record(&record::without_policy(id));
            let answer = Answer {
                id,
                status: Reason::PolicyUnavailable.status(),
                reason: Reason::PolicyUnavailable,
                part: None,
                is_grpc: false,
                priority: None,
                unprocessed: true,
            };
            return refuse(host, stream, answer);
        };
        let Some(headers) = host.request_headers() else {
            let decision = Decision::refusal(Verdict::Hold, Reason::HostFailure);
            let turn = Turn { policy, host, id, is_grpc: false, stripped: 0 };
            return turn.refuse(stream, &decision);
        };
        let request = Arrived { policy, in_flight, id, headers: &headers, end_of_stream };
        request.judge(worker, stream, host)
    }

    /// Sees what came back: a region that could not be reached turns into a hold.
    pub fn on_response_headers(&self, stream: &mut Stream, host: &mut impl Host) -> Flow {
        let Phase::Passed(passed) = &mut stream.phase else { return Flow::Continue };
        if let Some(how) = unreachable::of(host) {
            let reason = passed.if_unreachable;
            host.count(Metric::Unreachable(reason));
            record::amend(&mut passed.record, Verdict::Hold, reason);
            // The answer matters more than its record.
            let _ = host.record(&passed.record);
            let answer = Answer {
                id: passed.id,
                status: reason.status(),
                reason,
                part: None,
                is_grpc: passed.is_grpc,
                priority: None,
                unprocessed: how == Unreachable::NeverSent,
            };
            let body = answer.body();
            // Envoy's own 503 is on its way; without ours it is still a refusal.
            return match host.reply(&answer.reply(&body)) {
                Ok(()) => Flow::Pause,
                Err(HostFault) => Flow::Continue,
            };
        }
        let _ = host.set_response_header(header::DECISION, passed.id.to_string().as_bytes());
        Flow::Continue
    }

    /// The stream is over: what it took is given back. More than once does no harm.
    pub fn on_done(&self, stream: &mut Stream) {
        if let Phase::Passed(Passed { slot: Some(slot), .. }) =
            std::mem::replace(&mut stream.phase, Phase::Done)
            && let Rule::Policy(_, in_flight) = &self.rule
        {
            in_flight.release(slot);
        }
    }
}

/// A request whose headers are there.
struct Arrived<'g> {
    policy: &'g Policy,
    in_flight: &'g InFlight,
    id: DecisionId,
    headers: &'g Headers,
    end_of_stream: bool,
}

impl Arrived<'_> {
    fn judge(self, worker: &mut Worker, stream: &mut Stream, host: &mut impl Host) -> Flow {
        let Self { policy, id, .. } = self;
        let mut turn = Turn { policy, host, id, is_grpc: false, stripped: 0 };
        let facts = match Facts::read(self.headers, !self.end_of_stream) {
            Ok(facts) => facts,
            Err(part) => return turn.refuse(stream, &Decision::malformed(part.0)),
        };
        turn.is_grpc = facts.kind == RequestKind::Grpc;
        turn.stripped = facts.reserved.len();
        if turn.stripped > 0 {
            turn.host.count(Metric::Stripped);
        }
        // Nobody outside is trusted to have passed a region.
        let Ok(via) = via::pass(None, policy.region_name(policy.here())) else {
            return turn.refuse(stream, &Decision::refusal(Verdict::Deny, Reason::Loop));
        };
        let Ok(path) = CanonicalPath::parse(facts.target) else {
            return turn.refuse(stream, &Decision::malformed(":path"));
        };
        let mut decision = decide_with_claims(policy, turn.host, &facts, &path);
        if !decision.verdict.is_pass() {
            return turn.refuse(stream, &decision);
        }
        let Ok(slot) = self.admit(&decision) else {
            decision.verdict = Verdict::Shed;
            decision.reason = Reason::ShedGuard;
            decision.status = policy.shed_status();
            return turn.refuse(stream, &decision);
        };
        let marking = decision.stamped.then(|| {
            let code = policy.region_code(policy.here());
            worker.stamper.mark(policy.versioning(), code, turn.host.unix_ms())
        });
        let version = match marking {
            None => None,
            Some(Marking::Refused) => {
                self.give_back(slot);
                decision.verdict = Verdict::Hold;
                decision.reason = Reason::ClockUnsynced;
                decision.status = Reason::ClockUnsynced.status();
                return turn.refuse(stream, &decision);
            }
            Some(marking @ (Marking::Synced(stamp) | Marking::Unsynced(stamp))) => {
                Some((stamp.to_string(), marking))
            }
        };
        let version = version.as_ref().map(|(text, marking)| (text.as_str(), *marking));
        let target = path.rewritten();
        let applied = effects::apply(
            turn.host,
            policy,
            &decision,
            &via,
            target.as_deref(),
            version,
            &facts.reserved,
        );
        if applied.is_err() {
            self.give_back(slot);
            let failure = Decision::refusal(Verdict::Hold, Reason::HostFailure);
            return turn.refuse(stream, &failure);
        }
        let record = turn.record(&decision, version.map(|(text, _)| text));
        stream.phase = Phase::Passed(Passed {
            id,
            is_grpc: turn.is_grpc,
            if_unreachable: fencing::unreachable(decision.leased),
            slot,
            record,
        });
        Flow::Continue
    }

    /// A place for a request that runs here; one that runs elsewhere is counted there, and probes
    /// are never counted.
    fn admit(&self, decision: &Decision<'_>) -> Result<Option<Slot>, Full> {
        let Some(context) = decision.context else { return Ok(None) };
        if decision.verdict != Verdict::Allow || self.policy.shedding() == Mode::Disabled {
            return Ok(None);
        }
        self.in_flight.admit(context.pool, context.priority).map(Some).ok_or(Full)
    }

    fn give_back(&self, slot: Option<Slot>) {
        if let Some(slot) = slot {
            self.in_flight.release(slot);
        }
    }
}

/// The worker has as much in flight as it may.
struct Full;

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
        residency::caller(source, |claim| {
            host.property(&[metadata, filter_metadata, filter, &source.issuer, claim])
        })
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
        self.host.count(Metric::Decision(decision.verdict, decision.reason));
        let state = self.policy.configured_state();
        let record = record::of(self.id, self.policy, state, decision, version, self.stripped);
        // A request is not refused because its record was.
        let _ = self.host.record(&record);
        record
    }

    fn refuse(mut self, stream: &mut Stream, decision: &Decision<'_>) -> Flow {
        self.record(decision, None);
        let answer = Answer {
            id: self.id,
            status: decision.status,
            reason: decision.reason,
            part: decision.malformed,
            is_grpc: self.is_grpc,
            priority: (decision.verdict == Verdict::Shed)
                .then_some(decision.context)
                .flatten()
                .map(|context| context.priority),
            unprocessed: true,
        };
        refuse(self.host, stream, answer)
    }
}

fn refuse(host: &mut impl Host, stream: &mut Stream, answer: Answer) -> Flow {
    stream.phase = Phase::Answered;
    let body = answer.body();
    // If the proxy cannot answer, the request waits until its timeout: it never goes on.
    let _ = host.reply(&answer.reply(&body));
    Flow::Pause
}
