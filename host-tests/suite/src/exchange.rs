//! One request to running regions, and everything it leaves behind: the answer, the decision records
//! of every guard that saw it, and what was counted.

use crate::{Check, LIMIT, Regions, Trouble, metrics, stats, until};
use local_mesh::client::{self, RawRequest, RawResponse};
use meshfence::Identity;
use policy_core::{Reason, Role};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Where a request is sent, and the certificate that is shown there.
#[derive(Debug, Clone)]
pub struct At {
    /// The region.
    pub region: &'static str,
    /// The listener.
    pub role: Role,
    /// The certificate, if any.
    pub shown: Option<Identity>,
}

impl At {
    /// Where users enter a region.
    pub fn edge(region: &'static str) -> Self {
        Self { region, role: Role::Edge, shown: None }
    }
}

/// A request and what must come of it.
///
/// All of it is said in words, so that a table reads as one:
///
/// | | |
/// |---|---|
/// | answer | `503 holder_unreachable unprocessed later`: status, reason, `x-meshfence-processed: no`, `Retry-After`; `200 in tokyo` if an application answered; `grpc 14` for a gRPC status; `none` if the connection broke |
/// | decided | `taiwan edge route routed_holder, then hold holder_unreachable`: one for each guard, from where the request enters on; `taiwan edge undecided 401` where Envoy answered alone |
/// | counted | `taiwan unreachable holder_unreachable`: each counter that grows, beside those of decisions; these have to match the records |
#[derive(Debug, Clone)]
pub struct Row {
    what: String,
    at: At,
    request: RawRequest,
    answer: &'static str,
    decided: &'static [&'static str],
    counted: &'static [&'static str],
}

impl Row {
    /// A request of which nothing is expected yet.
    pub fn new(what: impl Into<String>, at: &At, request: RawRequest) -> Self {
        let at = at.clone();
        Self { what: what.into(), at, request, answer: "none", decided: &[], counted: &[] }
    }

    /// What the client must get.
    #[must_use]
    pub fn answers(self, answer: &'static str) -> Self {
        Self { answer, ..self }
    }

    /// What the guards must have decided.
    #[must_use]
    pub fn decided(self, decided: &'static [&'static str]) -> Self {
        Self { decided, ..self }
    }

    /// What must have been counted beside the decisions.
    #[must_use]
    pub fn counted(self, counted: &'static [&'static str]) -> Self {
        Self { counted, ..self }
    }
}

/// What was seen of one request, as [`Row`] has it.
#[derive(Debug)]
struct Seen {
    response: Option<RawResponse>,
    answer: String,
    decided: Vec<String>,
    counted: Vec<String>,
    /// Decisions that were counted and not recorded, or recorded and not counted.
    unmatched: Vec<String>,
}

/// How much the access logs of the regions have at one time.
#[derive(Debug)]
pub struct Mark(Vec<(String, usize)>);

/// The counters of the regions that are there, by region and name.
type Counters = BTreeMap<(String, String), u64>;

/// What the decisions of guards are counted as.
const DECISIONS: &str = "decisions";
/// What stands in the place of a verdict where no guard decided.
const UNDECIDED: &str = "undecided";

impl Regions {
    /// Sends a request to a listener, with a certificate or without one.
    ///
    /// # Errors
    /// A region that is not there. That there was no answer is no trouble but the inner error.
    pub async fn send_as(
        &self,
        at: &At,
        request: &RawRequest,
    ) -> Result<Result<RawResponse, local_mesh::Error>, Trouble> {
        let At { region, role, shown } = at;
        let address = self.run.address(region, *role);
        let address = address.ok_or_else(|| Trouble::new(format!("no {role} of `{region}`")))?;
        if matches!(role, Role::Edge | Role::Outbound) {
            return Ok(client::send(address, request, LIMIT).await);
        }
        let client = self.run.client(region, shown.as_ref())?;
        Ok(client.send(address, request, LIMIT).await)
    }

    /// Sends the request of each row, one after the other. Returns an account of everything that was
    /// not as expected.
    ///
    /// # Errors
    /// What kept a row from being played.
    pub async fn judge(&self, rows: &[Row]) -> Result<String, Trouble> {
        let mut account = String::new();
        for row in rows {
            account += &self.judge_one(row).await?.0;
        }
        println!("{} requests", rows.len());
        Ok(account)
    }

    /// The same for one row; returns its response too.
    ///
    /// # Errors
    /// What kept it from being played.
    pub async fn judge_one(&self, row: &Row) -> Result<(String, Option<RawResponse>), Trouble> {
        let seen = self.observe(row).await?;
        let fine = seen.answer == row.answer
            && seen.decided == row.decided
            && seen.counted == row.counted
            && seen.unmatched.is_empty();
        let mut account = String::new();
        if !fine {
            let Row { what, answer, decided, counted, .. } = row;
            // Writing into a String cannot fail.
            let _ = writeln!(account, "{what}:\n  expected {answer:?} {decided:?} {counted:?}");
            let Seen { answer, decided, counted, unmatched, response } = &seen;
            let _ = writeln!(account, "  found    {answer:?} {decided:?} {counted:?}");
            if !unmatched.is_empty() {
                let _ = writeln!(account, "  records and counters differ: {unmatched:?}");
            }
            if let Some(response) = response {
                let _ = writeln!(account, "  {}", response.text());
            }
        }
        Ok((account, seen.response))
    }

