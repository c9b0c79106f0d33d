//! A full account of one case: where it stands, what was sent, what was expected, what was found.

use super::{headline, listed, shortened};
use crate::engine::{Disagreement, Observation, Outcome, Play};
use policy_doc::{Case, TestCertificate};
use std::fmt::Write as _;

/// How much of a body is told.
const BODY_SHOWN: usize = 400;

/// The account of a case, as plain lines.
pub fn account(outcome: &Outcome) -> String {
    let Outcome { file, case, plays } = outcome;
    // Writing into a String cannot fail.
    let mut text = format!("{file}:{}: {}\n", case.line, place(case));
    for play in plays {
        tell(&mut text, play);
    }
    for disagreement in outcome.disagreements() {
        let _ = writeln!(text, "{}", headline(&disagreement));
        let Disagreement { between: [first, second], differences } = disagreement;
        for difference in differences {
            let _ = writeln!(text, "  {}", difference.what);
            let _ = writeln!(text, "    {}: {}", listed(&first), difference.first);
            let _ = writeln!(text, "    {}: {}", listed(&second), difference.second);
        }
    }
    text
}

/// Where a case is played, and whose request it is.
fn place(case: &Case) -> String {
    let mut text = format!("{} of {}, state {}", case.role, case.region, case.state_name);
    if let Some(caller) = &case.caller {
        let _ = write!(text, ", caller {}", caller.name);
        match &caller.certificate {
            Some(TestCertificate::Peer { region, .. }) => {
                let _ = write!(text, " (peer {region})");
            }
            Some(TestCertificate::Gateway { region, .. }) => {
                let _ = write!(text, " (gateway {region})");
            }
            Some(TestCertificate::Workload(id)) => {
                let _ = write!(text, " ({id})");
            }
            None => {}
        }
    } else {
        text.push_str(", anonymous");
    }
    text
}

fn tell(text: &mut String, play: &Play) {
    let Play { engine, seen, mismatches, took: _ } = play;
    let _ = writeln!(text, "{engine}{}", if play.passed() { ": as expected" } else { "" });
    match seen {
        Err(why) => {
            let _ = writeln!(text, "  not played: {why}");
        }
        Ok(observation) => {
            for mismatch in mismatches {
                let _ = writeln!(text, "  {mismatch}");
            }
            show(text, observation);
        }
    }
}

fn show(text: &mut String, observation: &Observation) {
    let Observation { sent, observed, hops } = observation;
    let mut section = |name: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(text, "  {name}");
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
    };
    section("request", sent.lines());
    let decisions =
        hops.iter().map(|hop| format!("{} of {}: {}", hop.role, hop.region, hop.record));
    let mut decisions: Vec<String> = decisions.collect();
    if decisions.is_empty() {
        decisions.push(String::from("none: the proxy itself answered"));
    }
    section("decisions", decisions);
    let headers = |headers: &[(String, String)]| {
        headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
    };
    section("upstream", observed.upstream.as_deref().map(headers).unwrap_or_default());
    let mut response = vec![observed.status.to_string()];
    response.extend(headers(&observed.response));
    response.extend(observation.body().map(|body| shortened(body, BODY_SHOWN)));
    response.extend(headers(&observed.trailers));
    response.extend(observed.cut.then(|| String::from("(cut)")));
    section("response", response);
}
