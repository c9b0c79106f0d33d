//! The bootstraps of a small set of two regions, read back and shown to a real Envoy.

use super::bootstrap::document;
use super::{AccessLog, EnvoyPlan, Keys, RenderError, Site, bootstrap};
use crate::yaml::tests::{as_read, read};
use crate::yaml::{Node, map};
use policy_core::wire::{
    Context, Fencing, LoadShedding, Match, PluginConfig, PolicyBody, PrincipalKind, Region,
    Residency, Rule, SubjectSource, Versioning,
};
use policy_core::{
    Consistency, DataClass, IdempotencyRule, Mode, OnDrift, Otherwise, Priority, Reads, Role,
    ShedAt, SubjectMode,
};
use policy_doc::{Issuer, MeshFacts, PolicySet, Upstreams};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

/// An elliptic curve key as RFC 7517 shows one.
const PUBLIC_KEYS: &str = r#"{"keys":[{"alg":"ES256","crv":"P-256","kid":"run","kty":"EC","use":"sig","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

fn region(name: &str, code: &str, jurisdiction: &str) -> Region {
    Region {
        name: name.into(),
        code: code.into(),
        jurisdiction: jurisdiction.into(),
        peer_ids: Vec::new(),
        gateway_ids: Vec::new(),
    }
}

fn context(name: &str, path: &str, consistency: Consistency, class: DataClass) -> Context {
    Context {
        name: name.into(),
        matches: vec![Match { path: path.into(), methods: Vec::new(), effect: None }],
        consistency,
        lease: None,
        shard: None,
        data_classes: vec![class],
        subject: if class.is_bound() { SubjectMode::SelfCaller } else { SubjectMode::Optional },
        reads: Reads::Holder,
        idempotency_key: IdempotencyRule::Ignore,
        priority: Priority::Normal,
    }
}

fn two_regions() -> PolicySet {
    let body = PolicyBody {
        regions: vec![region("taiwan", "tpe", "TW"), region("tokyo", "tyo", "JP")],
        hosts: vec!["api.shop.example".into()],
        health_paths: vec!["/ready".into()],
        unmatched_status: 404,
        contexts: vec![
            context("inventory", "/api/v1/inventory/**", Consistency::Locked, DataClass::Internal),
            context("profiles", "/api/v1/me", Consistency::Replicated, DataClass::Personal),
        ],
        residency: Residency {
            mode: Mode::Enforce,
            home: BTreeMap::from([("*".into(), "taiwan".into()), ("JP".into(), "tokyo".into())]),
            subject_sources: vec![SubjectSource {
                issuer: "shop".into(),
                claim: "residency".into(),
                principal_kind: PrincipalKind { claim: None, default: "customer".into() },
            }],
            rules: vec![Rule {
                name: "norway-in-tokyo".into(),
                data_classes: vec![DataClass::Personal],
                countries: vec!["NO".into(), "JP".into()],
                no_subject: false,
                regions: vec!["tokyo".into()],
                otherwise: Otherwise::Route,
                fallback: None,
            }],
        },
        fencing: Fencing {
            mode: Mode::Enforce,
            initial_holders: BTreeMap::from([("inventory".into(), "taiwan".into())]),
            static_state: None,
        },
        versioning: Versioning { mode: Mode::Enforce, max_drift_ms: 500, on_drift: OnDrift::Tag },
        load_shedding: LoadShedding {
            mode: Mode::Enforce,
            shed_at: ShedAt::Edge,
            status: 503,
            concurrency: BTreeMap::from([("default".into(), 64)]),
        },
        hmac: None,
    };
    let issuer = Issuer {
        name: "shop".into(),
        issuer: "https://id.shop.example".into(),
        audiences: vec!["shop".into()],
        jwks_uri: "https://id.shop.example/jwks".into(),
    };
    let mesh = MeshFacts {
        issuers: vec![issuer],
        cloud_regions: BTreeMap::from([("tokyo".into(), "ap-northeast-1".into())]),
        peer_gateways: BTreeMap::new(),
        attachments: Vec::new(),
        upstreams: Upstreams::default(),
        plugin: None,
    };
    PolicySet::new("two-regions".into(), body, mesh, Vec::new())
}

