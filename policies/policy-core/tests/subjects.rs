//! What says whom a request is about: what compiles, what is found, and what a default may not do.

#![expect(clippy::unwrap_used, reason = "a broken fixture fails its test")]

use policy_core::wire::{
    ClaimValue, ClientCountry, Hmac, HmacKey, PluginConfig, PolicyBody, Resource, Session,
    SubjectSource, Tenant, TenantMap, TenantSource,
};
use policy_core::{Country, Policy, PrincipalKind};

const SHOP: &str = include_str!("../fixtures/shop.json");
const MAC: &str = "k1:00112233445566778899aabbccddeeff";
const SIGNATURE: &str = "k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn tenant(name: &str) -> Tenant {
    Tenant {
        name: Some(name.into()),
        name_mac: None,
        country: "JP".into(),
        principal_kind: PrincipalKind::Customer,
        api_key_sha256: Vec::new(),
        claim: None,
    }
}

/// The shop with every source.
fn body(change: impl FnOnce(&mut PolicyBody)) -> PluginConfig {
    let mut config = PluginConfig::from_json(SHOP.as_bytes()).unwrap();
    let key = HmacKey { id: "k1".into(), env: "MESHFENCE_K1".into() };
    config.policy.hmac = Some(Hmac { keys: vec![key], replay_window_ms: 30_000 });
    let residency = &mut config.policy.residency;
    let person = Tenant { name: None, name_mac: Some(MAC.into()), ..tenant("") };
    let claim = |value: &str| ClaimValue {
        issuer: "shop".into(),
        claim: "tenant".into(),
        value: value.into(),
    };
    residency.tenant_maps = vec![TenantMap {
        name: "partners".into(),
        api_key_header: "x-api-key".into(),
        tenants: vec![
            Tenant { api_key_sha256: vec![HASH.into()], ..tenant("acme") },
            Tenant { country: "TW".into(), claim: Some(claim("u")), ..tenant("umbrella") },
            person,
        ],
        signature: Some(SIGNATURE.into()),
    }];
    let map = String::from("partners");
    residency.subject_sources.extend([
        SubjectSource::Session(Session { max_age_s: 3_600 }),
        SubjectSource::TenantMap(TenantSource { map: map.clone() }),
        SubjectSource::Resource(Resource { variable: "customer".into(), map }),
    ]);
    residency.client_country = Some(ClientCountry { header: "x-client-country".into() });
    change(&mut config.policy);
    config
}

