//! The resources of the example, as an API server, Istio and an operator see them.

mod routes;
mod schema;

use super::{IstioError, IstioPlan, Manifest, manifests};
use crate::yaml::Node;
use policy_core::wire::{PluginConfig, RedactionProfile, StateDocument};
use policy_core::{Policy, Role, SubjectSource};
use policy_doc::{AttachmentTarget, MeshAttachment, PolicySet, Purpose, Source, TargetRef, load};
use schema::{documents, get, releases, text};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The checksum of no bytes, which is that of no plugin: what is checked in is for reading.
const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The example, which is read once.
fn example() -> PolicySet {
    static EXAMPLE: LazyLock<PolicySet> = LazyLock::new(read_example);
    EXAMPLE.clone()
}

fn read_example() -> PolicySet {
    let directory = root("policies/tpe-tokyo");
    let mut sources = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push(Source { file: path.display().to_string(), text });
        }
    }
    let loaded = load(sources, Purpose::Deploy);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false));
    loaded.set.unwrap()
}

fn plan() -> IstioPlan {
    IstioPlan {
        plugin_sha256: Some(SHA256_OF_NOTHING.into()),
        edge_credential: "meshfence-edge".into(),
    }
}

/// Every resource of a region.
fn resources(set: &PolicySet, region: &str) -> Vec<Node> {
    let files = manifests(set, &plan(), region).unwrap();
    files.iter().flat_map(|file| documents(&file.text)).collect()
}

fn of_kind<'r>(resources: &'r [Node], kind: &str) -> Vec<&'r Node> {
    resources.iter().filter(|resource| text(resource, "kind") == kind).collect()
}

fn at<'n>(node: &'n Node, path: &str) -> &'n Node {
    path.split('.').fold(node, |node, key| match (key.parse::<usize>(), node) {
        (Ok(number), Node::List(items)) => &items[number],
        _ => get(node, key).unwrap_or_else(|| panic!("no `{key}` of `{path}` in {node:?}")),
    })
}

fn refs(targets: &[(&str, &str, &str)]) -> AttachmentTarget {
    AttachmentTarget::Refs(
        targets
            .iter()
            .map(|(group, kind, name)| TargetRef {
                group: (*group).into(),
                kind: (*kind).into(),
                name: (*name).into(),
            })
            .collect(),
    )
}

fn labels(labels: &[(&str, &str)]) -> AttachmentTarget {
    let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into()));
    AttachmentTarget::Selector(labels.collect())
}

fn attachment(role: Role, namespace: &str, target: AttachmentTarget) -> MeshAttachment {
    MeshAttachment { role, namespace: namespace.into(), target }
}

/// Gateways that Istio's own charts install, a waypoint, and more than one of a role.
fn otherwise_attached() -> PolicySet {
    let mut set = example();
    let gateway_api = "gateway.networking.k8s.io";
    set.mesh.attachments = vec![
        attachment(Role::Edge, "ingress", labels(&[("istio", "ingressgateway")])),
        attachment(
            Role::Edge,
            "ingress",
            refs(&[(gateway_api, "Gateway", "web"), (gateway_api, "Gateway", "apps")]),
        ),
        attachment(Role::Peer, "ingress", labels(&[("istio", "eastwestgateway")])),
        attachment(Role::Inbound, "shop", refs(&[("", "Service", "orders")])),
        attachment(Role::Inbound, "shop", labels(&[("tier", "backend")])),
        attachment(Role::Outbound, "jobs", labels(&[("app", "billing"), ("tier", "batch")])),
    ];
    set.mesh.plugin.as_mut().unwrap().sha256 = Some(SHA256_OF_NOTHING.into());
    set
}

// === what is checked in ===

#[test]
fn what_is_checked_in_is_what_is_rendered() {
    let command = format!(
        "meshfence render istio policies/tpe-tokyo --out mesh-config/tpe-tokyo/istio \
         --plugin-sha256 {SHA256_OF_NOTHING}"
    );
    let readme = fs::read_to_string(root("mesh-config/tpe-tokyo/README.md")).unwrap();
    assert!(
        readme.replace("\\\n    ", "").contains(&command),
        "the README does not say: {command}"
    );
    let set = example();
    let directory = root("mesh-config/tpe-tokyo/istio");
    let mut rendered = BTreeMap::new();
    for region in &set.body.regions {
        for Manifest { name, text } in manifests(&set, &plan(), &region.name).unwrap() {
            rendered.insert(directory.join(&region.name).join(name), text);
        }
    }
    let mut found = BTreeMap::new();
    for region in fs::read_dir(&directory).unwrap() {
        for file in fs::read_dir(region.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            found.insert(path, text);
        }
    }
    let names = |files: &BTreeMap<PathBuf, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&rendered), "run: {command}");
    for (path, text) in rendered {
        assert_eq!(found[&path], text, "{}: run: {command}", path.display());
    }
}