fn site(region: &str, port: u16) -> Site {
    let at = |offset| SocketAddr::from((Ipv4Addr::LOCALHOST, port + offset));
    Site { region: region.into(), edge: at(0), admin: at(1), peer: at(2), upstream: at(3) }
}

fn plan() -> EnvoyPlan {
    EnvoyPlan {
        sites: vec![site("taiwan", 18_080), site("tokyo", 18_090)],
        module: "meshfence.wasm".into(),
        keys: Keys::Remote,
        access_log: AccessLog::Stdout,
    }
}

/// A set whose every name tries to be something else, and a plan for it.
fn hostile() -> (PolicySet, EnvoyPlan) {
    let name = "tok\"yo': }\n- evil: &a *b # %DOWNSTREAM_REMOTE_ADDRESS% \u{2028}\u{1f600}";
    let mut set = two_regions();
    set.name = format!("{name}\nadmin: {{}}");
    set.mesh.cloud_regions = BTreeMap::from([("taiwan".into(), "NO".into())]);
    set.body.hosts = vec!["NO".into()];
    for region in &mut set.body.regions {
        if region.name == "tokyo" {
            region.name = name.into();
        }
    }
    for issuer in &mut set.mesh.issuers {
        issuer.name = "off: \"x\"\n...".into();
        issuer.issuer = "1".into();
        issuer.audiences = vec!["null".into(), "- ~".into(), "1e3".into()];
    }
    let mut plan = plan();
    for site in &mut plan.sites {
        if site.region == "tokyo" {
            site.region = name.into();
        }
    }
    (set, plan)
}

fn file_logs(plan: EnvoyPlan) -> EnvoyPlan {
    let paths = plan.sites.iter().map(|site| (site.region.clone(), "/dev/null".into())).collect();
    EnvoyPlan { access_log: AccessLog::File(paths), ..plan }
}

/// The value at a path of keys and positions.
fn at<'a>(node: &'a Node, path: &str) -> &'a Node {
    path.split('/').fold(node, |node, step| match node {
        Node::Map(entries) => {
            &entries.iter().find(|(key, _)| key == step).unwrap_or_else(|| panic!("no {step}")).1
        }
        Node::List(items) => &items[step.parse::<usize>().expect("a position")],
        other => panic!("{step} of {other:?}"),
    })
}

const MANAGER: &str = "static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

#[test]
fn renders_taiwan() {
    insta::assert_snapshot!(bootstrap(&two_regions(), &plan(), "taiwan").expect("renders"));
}

#[test]
fn renders_tokyo_with_inline_keys_and_log_files() {
    let plan = EnvoyPlan { keys: Keys::Inline(PUBLIC_KEYS.into()), ..file_logs(plan()) };
    insta::assert_snapshot!(bootstrap(&two_regions(), &plan, "tokyo").expect("renders"));
}

#[test]
fn reads_back_as_it_was_meant() {
    let sets = [(two_regions(), plan()), hostile()];
    for (set, plan) in &sets {
        for site in &plan.sites {
            let meant = document(set, plan, &site.region).expect("renders");
            let text = bootstrap(set, plan, &site.region).expect("renders");
            assert_eq!(read(&text), as_read(&meant), "{text}");
        }
    }
}

#[test]
fn carries_the_plugin_configuration_that_the_set_resolves_to() {
    let (hostile_set, hostile_plan) = hostile();
    for (set, plan) in [(two_regions(), plan()), (hostile_set, hostile_plan)] {
        let text = bootstrap(&set, &plan, "taiwan").expect("renders");
        let document = read(&text);
        let path = format!("{MANAGER}/http_filters/1/typed_config/config/configuration/value");
        let Node::Text(json) = at(&document, &path) else { panic!("no configuration in {text}") };
        let read = PluginConfig::from_json(json.as_bytes()).expect("the module reads it");
        assert_eq!(read, set.plugin_config("taiwan", Role::Edge));
    }
}