#[test]
fn tenants_are_found_by_each_of_their_names() {
    let policy = Policy::compile(&body(|_| {})).unwrap();
    let [map] = policy.tenant_maps() else { panic!("{:?}", policy.tenant_maps()) };
    let name = |tenant: Option<&policy_core::Tenant>| {
        tenant.map(|tenant| tenant.name.as_deref().unwrap_or("-").to_owned())
    };
    let hash = policy_core::unhex::<32>(HASH.as_bytes()).unwrap();
    let mac = policy_core::unhex::<16>(&MAC.as_bytes()[3..]).unwrap();
    for (found, expected) in [
        (map.named(b"acme"), Some("acme")),
        (map.named(b"Acme"), None),
        (map.named(b""), None),
        (map.with_api_key(&hash), Some("acme")),
        (map.with_api_key(&[0; 32]), None),
        (map.with_claim(0, b"u"), Some("umbrella")),
        (map.with_claim(0, b"umbrella"), None),
        (map.with_claim(1, b"u"), None),
        (map.person("k1", &mac), Some("-")),
        (map.person("k2", &mac), None),
        (map.person("k1", &[0; 16]), None),
    ] {
        assert_eq!(name(found).as_deref(), expected);
    }
    assert_eq!(map.named(b"umbrella").unwrap().country, Country::parse(b"TW").unwrap());
    assert_eq!(policy.subject_sources().len(), 4);
    assert_eq!(policy.client_country(), Some("x-client-country"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_cannot_say_it_is_refused() {
    type Change = fn(&mut PolicyBody);
    let map = "policy.residency.tenantMaps[0]";
    let sources = "policy.residency.subjectSources";
    let refused: [(Change, String); 22] = [
        (|body| body.hmac = None, format!("{map}.signature: `k1` is no key")),
        (
            |body| {
                body.hmac = None;
                body.residency.tenant_maps.clear();
            },
            format!("{sources}[1]: needs keys: `hmac`"),
        ),
        (
            |body| body.residency.tenant_maps[0].signature = None,
            format!("{sources}[3].resource.map: `partners` is not signed"),
        ),
        (
            |body| body.residency.tenant_maps[0].signature = Some("k1:00".into()),
            format!("{map}.signature: is not of the form <key id>:<64 hexadecimal digits>"),
        ),
        (
            |body| body.residency.tenant_maps[0].name = "others".into(),
            format!("{sources}[2].tenantMap.map: `partners` is no tenant map"),
        ),
        (
            |body| {
                let twice = body.residency.tenant_maps[0].clone();
                body.residency.tenant_maps.push(twice);
            },
            "policy.residency.tenantMaps[1].name: `partners` stands twice".into(),
        ),
        (
            |body| {
                let twice = body.residency.subject_sources[0].clone();
                body.residency.subject_sources[3] = twice;
            },
            format!("{sources}[3]: stands twice"),
        ),
        (
            |body| {
                let fifth = body.residency.subject_sources[0].clone();
                body.residency.subject_sources.push(fifth);
            },
            format!("{sources}[4]: are more than 4"),
        ),
        (
            |body| {
                let session = Session { max_age_s: 0 };
                body.residency.subject_sources[1] = SubjectSource::Session(session);
            },
            format!("{sources}[1].session.maxAgeS: is not between 1 and 2592000"),
        ),
        (
            |body| body.residency.tenant_maps[0].api_key_header = "authorization".into(),
            format!("{map}.apiKeyHeader: `authorization` is no header for it"),
        ),
        (
            |body| body.residency.client_country.as_mut().unwrap().header = "x-meshfence-c".into(),
            "policy.residency.clientCountry.header: `x-meshfence-c` is no header for it".into(),
        ),
        (
            |body| body.residency.tenant_maps[0].tenants[0].country = "jp".into(),
            format!("{map}.tenants[0].country: `jp` is no ISO 3166 country code"),
        ),
        (
            |body| body.residency.tenant_maps[0].tenants[0].name = Some("a/b".into()),
            format!("{map}.tenants[0].name: is no segment of a path in its canonical form"),
        ),
        (
            |body| body.residency.tenant_maps[0].tenants[0].name = Some("..".into()),
            format!("{map}.tenants[0].name: is no segment of a path in its canonical form"),
        ),
        (
            |body| body.residency.tenant_maps[0].tenants[1].name = Some("acme".into()),
            format!("{map}.tenants[1].name: stands twice"),
        ),
        (
            |body| body.residency.tenant_maps[0].tenants[0].name_mac = Some(MAC.into()),
            format!("{map}.tenants[0].name: or `nameMac`, one of them has to be there"),
        ),
        (
            |body| body.residency.tenant_maps[0].tenants[2].name_mac = Some("k2".into()),
            format!(
                "{map}.tenants[2].nameMac: is not of the form <key id>:<32 hexadecimal digits>"
            ),
        ),
        (
            |body| {
                body.residency.tenant_maps[0].tenants[0].principal_kind = PrincipalKind::Anonymous;
            },
            format!("{map}.tenants[0].principalKind: `anonymous` is nobody who proves anything"),
        ),
        (
            |body| {
                body.residency.tenant_maps[0].tenants[0].api_key_sha256 = vec![HASH.into(); 9];
            },
            format!("{map}.tenants[0].apiKeySha256: are more than 8"),
        ),
        (
            |body| {
                body.residency.tenant_maps[0].tenants[1].api_key_sha256 = vec![HASH.into()];
            },
            format!("{map}.tenants[1].apiKeySha256: stands twice"),
        ),
        (
            |body| {
                let context = body.contexts.iter_mut().find(|context| context.name == "accounts");
                context.unwrap().default_country = Some("JP".into());
            },
            "policy.contexts[4].defaultCountry: is not for a context without a subject".into(),
        ),
        (
            |body| body.contexts[0].default_country = Some("XX".into()),
            "policy.contexts[0].defaultCountry: `XX` is no ISO 3166 country code".into(),
        ),
    ];
    for (change, message) in refused {
        let fault = Policy::compile(&body(change)).unwrap_err();
        assert_eq!(fault.to_string(), message);
    }
}

#[test]
fn a_format_says_one_source_in_each() {
    for (json, is_one) in [
        (r#"{"session":{"maxAgeS":60}}"#, true),
        (r#"{"tenantMap":{"map":"m"}}"#, true),
        (r#"{"resource":{"variable":"v","map":"m"}}"#, true),
        (r#"{"session":{"maxAgeS":60},"tenantMap":{"map":"m"}}"#, false),
        (r#"{"session":{"maxAgeS":60,"x":1}}"#, false),
        (r#"{"peer":{}}"#, false),
        (r"{}", false),
        (r#""session""#, false),
    ] {
        assert_eq!(serde_json::from_str::<SubjectSource>(json).is_ok(), is_one, "{json}");
    }
}
