//! Sends pairs of updates to two regions at once, until two are of the same millisecond.

use super::{Concurrent, Race, Update};
use crate::engine::envoy::raw;
use crate::engine::native::Native;
use crate::engine::{Observation, Sent};
use crate::exit::Failure;
use crate::local::LocalRun;
use guard::header::VERSION;
use local_mesh::client::{self, RawRequest};
use policy_core::Role;
use policy_doc::{
    Case, Expectation, OwnCredentials, PolicySet, TestCaller, TestCarried, TestRequest, TestToken,
    WorldState,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;
use versions::Stamp;

/// How many pairs are sent, and for how long, until the closest one has to do.
const TRIES_MAX: usize = 300;
const TIME_MAX: Duration = Duration::from_secs(5);
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// What is written in the first region and in the second.
const NAMES: [&str; 2] = ["Kim Min-jun", "Minjun Kim"];

/// Sends pairs of updates to a mesh that runs. Nothing where the policy set has no profile that may
/// be written in two regions.
///
/// # Errors
/// What keeps the regions from being there, both of them.
pub(crate) async fn race(
    run: &mut LocalRun,
    set: &PolicySet,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Race>, Failure> {
    let Some([first, second]) = writers(set) else { return Ok(None) };
    run.enter(&WorldState::default(), say).await?;
    say("two updates of one profile at once");
    let (Some(first), Some(second)) = (Runner::of(run, &first), Runner::of(run, &second)) else {
        return Ok(Some(Err(String::from("a region has no edge"))));
    };
    Ok(Some(run_off(&first, &second).await))
}

async fn run_off(first: &Runner, second: &Runner) -> Race {
    let deadline = Instant::now() + TIME_MAX;
    let mut closest: Option<Concurrent> = None;
    for tries in 1..=TRIES_MAX {
        let (one, other) = tokio::join!(first.run(), second.run());
        let pair = Concurrent { updates: [one?, other?], tries };
        if closest.as_ref().is_none_or(|known| pair.apart_ms() < known.apart_ms()) {
            closest = Some(pair);
        }
        let is_met = closest.as_ref().is_some_and(|known| known.apart_ms() == 0);
        if is_met || Instant::now() > deadline {
            break;
        }
    }
    closest.ok_or_else(|| String::from("no pair was sent"))
}

/// An update that is sent over and over to one region.
struct Runner {
    region: String,
    value: &'static str,
    edge: SocketAddr,
    request: RawRequest,
}

impl Runner {
    fn of(run: &LocalRun, case: &Case) -> Option<Self> {
        let sent = Sent::new(&case.request, case.caller.as_ref());
        let value = NAMES.into_iter().find(|name| case.request.body.contains(name))?;
        let edge = run.edge(&case.region)?;
        Some(Self { region: case.region.clone(), value, edge, request: raw(run, &sent) })
    }

    /// Sends it once. The application answers with the headers that it has seen.
    async fn run(&self) -> Result<Update, String> {
        let failed = |what: &str| format!("an update of a profile in {}: {what}", self.region);
        let response = client::send(self.edge, &self.request, REQUEST_LIMIT).await;
        let response = response.map_err(|error| failed(&error.to_string()))?;
        if response.status != 200 {
            return Err(failed(&format!("status {}", response.status)));
        }
        let seen: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let version = version(&seen).ok_or_else(|| failed("the application saw no version"))?;
        Ok(Update { region: self.region.clone(), value: self.value.to_owned(), version })
    }
}

/// The version of a request that an application tells of.
fn version(seen: &Value) -> Option<Stamp> {
    let mut headers = seen.get("headers")?.as_array()?.iter();
    let found = headers.find(|pair| pair.get(0).and_then(Value::as_str) == Some(VERSION))?;
    Stamp::parse(found.get(1)?.as_str()?.as_bytes())
}

/// The update in the first two regions that let it run where it enters, and stamp it, by the guard in
/// this process: what does so there has to do so in a mesh.
fn writers(set: &PolicySet) -> Option<[Case; 2]> {
    let mut native = Native::new(set);
    let mut names = NAMES.into_iter();
    let mut name = names.next()?;
    let mut found = Vec::new();
    for region in &set.body.regions {
        let case = update(set, &region.name, name)?;
        if native.play(&case).is_ok_and(|seen| is_stamped(&seen, &region.name)) {
            found.push(case);
            match names.next() {
                Some(next) => name = next,
                None => break,
            }
        }
    }
    found.try_into().ok()
}

fn is_stamped(seen: &Observation, region: &str) -> bool {
    let mut headers = seen.observed.upstream.iter().flatten();
    seen.observed.region.as_deref() == Some(region) && headers.any(|(name, _)| name == VERSION)
}

/// An update of the profile of a customer whose country no rule of the example names: it may be
/// written in both regions.
fn update(set: &PolicySet, region: &str, name: &str) -> Option<Case> {
    let token = TestToken {
        issuer: set.mesh.issuers.first()?.name.clone(),
        sub: String::from("minjun"),
        claims: [(String::from("residency"), Value::from("KR"))].into(),
    };
    let caller = TestCaller {
        name: String::from("minjun"),
        certificate: None,
        token: Some(token),
        own: OwnCredentials::default(),
    };
    let request = TestRequest {
        method: String::from("PUT"),
        path: String::from("/api/v1/customers/me/profile"),
        host: String::from("localhost"),
        headers: vec![(String::from("content-type"), String::from("application/json"))],
        carried: TestCarried::default(),
        body: json!({"name": name}).to_string(),
        http2: false,
    };
    Some(Case {
        name: String::from("an update of a profile"),
        line: 0,
        region: region.to_owned(),
        role: Role::Edge,
        state_name: String::from("normal"),
        state: WorldState::default(),
        caller: Some(caller),
        request,
        expect: Expectation::default(),
        covers: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_set::{self, Origin};
    use policy_doc::Purpose;

    #[test]
    fn the_example_has_a_profile_that_both_regions_may_write() {
        let set = policy_set::require(Origin::Example, Purpose::LocalTry).unwrap();
        let [first, second] = writers(&set).unwrap();
        assert_eq!((&*first.region, &*second.region), ("taiwan", "tokyo"));
        assert_ne!(first.request.body, second.request.body);
    }

    #[test]
    fn a_set_that_knows_no_customers_has_none() {
        let mut set = policy_set::require(Origin::Example, Purpose::LocalTry).unwrap();
        set.mesh.issuers.clear();
        assert!(writers(&set).is_none());
    }

    #[test]
    fn a_version_is_among_the_headers_that_an_application_saw() {
        let stamp = "0192f3a4b5c60007-tyo-3fa29c1b";
        for (seen, found) in [
            (json!({"headers": [["a", "b"], [VERSION, stamp]]}), true),
            (json!({"headers": [["a", stamp]]}), false),
            (json!({"headers": [[VERSION, "1"]]}), false),
            (json!({}), false),
        ] {
            assert_eq!(version(&seen).is_some(), found, "{seen}");
        }
    }
}
