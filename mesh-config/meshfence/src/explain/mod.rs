//! Why one request gets what it gets: the guard itself decides it in this process, and everything
//! that it looks at on the way is written down.

mod fencing;
pub(crate) mod from_record;
mod report;
mod residency;
mod steps;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use from_record::{Recorded, from_record};
pub(crate) use report::{human, machine};

use guard::fake::FakeHost;
use guard::{Guard, Stream, Worker};
use policy_core::{Reason, Step, Trace};
use policy_doc::PolicySet;
use serde::Serialize;
use serde_json::Value;

/// What became of a request, step by step.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    /// What was asked, in one line.
    pub(crate) request: String,
    /// The nine steps of a request, as far as it came.
    pub(crate) steps: Vec<Explained>,
    /// What was done with it.
    pub(crate) outcome: Outcome,
    /// The request headers that counted, and the attributes of the proxy that were read.
    pub(crate) values: Vec<ValueRead>,
    /// The headers that went on, or those of the answer, as far as they are the mesh's.
    pub(crate) headers: Vec<(String, String)>,
}

/// One step.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    /// Its name, that of the design.
    pub(crate) step: &'static str,
    /// What it came to.
    pub(crate) came_to: CameTo,
    /// What was looked at.
    pub(crate) findings: Vec<Finding>,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CameTo {
    /// The request went on.
    Passed,
    /// It ended here.
    Refused,
    /// It had ended before.
    Unreached,
}

/// Something that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// Whether it matched; nothing for what is only said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) matched: Option<bool>,
    /// What, and why.
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn note(text: impl Into<String>) -> Self {
        Self { matched: None, text: text.into() }
    }

    pub(crate) fn matched(matched: bool, text: impl Into<String>) -> Self {
        Self { matched: Some(matched), text: text.into() }
    }
}

/// What was done with a request.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) verdict: String,
    pub(crate) status: u16,
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
}

/// An attribute that was read; a request header is one too.
#[derive(Debug, Serialize)]
pub(crate) struct ValueRead {
    pub(crate) attribute: String,
    /// Text as it is, anything else in hexadecimal digits; nothing if it was not there.
    pub(crate) value: Option<String>,
}

/// The steps of a decision, kept.
#[derive(Debug, Default)]
struct Kept<'p>(Vec<Step<'p>>);

impl<'p> Trace<'p> for Kept<'p> {
    fn see(&mut self, step: Step<'p>) {
        self.0.push(step);
    }
}

/// Everything that is known of one request after it was decided.
struct Seen<'s> {
    set: &'s PolicySet,
    guard: &'s Guard,
    /// As it arrived.
    before: &'s FakeHost,
    /// As it went on, or was answered.
    after: &'s FakeHost,
    trace: &'s [Step<'s>],
    record: &'s Value,
    reason: Option<Reason>,
}

impl Seen<'_> {
    /// A text of the decision record.
    fn recorded(&self, key: &str) -> Option<&str> {
        self.record.get(key).and_then(Value::as_str)
    }
}

/// Explains the request that has arrived at a guard.
pub(crate) fn explain(
    set: &PolicySet,
    guard: &Guard,
    worker: &mut Worker,
    arrived: &FakeHost,
) -> Explanation {
    let mut after = arrived.clone();
    let mut trace = Kept::default();
    let mut stream = Stream::default();
    let is_bodiless = true;
    guard.on_request_headers_traced(worker, &mut stream, &mut after, is_bodiless, &mut trace);
    // What its end asks for is nothing that it was decided by.
    let mut ended = after.clone();
    guard.on_done(worker, &mut stream, &mut ended);
    let record = ended.recorded.as_deref().and_then(|json| serde_json::from_str(json).ok());
    let record = record.unwrap_or(Value::Null);
    let reason = record.get("reason").and_then(Value::as_str).and_then(Reason::parse);
    let seen = Seen {
        set,
        guard,
        before: arrived,
        after: &after,
        trace: &trace.0,
        record: &record,
        reason,
    };
    let text = |key: &str| seen.recorded(key).unwrap_or("-").to_owned();
    Explanation {
        request: steps::request_line(&seen),
        steps: steps::all(&seen),
        outcome: Outcome {
            verdict: text("verdict"),
            status: after.replied.as_ref().map_or(200, |answer| answer.status),
            reason: text("reason"),
            region: seen.recorded("to").map(str::to_owned),
            rule: seen.recorded("rule").map(str::to_owned),
        },
        values: values::read(&seen),
        headers: steps::headers(&seen),
    }
}
