//! Conflicts that a VM finds by what it remembers, by the guard itself and by the module in a proxy of
//! `wasm-host`: both tell the upstream the same, refuse the same and count the same.
#![expect(clippy::unwrap_used, reason = "what fails fails the test")]

use guard::fake::{FakeHost, FakeVm};
use guard::{Attached, Flow, Guard, LastGood, Stream, Worker};
use policy_core::wire::PluginConfig;
use policy_core::{OnLostUpdate, Role};
use std::collections::BTreeMap;
use trial::{HOST, Setting, caller};
use wasm_host::{Incoming, Proxy, Request, Response, UPSTREAM};

const NOW_MS: u64 = 1_700_000_000_000;
/// Versions of Tokyo: a second ago, and a millisecond ago.
const OLD: &str = "018bcfe564180000-tyo-00000001";
const NEAR: &str = "018bcfe567ff0000-tyo-00000001";

/// Says to the application what it holds.
const HOLDS: &str = "holds";

/// Where the guard of the example finds who somebody is.
const CLAIMS: &str = "metadata.filter_metadata.envoy.filters.http.jwt_authn.shop";

/// A request of one user about one thing.
struct Visit<'v> {
    /// By which worker, counted from 1.
    worker: usize,
    method: &'v str,
    thing: &'v str,
    /// The tag that it brings.
    tag: Option<&'v str>,
    /// What the application holds, if it says so.
    held: Option<&'v str>,
}

impl Visit<'_> {
    fn path(&self) -> String {
        format!("/api/v1/customers/{}/profile", self.thing)
    }

    /// The headers that say more than method and path.
    fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("if-match", self.tag), (HOLDS, self.held)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// What came of it.
#[derive(Debug, Default)]
struct Told {
    /// Status and reason of a refusal; else what the upstream was told of a conflict.
    outcome: String,
    /// The tag that the client got.
    tag: Option<String>,
}

impl Told {
    fn of(refused: Option<(u16, String)>, conflict: Option<String>, tag: Option<String>) -> Self {
        let refused = refused.map(|(status, reason)| format!("{status} {reason}"));
        let outcome = refused.or(conflict).unwrap_or_else(|| String::from("nothing"));
        Self { outcome, tag }
    }
}

/// A proxy with two workers that remember.
trait Place {
    fn visit(&mut self, visit: &Visit<'_>) -> Told;
    /// How often something was counted.
    fn counted(&self, name: &str) -> u64;
}

struct Native {
    guard: Guard,
    workers: Vec<Worker>,
    counted: BTreeMap<String, u64>,
}

impl Native {
    fn new(config: &PluginConfig) -> Self {
        let keys = config.policy.hmac.iter().flat_map(|hmac| &hmac.keys);
        let secrets = keys.map(|key| (key.env.clone(), vec![1; 32])).collect();
        let at = Attached { plugin: b"meshfence", root: b"guard" };
        let json = serde_json::to_vec(config).unwrap();
        let mut vm = FakeVm { secrets, ..FakeVm::default() };
        let guard = Guard::configure(at, Some(&json), &mut vm, &mut LastGood::default());
        assert_eq!(guard.fault(), None);
        Self { guard, workers: vec![Worker::new(1), Worker::new(2)], counted: BTreeMap::new() }
    }
}

impl Place for Native {
    fn visit(&mut self, visit: &Visit<'_>) -> Told {
        let path = visit.path();
        let mut headers = vec![
            (":method", visit.method),
            (":path", &path),
            (":authority", HOST),
            ("authorization", "Bearer a.b.c"),
        ];
        headers.extend(visit.headers());
        let mut host = FakeHost { unix_ms: NOW_MS, ..FakeHost::new(&headers) };
        for (claim, value) in
            [("iss", "https://id.shop.example"), ("sub", "somebody"), ("residency", "TW")]
        {
            host.properties.insert(format!("{CLAIMS}.{claim}"), value.into());
        }
        let worker = self.workers.get_mut(visit.worker - 1).unwrap();
        let mut stream = Stream::default();
        if self.guard.on_request_headers(worker, &mut stream, &mut host, true) == Flow::Continue {
            let held = visit.held.map(|held| ("x-meshfence-current", held));
            let response = [Some((":status", "200")), held].into_iter().flatten();
            host.response = response.map(|(name, value)| (name.to_owned(), value.into())).collect();
            self.guard.on_response_headers(worker, &mut stream, &mut host, true);
        }
        self.guard.on_done(worker, &mut stream, &mut host);
        for (name, count) in &host.metrics {
            *self.counted.entry(name.clone()).or_default() += count;
        }
        let refused = host.replied.as_ref().map(|answer| {
            let reason = answer.header("x-meshfence-reason").unwrap_or_default();
            (answer.status, reason.to_owned())
        });
        let tag = host.response.iter().find(|(name, _)| name == "etag");
        let tag = tag.map(|(_, value)| String::from_utf8(value.clone()).unwrap());
        Told::of(refused, host.request_header("x-meshfence-conflict"), tag)
    }

