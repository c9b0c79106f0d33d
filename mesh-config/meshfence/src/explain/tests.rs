//! Explanations of the example's own tests: they come to what the tests expect.

use super::{CameTo, Explanation, explain, from_record, human};
use crate::engine::native::{self, Native};
use crate::policy_set::{self, Origin};
use policy_core::wire::Region;
use policy_core::{OnDrift, Reason, Role};
use policy_doc::{
    Case, Expectation, OwnCredentials, PolicySet, Purpose, TestCaller, TestCarried,
    TestCertificate, TestRequest, TestToken,
};
use std::collections::BTreeMap;

fn example() -> PolicySet {
    policy_set::require(Origin::Example, Purpose::LocalTry).unwrap()
}

fn cases(set: &PolicySet) -> Vec<Case> {
    set.tests.iter().flat_map(|test| test.cases.iter().cloned()).collect()
}

fn explained(set: &PolicySet, case: &Case) -> Result<Explanation, String> {
    native::watch(set, case, |guard, worker, arrived| explain(set, guard, worker, arrived))
}

#[test]
fn an_explanation_comes_to_what_the_test_expects() {
    let set = example();
    let mut seen = 0;
    for case in cases(&set) {
        let Ok(found) = explained(&set, &case) else {
            assert_eq!(case.expect.reason, None, "{}: Envoy answers before", case.name);
            continue;
        };
        // What becomes of a request behind its first guard is not explained.
        if !case.state.unreachable.is_empty() {
            continue;
        }
        let expected = (&case.expect.verdict, &case.expect.reason);
        if let Some(verdict) = expected.0 {
            assert_eq!(&found.outcome.verdict, verdict, "{}", case.name);
        }
        if let Some(reason) = expected.1 {
            assert_eq!(&found.outcome.reason, reason, "{}", case.name);
        }
        let refused = found.steps.iter().filter(|step| step.came_to == CameTo::Refused);
        let passes = matches!(found.outcome.verdict.as_str(), "allow" | "route");
        assert_eq!(refused.count(), usize::from(!passes), "{}", case.name);
        for step in &found.steps {
            let is_told = step.came_to == CameTo::Unreached || !step.findings.is_empty();
            assert!(is_told, "{}: nothing is said of {}", case.name, step.step);
            let explains = step.findings.iter().any(|finding| finding.matched == Some(false));
            let is_refusal = step.came_to == CameTo::Refused;
            assert!(explains || !is_refusal, "{}: {} does not say why", case.name, step.step);
        }
        seen += 1;
    }
    assert!(seen > 40, "{seen} cases");
}

#[test]
fn a_record_is_explained_by_a_request_like_it() {
    let set = example();
    let mut native = Native::new(&set);
    let mut seen = 0;
    for case in cases(&set) {
        let observation = native.play(&case).unwrap();
        let Some(hop) = observation.hops.first() else { continue };
        if let Some(outcome) = hop.record.get("outcome") {
            let told = from_record(&set, &hop.record.to_string()).unwrap().outcome.unwrap();
            assert!(told.contains(outcome["reason"].as_str().unwrap()), "{told}");
        }
        let recorded = from_record(&set, &hop.record.to_string()).unwrap();
        let found = explained(&set, &recorded.case).unwrap();
        // What only the request itself has, or the requests beside it, is in no record.
        let reason = Reason::parse(&recorded.reason).unwrap();
        let unrecorded = [Reason::Malformed, Reason::ShedGuard];
        if unrecorded.contains(&reason) {
            continue;
        }
        let is = (found.outcome.verdict.as_str(), found.outcome.reason.as_str());
        let was = (recorded.verdict.as_str(), recorded.reason.as_str());
        assert_eq!(is, was, "{}: {}", case.name, hop.record);
        seen += 1;
    }
    assert!(seen > 35, "{seen} records");
}

