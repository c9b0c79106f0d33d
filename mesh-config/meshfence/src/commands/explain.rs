//! `meshfence explain`: one request, step by step.

mod typed;

use crate::cli::{Explain, Format};
use crate::engine::native;
use crate::exit::{Exit, Failure};
use crate::explain::{self, Explanation, Recorded};
use crate::policy_set::{self, Origin};
use crate::records::log::{self, Entry};
use crate::terminal::{self, BOLD, DIM};
use policy_core::Role;
use policy_doc::{
    Case, Expectation, OwnCredentials, PolicySet, Purpose, TestCaller, TestCarried,
    TestCertificate, TestRequest, TestToken,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

pub(crate) fn run(arguments: &Explain) -> Result<(), Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let set = policy_set::require(origin, Purpose::LocalTry)?;
    if let Some(log) = &arguments.record {
        let line = find_record(log, arguments.decision.as_deref())?;
        return from_record(&set, &line, arguments.format);
    }
    let cases = match (&arguments.test, &arguments.case) {
        (None, None) => vec![by_flags(&set, arguments)?],
        (file, name) => by_test(origin, &set, file.as_deref(), name.as_deref())?,
    };
    let mut explanations = Vec::new();
    for case in &cases {
        explanations.push((case, explained(&set, case)?));
    }
    terminal::print(&match arguments.format {
        Format::Human => {
            let texts = explanations.iter().map(|(case, explanation)| {
                let title = if case.name.is_empty() {
                    String::new()
                } else {
                    format!("{DIM}{}, state {}{DIM:#}\n", case.name, case.state_name)
                };
                title + &explain::human(explanation)
            });
            texts.collect::<Vec<_>>().join("\n\n")
        }
        Format::Json => match explanations.as_slice() {
            [(_, one)] => explain::machine(one),
            all => {
                let all: Vec<_> = all
                    .iter()
                    .map(|(case, explanation)| json!({"case": case.name, "explanation": explanation}))
                    .collect();
                format!("{:#}", Value::from(all))
            }
        },
    })
}

fn explained(set: &PolicySet, case: &Case) -> Result<Explanation, Failure> {
    native::watch(set, case, |guard, worker, arrived| explain::explain(set, guard, worker, arrived))
        .map_err(|why| Failure::new(Exit::Usage, format!("there is nothing to explain: {why}")))
}

/// The request that the flags describe.
fn by_flags(set: &PolicySet, arguments: &Explain) -> Result<Case, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let path = arguments.path.as_deref().ok_or_else(|| {
        usage("there is nothing to explain".to_owned())
            .help("pass a request by --path, --test, --case or --from-log")
    })?;
    let is_region = |name: &str| {
        if set.body.regions.iter().any(|region| region.name == name) {
            return Ok(name.to_owned());
        }
        let known: Vec<&str> = set.body.regions.iter().map(|region| region.name.as_str()).collect();
        Err(usage(format!("`{name}` is no region of the policy set")).suggest(name, &known))
    };
    let region = match &arguments.region {
        Some(name) => is_region(name)?,
        None => set.body.regions.first().map(|region| region.name.clone()).unwrap_or_default(),
    };
    let peer = arguments.peer.as_deref().map(is_region).transpose()?;
    let role = match (arguments.role, &peer) {
        (None, None) => Role::Edge,
        (None | Some(Role::Peer), Some(_)) => Role::Peer,
        (Some(role), None) => role,
        (Some(role), Some(_)) => {
            return Err(usage(format!("no region's gateway speaks to a proxy of the role {role}"))
                .help("--peer goes with --role peer, which need not be said"));
        }
    };
    let headers = arguments.headers.iter().map(|header| typed::header(header));
    Ok(Case {
        name: String::new(),
        line: 0,
        caller: caller(set, arguments, peer)?,
        state: policy_set::state(set, arguments.state.as_deref())?,
        state_name: arguments.state.clone().unwrap_or_else(|| "normal".to_owned()),
        request: TestRequest {
            method: typed::method(arguments.method.as_deref().unwrap_or("GET"))?,
            path: typed::path(path)?,
            host: match &arguments.host {
                Some(host) => typed::host(host)?,
                None => set.body.hosts.first().cloned().unwrap_or_default(),
            },
            headers: headers.collect::<Result<_, _>>()?,
            carried: TestCarried::default(),
            body: String::new(),
            http2: false,
        },
        expect: Expectation::default(),
        covers: Vec::new(),
        region,
        role,
    })
}

fn caller(
    set: &PolicySet,
    arguments: &Explain,
    peer: Option<String>,
) -> Result<Option<TestCaller>, Failure> {
    let country = &arguments.country;
    if let Some(region) = peer {
        let certificate = Some(TestCertificate::Peer { region, subject: country.clone() });
        return Ok(Some(TestCaller {
            name: "by flags".to_owned(),
            certificate,
            token: None,
            own: OwnCredentials::default(),
        }));
    }
    if country.is_none() && arguments.claims.is_empty() {
        return Ok(None);
    }
    let source = set
        .country_claim()
        .ok_or_else(|| Failure::new(Exit::Usage, "the policy set has no claim for a country"))?;
    let mut claims = BTreeMap::new();
    if let Some(country) = country {
        claims.insert(source.claim.clone(), Value::from(country.as_str()));
    }
    for claim in &arguments.claims {
        let (name, value) = crate::commands::token::claim(claim)?;
        claims.insert(name, value);
    }
    let token = TestToken { issuer: source.issuer.clone(), sub: "u1".to_owned(), claims };
    Ok(Some(TestCaller {
        name: "by flags".to_owned(),
        certificate: None,
        token: Some(token),
        own: OwnCredentials::default(),
    }))
}

