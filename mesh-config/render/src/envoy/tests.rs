//! The bootstraps of a small set of two regions, read back and shown to a real Envoy.

mod agents;

use super::bootstrap::document;
use super::{
    AccessLog, Certificates, Delivery, EnvoyPlan, Keys, RenderError, Site, bootstrap, plugin_file,
    plugin_resource, plugin_resource_with, roles, secrets,
};
use crate::yaml::tests::{as_read, read};
use crate::yaml::{Node, emit, list, map};
use policy_core::wire::{
    Context, Fencing, Hmac, HmacKey, LeaseTimes, LoadShedding, Match, PluginConfig, PolicyBody,
    Records, RedactionProfile, Region, Retries, Versioning,
};
use policy_core::{
    CohortSource, Consistency, DataClass, IdempotencyRule, Mode, Priority, PriorityHeader, Reads,
    Role, ShedAt, SheddingMode, SubjectMode,
};
use policy_doc::{AgentUrl, Issuer, MeshFacts, PolicySet, Upstreams};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An elliptic curve key as RFC 7517 shows one.
const PUBLIC_KEYS: &str = r#"{"keys":[{"alg":"ES256","crv":"P-256","kid":"run","kty":"EC","use":"sig","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

fn region(name: &str, code: &str, jurisdiction: &str) -> Region {
    let id = |account: &str| format!("spiffe://{name}.shop/ns/gateways/sa/{account}");
    Region {
        name: name.into(),
        code: code.into(),
        jurisdiction: jurisdiction.into(),
        locality: None,
        peer_ids: vec![id("peer")],
        gateway_ids: vec![id("public"), id("peer")],
        workload_ids: Vec::new(),
    }
}

fn agent(host: &str, is_tls: bool) -> AgentUrl {
    AgentUrl { is_tls, host: host.into(), port: 7070 }
}

fn hmac_key(name: &str) -> HmacKey {
    HmacKey { id: name.to_lowercase(), env: format!("MESHFENCE_HMAC_{name}") }
}

fn context(name: &str, path: &str, consistency: Consistency, class: DataClass) -> Context {
    Context {
        name: name.into(),
        matches: vec![Match {
            path: path.into(),
            methods: Vec::new(),
            effect: None,
            operation: None,
        }],
        consistency,
        lease: None,
        shard: None,
        data_classes: vec![class],
        subject: if class.is_bound() { SubjectMode::SelfCaller } else { SubjectMode::Optional },
        default_country: None,
        reads: Reads::Holder,
        idempotency_key: IdempotencyRule::Ignore,
        priority: Priority::Normal,
        deadline: None,
        purpose: None,
        max_lag_ms: None,
        acks: None,
        merge: None,
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
        residency: serde_json::from_value(json!({
            "mode": "enforce",
            "home": {"*": "taiwan", "JP": "tokyo"},
            "subjectSources": [{"jwtClaim": {
                "issuer": "shop", "claim": "residency", "principalKind": {"default": "customer"},
            }}],
            "rules": [{
                "name": "norway-in-tokyo",
                "when": {"dataClasses": ["personal"], "countries": ["NO", "JP"]},
                "regions": ["tokyo"],
                "otherwise": "route",
            }],
        }))
        .unwrap(),
        fencing: Fencing {
            mode: Mode::Enforce,
            initial_holders: BTreeMap::from([("inventory".into(), "taiwan".into())]),
            static_state: None,
            lease: LeaseTimes::default(),
            reroute: false,
        },
        versioning: Versioning::default(),
        load_shedding: LoadShedding {
            mode: SheddingMode::Enforce,
            shed_at: ShedAt::Edge,
            status: 503,
            concurrency: BTreeMap::from([("default".into(), 64)]),
            latency: BTreeMap::new(),
            cohort: CohortSource::ALL.to_vec(),
            retries: Retries::default(),
            never_shed: Vec::new(),
            priority_header: PriorityHeader::Honour,
            brownout: Mode::Enforce,
            spill: None,
        },
        hmac: Some(Hmac { keys: ["K2", "K1"].map(hmac_key).into(), replay_window_ms: 30_000 }),
        records: Records::default(),
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
        agents: BTreeMap::from([("taiwan".into(), agent("region-agent.meshfence", false))]),
        attachments: Vec::new(),
        upstreams: Upstreams::default(),
        plugin: None,
    };
    PolicySet::new("two-regions".into(), body, mesh, Vec::new())
}