#[test]
fn verifies_tokens_before_the_guard_runs() {
    let document = read(&bootstrap(&two_regions(), &plan(), "taiwan").expect("renders"));
    let names: Vec<_> =
        (0..3).map(|i| at(&document, &format!("{MANAGER}/http_filters/{i}/name"))).collect();
    let expected = ["envoy.filters.http.jwt_authn", "meshfence.guard", "envoy.filters.http.router"];
    assert_eq!(names, expected.map(Node::from).iter().collect::<Vec<_>>());
}

#[test]
fn leaves_token_verification_out_without_issuers() {
    let mut set = two_regions();
    set.mesh.issuers.clear();
    let text = bootstrap(&set, &plan(), "taiwan").expect("renders");
    assert!(!text.contains("jwt_authn") && !text.contains("jwks"), "{text}");
}

#[test]
fn sends_an_unknown_region_nowhere() {
    let document = read(&bootstrap(&two_regions(), &plan(), "taiwan").expect("renders"));
    let Node::List(routes) =
        at(&document, &format!("{MANAGER}/route_config/virtual_hosts/0/routes"))
    else {
        panic!("no routes")
    };
    let [tokyo, unknown, here] = &routes[..] else { panic!("{routes:?}") };
    assert_eq!(at(tokyo, "route/cluster"), &Node::from("peer-tokyo"));
    assert_eq!(at(unknown, "match/headers/0/present_match"), &Node::from(true));
    assert_eq!(at(unknown, "direct_response/status"), &Node::from(503_u16));
    assert_eq!(at(here, "match"), &map! { "prefix" => "/" });
    assert_eq!(at(here, "route/cluster"), &Node::from("upstream"));
}

#[test]
fn never_logs_paths_queries_or_client_headers() {
    let text = bootstrap(&two_regions(), &plan(), "taiwan").expect("renders");
    for command in text.split('%').filter(|part| part.starts_with("REQ(")) {
        assert!(["REQ(X-REQUEST-ID)", "REQ(:METHOD)"].contains(&command), "{command}");
    }
}

#[test]
fn refuses_to_listen_where_others_could_reach_it() {
    type Change = fn(&mut Site, SocketAddr);
    let changes: [(&str, Change); 3] = [
        ("edge", |site, to| site.edge = to),
        ("peer", |site, to| site.peer = to),
        ("admin", |site, to| site.admin = to),
    ];
    for address in ["0.0.0.0:18080", "192.0.2.1:18080", "[::]:18080", "[2001:db8::1]:18080"] {
        for (name, change) in changes {
            let mut plan = plan();
            // The other region's too: nothing is rendered of a plan that does not hold.
            change(&mut plan.sites[1], address.parse().expect("an address"));
            let error = bootstrap(&two_regions(), &plan, "taiwan").expect_err(name);
            assert!(
                matches!(&error, RenderError::NotLoopback { listener, .. } if *listener == name)
            );
            assert_eq!(
                error.to_string(),
                format!(
                    "the {name} address {address} of region `tokyo` is not a loopback address; this \
                     release has no mutual TLS between regions, so everything listens on loopback"
                )
            );
        }
    }
}

#[test]
fn takes_loopback_of_either_family_and_an_upstream_anywhere() {
    let mut plan = plan();
    plan.sites[0].edge = "[::1]:18080".parse().expect("an address");
    plan.sites[0].upstream = "192.0.2.1:8080".parse().expect("an address");
    let text = bootstrap(&two_regions(), &plan, "taiwan").expect("renders");
    assert!(text.contains("address: \"::1\"") && text.contains("address: \"192.0.2.1\""));
}

fn refusal(change: impl FnOnce(&mut PolicySet, &mut EnvoyPlan)) -> String {
    let (mut set, mut plan) = (two_regions(), plan());
    change(&mut set, &mut plan);
    bootstrap(&set, &plan, "taiwan").expect_err("a refusal").to_string()
}