// === as an API server sees it ===

#[test]
fn every_resource_is_valid_for_the_oldest_and_the_newest_istio() {
    let releases = releases();
    for set in [example(), otherwise_attached()] {
        for resource in set.body.regions.iter().flat_map(|region| resources(&set, &region.name)) {
            for schemas in &releases {
                let name = at(&resource, "metadata.name");
                let faults = schemas.faults(&resource);
                assert!(faults.is_empty(), "{} {name:?}: {faults:#?}", schemas.release);
            }
        }
    }
}

/// A test of the test: what an API server refuses, or drops without a word, is found.
#[test]
fn what_an_api_server_would_not_take_is_found() {
    let set = example();
    let all = resources(&set, "taiwan");
    let releases = releases();
    for (kind, from, to, expected) in [
        ("WasmPlugin", "phase: AUTHZ", "phase: AUTH", ".spec.phase: "),
        (
            "WasmPlugin",
            "priority: 1000",
            "priority: high",
            ".spec.priority: is string, not integer",
        ),
        ("WasmPlugin", "failStrategy", "failPolicy", ".spec.failPolicy: there is no such field"),
        ("WasmPlugin", "url: \"oci", "url: \"ftp", ".spec.url: breaks the rule isURL"),
        ("WasmPlugin", "url: ", "uri: ", ".spec: lacks `url`"),
        ("WasmPlugin", "targetRefs:", "selector: {}\n  targetRefs:", ".spec: breaks the rule (has"),
        ("WasmPlugin", "sha256: e3", "sha256: E3", ".spec.sha256: "),
        (
            "RequestAuthentication",
            "jwksUri: \"https",
            "jwksUri: \"file",
            ".spec.jwtRules[0].jwksUri: ",
        ),
        ("ServiceEntry", "number: 15443", "number: 0", ".spec.ports[0].number: "),
        ("ServiceEntry", "resolution: DNS", "resolution: \"NONE\"", ".spec: breaks the rule (("),
        (
            "DestinationRule",
            "interval: \"1s\"",
            "interval: \"0s\"",
            ".spec.trafficPolicy.outlierDetection.interval: ",
        ),
        ("DestinationRule", "mode: ISTIO_MUTUAL", "mode: MTLS", ".spec.trafficPolicy.tls.mode: "),
        (
            "Gateway",
            "protocol: HTTPS",
            "protokoll: HTTPS",
            ".spec.servers[0].port: lacks `protocol`",
        ),
        (
            "VirtualService",
            "exact: tokyo",
            "exact: tokyo\n          prefix: to",
            ".spec.http[0].match[0].headers.x-meshfence-route: ",
        ),
        ("VirtualService", "attempts: 0", "attempts: \"0\"", ".spec.http[0].retries.attempts: "),
    ] {
        let resource = of_kind(&all, kind)[0];
        let whole = crate::yaml::emit(resource);
        assert!(whole.contains(from), "{kind} has no `{from}`");
        let changed = crate::yaml::tests::read(&whole.replacen(from, to, 1));
        for schemas in &releases {
            let faults = schemas.faults(&changed);
            assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{from}: {faults:#?}");
        }
    }
}

#[test]
fn names_are_unique_and_everything_is_labelled() {
    for set in [example(), otherwise_attached()] {
        let mut names = BTreeSet::new();
        for resource in resources(&set, "tokyo") {
            let metadata = at(&resource, "metadata");
            let (name, namespace) = (text(metadata, "name"), text(metadata, "namespace"));
            let key = (text(&resource, "kind").to_owned(), namespace.to_owned(), name.to_owned());
            assert!(name.starts_with("meshfence-"), "{name}");
            assert!(names.insert(key.clone()), "{key:?} twice");
            assert_eq!(text(at(metadata, "labels"), "app.kubernetes.io/managed-by"), "meshfence");
        }
    }
}

// === the guard ===

#[test]
fn every_attachment_has_a_guard_that_compiles_and_knows_where_claims_are() {
    let set = example();
    for region in ["taiwan", "tokyo"] {
        let all = resources(&set, region);
        let plugins = of_kind(&all, "WasmPlugin");
        let mut seen = Vec::new();
        for plugin in plugins {
            let spec = at(plugin, "spec");
            for (key, value) in [
                ("pluginName", "guard"),
                ("phase", "AUTHZ"),
                ("failStrategy", "FAIL_RELOAD"),
                ("url", "oci://registry.example/meshfence:0.1.0"),
                ("sha256", SHA256_OF_NOTHING),
            ] {
                assert_eq!(text(spec, key), value);
            }
            assert_eq!(text(at(spec, "vmConfig.env.0"), "name"), "MESHFENCE_HMAC_K1");
            assert_eq!(text(at(spec, "vmConfig.env.0"), "valueFrom"), "HOST");
            let json = json(at(spec, "pluginConfig"));
            let config = PluginConfig::from_json(json.as_bytes()).unwrap();
            let policy = Policy::compile(&config).unwrap();
            let [SubjectSource::JwtClaim(source)] = policy.subject_sources() else { panic!() };
            assert_eq!(&*source.place.issuer, "payload");
            assert_eq!(source.place.iss.as_deref(), Some("https://id.shop.example"));
            let mut plain = set.plugin_config(region, config.attachment.role);
            plain.attachment.claims.clone_from(&config.attachment.claims);
            let agent = plain.attachment.agent.as_mut().unwrap();
            agent.cluster = "outbound|7070||region-agent.meshfence.svc.cluster.local".into();
            assert_eq!(config, plain);
            let mode = get(spec, "match").map(|found| text(at(found, "0"), "mode").to_owned());
            seen.push((config.attachment.role, mode));
        }
        let mode = |mode: &str| Some(mode.to_owned());
        assert_eq!(
            seen,
            [
                (Role::Edge, None),
                (Role::Peer, None),
                (Role::Inbound, mode("SERVER")),
                (Role::Outbound, mode("CLIENT")),
            ]
        );
    }
}

#[test]
fn an_agent_outside_of_the_mesh_is_made_known_to_it() {
    let named = |set: &PolicySet, kind: &str| {
        let all = resources(set, "taiwan");
        let found = of_kind(&all, kind);
        let is_it = |node: &&&Node| text(at(node, "metadata"), "name") == "meshfence-region-agent";
        found.iter().find(is_it).map(|node| at(node, "spec").clone())
    };
    for (host, is_tls, entry, rule) in [
        ("region-agent.meshfence", false, false, false),
        ("region-agent.meshfence", true, false, true),
        ("agent.taiwan.example", false, true, false),
        ("agent.taiwan.example", true, true, true),
    ] {
        let mut set = example();
        let agent = set.mesh.agents.get_mut("taiwan").unwrap();
        (agent.host, agent.is_tls) = (host.into(), is_tls);
        let (found, tls) = (named(&set, "ServiceEntry"), named(&set, "DestinationRule"));
        assert_eq!((found.is_some(), tls.is_some()), (entry, rule), "{host} {is_tls}");
        if let Some(found) = found {
            assert_eq!(at(&found, "hosts.0"), &Node::from(host));
            assert_eq!(at(&found, "ports.0.number"), &Node::from(7070_i64));
            let spaces: Vec<Node> = ["gateways", "shop"].map(Node::from).into();
            assert_eq!(at(&found, "exportTo"), &Node::List(spaces));
        }
        if let Some(tls) = tls {
            assert_eq!(text(at(&tls, "trafficPolicy.tls"), "sni"), host);
        }
    }
}

#[test]
fn no_headers_of_responses_are_held() {
    let mut set = example();
    set.body.residency.redaction_profiles = vec![RedactionProfile {
        name: "abroad".into(),
        fields: Vec::new(),
        headers: vec!["set-cookie".into()],
    }];
    for plugin in of_kind(&resources(&set, "tokyo"), "WasmPlugin") {
        let json = json(at(plugin, "spec.pluginConfig"));
        let config = PluginConfig::from_json(json.as_bytes()).unwrap();
        assert!(!config.attachment.holds_response_headers, "nothing could be held");
    }
}

/// What Istio makes of a plugin's configuration.
fn json(node: &Node) -> String {
    match node {
        Node::Bool(value) => value.to_string(),
        Node::Int(value) => value.to_string(),
        Node::Text(text) => serde_json::to_string(text).unwrap(),
        Node::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Node::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| {
                    format!("{}:{}", serde_json::to_string(key).unwrap(), json(value))
                })
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Node::Lines(_) | Node::Noted(..) => panic!("not read from YAML"),
    }
}