    /// Sends the request of a row until it is answered as it should be: workers learn of another
    /// region's health a moment after the statistics tell of it.
    ///
    /// # Errors
    /// That it is never answered like that.
    pub async fn until_answered(&self, row: &Row) -> Check {
        until(&row.what, async || {
            let response = self.send_as(&row.at, &row.request).await.ok()?.ok();
            (answer(response.as_ref()) == row.answer).then_some(())
        })
        .await?;
        self.quiet().await
    }

    /// Waits until no request is under way and all that were are in the access logs, so that no line
    /// of theirs is taken for one of the next row's.
    ///
    /// # Errors
    /// That it does not happen.
    pub async fn quiet(&self) -> Check {
        self.quiet_but("", 0).await
    }

    /// The same while so many requests of one region's listeners are under way.
    ///
    /// # Errors
    /// That it does not happen.
    pub async fn quiet_but(&self, region: &str, under_way: u64) -> Check {
        for ports in self.run.ports().iter().filter(|ports| !self.run.is_lost(&ports.region)) {
            until("everything is recorded", async || {
                let expression = "downstream_rq_active$|^filesystem.write_total_buffered$";
                let mut found = stats(ports.admin, expression).await.ok()?;
                // This one is under way.
                found.retain(|name, _| !name.starts_with("http.admin."));
                let expected = if ports.region == region { under_way } else { 0 };
                (found.values().sum::<u64>() == expected).then_some(())
            })
            .await?;
        }
        Ok(())
    }

    /// Sends the request of one row, and waits for as many records as it expects.
    async fn observe(&self, row: &Row) -> Result<Seen, Trouble> {
        let mark = self.mark();
        let before = self.counters().await?;
        let response = self.send_as(&row.at, &row.request).await?.ok();
        // Those that are missing show in what is decided.
        let _ = until("every guard has recorded its decision", async || {
            (self.recorded(&mark).len() >= row.decided.len()).then_some(())
        })
        .await;
        let after = self.counters().await?;
        let decided = self.recorded(&mark);
        let (mut balance, mut counted) = (BTreeMap::<String, (u64, u64)>::new(), Vec::new());
        for ((region, name), total) in after {
            let known = before.get(&(region.clone(), name.clone())).copied().unwrap_or(0);
            let grown = total.saturating_sub(known);
            if let Some(decision) = name.strip_prefix(DECISIONS) {
                balance.entry(format!("{region}{decision}")).or_default().0 += grown;
            } else if grown > 0 {
                let times = if grown > 1 { format!(" {grown} times") } else { String::new() };
                counted.push(format!("{region} {name}{times}"));
            }
        }
        for record in decided.iter().filter(|record| !record.contains(UNDECIDED)) {
            let first = record.split_once(", then ").map_or(record.as_str(), |(first, _)| first);
            balance.entry(first.to_owned()).or_default().1 += 1;
        }
        balance.retain(|_, (counted, recorded)| counted != recorded);
        let unmatched = balance.into_iter().map(|(decision, (counted, recorded))| {
            format!("{decision}: counted {counted}, recorded {recorded}")
        });
        let unmatched = unmatched.collect();
        Ok(Seen { answer: answer(response.as_ref()), response, decided, counted, unmatched })
    }

    /// What has been recorded since a mark, as [`Row`] has it, once there is so much of it.
    ///
    /// # Errors
    /// That there is less.
    pub async fn recorded_since(&self, mark: &Mark, least: usize) -> Result<Vec<String>, Trouble> {
        let recorded = until("decisions are recorded", async || {
            Some(self.recorded(mark)).filter(|recorded| recorded.len() >= least)
        });
        recorded.await.map_err(|trouble| {
            Trouble::new(format!("{trouble}: {least}, and not {:?}", self.recorded(mark)))
        })
    }

    /// Where the access logs of the regions that are there end.
    pub fn mark(&self) -> Mark {
        let there = self.run.ports().iter().map(|ports| &ports.region);
        let there = there.filter(|region| !self.run.is_lost(region));
        let ends = there
            .map(|region| {
                let log = std::fs::metadata(self.access_log(region));
                let length = log.map_or(0, |log| usize::try_from(log.len()).unwrap_or(usize::MAX));
                (region.clone(), length)
            })
            .collect();
        Mark(ends)
    }

