//! The example policy set.

use crate::{
    FencingTimes, HealthTimes, Loaded, PolicySet, Purpose, Source, TransitionLimits, load,
};
use policy_core::Role;
use policy_core::wire::{LeaseTimes, StateDocument};

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
fn a_merge_names_every_request_of_its_match() {
    let checkout = "{name: checkout, path: /api/v1/checkout, methods: [POST]}";
    for (instead, at, merge) in [
        (
            checkout,
            ", at: checkout",
            r#"{"strategy":"or-set","at":[{"context":"orders","match":1}]}"#,
        ),
        (
            "{name: checkout, grpc: {service: shop.v1.Orders, methods: [Buy, Book]}}",
            ", at: checkout",
            r#"{"strategy":"or-set","at":[{"context":"orders","match":1},{"context":"orders","match":2}]}"#,
        ),
        (checkout, "", r#"{"strategy":"or-set"}"#),
    ] {
        let mut sources = sources();
        let contexts = sources.iter_mut().find(|source| source.file == "contexts.yaml").unwrap();
        contexts.text = contexts.text.replacen(checkout, instead, 1);
        contexts.text = contexts.text.replacen(", at: checkout}", &format!("{at}}}"), 1);
        sources.retain(|source| !source.file.starts_with("tests/"));
        let loaded = load(sources, Purpose::Deploy);
        assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false));
        let body = loaded.set.unwrap().body;
        let carts = body.contexts.iter().find(|context| context.name == "carts").unwrap();
        assert_eq!(serde_json::to_string(&carts.merge).unwrap(), merge, "{instead}{at}");
    }
}

/// What is said of versions is what proxies get, and what is not said are its defaults.
#[test]
fn versions_are_read_and_have_defaults() {
    let said = |lines: &str| {
        let mut sources = sources();
        let fencing = sources.iter_mut().find(|source| source.file == "fencing.yaml").unwrap();
        let (before, rest) = fencing.text.split_once("  clock:\n").unwrap();
        let (_, after) = rest.split_once("---\n").unwrap();
        fencing.text = format!("{before}{lines}\n---\n{after}");
        let loaded = load(sources, Purpose::Deploy);
        assert!(loaded.diagnostics.is_empty(), "{lines}: {}", loaded.render(false));
        serde_json::to_string(&loaded.set.unwrap().body.versioning).unwrap()
    };
    let plain = r#"{"mode":"enforce","maxDriftMs":500,"onDrift":"tag"}"#;
    assert_eq!(said(""), plain);
    assert_eq!(said("  onLostUpdate: pass\n  conflicts: {window: 1s}"), plain, "the defaults");
    assert_eq!(
        said(
            "  etag: [carts]\n  onLostUpdate: deny\n  causal: {lifetime: 24h}\n  \
             conflicts: {window: 1m}\n  hints: baggage"
        ),
        r#"{"mode":"enforce","maxDriftMs":500,"onDrift":"tag","etag":["carts"],"onLostUpdate":"deny","causalLifetimeMs":86400000,"conflictWindowMs":60000,"hints":"baggage"}"#
    );
}

