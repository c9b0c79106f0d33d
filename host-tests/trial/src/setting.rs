//! The example's policy set, as configurations of the module and as proxies around it.

use module::WASM;
use policy_core::name::{FILTER_STATE_PEER_IDS, HEADER_ROUTE, ROOT_GUARD};
use policy_core::wire::{
    Agent, ClaimValue, ClientCountry, PluginConfig, RedactedField, RedactionProfile, Resource,
    Session, StateDocument, SubjectSource, Tenant, TenantMap, TenantSource,
};
use policy_core::{Otherwise, PrincipalKind, RedactionAction, Role};
use policy_doc::{PolicySet, Purpose, Source};
use std::sync::OnceLock;
use wasm_host::{Code, FailurePolicy, Host, LoadError, Plugin, Request, Route, UPSTREAM, Value};

/// The one host of the example.
pub const HOST: &str = "api.ecommerce-platform.com";

/// What the regions of a trial sign with; its length is that of a real one.
pub(crate) const SECRET: &str = "the secret of a mesh that exists in one process only";

/// The cluster of the agent in proxies that ask one.
pub(crate) const AGENT: &str = "region-agent";

/// SHA-256 of `key of acme`.
const KEY_OF_ACME: &str = "fb59bed05bd29dd4accc0ff9ecec97b417f3c1a13a5a93705cdbefca2275c00a";

/// Where Envoy's `jwt_authn` keeps verified payloads.
const VERIFIED: &str = "envoy.filters.http.jwt_authn";

const EXAMPLE: &[(&str, &str)] = &[
    ("contexts.yaml", include_str!("../../../policies/tpe-tokyo/contexts.yaml")),
    ("fencing.yaml", include_str!("../../../policies/tpe-tokyo/fencing.yaml")),
    ("mesh.yaml", include_str!("../../../policies/tpe-tokyo/mesh.yaml")),
    ("residency.yaml", include_str!("../../../policies/tpe-tokyo/residency.yaml")),
    ("topology.yaml", include_str!("../../../policies/tpe-tokyo/topology.yaml")),
    ("tests/tour.yaml", include_str!("../../../policies/tpe-tokyo/tests/tour.yaml")),
];

/// The module, compiled once for a process.
///
/// # Errors
/// What Envoy would not load.
pub fn code() -> Result<&'static Code, LoadError> {
    static CODE: OnceLock<Result<Code, LoadError>> = OnceLock::new();
    CODE.get_or_init(|| Code::compile(WASM)).as_ref().map_err(Clone::clone)
}

/// The example under one of the states of its tour.
#[derive(Debug, Clone)]
pub struct Setting {
    set: PolicySet,
    code: Code,
    /// Whether headers of responses can be held, as in a plain Envoy.
    holds: bool,
    /// The state of the regions, which an agent is asked for; none if the configuration has it.
    polled: Option<StateDocument>,
}

impl Setting {
    /// The example under a state of its tour.
    ///
    /// # Errors
    /// What is wrong with the example or the module; that the tour has no such state.
    pub fn new(state: &str) -> Result<Self, String> {
        let sources = EXAMPLE
            .iter()
            .map(|(file, text)| Source { file: (*file).into(), text: (*text).into() })
            .collect();
        let loaded = policy_doc::load(sources, Purpose::LocalTry);
        let set = loaded
            .set
            .ok_or_else(|| policy_doc::render_human(&loaded.diagnostics, &loaded.sources, false))?;
        let world = set.tests.iter().find_map(|test| test.states.get(state));
        let world = world.ok_or_else(|| format!("the tour has no state `{state}`"))?;
        let set = set.with_static_state(world.document.clone()).with_all_recorded();
        Ok(Self {
            set,
            code: code().map_err(|error| error.to_string())?.clone(),
            holds: true,
            polled: None,
        })
    }

    /// The same, but that whoever reads of somebody from Japan in Taiwan gets it redacted; whether
    /// headers of responses can be held.
    ///
    /// # Errors
    /// That the example has no rule for Japan.
    pub fn redacting(&self, holds: bool) -> Result<Self, String> {
        let mut set = self.set.clone();
        let residency = &mut set.body.residency;
        let mut rules = residency.rules.iter_mut();
        let rule = rules.find(|rule| rule.when.countries.iter().any(|country| country == "JP"));
        let rule = rule.ok_or("the example has no rule for Japan")?;
        rule.otherwise = Otherwise::Redact;
        rule.redact = Some(String::from("abroad"));
        let field = |path: &str, action| {
            let keep = (action == RedactionAction::Truncate).then_some(2);
            RedactedField { path: path.to_owned(), action, keep }
        };
        residency.redaction_profiles = vec![RedactionProfile {
            name: String::from("abroad"),
            fields: vec![
                field("/email", RedactionAction::Mask),
                field("/**/phone", RedactionAction::Drop),
                field("/*/card", RedactionAction::Hash),
                field("/name", RedactionAction::Truncate),
            ],
            headers: vec![String::from("x-user-*")],
        }];
        Ok(Self { set, holds, ..self.clone() })
    }

