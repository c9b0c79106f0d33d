//! The seam of the model: what judges requests at a proxy, be it the guard itself or the module.

use super::claims::Claims;
use super::message::{Request, Response};
use super::routes::{self, Route, To};
use crate::keys::LocalKeys;
use policy_core::Role;
use policy_doc::PolicySet;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where the guards of a mesh come from.
pub(crate) trait Guards {
    /// One region's proxy.
    type Proxy: Proxy;

    /// The proxy of a region.
    ///
    /// # Errors
    /// Why there is none, such as a guard that refuses its configuration.
    fn start(&self, site: &Site<'_>) -> Result<Self::Proxy, String>;
}

/// One region's proxy: a guard for each role, in one VM.
pub(crate) trait Proxy {
    /// A request at one of them, until it is over.
    type Stream;

    /// The guard of a role judges a request.
    ///
    /// # Errors
    /// That it neither passes nor answers it.
    fn judge(&mut self, arrival: Arrival) -> Result<(Self::Stream, Judged), String>;

    /// The guard sees what came back of a request that it passed; what it makes of that goes on.
    ///
    /// # Errors
    /// That it lets nothing go on.
    fn see(&mut self, stream: &mut Self::Stream, back: Back) -> Result<Response, String>;

    /// The stream is over. The last decision record, if there is any.
    fn end(&mut self, stream: Self::Stream) -> Option<Value>;
}

/// A region's place in a mesh.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'s> {
    /// The policy set, under the region state that this region sees.
    pub(crate) set: &'s PolicySet,
    /// What proxies sign with.
    pub(crate) keys: &'s LocalKeys,
    /// The region.
    pub(crate) region: &'s str,
    /// A number that no other proxy of the mesh has.
    pub(crate) node: u32,
}

impl Site<'_> {
    /// The secrets of the VM's environment, by name.
    pub(crate) fn secrets(&self) -> BTreeMap<&str, &str> {
        self.keys.variables().collect()
    }

    /// The route table of the listener of a role.
    pub(crate) fn routes(&self, role: Role) -> Vec<Route> {
        let regions = self.set.body.regions.iter().map(|region| region.name.as_str());
        routes::of(role, self.region, regions)
    }
}

/// A request as it arrives at the guard of a role.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) role: Role,
    pub(crate) request: Request,
    /// The id in the certificate of whoever sent it, where there is one.
    pub(crate) client: Option<String>,
    /// What a token says that was verified.
    pub(crate) claims: Option<Claims>,
}

/// What became of a request at a proxy.
#[derive(Debug)]
pub(crate) enum Judged {
    /// It goes on like this.
    Passed(Request, To),
    /// It was answered.
    Answered(Response),
}

/// What comes back of a request that was passed on.
#[derive(Debug)]
pub(crate) struct Back {
    /// The id in the certificate of whoever it was passed on to, where there is one.
    pub(crate) from: Option<String>,
    /// The region of whoever it was passed on to, if anybody was reached.
    pub(crate) region: Option<String>,
    /// The response; none if nobody could be reached.
    pub(crate) response: Option<Response>,
}