#[test]
fn tokens_are_verified_wherever_a_guard_reads_their_claims() {
    let set = example();
    let all = resources(&set, "taiwan");
    let targets: Vec<&str> = of_kind(&all, "RequestAuthentication")
        .iter()
        .map(|resource| text(at(resource, "metadata"), "name"))
        .collect();
    assert_eq!(targets, ["meshfence-edge", "meshfence-inbound"]);
    for resource in of_kind(&all, "RequestAuthentication") {
        let rule = at(resource, "spec.jwtRules.0");
        assert_eq!(text(rule, "issuer"), "https://id.shop.example");
        assert_eq!(text(at(rule, "fromHeaders.0"), "name"), "Authorization");
        assert_eq!(at(rule, "audiences.0"), &Node::Text("shop".into()));
    }
}

// === gateways and regions ===

#[test]
fn other_regions_are_reached_by_their_name_and_believed_by_their_ids() {
    let set = example();
    let all = resources(&set, "taiwan");
    let entry = of_kind(&all, "ServiceEntry")[0];
    let rule = of_kind(&all, "DestinationRule")[0];
    let host = "peer.tokyo.ecommerce-platform.com";
    assert_eq!(at(entry, "spec.hosts"), &Node::List(vec![Node::Text(host.into())]));
    assert_eq!(text(at(entry, "spec.endpoints.0"), "locality"), "ap-northeast-1");
    assert_eq!(text(at(rule, "spec"), "host"), host);
    let tls = at(rule, "spec.trafficPolicy.tls");
    assert_eq!((text(tls, "mode"), text(tls, "sni")), ("ISTIO_MUTUAL", host));
    let ids = set.body.regions[1].peer_ids.iter().map(|id| Node::Text(id.clone()));
    assert_eq!(at(tls, "subjectAltNames"), &Node::List(ids.collect()));
    for rule in of_kind(&all, "DestinationRule") {
        let policy = at(rule, "spec.trafficPolicy");
        assert_eq!(at(policy, "loadBalancer.localityLbSetting.enabled"), &Node::Bool(false));
        assert_eq!(text(at(policy, "tls"), "mode"), "ISTIO_MUTUAL");
    }
    let hosts: Vec<&str> = of_kind(&all, "DestinationRule")
        .iter()
        .map(|rule| text(at(rule, "spec"), "host"))
        .collect();
    assert_eq!(hosts.iter().filter(|host| host.contains("payments")).count(), 1);
}

