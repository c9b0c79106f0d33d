//! Exceptions that are in force today: they have dates, so the policy set is made for the day.
#![cfg(target_os = "linux")]

use policy_core::Moment;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use suite::machine::Machine;
use suite::{Check, Trouble};

const POLICY: &str = include_str!("../../scenarios/rules/policy.yaml");

/// The tests of the set, while one of its exceptions is in force: for subjects in Hong Kong, whose
/// rule denies what is not in Tokyo.
const TESTS: &str = r"
apiVersion: meshfence.dev/v1alpha1
kind: PolicyTest
metadata: {name: exceptions}
spec:
  defaults: {at: {region: taiwan}}
  callers:
    hk: {issuer: people, sub: hk, claims: {country: HK}}
    sg: {issuer: people, sub: sg, claims: {country: SG}}
    from-tokyo-hk: {peer: tokyo, subject: HK}
  states: {normal: {}}
  requests:
    profile: {path: /profiles/7}
    via-tokyo: {path: /profiles/7, headers: {x-meshfence-via: tokyo}}
    bill: {path: /bills/7}
  cases:
    - {name: in force, caller: hk, request: profile, expect: {verdict: allow, region: taiwan, record: {exception: audit}}}
    - {name: in force where it arrives, at: {role: peer}, caller: from-tokyo-hk, request: via-tokyo, expect: {verdict: allow, region: taiwan, record: {exception: audit}}}
    - {name: not needed, at: {region: tokyo}, caller: hk, request: profile, expect: {verdict: allow, region: tokyo, record: {exception: {present: false}}}}
    - {name: for nobody else, caller: sg, request: profile, expect: {verdict: deny, reason: residency_denied_by_law}}
    - {name: for no other class, caller: hk, request: bill, expect: {verdict: deny, reason: residency_denied}}
";

/// The same set on the guard alone and on real Envoys: the clocks of both say today.
#[tokio::test]
async fn an_exception_in_force_allows_what_it_says_and_no_more() -> Check {
    let machine = Machine::new().await?;
    let directory = machine.path("policy");
    std::fs::create_dir_all(&directory)?;
    let day = Duration::from_hours(24);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = |time: Duration| Moment(time.as_secs()).to_string();
    let (from, until) = (date(now.saturating_sub(day)), date(now + day));
    let dated = POLICY.replace("id: audit-2025", "id: audit").replace(
        "notBefore: 2025-03-01, expires: 2025-03-31",
        &format!("notBefore: \"{from}\", expires: \"{until}\""),
    );
    if dated.matches(&from).count() != 1 {
        return Err(Trouble::new("the policy set has no exception to date"));
    }
    std::fs::write(directory.join("policy.yaml"), dated)?;
    std::fs::write(directory.join("tests.yaml"), TESTS)?;
    let directory = directory.to_string_lossy();
    let ended = machine.run(&["test", &directory, "--engine", "native,envoy"]).await?;
    let account = ended.check("test", 0, &["5 passed, 0 failed"]);
    if account.is_empty() { Ok(()) } else { Err(Trouble::new(account)) }
}