    fn recorded(&self, Mark(ends): &Mark) -> Vec<String> {
        let mut hops = Vec::new();
        for (region, mark) in ends {
            let log = std::fs::read(self.access_log(region)).unwrap_or_default();
            let text = String::from_utf8_lossy(log.get(*mark..).unwrap_or_default()).into_owned();
            let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
            for line in complete.lines() {
                hops.push(hop(line).unwrap_or_else(|| (0, format!("no record: {line}"))));
            }
        }
        hops.sort();
        hops.into_iter().map(|(_, hop)| hop).collect()
    }

    async fn counters(&self) -> Result<Counters, Trouble> {
        let mut counters = Counters::new();
        for ports in self.run.ports().iter().filter(|ports| !self.run.is_lost(&ports.region)) {
            for (name, value) in metrics(ports.admin).await? {
                // Envoys look at each other's health all the time.
                let is_probe = name.contains(Reason::HealthCheck.as_str());
                if let Some(name) = counter(&name).filter(|_| !is_probe) {
                    counters.insert((ports.region.clone(), name), value);
                }
            }
        }
        Ok(counters)
    }
}

/// `unreachable home_unavailable` of `meshfence_unreachable_total{reason="home_unavailable"}`; none
/// for a gauge.
fn counter(metric: &str) -> Option<String> {
    let (name, labels) = metric.strip_prefix("meshfence_")?.split_once("_total")?;
    // Between quotes are the values.
    let values = labels.split('"').skip(1).step_by(2);
    Some(values.fold(name.to_owned(), |all, value| format!("{all} {value}")))
}

/// One line of the access log, and how far from the entry its guard is.
fn hop(line: &str) -> Option<(usize, String)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let listener = text(&line, "listener")?;
    let role = Role::ALL.iter().find(|role| render::listener_name(**role) == listener)?;
    let place = match role {
        Role::Edge | Role::Outbound => 0,
        Role::Peer => 1,
        Role::Inbound => 2,
    };
    let Some(record) = text(&line, "decision") else {
        let status = line.get("response_code")?;
        return Some((place, format!("{} {role} {UNDECIDED} {status}", text(&line, "region")?)));
    };
    let record: Value = serde_json::from_str(&record).ok()?;
    let (verdict, reason) = (text(&record, "verdict")?, text(&record, "reason")?);
    let mut hop = format!("{} {role} {verdict} {reason}", text(&line, "region")?);
    if let Some(outcome) = record.get("outcome") {
        let _ = write!(hop, ", then {} {}", text(outcome, "verdict")?, text(outcome, "reason")?);
    }
    Some((place, hop))
}

/// A response, as [`Row`] has it.
fn answer(response: Option<&RawResponse>) -> String {
    let Some(response) = response else { return String::from("none") };
    let text =
        |name: &str| response.header(name).map(|value| String::from_utf8_lossy(value).into_owned());
    let mut answer = response.status.to_string();
    let parts = [
        ("grpc ", text("grpc-status")),
        ("", text("x-meshfence-reason")),
        ("in ", text("x-echo-region")),
    ];
    for (prefix, value) in
        parts.iter().filter_map(|(prefix, value)| Some((prefix, value.as_ref()?)))
    {
        // Writing into a String cannot fail.
        let _ = write!(answer, " {prefix}{value}");
    }
    if text("x-meshfence-processed").as_deref() == Some("no") {
        answer.push_str(" unprocessed");
    }
    if text("retry-after").is_some() {
        answer.push_str(" later");
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_by_their_labels() {
        for (metric, name) in [
            (
                r#"meshfence_decisions_total{role="edge",verdict="allow",reason="allowed"}"#,
                Some("decisions edge allow allowed"),
            ),
            (r#"meshfence_unreachable_total{reason="x"}"#, Some("unreachable x")),
            ("meshfence_stripped_requests_total{}", Some("stripped_requests")),
            ("meshfence_config_rejected{}", None),
            (r#"meshfence_config_hash{role="edge"}"#, None),
        ] {
            assert_eq!(counter(metric).as_deref(), name, "{metric}");
        }
    }

    #[test]
    fn a_line_says_who_decided_what_and_what_came_of_it() {
        for (line, expected) in [
            (
                r#"{"region":"taiwan","listener":"east-west","response_code":200,
                    "decision":"{\"verdict\":\"allow\",\"reason\":\"allowed\"}"}"#,
                Some((1, "taiwan peer allow allowed")),
            ),
            (
                r#"{"region":"taiwan","listener":"edge","response_code":503,
                    "decision":"{\"verdict\":\"route\",\"reason\":\"routed_holder\",
                    \"outcome\":{\"verdict\":\"hold\",\"reason\":\"holder_unreachable\"}}"}"#,
                Some((0, "taiwan edge route routed_holder, then hold holder_unreachable")),
            ),
            (
                r#"{"region":"tokyo","listener":"inbound","response_code":401,"decision":null}"#,
                Some((2, "tokyo inbound undecided 401")),
            ),
            ("no JSON", None),
        ] {
            let found = hop(&line.replace('\n', " "));
            let expected = expected.map(|(place, hop)| (place, hop.to_owned()));
            assert_eq!(found, expected, "{line}");
        }
    }
}