/// The first of the two regions, alone.
fn one_region() -> (PolicySet, EnvoyPlan) {
    let (mut set, mut plan) = (two_regions(), plan());
    set.body.regions.truncate(1);
    set.body.residency.home = BTreeMap::from([("*".into(), "taiwan".into())]);
    set.body.residency.rules.clear();
    plan.sites.truncate(1);
    (set, plan)
}

fn site(region: &str, port: u16) -> Site {
    let at = |offset| SocketAddr::from((Ipv4Addr::LOCALHOST, port + offset));
    Site {
        region: region.into(),
        edge: at(0),
        admin: at(1),
        peer: at(2),
        application: at(3),
        inbound: at(4),
        outbound: at(5),
    }
}

fn plan() -> EnvoyPlan {
    EnvoyPlan {
        sites: vec![site("taiwan", 18_080), site("tokyo", 18_090)],
        module: "meshfence.wasm".into(),
        keys: Keys::Remote,
        access_log: AccessLog::Stdout,
        secrets: "tls".into(),
        delivery: Delivery::Inline,
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

/// The listeners in their order, as `static_resources/listeners/<number>`.
const ROLES: [Role; 4] = [Role::Edge, Role::Peer, Role::Inbound, Role::Outbound];

fn manager(number: usize) -> String {
    format!("static_resources/listeners/{number}/filter_chains/0/filters/0/typed_config")
}

#[test]
fn renders_taiwan() {
    insta::assert_snapshot!(bootstrap(&two_regions(), &plan(), "taiwan").expect("renders"));
}

#[test]
fn renders_tokyo_with_inline_keys_log_files_and_configurations_apart() {
    let plan = EnvoyPlan {
        keys: Keys::Inline(PUBLIC_KEYS.into()),
        delivery: Delivery::Files("plugin".into()),
        ..file_logs(plan())
    };
    let text = bootstrap(&two_regions(), &plan, "tokyo").expect("renders");
    insta::assert_snapshot!(text);
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

/// The names of a listener's filters.
fn filters(document: &Node, listener: usize) -> Vec<String> {
    let Node::List(filters) = at(document, &format!("{}/http_filters", manager(listener))) else {
        panic!("no filters")
    };
    let name = |filter| match at(filter, "name") {
        Node::Text(name) => name.trim_start_matches("envoy.filters.http.").to_owned(),
        other => panic!("{other:?}"),
    };
    filters.iter().map(name).collect()
}

#[test]
fn carries_the_plugin_configuration_that_the_set_resolves_to() {
    let (hostile_set, hostile_plan) = hostile();
    for (set, plan) in [(two_regions(), plan()), (hostile_set, hostile_plan)] {
        let text = bootstrap(&set, &plan, "taiwan").expect("renders");
        let document = read(&text);
        for (number, role) in ROLES.into_iter().enumerate() {
            let name = format!("meshfence.{role}");
            let position = filters(&document, number).iter().position(|known| *known == name);
            let path = format!("{}/http_filters/{}", manager(number), position.expect("a guard"));
            let filter = at(&document, &format!("{path}/typed_config"));
            assert_eq!(configuration(filter), set.plugin_config("taiwan", role));
        }
    }
}

#[test]
fn where_a_set_redacts_headers_of_responses_can_be_held() {
    let mut set = two_regions();
    let filter = |set: &PolicySet| {
        let text = plugin_resource(set, &plan(), "taiwan", Role::Edge).expect("renders");
        at(&read(&text), "resources/0/typed_config").clone()
    };
    let plain = filter(&set);
    assert!(!emit(&plain).contains("allow_on_headers_stop_iteration"));
    assert!(!configuration(&plain).attachment.holds_response_headers);
    set.body.residency.redaction_profiles = vec![RedactionProfile {
        name: "abroad".into(),
        fields: Vec::new(),
        headers: vec!["set-cookie".into()],
    }];
    let redacting = filter(&set);
    let held = at(&redacting, "config/allow_on_headers_stop_iteration");
    assert_eq!(held, &Node::from(true));
    assert!(configuration(&redacting).attachment.holds_response_headers);
}

#[test]
fn where_a_set_reroutes_routes_and_clusters_of_peers_do() {
    let mut set = two_regions();
    let marks = ["internal_redirect_policy", "root_id: reroute", "upstream_codec"];
    let plain = bootstrap(&set, &plan(), "taiwan").expect("renders");
    assert!(marks.iter().all(|mark| !plain.contains(mark)), "{plain}");
    set.body.fencing.reroute = true;
    let document = document(&set, &plan(), "taiwan").expect("renders");
    let text = emit(&document);
    // The routes to Tokyo of edge and outbound, and its cluster.
    let found = marks.map(|mark| text.matches(mark).count());
    assert_eq!(found, [2, 1, 2], "{text}");
    assert_eq!(read(&text), as_read(&document));
}

/// What the module reads of a filter's configuration.
fn configuration(filter: &Node) -> PluginConfig {
    let Node::Text(json) = at(filter, "config/configuration/value") else { panic!("{filter:?}") };
    PluginConfig::from_json(json.as_bytes()).expect("the module reads it")
}

#[test]
fn a_configuration_apart_is_the_one_in_the_bootstrap() {
    let set = two_regions();
    let apart = EnvoyPlan { delivery: Delivery::Files("plugin".into()), ..plan() };
    let inline = read(&bootstrap(&set, &plan(), "tokyo").expect("renders"));
    let bootstrap = read(&bootstrap(&set, &apart, "tokyo").expect("renders"));
    for (number, role) in ROLES.into_iter().enumerate() {
        let last = filters(&inline, number).len() - 2;
        let path = format!("{}/http_filters/{last}", manager(number));
        let source = at(&bootstrap, &format!("{path}/config_discovery/config_source"));
        let file = format!("plugin/{}", plugin_file("tokyo", role));
        assert_eq!(at(source, "path_config_source/path"), &Node::from(file));
        let text = plugin_resource(&set, &apart, "tokyo", role).expect("renders");
        assert!(text.contains(&format!("for region tokyo as {role}.\n# Do not edit")), "{text}");
        let resource = read(&text);
        let resource = at(&resource, "resources/0");
        assert_eq!(at(resource, "name"), at(&inline, &format!("{path}/name")));
        let filter = at(resource, "typed_config");
        assert_eq!(filter, at(&inline, &format!("{path}/typed_config")));
        let other = plugin_resource_with(&set, &apart, "tokyo", role, "a:\n- b").expect("renders");
        let value = "resources/0/typed_config/config/configuration/value";
        assert_eq!(at(&read(&other), value), &Node::from("a:\n- b"));
    }
}

#[test]
fn every_role_shares_one_vm_that_sees_the_secrets_of_the_policy() {
    let document = read(&bootstrap(&two_regions(), &plan(), "taiwan").expect("renders"));
    let vm = |number: usize| {
        let last = filters(&document, number).len() - 2;
        let path = format!("{}/http_filters/{last}/typed_config/config", manager(number));
        at(at(&document, &path), "vm_config")
    };
    let names = at(vm(0), "environment_variables/host_env_keys");
    assert_eq!(names, &list!["MESHFENCE_HMAC_K1", "MESHFENCE_HMAC_K2"]);
    for number in 1..ROLES.len() {
        assert_eq!(vm(number), vm(0));
    }
}

#[test]
fn knows_who_asks_before_the_guard_runs() {
    let document = read(&bootstrap(&two_regions(), &plan(), "taiwan").expect("renders"));
    let expected = [
        &["jwt_authn", "meshfence.edge", "router"][..],
        &["set_filter_state", "meshfence.peer", "router"],
        &["set_filter_state", "jwt_authn", "meshfence.inbound", "router"],
        &["jwt_authn", "meshfence.outbound", "router"],
    ];
    for (number, expected) in expected.into_iter().enumerate() {
        assert_eq!(filters(&document, number), expected);
    }
}

#[test]
fn without_other_regions_nobody_enters_as_one_and_every_file_is_there() {
    let (set, plan) = one_region();
    let text = bootstrap(&set, &plan, "taiwan").expect("renders");
    let Node::List(listeners) = at(&read(&text), "static_resources/listeners").clone() else {
        panic!("no listeners")
    };
    let names: Vec<&Node> = listeners.iter().map(|listener| at(listener, "name")).collect();
    assert_eq!(names, ["edge", "inbound", "outbound"].map(Node::from).iter().collect::<Vec<_>>());
    let files = secrets(&set, "taiwan", &Certificates::Files("tls".into())).expect("renders");
    for file in text.split("path: \"tls/").skip(1).filter_map(|rest| rest.split('"').next()) {
        let is_there = file == "taiwan" || files.iter().any(|known| known.path == file);
        assert!(is_there, "nothing renders {file}");
    }
}

/// The secrets and names that a TLS context checks the other side by, and whether it insists.
fn judged_by(tls: &Node) -> (String, Vec<String>, bool) {
    let common = at(tls, "typed_config/common_tls_context");
    let text = |node: &Node| match node {
        Node::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let Node::Map(entries) = common else { panic!("{common:?}") };
    if entries.iter().any(|(key, _)| key == "combined_validation_context") {
        let combined = at(common, "combined_validation_context");
        let secret = at(combined, "validation_context_sds_secret_config/name");
        let names = "default_validation_context/match_typed_subject_alt_names";
        let Node::List(names) = at(combined, names) else { panic!("{combined:?}") };
        let names = names.iter().map(|name| text(at(name, "matcher/exact"))).collect();
        return (text(secret), names, true);
    }
    let insists = at(tls, "typed_config/require_client_certificate") == &Node::from(true);
    (text(at(common, "validation_context_sds_secret_config/name")), Vec::new(), insists)
}

#[test]
fn between_gateways_both_sides_show_a_certificate() {
    let mut set = two_regions();
    for region in &mut set.body.regions {
        // May send, and is not who is reached.
        region.peer_ids.push(format!("spiffe://{}.shop/ns/shop/sa/orders", region.name));
    }
    let document = read(&bootstrap(&set, &plan(), "taiwan").expect("renders"));
    let peer_id = |region: &str| vec![format!("spiffe://{region}.shop/ns/gateways/sa/peer")];
    for (path, expected) in [
        ("listeners/1/filter_chains/0", ("peers".to_owned(), Vec::new(), true)),
        ("listeners/2/filter_chains/0", ("region-taiwan".to_owned(), Vec::new(), true)),
        ("clusters/0", ("region-taiwan".to_owned(), peer_id("taiwan"), true)),
        ("clusters/2", ("region-tokyo".to_owned(), peer_id("tokyo"), true)),
    ] {
        let tls = at(&document, &format!("static_resources/{path}/transport_socket"));
        assert_eq!(judged_by(tls), expected, "{path}");
    }
}

#[test]
fn secrets_name_one_authority_for_each_trust_domain() {
    let set = two_regions();
    let files = secrets(&set, "taiwan", &Certificates::Files("tls".into())).expect("renders");
    let text: Vec<String> =
        files.iter().map(|file| format!("== {}\n{}", file.path, file.text)).collect();
    assert!(files.iter().all(|file| !file.is_private), "what it names is private, not the file");
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn inline_secrets_are_all_there_and_the_key_is_in_one_file() {
    let set = two_regions();
    let pem = |what: &str| format!("-----BEGIN {what}-----\nAAAA\n-----END {what}-----\n");
    let authority = |domain: &str| (domain.to_owned(), pem(domain));
    let authorities = ["taiwan.shop", "tokyo.shop"].map(authority);
    let inline = |authorities: &[(String, String)]| Certificates::Inline {
        certificate: pem("CERTIFICATE"),
        key: pem("PRIVATE KEY"),
        authorities: authorities.iter().cloned().collect(),
    };
    let certificates = inline(&authorities);
    assert!(!format!("{certificates:?}").contains("PRIVATE"));
    let files = secrets(&set, "taiwan", &certificates).expect("renders");
    let names: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.is_private)).collect();
    let expected = [
        ("taiwan/peers.yaml", false),
        ("taiwan/region-taiwan.yaml", false),
        ("taiwan/region-tokyo.yaml", false),
        ("taiwan/identity.yaml", true),
    ];
    assert_eq!(names, expected, "the certificate comes after whoever has to believe it");
    for file in &files {
        assert_eq!(file.text.contains("PRIVATE KEY"), file.is_private, "{}", file.path);
        let own = file.text.contains("taiwan.shop-----");
        assert_eq!(own, file.path.ends_with("region-taiwan.yaml"), "{}", file.path);
    }
    let error = secrets(&set, "taiwan", &inline(&authorities[..1])).expect_err("one is missing");
    assert_eq!(error.to_string(), "there is no authority for the trust domain `tokyo.shop`");
}

#[test]
fn leaves_token_verification_out_without_issuers() {
    let mut set = two_regions();
    set.mesh.issuers.clear();
    let text = bootstrap(&set, &plan(), "taiwan").expect("renders");
    assert!(!text.contains("jwt_authn") && !text.contains("jwks"), "{text}");
}

/// The routes of a listener.
fn routes(document: &Node, listener: usize) -> &[Node] {
    let Node::List(routes) =
        at(document, &format!("{}/route_config/virtual_hosts/0/routes", manager(listener)))
    else {
        panic!("no routes")
    };
    routes
}

#[test]
fn sends_an_unknown_region_nowhere() {
    let document = read(&bootstrap(&two_regions(), &plan(), "taiwan").expect("renders"));
    for listener in [0, 3] {
        let routes = routes(&document, listener);
        let [tokyo, unknown, here] = routes else { panic!("{routes:?}") };
        assert_eq!(at(tokyo, "route/cluster"), &Node::from("peer-tokyo"));
        assert_eq!(at(unknown, "match/headers/0/present_match"), &Node::from(true));
        assert_eq!(at(unknown, "direct_response/status"), &Node::from(503_u16));
        assert_eq!(at(here, "match"), &map! { "prefix" => "/" });
        assert_eq!(at(here, "route/cluster"), &Node::from("upstream"));
    }
}

#[test]
fn what_has_arrived_goes_nowhere_else() {
    let document = read(&bootstrap(&two_regions(), &plan(), "taiwan").expect("renders"));
    for (listener, cluster) in [(1, "upstream"), (2, "application")] {
        let routes = routes(&document, listener);
        let [only] = routes else { panic!("{routes:?}") };
        assert_eq!(at(only, "match"), &map! { "prefix" => "/" });
        assert_eq!(at(only, "route/cluster"), &Node::from(cluster));
    }
}

#[test]
fn nobody_says_what_certificate_he_has_and_nothing_is_tried_again() {
    let text = bootstrap(&two_regions(), &plan(), "taiwan").expect("renders");
    assert_eq!(text.matches("forward_client_cert_details: SANITIZE").count(), ROLES.len());
    assert!(!text.contains("retry_policy") && !text.contains("num_retries"), "{text}");
}

#[test]
fn never_logs_paths_queries_or_client_headers() {
    let text = bootstrap(&two_regions(), &plan(), "taiwan").expect("renders");
    for command in text.split('%').filter(|part| part.starts_with("REQ(")) {
        assert!(["REQ(X-REQUEST-ID)", "REQ(:METHOD):7"].contains(&command), "{command}");
    }
}

#[test]
fn refuses_to_listen_where_others_could_reach_it() {
    type Change = fn(&mut Site, SocketAddr);
    let changes: [(&str, Change); 3] = [
        ("edge", |site, to| site.edge = to),
        ("outbound", |site, to| site.outbound = to),
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
                    "the {name} address {address} of region `tokyo` is not a loopback address, and \
                     whoever reached it would not have to show a certificate"
                )
            );
        }
    }
}