/// The cases of a `PolicyTest` file, or of the set's own, that a name names; all if there is none.
fn by_test(
    origin: Origin<'_>,
    set: &PolicySet,
    file: Option<&Path>,
    name: Option<&str>,
) -> Result<Vec<Case>, Failure> {
    let cases: Vec<Case> = match file {
        Some(file) => policy_set::tour(origin, set, Some(file))?.cases,
        None => set.tests.iter().flat_map(|test| test.cases.iter().cloned()).collect(),
    };
    let Some(name) = name else { return Ok(cases) };
    let (found, others): (Vec<Case>, Vec<Case>) =
        cases.into_iter().partition(|case| case.name == name);
    if found.is_empty() {
        let known: Vec<&str> = others.iter().map(|case| case.name.as_str()).collect();
        return Err(
            Failure::new(Exit::Usage, format!("there is no case `{name}`")).suggest(name, &known)
        );
    }
    Ok(found)
}

/// The record of this decision, or the last one of a log.
fn find_record(path: &Path, decision: Option<&str>) -> Result<String, Failure> {
    let mut log = log::open(path)?;
    let mut found = None;
    while let Some(line) = log.next()? {
        let Entry::Record(record) = line.entry else { continue };
        if decision.is_none_or(|id| record.text("id") == Some(id)) {
            found = Some(record.text);
        }
    }
    found.ok_or_else(|| {
        let what = decision.map_or_else(|| "record".to_owned(), |id| format!("decision `{id}`"));
        Failure::new(Exit::Usage, format!("there is no {what} in `{}`", path.display()))
    })
}

fn from_record(set: &PolicySet, line: &str, format: Format) -> Result<(), Failure> {
    let recorded = explain::from_record(set, line)?;
    let Recorded { case, verdict, reason, outcome: later, id, mut doubts } = recorded;
    let explanation = explained(set, &case)?;
    if (&explanation.outcome.verdict, &explanation.outcome.reason) != (&verdict, &reason) {
        let Explanation { outcome, .. } = &explanation;
        doubts.push(format!(
            "the record says {verdict}, {reason}; with what it tells, this set decides {}, {}: the \
             policy, region state or something that no record holds was another one",
            outcome.verdict, outcome.reason
        ));
    }
    terminal::print(&match format {
        Format::Json => {
            format!(
                "{:#}",
                json!({
                    "decision": id, "outcome": later, "doubts": doubts, "explanation": explanation
                })
            )
        }
        Format::Human => {
            let mut text = format!(
                "{DIM}decision {id}; a record holds no byte of the client, so this is a request like it{DIM:#}\n"
            );
            text += &explain::human(&explanation);
            if let Some(later) = later {
                // Writing into a String cannot fail.
                let _ = write!(text, "\n{BOLD}what came of it behind this guard: {later}{BOLD:#}");
            }
            for doubt in doubts {
                // Writing into a String cannot fail.
                let _ = write!(text, "\n{DIM}note: {doubt}{DIM:#}");
            }
            text
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Arguments, Command};
    use clap::Parser as _;

    fn described(flags: &[&str]) -> Result<Case, Failure> {
        let set = policy_set::require(Origin::Example, Purpose::LocalTry)?;
        let arguments = [&["meshfence", "explain"], flags].concat();
        let Command::Explain(arguments) = Arguments::try_parse_from(arguments).unwrap().command
        else {
            panic!("it is explain")
        };
        by_flags(&set, &arguments)
    }

    #[test]
    fn what_no_flag_says_is_usual() {
        let case = described(&["--path", "/a"]).unwrap();
        let is = (case.request.method.as_str(), case.role, case.region.as_str());
        assert_eq!(is, ("GET", Role::Edge, "taiwan"));
        assert_eq!((case.caller.is_none(), case.state_name.as_str()), (true, "normal"));
    }

    #[test]
    fn the_gateway_of_a_region_speaks_to_a_peer() {
        for (flags, role) in [
            (&["--peer", "tokyo"][..], Some(Role::Peer)),
            (&["--peer", "tokyo", "--role", "peer"], Some(Role::Peer)),
            (&["--role", "peer"], Some(Role::Peer)),
            (&["--role", "inbound"], Some(Role::Inbound)),
            (&["--peer", "tokyo", "--role", "edge"], None),
            (&["--peer", "tokyo", "--role", "inbound"], None),
        ] {
            let seen = described(&[&["--path", "/a"], flags].concat());
            assert_eq!(seen.as_ref().ok().map(|case| case.role), role, "{flags:?}");
            let is_refused = seen.is_err_and(|failure| failure.exit == Exit::Usage);
            assert_eq!(is_refused, role.is_none(), "{flags:?}");
        }
    }

    #[test]
    fn a_name_that_is_not_known_gets_the_one_that_was_meant() {
        for (flags, message, help) in [
            (
                &["--path", "/a", "--region", "tokio"][..],
                "`tokio` is no region of the policy set",
                "did you mean `tokyo`?",
            ),
            (
                &["--path", "/a", "--state", "norma"],
                "no PolicyTest of the set has a state `norma`",
                "did you mean `normal`?",
            ),
            (&["--path", "a"], "the path `a` does not begin with `/`", "did you mean `/a`?"),
        ] {
            let failure = described(flags).unwrap_err();
            assert_eq!((failure.message.as_str(), failure.help.as_deref()), (message, Some(help)));
        }
        let set = policy_set::require(Origin::Example, Purpose::LocalTry).unwrap();
        let failure = by_test(Origin::Example, &set, None, Some("forged rout")).unwrap_err();
        assert_eq!(failure.help.as_deref(), Some("did you mean `forged route`?"));
        assert_eq!(failure.exit, Exit::Usage);
    }
}