#[test]
fn refuses_plans_that_do_not_hold() {
    let refusals = [
        refusal(|set, _| set.body.regions.retain(|region| region.name != "taiwan")),
        refusal(|_, plan| plan.sites.truncate(1)),
        refusal(|_, plan| plan.sites.push(site("osaka", 18_100))),
        refusal(|_, plan| plan.sites.push(site("tokyo", 18_100))),
        refusal(|_, plan| plan.sites[1].peer = plan.sites[0].edge),
        refusal(|_, plan| plan.sites[1].upstream.set_port(0)),
        refusal(|_, plan| plan.module.clear()),
        refusal(|_, plan| plan.access_log = AccessLog::File(BTreeMap::new())),
        refusal(|set, _| set.mesh.issuers[0].audiences.clear()),
        refusal(|set, _| set.mesh.issuers[0].issuer.clear()),
        refusal(|set, _| set.mesh.issuers[0].jwks_uri = "http://id.shop.example/jwks".into()),
        refusal(|set, _| set.mesh.issuers[0].jwks_uri = "https://me@id.shop.example/jwks".into()),
        refusal(|set, _| set.mesh.issuers[0].jwks_uri = "https:///jwks".into()),
        refusal(|_, plan| plan.keys = Keys::Inline("keys".into())),
        refusal(|_, plan| plan.keys = Keys::Inline("{}".into())),
        refusal(|_, plan| plan.keys = Keys::Inline(PUBLIC_KEYS.replace("\"x\"", "\"d\""))),
    ];
    insta::assert_snapshot!(refusals.join("\n"));
}

/// The smallest module that Envoy loads: a memory, an allocator and the mark of the ABI.
const MODULE: &[&[u8]] = &[
    b"\0asm\x01\0\0\0",
    // Types: () -> () and (i32) -> i32. Functions: one of each. One page of memory.
    b"\x01\x09\x02\x60\0\0\x60\x01\x7f\x01\x7f",
    b"\x03\x03\x02\0\x01",
    b"\x05\x03\x01\0\x01",
    b"\x07\x2d\x03\x06memory\x02\0\x17proxy_abi_version_0_2_1\0\0\x06malloc\0\x01",
    // Bodies: nothing, and `i32.const 0`.
    b"\x0a\x09\x02\x02\0\x0b\x04\0\x41\0\x0b",
];

#[test]
fn a_real_envoy_accepts_it() {
    let Some(envoy) = std::env::var_os("ENVOY").map(PathBuf::from) else {
        // Not by a macro: the test harness would keep it to itself.
        let message = "NOT RUN: a_real_envoy_accepts_it needs ENVOY, the path of an Envoy binary\n";
        std::io::stderr().write_all(message.as_bytes()).expect("stderr");
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let module = directory.path().join("module.wasm");
    std::fs::write(&module, MODULE.concat()).expect("written");

    let (hostile_set, hostile_plan) = hostile();
    let inline = EnvoyPlan { keys: Keys::Inline(PUBLIC_KEYS.into()), ..file_logs(plan()) };
    let mut no_issuers = two_regions();
    no_issuers.mesh.issuers.clear();
    for (set, plan) in [
        (two_regions(), plan()),
        (two_regions(), inline),
        (no_issuers, plan()),
        (hostile_set, file_logs(hostile_plan)),
    ] {
        let plan = EnvoyPlan { module: module.display().to_string(), ..plan };
        for site in &plan.sites {
            let text = bootstrap(&set, &plan, &site.region).expect("renders");
            let file = directory.path().join("envoy.yaml");
            std::fs::write(&file, &text).expect("written");
            let output = Command::new(&envoy)
                .args(["--mode", "validate", "--log-level", "warning", "-c"])
                .arg(&file)
                .output()
                .expect("Envoy starts");
            let log = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{log}\n{text}");
            assert!(!log.contains("deprecated"), "{log}");
        }
    }
}