    /// The same with every source of a subject. The map's signature is nobody's: it answers nothing
    /// of resources, and nothing of tenants.
    #[must_use]
    pub fn with_sources(mut self) -> Self {
        let map = |name: &str, signature: Option<String>| TenantMap {
            name: name.into(),
            api_key_header: "x-api-key".into(),
            tenants: vec![Tenant {
                name: Some("acme".into()),
                name_mac: None,
                country: "JP".into(),
                principal_kind: PrincipalKind::Customer,
                api_key_sha256: vec![KEY_OF_ACME.into()],
                claim: Some(ClaimValue {
                    issuer: "shop".into(),
                    claim: "tenant".into(),
                    value: "acme".into(),
                }),
            }],
            signature,
        };
        let residency = &mut self.set.body.residency;
        residency.tenant_maps =
            vec![map("tenants", None), map("resources", Some(format!("k1:{}", "0".repeat(64))))];
        residency.subject_sources.extend([
            SubjectSource::Session(Session { max_age_s: 86_400 }),
            SubjectSource::TenantMap(TenantSource { map: "tenants".into() }),
            SubjectSource::Resource(Resource {
                variable: "customer".into(),
                map: "resources".into(),
            }),
        ]);
        residency.client_country = Some(ClientCountry { header: "x-client-country".into() });
        self
    }

    /// The same with a state that the configuration does not have: an [`Agent`](crate::Agent) is asked
    /// for it.
    #[must_use]
    pub fn polling(mut self) -> Self {
        self.polled = Some(self.set.body.fencing.static_state.take().unwrap_or_default());
        self
    }

    /// The state of the regions.
    pub(crate) fn state(&self) -> StateDocument {
        let polled = self.polled.as_ref().or(self.set.body.fencing.static_state.as_ref());
        polled.cloned().unwrap_or_default()
    }

    /// The same, with nothing recorded that need not be.
    #[must_use]
    pub fn with_no_sample(&self) -> Self {
        let mut setting = self.clone();
        setting.set.body.records.sample_per_mille = 0;
        setting
    }

    /// The configuration of an attachment.
    pub fn config(&self, region: &str, role: Role) -> PluginConfig {
        let mut config = self.set.plugin_config(region, role);
        config.attachment.holds_response_headers &= self.holds;
        config.attachment.agent = self.polled.as_ref().map(|_| Agent {
            cluster: AGENT.to_owned(),
            authority: "agent.taiwan.example:7070".to_owned(),
        });
        config
    }

    /// The module with a configuration, byte for byte, as an attachment of a role.
    pub fn plugin_with(&self, role: Role, configuration: impl Into<Vec<u8>>) -> Plugin {
        let plugin = Plugin::new(format!("meshfence.{role}"), &self.code)
            .root_id(ROOT_GUARD)
            .configuration(configuration)
            .allow_on_headers_stop_iteration(self.holds && self.set.redacts())
            // A trap has to be seen as one, not to be gone with the next request.
            .failure_policy(FailurePolicy::Closed);
        let keys = self.set.body.hmac.iter().flat_map(|hmac| &hmac.keys);
        keys.fold(plugin, |plugin, key| plugin.env(&key.env, SECRET))
    }

    /// The module as an attachment of a region.
    ///
    /// # Errors
    /// A configuration that is no JSON.
    pub fn plugin(&self, region: &str, role: Role) -> Result<Plugin, String> {
        let config = serde_json::to_vec(&self.config(region, role));
        Ok(self.plugin_with(role, config.map_err(|error| error.to_string())?))
    }

    /// A proxy with this plugin. Routes are those that are rendered: another region by the header,
    /// everything else here.
    pub fn host(&self, plugin: Plugin) -> Host {
        let regions = self.set.body.regions.iter();
        let host = regions.fold(Host::of(plugin), |host, region| {
            let route = Route::to(&region.name).named(&region.name);
            let host = host.route(route.header(HEADER_ROUTE, &region.name));
            host.cluster(&region.name, wasm_host::ok)
        });
        host.route(Route::to(UPSTREAM).named("here"))
    }

    /// The names of the regions.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.set.body.regions.iter().map(|region| region.name.as_str())
    }

    /// The id that speaks for a region at others.
    pub fn peer_id(&self, region: &str) -> Option<&str> {
        let known = self.set.body.regions.iter().find(|known| known.name == region)?;
        known.peer_ids.first().map(String::as_str)
    }
}

/// A request of a caller with these claims in a token that was verified.
pub fn caller(request: Request, claims: &[(&str, &str)]) -> Request {
    let issuer = [("iss", "https://id.shop.example"), ("sub", "somebody")];
    let claims = issuer.iter().chain(claims).map(|(name, value)| (*name, Value::text(*value)));
    let payload = Value::map([("shop", Value::map(claims))]);
    request.header("authorization", "Bearer a.b.c").metadata(VERIFIED, payload)
}

/// A request over a connection whose certificate has this id.
pub fn peer(request: Request, id: &str) -> Request {
    request.attribute(&["filter_state", FILTER_STATE_PEER_IDS], id)
}