#[test]
fn what_is_no_record_is_refused() {
    let set = example();
    for (line, why) in [
        ("", "this is no record: EOF while parsing a value at line 1 column 0"),
        ("{}", "this is no record: it has no `verdict`"),
        (
            r#"{"decision": "-"}"#,
            "this is no record: the line of the log has no decision, so Envoy answered itself",
        ),
        (r#"{"decision": 1}"#, "this is no record: its `decision` is no record"),
        (r#"{"verdict":"hold"}"#, "the record has no `reason`"),
        (
            r#"{"verdict":"hold","reason":"tired"}"#,
            "the record's reason `tired` is none of this release",
        ),
        (r#"{"verdict":"hold","reason":"policy_unavailable"}"#, "the record has no `role`"),
    ] {
        assert_eq!(from_record(&set, line).unwrap_err().message, why);
    }
}

/// A request to Taiwan's east-west gateway.
fn arrived(method: &str, path: &str, headers: &[(&str, &str)], from: TestCertificate) -> Case {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Case {
        name: String::new(),
        line: 0,
        caller: Some(TestCaller {
            name: "c".into(),
            certificate: Some(from),
            token: None,
            own: OwnCredentials::default(),
        }),
        state: policy_set::state(&example(), None).unwrap(),
        state_name: "normal".into(),
        request: TestRequest {
            method: method.into(),
            path: path.into(),
            host: example().body.hosts[0].clone(),
            headers: headers.collect(),
            carried: TestCarried::default(),
            body: String::new(),
            http2: false,
        },
        expect: Expectation::default(),
        covers: Vec::new(),
        region: "taiwan".into(),
        role: Role::Peer,
    }
}

/// The step that an explanation ends at, and what it says against the request.
fn refused(found: &Explanation) -> (&'static str, Vec<&str>) {
    let step = found.steps.iter().find(|step| step.came_to == CameTo::Refused).unwrap();
    let against = step.findings.iter().filter(|finding| finding.matched == Some(false));
    (step.step, against.map(|finding| finding.text.as_str()).collect())
}

fn tokyo(subject: &str) -> TestCertificate {
    TestCertificate::Peer { region: "tokyo".into(), subject: Some(subject.into()) }
}

#[test]
fn a_refusal_says_why_in_its_own_step() {
    let mut set = example();
    let osaka = Region {
        name: "osaka".into(),
        code: "osa".into(),
        locality: None,
        peer_ids: vec!["spiffe://osaka.shop/ns/gateways/sa/peer".into()],
        gateway_ids: Vec::new(),
        workload_ids: Vec::new(),
        ..set.body.regions[1].clone()
    };
    set.body.regions.push(osaka);
    let by_id = || TestCertificate::Workload("spiffe://tokyo.shop/ns/gateways/sa/peer".into());
    let nobody = TestCertificate::Workload("spiffe://elsewhere/a".into());
    let orders = "/api/v1/orders";
    for (case, reason, step, why) in [
        (
            arrived("GET", orders, &[], tokyo("JP")),
            "residency_denied",
            "residency",
            "taiwan, where it has arrived, is not one of them in any situation",
        ),
        (
            arrived("GET", orders, &[], by_id()),
            "peer_untrusted",
            "loop",
            "x-meshfence-via is missing: tokyo has to be the last region in it",
        ),
        (
            arrived("GET", orders, &[("x-meshfence-via", "osaka")], by_id()),
            "peer_untrusted",
            "loop",
            "it has passed osaka, and the last of them is not tokyo, which sent it",
        ),
        (
            arrived("GET", orders, &[], nobody),
            "peer_untrusted",
            "trust",
            "the sender is no trusted region",
        ),
        (
            arrived("GET", orders, &[("x-meshfence-via", "taiwan, tokyo")], by_id()),
            "loop",
            "loop",
            "it has passed taiwan, tokyo; each region once, and two at most",
        ),
    ] {
        let found = explained(&set, &case).unwrap();
        assert_eq!(found.outcome.reason, reason);
        let (at, against) = refused(&found);
        assert_eq!(at, step, "{reason}");
        assert!(against.contains(&why), "{reason}: {against:?}");
        let known = found.steps.iter().flat_map(|step| &step.findings);
        let about_sender = known.filter(|finding| finding.text.contains("by the one name"));
        assert!(about_sender.into_iter().all(|finding| finding.matched != Some(false)));
    }
}

#[test]
fn a_situation_that_only_the_sender_knows_of_is_told() {
    let set = example();
    let mut case = arrived(
        "GET",
        "/api/v1/orders",
        &[],
        TestCertificate::Peer { region: "taiwan".into(), subject: Some("TW".into()) },
    );
    case.region = "tokyo".into();
    let found = explained(&set, &case).unwrap();
    assert_eq!(found.outcome.reason, "home_unavailable");
    let (step, against) = refused(&found);
    assert_eq!(step, "residency");
    assert!(against.iter().any(|why| why.contains("in another situation only")), "{against:?}");
}

#[test]
fn of_an_unknown_host_no_template_is_told() {
    let mut case = arrived("GET", "/api/v1/orders", &[], tokyo("TW"));
    case.request.host = "elsewhere.example".into();
    let found = explained(&example(), &case).unwrap();
    let (step, against) = refused(&found);
    assert_eq!(step, "classify");
    assert_eq!(against, ["host elsewhere.example is none of api.ecommerce-platform.com"]);
}

#[test]
fn a_country_that_makes_no_difference_speaks_against_nothing() {
    let token = TestToken { issuer: "shop".into(), sub: "mei".into(), claims: BTreeMap::new() };
    let caller = TestCaller {
        name: "mei".into(),
        certificate: None,
        token: Some(token),
        own: OwnCredentials::default(),
    };
    let at_edge = |path| Case {
        role: Role::Edge,
        caller: Some(caller.clone()),
        ..arrived("GET", path, &[], tokyo("TW"))
    };
    for (path, reason, matched) in [
        ("/api/v1/carts/1", "allowed", true),
        ("/api/v1/customers/me/profile", "subject_unknown", false),
    ] {
        let found = explained(&example(), &at_edge(path)).unwrap();
        assert_eq!(found.outcome.reason, reason);
        let mut all = found.steps.iter().flat_map(|step| &step.findings);
        let whom = all.find(|finding| finding.text.ends_with("whose country cannot be read"));
        assert_eq!(whom.unwrap().matched, Some(matched), "{path}");
    }
}

#[test]
fn a_version_from_far_ahead_is_told_where_versions_are_stamped() {
    let ahead = "ffffffffffff0001-tyo-01234567";
    let headers = [("x-meshfence-origin", "tokyo"), ("x-meshfence-version", ahead)];
    let case = arrived("POST", "/api/v1/reviews/9", &headers, tokyo("TW"));
    for (on_drift, reason, matched, text) in [
        (OnDrift::Tag, "allowed", None, "too far ahead, which is marked"),
        (OnDrift::Deny, "clock_unsynced", Some(false), "too far ahead to order a write"),
    ] {
        let mut set = example();
        set.body.versioning.on_drift = on_drift;
        let found = explained(&set, &case).unwrap();
        assert_eq!(found.outcome.reason, reason);
        let stamp = found.steps.iter().find(|step| step.step == "stamp").unwrap();
        let [finding, merges @ ..] = stamp.findings.as_slice() else { panic!("{stamp:?}") };
        assert_eq!(finding.text, format!("the version that it came with is {text}"));
        assert_eq!(finding.matched, matched);
        let merges = merges.first().map(|finding| finding.text.as_str());
        let told = "what reviews has in taiwan, tokyo becomes one by append-only";
        assert_eq!(merges, (reason == "allowed").then_some(told));
    }
}

#[test]
fn what_a_priority_may_use_is_a_number() {
    let set = example();
    let at_edge =
        |path| Case { role: Role::Edge, caller: None, ..arrived("GET", path, &[], tokyo("TW")) };
    let shed = cases(&set).into_iter().find(|case| case.name == "shed").unwrap();
    for (case, matched, text) in [
        (at_edge("/api/v1/inventory/1"), true, "priority critical may have 96 in flight"),
        (at_edge("/api/v1/products/1"), true, "priority normal may have 51 in flight"),
        (at_edge("/api/v1/reviews/1"), true, "priority low may have 2 in flight"),
        (shed, false, "priority low may have 2 in flight, and has them"),
    ] {
        let found = explained(&set, &case).unwrap();
        let shed = found.steps.iter().find(|step| step.step == "shed").unwrap();
        let [finding] = shed.findings.as_slice() else { panic!("{shed:?}") };
        assert!(finding.text.ends_with(text), "{}", finding.text);
        assert_eq!(finding.matched, Some(matched), "{text}");
    }
}

#[test]
fn request_headers_that_counted_are_among_the_values() {
    let set = example();
    let fence = "orders;e=7;h=taiwan;s=taiwan~tokyo";
    let key = ("idempotency-key", "k1");
    let write = |headers: &[(&str, &str)]| arrived("POST", "/api/v1/orders", headers, tokyo("TW"));
    let edge = |headers: &[(&str, &str)]| Case { role: Role::Edge, caller: None, ..write(headers) };
    let (via, subject) = ("x-meshfence-via", "x-meshfence-subject");
    for (case, expected) in [
        (
            write(&[("x-meshfence-fence", fence), key]),
            &[
                (via, Some("tokyo")),
                (subject, Some("TW")),
                ("idempotency-key", Some("k1")),
                ("x-meshfence-fence", Some(fence)),
            ][..],
        ),
        (write(&[]), &[(via, Some("tokyo")), (subject, Some("TW")), ("idempotency-key", None)]),
        (
            write(&[key]),
            &[
                (via, Some("tokyo")),
                (subject, Some("TW")),
                ("idempotency-key", Some("k1")),
                ("x-meshfence-fence", None),
            ],
        ),
        // At the edge nobody is believed.
        (edge(&[(via, "tokyo"), (subject, "TW"), ("x-meshfence-fence", fence)]), &[]),
    ] {
        let found = explained(&set, &case).unwrap();
        let prefix = "request.headers.";
        let of_request = found.values.iter().filter_map(|value| {
            Some((value.attribute.strip_prefix(prefix)?, value.value.as_deref()))
        });
        assert_eq!(of_request.collect::<Vec<_>>(), expected, "{}", found.outcome.reason);
    }
}

#[test]
fn an_explanation_reads_like_this() {
    let set = example();
    for name in ["japan is routed home", "lease unknown", "forged route"] {
        let case = cases(&set).into_iter().find(|case| case.name == name).unwrap();
        let text = human(&explained(&set, &case).unwrap());
        let text = anstream::adapter::strip_str(&text).to_string();
        insta::assert_snapshot!(name.replace(' ', "_"), text);
    }
}