    fn counted(&self, name: &str) -> u64 {
        self.counted.get(name).copied().unwrap_or(0)
    }
}

struct Module(Proxy);

impl Module {
    fn new(setting: &Setting, config: &PluginConfig) -> Self {
        let json = serde_json::to_vec(config).unwrap();
        let host = setting.host(setting.plugin_with(Role::Edge, json)).workers(2);
        let holding = |request: Incoming| match request.headers.text(HOLDS) {
            Some(held) => Response::new(200).header("x-meshfence-current", held),
            None => Response::new(200),
        };
        Self(host.unix_ns(NOW_MS * 1_000_000).cluster(UPSTREAM, holding).start().unwrap())
    }
}

impl Place for Module {
    fn visit(&mut self, visit: &Visit<'_>) -> Told {
        let request = Request::new(visit.method, &visit.path()).header(":authority", HOST);
        let request =
            visit.headers().fold(request, |request, (name, value)| request.header(name, value));
        let request = caller(request.worker(visit.worker), &[("residency", "TW")]);
        let outcome = self.0.send(request).unwrap();
        assert_eq!(outcome.deaths, Vec::<String>::new());
        let reason = outcome.header("x-meshfence-reason");
        let refused = reason.map(|reason| (outcome.status, reason));
        let tag = outcome.header("etag");
        let conflict = outcome.upstream.and_then(|sent| sent.headers.text("x-meshfence-conflict"));
        Told::of(refused, conflict, tag)
    }

    fn counted(&self, name: &str) -> u64 {
        self.0.metric(name).unwrap_or(0)
    }
}

#[test]
fn what_a_vm_remembers_is_told_and_a_lost_update_is_refused() {
    for (on_lost_update, lost, concurrent) in [
        (OnLostUpdate::Pass, "lost_update", "concurrent"),
        (OnLostUpdate::Deny, "412 lost_update", "412 lost_update"),
    ] {
        let setting = Setting::new("normal").unwrap();
        let mut config = setting.config("taiwan", Role::Edge);
        config.policy.versioning.on_lost_update = on_lost_update;
        let places: [(&str, Box<dyn Place>); 2] = [
            ("native", Box::new(Native::new(&config))),
            ("wasm-host", Box::new(Module::new(&setting, &config))),
        ];
        for (name, mut place) in places {
            // The first tag of each thing.
            let mut tags: BTreeMap<&str, String> = BTreeMap::new();
            for (worker, method, thing, brings_tag, held, expected, why) in [
                (1, "GET", "a", false, Some(OLD), "nothing", "a read"),
                (1, "PUT", "a", true, None, "nothing", "what was read is what is there"),
                (1, "PUT", "a", true, None, lost, "now the write before is there"),
                (2, "PUT", "a", true, None, "nothing", "another VM has heard of nothing"),
                (1, "GET", "b", false, Some(OLD), "nothing", "a read"),
                (1, "GET", "b", false, Some(NEAR), "nothing", "something else is there"),
                (1, "PUT", "b", true, None, concurrent, "which its writer has not read"),
                (1, "GET", "c", false, Some(NEAR), "nothing", "a read"),
                (1, "PUT", "c", false, None, "suspected", "nobody knows what its writer has read"),
            ] {
                let tag = tags.get(thing).filter(|_| brings_tag).map(String::as_str);
                let told = place.visit(&Visit { worker, method, thing, tag, held });
                assert_eq!(told.outcome, expected, "{name}, {on_lost_update}: {why}");
                if let Some(tag) = told.tag {
                    tags.entry(thing).or_insert(tag);
                }
            }
            let passes = u64::from(on_lost_update == OnLostUpdate::Pass);
            for (kind, count) in [("lost_update", passes), ("concurrent", passes), ("suspected", 1)]
            {
                let counter = format!(
                    "role=.=edge;.;context=.=profiles;.;kind=.={kind};.;\
                     meshfence_consistency_conflicts_total"
                );
                assert_eq!(place.counted(&counter), count, "{name}, {on_lost_update}: {kind}");
            }
        }
    }
}
