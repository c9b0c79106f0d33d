//! The example policy set.

use crate::{Loaded, PolicySet, Purpose, Source, load};
use policy_core::{
    Caller, CanonicalPath, Country, IdempotencyKey, Policy, RegionState, Request, RequestKind,
    Role, decide,
};

/// The files of the example, in the order that a directory lists them.
const FILES: [(&str, &str); 7] = [
    ("contexts.yaml", include_str!("../../../tpe-tokyo/contexts.yaml")),
    ("fencing.yaml", include_str!("../../../tpe-tokyo/fencing.yaml")),
    ("mesh.yaml", include_str!("../../../tpe-tokyo/mesh.yaml")),
    ("residency.yaml", include_str!("../../../tpe-tokyo/residency.yaml")),
    ("tests/adr-037.yaml", include_str!("../../../tpe-tokyo/tests/adr-037.yaml")),
    ("tests/tour.yaml", include_str!("../../../tpe-tokyo/tests/tour.yaml")),
    ("topology.yaml", include_str!("../../../tpe-tokyo/topology.yaml")),
];

pub(super) fn sources() -> Vec<Source> {
    FILES.map(|(file, text)| Source { file: file.into(), text: text.into() }).into()
}

pub(super) fn set() -> PolicySet {
    let loaded = load(sources(), Purpose::Deploy);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false));
    loaded.set.unwrap()
}

#[test]
fn the_example_loads_without_a_word() {
    let set = set();
    assert_eq!(set.name, "tpe-tokyo");
    assert_eq!(set.body.contexts.len(), 9);
    assert_eq!(set.hash().len(), 64);
    let files: Vec<&str> = set.tests.iter().map(|test| test.file.as_str()).collect();
    assert_eq!(files, ["tests/adr-037.yaml", "tests/tour.yaml"]);
    assert!(set.tests.iter().all(|test| test.cases.len() >= 18));
}

#[test]
fn the_order_of_files_does_not_matter() {
    let mut sources = sources();
    sources.reverse();
    let mut reversed = load(sources, Purpose::LocalTry).set.unwrap();
    let mut set = set();
    reversed.tests.sort_by(|left, right| left.file.cmp(&right.file));
    set.tests.sort_by(|left, right| left.file.cmp(&right.file));
    assert_eq!(format!("{reversed:?}"), format!("{set:?}"));
}

#[test]
fn what_the_proxies_get() {
    let config = set().plugin_config("taiwan", Role::Edge);
    insta::assert_snapshot!(serde_json::to_string_pretty(&config.policy).unwrap());
}

#[test]
fn a_document_that_is_missing_is_missed() {
    for kind in
        ["Topology", "Mesh", "Residency", "Fencing", "Versioning", "LoadShedding", "Contexts"]
    {
        let sources: Vec<Source> = sources()
            .into_iter()
            .filter(|source| !source.file.starts_with("tests/"))
            .map(|source| Source { text: without(&source.text, kind), ..source })
            .collect();
        let Loaded { set, diagnostics, .. } = load(sources, Purpose::Deploy);
        assert!(set.is_none(), "{kind}");
        let messages: Vec<&str> =
            diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
        assert_eq!(messages, [format!("the policy set has no `{kind}` document")], "{kind}");
        assert_eq!(diagnostics[0].code, "MF101");
    }
}

/// A file without the documents of one kind.
fn without(text: &str, kind: &str) -> String {
    let line = format!("\nkind: {kind}\n");
    let documents: Vec<&str> =
        text.split("\n---\n").filter(|document| !document.contains(&line)).collect();
    documents.join("\n---\n")
}

/// Whatever engine plays them, the decisions are those of the policy: so much of every case as
/// the policy alone can tell.
#[test]
fn every_case_of_the_example_is_what_the_policy_decides() {
    let set = set();
    for case in set.tests.iter().flat_map(|test| &test.cases) {
        let policy = Policy::compile(&set.plugin_config(&case.region, case.role)).unwrap();
        let state = RegionState::from_document(&policy, &case.state.document).unwrap();
        let header = |name: &str| {
            let mut values = case.request.headers.iter().filter(|(known, _)| known == name);
            (values.next().map(|(_, value)| value.as_str()), values.next().is_some())
        };
        let expect = &case.expect;
        let Ok(path) = CanonicalPath::parse(case.request.path.as_bytes()) else {
            // A proxy may refuse such a path before the policy sees it, and says no reason then.
            assert_eq!(expect.status, Some(400), "{}", case.name);
            assert!(matches!(expect.reason.as_deref(), None | Some("malformed")), "{}", case.name);
            continue;
        };
        let (key, doubled) = header("idempotency-key");
        if doubled {
            assert_eq!(expect.reason.as_deref(), Some("malformed"), "{}", case.name);
            continue;
        }
        let is_grpc = header("content-type").0 == Some("application/grpc");
        let request = Request {
            method: case.request.method.as_bytes(),
            host: case.request.host.as_bytes(),
            path: &path,
            kind: if is_grpc { RequestKind::Grpc } else { RequestKind::Plain },
            idempotency_key: match key {
                Some(_) => IdempotencyKey::Present,
                None => IdempotencyKey::Absent,
            },
            deadline: None,
            token: None,
        };
        let token = case.caller.as_ref().and_then(|caller| caller.token.as_ref());
        let decision = decide(&policy, &state, &request, |_| match token {
            None => Caller::Anonymous,
            Some(token) if token.claims.contains_key("kind") => Caller::Other,
            Some(token) => Caller::Customer(
                token
                    .claims
                    .get("residency")
                    .and_then(|country| Country::parse(country.as_str()?.as_bytes())),
            ),
        });
        let region = decision.region.map(|region| policy.region_name(region));
        let gone = region.is_some_and(|region| case.state.unreachable.iter().any(|r| r == region));
        if gone || !case.state.in_flight.is_empty() {
            continue; // That is for engines that have connections.
        }
        let said = |expected: &Option<String>, found: Option<&str>| {
            if let Some(expected) = expected {
                assert_eq!(found, Some(expected.as_str()), "{}", case.name);
            }
        };
        said(&expect.verdict, Some(decision.verdict().as_str()));
        said(&expect.reason, Some(decision.reason.as_str()));
        said(&expect.rule, decision.rule);
        said(&expect.region, region);
        if !decision.verdict().is_pass()
            && let Some(status) = expect.status
        {
            assert_eq!(status, decision.status, "{}", case.name);
        }
        for (name, expected) in &expect.upstream {
            if let ("x-meshfence-epoch", crate::HeaderExpectation::Is(epoch)) =
                (name.as_str(), expected)
            {
                let found = decision.fence.map(|fence| fence.epoch.to_string());
                assert_eq!(found.as_ref(), Some(epoch), "{}", case.name);
            }
        }
    }
}