/// What is said of load is what proxies get; pools that say no limit start where all do.
#[test]
fn load_is_read_and_has_defaults() {
    let said = |lines: &str| {
        let mut sources = sources();
        let fencing = sources.iter_mut().find(|source| source.file == "fencing.yaml").unwrap();
        let (before, rest) = fencing.text.split_once("kind: LoadShedding\n").unwrap();
        let (head, _) = rest.split_once("  mode: enforce\n").unwrap();
        fencing.text = format!("{before}kind: LoadShedding\n{head}{lines}\n");
        let loaded = load(sources, Purpose::Deploy);
        assert!(loaded.diagnostics.is_empty(), "{lines}: {}", loaded.render(false));
        serde_json::to_string(&loaded.set.unwrap().body.load_shedding).unwrap()
    };
    let plain = |mode: &str, concurrency: &str| {
        let head = r#""shedAt":"inbound","status":503,"concurrency":"#;
        format!(r#"{{"mode":"{mode}",{head}{concurrency}"#)
    };
    for (lines, is) in [
        ("  mode: enforce\n  concurrency: {default: 64}", plain("enforce", r#"{"default":64}}"#)),
        (
            "  mode: shadow\n  concurrency: {default: 64}\n  latency: {default: auto}\n  \
             cohort: [jwtSubject, clientAddress]\n  retries: {floor: 3}\n  \
             priorityHeader: honour\n  brownout: enforce",
            plain("shadow", r#"{"default":64},"latency":{"default":"auto"}}"#),
        ),
        ("  mode: disabled", plain("disabled", "{}}")),
        (
            "  mode: enforce\n  latency: {default: auto, payments: 300ms}",
            plain(
                "enforce",
                r#"{"default":10,"payments":10},"latency":{"default":"auto","payments":{"slo":{"ms":300}}}}"#,
            ),
        ),
        (
            "  mode: enforce\n  concurrency: {default: 64, carts: 20}\n  \
             latency: {carts: 1m, reviews: auto}\n  cohort: [clientAddress]\n  \
             retries: {budget: 0}\n  neverShed: [accounts]\n  priorityHeader: ignore\n  \
             brownout: disabled\n  spill: {above: 85}",
            plain(
                "enforce",
                r#"{"carts":20,"default":64,"reviews":10},"latency":{"carts":{"slo":{"ms":60000}},"reviews":"auto"},"cohort":["clientAddress"],"retries":{"budget":0,"floor":3},"neverShed":["accounts"],"priorityHeader":"ignore","brownout":"disabled","spill":{"above":85,"margin":20}}"#,
            ),
        ),
    ] {
        assert_eq!(said(lines), is, "{lines}");
    }
}

#[test]
fn a_context_says_how_long_its_requests_are_worth_something() {
    for (said, is) in [
        ("{max: 3s, min: 20ms}", r#"{"maxMs":3000,"minMs":20}"#),
        ("{max: 20ms}", r#"{"maxMs":20}"#),
        ("{min: 1m}", r#"{"minMs":60000}"#),
        ("{max: 100ms, min: 85ms}", r#"{"maxMs":100,"minMs":85}"#),
    ] {
        let mut sources = sources();
        let contexts = sources.iter_mut().find(|source| source.file == "contexts.yaml").unwrap();
        let head = "    - name: orders\n";
        contexts.text = contexts.text.replacen(head, &format!("{head}      deadline: {said}\n"), 1);
        let loaded = load(sources, Purpose::Deploy);
        assert!(loaded.diagnostics.is_empty(), "{said}: {}", loaded.render(false));
        let body = loaded.set.unwrap().body;
        let written = body.contexts.iter().map(|context| context.deadline);
        let written: Vec<String> =
            written.flatten().map(|said| serde_json::to_string(&said).unwrap()).collect();
        assert_eq!(written, [is]);
    }
}

#[test]
fn times_are_read_and_have_defaults() {
    let lease = |ttl_ms, poll_ms| LeaseTimes { ttl_ms, poll_ms };
    let default = FencingTimes::default();
    let renewed = |renew_ms| FencingTimes { renew_ms, ..default };
    for (lines, times, own, why) in [
        ("", lease(15_000, 1_000), default, "nothing is said"),
        ("lease: {ttl: 15s, renew: 5s, poll: 1s}", lease(15_000, 1_000), default, "the defaults"),
        ("lease: {ttl: 2s}", lease(2_000, 666), renewed(666), "a third of what is short"),
        ("lease: {ttl: 3s, poll: 300ms}", lease(3_000, 300), renewed(1_000), "what is said counts"),
        (
            "lease: {ttl: 10m, renew: 200s, poll: 2s}",
            lease(600_000, 2_000),
            renewed(200_000),
            "long",
        ),
        (
            "health: {interval: 2s, failures: 2}",
            lease(15_000, 1_000),
            FencingTimes { health: HealthTimes { interval_ms: 2_000, failures: 2 }, ..default },
            "health",
        ),
        (
            "transitions: {minHold: 0s, maxPerHour: 60, maxOverride: 1h}",
            lease(15_000, 1_000),
            FencingTimes {
                transitions: TransitionLimits {
                    min_hold_ms: 0,
                    max_per_hour: 60,
                    max_override_ms: 3_600_000,
                },
                ..default
            },
            "a drill",
        ),
    ] {
        let mut sources = sources();
        let fencing = sources.iter_mut().find(|source| source.file == "fencing.yaml").unwrap();
        let (before, rest) = fencing.text.split_once("  lease:\n").unwrap();
        let (_, after) = rest.split_once("---\n").unwrap();
        fencing.text = format!("{before}  {lines}\n---\n{after}");
        let loaded = load(sources, Purpose::Deploy);
        assert!(loaded.diagnostics.is_empty(), "{why}: {}", loaded.render(false));
        let set = loaded.set.unwrap();
        assert_eq!((set.body.fencing.lease, set.fencing_times), (times, own), "{why}");
    }
}

#[test]
fn proxies_ask_the_agent_of_their_region() {
    let mut set = set();
    let agent = |set: &PolicySet| set.plugin_config("taiwan", Role::Inbound).attachment.agent;
    let asked = agent(&set).unwrap();
    assert_eq!(asked.cluster, "region-agent");
    assert_eq!(asked.authority, "region-agent.meshfence:7070");
    assert_eq!(agent(&set.with_static_state(StateDocument::default())), None, "`up`");
    set.mesh.agents.remove("taiwan");
    assert_eq!(agent(&set), None, "every lease is unknown");
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