#[test]
fn a_gateway_is_on_the_pods_that_its_guard_is_on() {
    let selectors = |set: &PolicySet| -> Vec<(String, String, String)> {
        let all = resources(set, "taiwan");
        of_kind(&all, "Gateway")
            .iter()
            .map(|gateway| {
                let Node::Map(labels) = at(gateway, "spec.selector") else { panic!() };
                let [(key, Node::Text(value))] = labels.as_slice() else { panic!() };
                let mode = text(at(gateway, "spec.servers.0.tls"), "mode");
                let name = text(at(gateway, "metadata"), "name");
                (name.to_owned(), format!("{key}={value}"), mode.to_owned())
            })
            .collect()
    };
    let owned = |found: &[(&str, &str, &str)]| -> Vec<(String, String, String)> {
        found.iter().map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into())).collect()
    };
    assert_eq!(
        selectors(&example()),
        owned(&[
            ("meshfence-edge", "gateway.networking.k8s.io/gateway-name=public", "SIMPLE"),
            ("meshfence-peer", "gateway.networking.k8s.io/gateway-name=peer", "ISTIO_MUTUAL"),
        ])
    );
    assert_eq!(
        selectors(&otherwise_attached()),
        owned(&[
            ("meshfence-edge-1", "istio=ingressgateway", "SIMPLE"),
            ("meshfence-edge-2-web", "gateway.networking.k8s.io/gateway-name=web", "SIMPLE"),
            ("meshfence-edge-2-apps", "gateway.networking.k8s.io/gateway-name=apps", "SIMPLE"),
            ("meshfence-peer", "istio=eastwestgateway", "ISTIO_MUTUAL"),
        ])
    );
}

