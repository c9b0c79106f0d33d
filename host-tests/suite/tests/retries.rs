//! Envoys that an operator has taught to try again, and to eject what fails: a request whose
//! upstream fails after the decision still runs in no region but the one that was decided on, and
//! a synchronous write at most once.

use local_mesh::client::{RawRequest, RawResponse};
use policy_doc::WorldState;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use suite::{
    Check, Exchange, Loop, Regions, Trouble, access_log, keyed, leases, stats, traffic, until,
};

const REGIONS: [&str; 2] = ["taiwan", "tokyo"];

/// What is added to every route.
const RETRIES: &[&str] = &[
    "retry_policy:",
    "  retry_on: 5xx,reset,connect-failure,refused-stream,retriable-status-codes",
    "  retriable_status_codes: [412, 421, 428, 503]",
    "  num_retries: 3",
    "  host_selection_retry_max_attempts: 3",
    "  retry_host_predicate:",
    "  - name: envoy.retry_host_predicates.previous_hosts",
    "    typed_config:",
    "      \"@type\": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
];

/// What is said of every cluster instead: its one host is ejected for whatever goes wrong with it.
const EJECTION: [(&str, &[&str]); 4] = [
    ("max_retries: 0", &["max_retries: 100"]),
    ("consecutive_local_origin_failure: 3", &["consecutive_local_origin_failure: 1"]),
    ("enforcing_consecutive_5xx: 0", &["consecutive_5xx: 20", "enforcing_consecutive_5xx: 100"]),
    ("base_ejection_time: \"5s\"", &["base_ejection_time: \"1s\""]),
];