#[test]
fn takes_loopback_of_either_family_and_what_asks_for_certificates_anywhere() {
    let mut plan = plan();
    plan.sites[0].edge = "[::1]:18080".parse().expect("an address");
    plan.sites[0].peer = "192.0.2.1:15443".parse().expect("an address");
    plan.sites[0].inbound = "[2001:db8::1]:15006".parse().expect("an address");
    plan.sites[0].application = "192.0.2.2:8080".parse().expect("an address");
    let text = bootstrap(&two_regions(), &plan, "taiwan").expect("renders");
    for address in ["::1", "192.0.2.1", "2001:db8::1", "192.0.2.2"] {
        assert!(text.contains(&format!("address: \"{address}\"")), "{address}");
    }
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
        refusal(|_, plan| plan.sites[1].application.set_port(0)),
        refusal(|_, plan| plan.sites[1].peer.set_ip(Ipv4Addr::UNSPECIFIED.into())),
        refusal(|_, plan| plan.module.clear()),
        refusal(|_, plan| plan.secrets.clear()),
        refusal(|_, plan| plan.delivery = Delivery::Files(String::new())),
        refusal(|set, _| set.body.health_paths.clear()),
        refusal(|set, _| set.body.regions[1].peer_ids.clear()),
        refusal(|set, _| set.body.regions[1].gateway_ids.clear()),
        refusal(|set, _| set.body.regions[1].gateway_ids.push("spiffe://tokyo.shop".into())),
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

fn put(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    std::fs::write(path, text).expect("written");
}

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
    let root = directory.path().display();
    let inline = EnvoyPlan {
        keys: Keys::Inline(PUBLIC_KEYS.into()),
        delivery: Delivery::Files(format!("{root}/plugin")),
        ..file_logs(plan())
    };
    let mut no_issuers = two_regions();
    no_issuers.mesh.issuers.clear();
    no_issuers.mesh.agents.insert("tokyo".into(), agent("::1", true));
    let (alone, alone_plan) = one_region();
    for (set, plan) in [
        (alone, alone_plan),
        (two_regions(), plan()),
        (two_regions(), inline),
        (no_issuers, plan()),
        (hostile_set, file_logs(hostile_plan)),
    ] {
        let plan = EnvoyPlan {
            module: module.display().to_string(),
            secrets: format!("{root}/tls"),
            ..plan
        };
        for site in &plan.sites {
            let certificates = Certificates::Files(plan.secrets.clone());
            for file in secrets(&set, &site.region, &certificates).expect("renders") {
                put(&directory.path().join("tls").join(file.path), &file.text);
            }
            for role in roles(&set) {
                let resource = plugin_resource(&set, &plan, &site.region, role).expect("renders");
                let path = plugin_file(&site.region, role);
                put(&directory.path().join("plugin").join(path), &resource);
            }
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
