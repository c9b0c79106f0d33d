//! The engine that needs nothing: the real guard in this process, in the model of the local mesh.

mod properties;
mod proxy;

use super::Observation;
use super::mesh::guards::{Guards, Site};
use super::mesh::{Mesh, Meshes};
use guard::fake::FakeHost;
use guard::{Guard, Worker};
use policy_doc::{Case, PolicySet};
use proxy::{Proxy, host};

/// The engine.
#[derive(Debug)]
pub struct Native(Meshes<Library>);

/// Guards that are a library of this process.
#[derive(Debug, Clone, Copy)]
struct Library;

impl Guards for Library {
    type Proxy = Proxy;

    fn start(&self, site: &Site<'_>) -> Result<Proxy, String> {
        Ok(Proxy::new(site))
    }
}

impl Native {
    /// An engine for a policy set.
    pub fn new(set: &PolicySet) -> Self {
        Self(Meshes::new(set, Library))
    }

    /// Plays one case.
    ///
    /// # Errors
    /// Why it cannot be played: a request that should be in flight was refused, a policy that a
    /// guard refuses.
    pub fn play(&mut self, case: &Case) -> Result<Observation, String> {
        self.0.play(case)
    }
}

/// Shows the request of a case, as it arrives at its first guard, with what else is in flight.
///
/// # Errors
/// Why it does not arrive: Envoy answers it before, or the case cannot be played.
pub(crate) fn watch<T>(
    set: &PolicySet,
    case: &Case,
    look: impl FnOnce(&Guard, &mut Worker, &FakeHost) -> T,
) -> Result<T, String> {
    Mesh::new(&set.with_all_recorded(), &Library, &case.state)?.show(case, |proxy, arrival| {
        let (guard, worker) = proxy.guard(arrival.role)?;
        Ok(look(guard, worker, &host(arrival)))
    })
}