#[test]
fn one_region_has_no_others() {
    let mut set = example();
    set.body.regions.truncate(1);
    set.mesh.attachments.retain(|attachment| attachment.role == Role::Edge);
    let all = resources(&set, "taiwan");
    assert_eq!(of_kind(&all, "ServiceEntry").len(), 0);
    assert_eq!(of_kind(&all, "Gateway").len(), 1);
    let service = of_kind(&all, "VirtualService")[0];
    assert_eq!(text(at(service, "spec.http.0"), "name"), "to-no-region");
}

// === what is refused ===

#[test]
fn what_cannot_be_deployed_is_refused() {
    type Change = fn(&mut PolicySet, &mut IstioPlan);
    let cases: [(Change, &str); 16] = [
        (
            |_, plan| plan.plugin_sha256 = None,
            "the plugin is not pinned: whoever can push to its registry would decide what runs in every proxy",
        ),
        (
            |_, plan| plan.plugin_sha256 = Some("sha256:00".into()),
            "`sha256:00` is no SHA-256: 64 lower-case hexadecimal digits",
        ),
        (
            |set, plan| {
                set.mesh.plugin.as_mut().unwrap().sha256 = Some("a".repeat(64));
                plan.plugin_sha256 = Some("b".repeat(64));
            },
            "the plugin is pinned to `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` in the `Mesh` document, and to `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb` here",
        ),
        (
            |_, plan| plan.edge_credential = "Users' certificate".into(),
            "`Users' certificate` is no name of a secret",
        ),
        (
            |set, _| set.mesh.plugin = None,
            "the `Mesh` document has no `plugin`: nothing says where proxies get the module from",
        ),
        (
            |set, _| set.mesh.attachments.clear(),
            "the `Mesh` document has no `attachments`: nothing says where the plugin goes",
        ),
        (
            |set, _| set.mesh.upstreams.default.port = None,
            "the `Mesh` document has no `upstreams`: nothing says which services serve",
        ),
        (
            |set, _| set.mesh.peer_gateways.clear(),
            "the `Mesh` document has no `peerGateway`: nothing says where a region is reached",
        ),
        (
            |set, _| set.mesh.attachments.retain(|found| found.role != Role::Edge),
            "nothing is attached as `edge`: users would come in without a decision",
        ),
        (
            |set, _| set.mesh.attachments.retain(|found| found.role != Role::Peer),
            "nothing is attached as `peer`: other regions would come in without a decision",
        ),
        (
            |set, _| set.body.fencing.static_state = Some(StateDocument::default()),
            "a static state is for `meshfence up` only: proxies would never notice a lease move",
        ),
        (
            |set, _| set.body.fencing.reroute = true,
            "`Fencing.spec.reroute` is for plain Envoys: Istio attaches no filter to a cluster",
        ),
        (
            |set, _| set.mesh.issuers[0].audiences.clear(),
            "issuer `shop` has no audiences: tokens of anybody would be accepted",
        ),
        (
            |set, _| set.mesh.issuers[0].audiences.push(String::new()),
            "issuer `shop` has no audiences: tokens of anybody would be accepted",
        ),
        (
            |set, _| set.mesh.agents.get_mut("taiwan").unwrap().host = "agent".into(),
            "the agent of region `taiwan`, `agent`, names no namespace: write `name.namespace`",
        ),
        (
            |set, _| set.body.regions.remove(0).name.clear(),
            "the policy set `tpe-tokyo` has no region `taiwan`",
        ),
    ];
    for (change, message) in cases {
        let (mut set, mut plan) = (example(), plan());
        change(&mut set, &mut plan);
        let error = manifests(&set, &plan, "taiwan").unwrap_err();
        assert_eq!(error.to_string(), message);
        let has_help = matches!(error, IstioError::PinMissing | IstioError::PinTwice { .. });
        assert_eq!(error.help().is_some(), has_help);
    }
}