/// A bootstrap with retries and ejection.
fn taught(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        if rest == "timeout: \"30s\"" {
            lines.extend(RETRIES.iter().map(|added| format!("{indent}{added}")));
        }
        match EJECTION.iter().find(|(old, _)| *old == rest) {
            Some((_, new)) => lines.extend(new.iter().map(|new| format!("{indent}{new}"))),
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Taiwan,
    Tokyo,
    Unknown,
}

/// A state in which one region holds every lease that it may hold, and perhaps one is gone.
fn world(holder: Holder, gone: Option<&str>) -> WorldState {
    let (common, japanese) = match holder {
        Holder::Taiwan => (Some("taiwan"), Some("tokyo")),
        Holder::Tokyo => (Some("tokyo"), Some("tokyo")),
        Holder::Unknown => (None, None),
    };
    let mut world = leases(&[
        ("inventory", common),
        ("orders/tokyo", japanese),
        ("payments/tokyo", japanese),
        ("payments/tokyo+taiwan", common),
    ]);
    world.unreachable = gone.into_iter().map(str::to_owned).collect();
    world
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A region is killed, Envoy and application.
    Region(&'static str),
    /// An application is killed.
    Application(&'static str),
    /// Every application answers 503 to everything.
    Answers,
    /// Every application answers 503 to every other request: too seldom to be ejected for it.
    SomeAnswers,
}

impl Fault {
    /// Whether the application is made to fail a loop's request of this number.
    fn fails(self, number: usize) -> bool {
        match self {
            Self::Answers => true,
            Self::SomeAnswers => number.is_multiple_of(2),
            Self::Region(_) | Self::Application(_) => false,
        }
    }
}

const ROUNDS: [(Holder, Fault); 7] = [
    // First: nothing has been ejected yet.
    (Holder::Taiwan, Fault::SomeAnswers),
    (Holder::Taiwan, Fault::Region("taiwan")),
    (Holder::Taiwan, Fault::Application("tokyo")),
    (Holder::Tokyo, Fault::Region("tokyo")),
    (Holder::Tokyo, Fault::Application("tokyo")),
    (Holder::Unknown, Fault::Region("tokyo")),
    (Holder::Tokyo, Fault::Answers),
];

/// What is sent over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    PublicRead,
    EventualWrite,
    JapaneseProfile,
    JapaneseOrder,
    JapanesePayment,
    KoreanPayment,
    Stock,
}

const KINDS: [Kind; 7] = [
    Kind::JapanesePayment,
    Kind::PublicRead,
    Kind::KoreanPayment,
    Kind::EventualWrite,
    Kind::JapaneseOrder,
    Kind::Stock,
    Kind::JapaneseProfile,
];

impl Kind {
    fn request(self, regions: &Regions) -> Result<RawRequest, Trouble> {
        let (method, path, country) = match self {
            Self::PublicRead => ("GET", "/api/v1/products/1", None),
            Self::EventualWrite => ("POST", "/api/v1/reviews/9", None),
            Self::JapaneseProfile => ("PUT", "/api/v1/customers/me/profile", Some("JP")),
            Self::JapaneseOrder => ("POST", "/api/v1/orders", Some("JP")),
            Self::JapanesePayment => ("POST", "/api/v1/payments", Some("JP")),
            Self::KoreanPayment => ("POST", "/api/v1/payments", Some("KR")),
            Self::Stock => ("POST", "/api/v1/inventory/sku-1", None),
        };
        keyed(&regions.run, method, path, country)
    }

    fn is_synchronous(self) -> bool {
        matches!(self, Self::JapanesePayment | Self::KoreanPayment)
    }
}

#[tokio::test]
async fn a_failing_request_runs_where_it_was_decided_or_nowhere() -> Check {
    let mut regions = Regions::start(&world(Holder::Taiwan, None)).await?;
    let result = rounds(&mut regions).await;
    regions.stop().await;
    Trouble::unless_empty(&result?)
}

async fn rounds(regions: &mut Regions) -> Result<String, Trouble> {
    regions.run.restart_with(|_, text| Some(taught(text)), &mut |_| {}).await?;
    let mut account = String::new();
    let (mut requests, mut again, mut failed, mut ejections) = (0, 0, 0, 0);
    for (holder, fault) in ROUNDS {
        regions.enter(&world(holder, None)).await?;
        let exchanges = under(regions, holder, fault).await?;
        requests += exchanges.len();
        let ran = Ran::read(regions, &exchanges, fault).await?;
        again += ran.by_id.values().filter(|runs| runs.len() > 1).count();
        failed += exchanges.iter().filter(|exchange| ran.has_failed_payment(exchange)).count();
        for wrong in exchanges.iter().flat_map(|exchange| ran.judge(exchange, fault)) {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "{holder:?}, {fault:?}: {wrong}");
        }
        for region in REGIONS.iter().filter(|region| !regions.run.is_lost(region)) {
            let admin = regions.admin(region)?;
            let ejected = "outlier_detection.ejections_enforced_total$";
            ejections += stats(admin, ejected).await?.values().sum::<u64>();
        }
        if let Fault::Application(region) = fault {
            // It comes back with the whole region.
            regions.enter(&world(holder, Some(region))).await?;
        }
    }
    let told = format!("{requests} requests, {again} run more than once, {failed} failed payments");
    println!("{told}, {ejections} ejections");
    // Else nothing has been shown.
    if again == 0 || failed == 0 || ejections == 0 {
        let _ = writeln!(account, "{told}, {ejections} ejections");
    }
    Ok(account)
}

/// Two loops at each edge, and the fault on the way.
async fn under(
    regions: &mut Regions,
    holder: Holder,
    fault: Fault,
) -> Result<Vec<Exchange<Kind>>, Trouble> {
    let mut loops = Vec::new();
    for (entry, offset) in [("taiwan", 0), ("tokyo", 0), ("taiwan", 3), ("tokyo", 3)] {
        // Their number is odd: in two turns every kind has an even and an odd one.
        let kinds = KINDS.iter().cycle().skip(offset).take(2 * KINDS.len()).enumerate();
        let requests = kinds.map(|(number, kind)| {
            let request = kind.request(regions)?;
            let fails = fault.fails(number);
            Ok((*kind, if fails { request.header("echo-status", "503") } else { request }))
        });
        let requests = requests.collect::<Result<Vec<_>, Trouble>>()?;
        loops.push(Loop { entry, edge: regions.edge(entry)?, requests });
    }
    // Starting a region again is a long story.
    let happening = Box::pin(async {
        match fault {
            Fault::Region(region) => regions.enter(&world(holder, Some(region))).await,
            Fault::Application(region) => regions.kill_application(region).await,
            Fault::Answers | Fault::SomeAnswers => Ok(()),
        }
    });
    traffic(loops, happening).await
}

/// What ran where, by the applications' own words, and what was decided of it.
struct Ran {
    /// By the name of a request: the regions, and Envoy's names for it there.
    by_id: BTreeMap<String, Vec<(&'static str, String)>>,
    /// By Envoy's name: what the edge that it entered by decided.
    decided: BTreeMap<String, Decided>,
}

struct Decided {
    entry: String,
    passes: bool,
    to: Option<String>,
}

impl Ran {
    /// Reads the logs when all of these exchanges are in them.
    async fn read(
        regions: &Regions,
        exchanges: &[Exchange<Kind>],
        fault: Fault,
    ) -> Result<Self, Trouble> {
        let known: BTreeMap<&str, &Exchange<Kind>> =
            exchanges.iter().map(|exchange| (exchange.id.as_str(), exchange)).collect();
        let mut by_id = BTreeMap::<String, Vec<_>>::new();
        for region in REGIONS {
            for line in regions.upstream_log(region)?.lines() {
                let found = line.strip_prefix("ran ").and_then(|rest| rest.split_once(" as "));
                let Some((id, name)) = found.filter(|(id, _)| known.contains_key(id)) else {
                    continue;
                };
                by_id.entry(id.to_owned()).or_default().push((region, name.to_owned()));
            }
        }
        let mut decided = BTreeMap::new();
        // Those that entered by an edge that was killed may never be recorded.
        let is_expected = |id: &String| {
            let entry = known.get(id.as_str()).map(|exchange| exchange.entry);
            entry.is_some_and(|entry| fault != Fault::Region(entry))
        };
        let complete = until("every decision is recorded", async || {
            decided = read_decisions(regions).ok()?;
            let is_there = |(id, runs): (&String, &Vec<(&str, String)>)| {
                !is_expected(id) || runs.iter().all(|(_, name)| decided.contains_key(name))
            };
            by_id.iter().all(is_there).then_some(())
        });
        // What is missing shows when it is judged.
        let _ = complete.await;
        Ok(Self { by_id, decided })
    }

    /// Whether it is a synchronous write that its application has failed: one that every other kind
    /// of request would have been tried again for.
    fn has_failed_payment(&self, exchange: &Exchange<Kind>) -> bool {
        let Exchange { kind, id, result, .. } = exchange;
        let failed = |response: &RawResponse| {
            response.status == 503 && response.header("x-echo-region").is_some()
        };
        kind.is_synchronous() && result.as_ref().is_ok_and(failed) && self.by_id.contains_key(id)
    }

    /// What should not have been.
    fn judge(&self, exchange: &Exchange<Kind>, fault: Fault) -> Vec<String> {
        let Exchange { kind, entry, id, result, .. } = exchange;
        let none = Vec::new();
        let runs = self.by_id.get(id).unwrap_or(&none);
        let mut wrong = Vec::new();
        let what = format!("{kind:?} {id} at {entry}, run in {runs:?}");
        for (region, name) in runs {
            match self.decided.get(name) {
                Some(decided) => {
                    let to = decided.to.as_deref();
                    if decided.entry != *entry || !decided.passes || to != Some(region) {
                        wrong.push(format!("{what}: decided on {to:?}"));
                    }
                }
                None if fault == Fault::Region(entry) => {}
                None => wrong.push(format!("{what}: nobody has decided that")),
            }
            // One way or the other, all of it is in one region.
            if runs.iter().any(|(other, _)| other != region) {
                wrong.push(format!("{what}: in two regions"));
            }
        }
        if kind.is_synchronous() && runs.len() > 1 {
            wrong.push(format!("{what}: more than once"));
        }
        let response = match result {
            Ok(response) => response,
            Err(_) if fault == Fault::Region(entry) => return wrong,
            Err(error) => {
                wrong.push(format!("{what}: {error}"));
                return wrong;
            }
        };
        let text =
            |name| String::from_utf8_lossy(response.header(name).unwrap_or_default()).into_owned();
        let (region, processed) = (text("x-echo-region"), text("x-meshfence-processed"));
        if !region.is_empty() && !runs.iter().any(|(run, _)| *run == region) {
            wrong.push(format!("{what}: answered by {region}"));
        }
        // Whoever is told that nothing has seen the request may send it again.
        if processed == "no" && !runs.is_empty() {
            wrong.push(format!("{what}: and told that it was not, {}", text("x-meshfence-reason")));
        }
        wrong
    }
}

/// What every edge has decided, by Envoy's name of the request.
fn read_decisions(regions: &Regions) -> Result<BTreeMap<String, Decided>, Trouble> {
    let mut decided = BTreeMap::new();
    for region in REGIONS {
        for access in access_log(&regions.access_log(region))? {
            let field = |name: &str| access.line.get(name).and_then(Value::as_str);
            let (Some(name), Some("edge")) = (field("request_id"), field("listener")) else {
                continue;
            };
            let verdict = access.decided("verdict");
            decided.insert(
                name.to_owned(),
                Decided {
                    entry: region.to_owned(),
                    passes: verdict.is_some_and(|verdict| ["allow", "route"].contains(&verdict)),
                    to: access.decided("to").map(str::to_owned),
                },
            );
        }
    }
    Ok(decided)
}
