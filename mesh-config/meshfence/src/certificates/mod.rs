//! Certificates for local use: an authority for each region, and one certificate of its gateway.
//!
//! ```text
//! previous ─┐                       renew: previous ◄─ current ◄─ next ◄─ a new one
//! current ──┼─► believed            the certificate is the new current one's
//! next ─────┘
//! ```
//!
//! An authority is believed a whole renewal before it issues anything, so that nobody meets a
//! certificate whose authority he has not read yet, in whatever order the files are replaced.

mod authority;
mod store;

pub use authority::{Identity, Validity};

use crate::draft::{failed, replace};
use crate::exit::{Exit, Failure};
use crate::local::invalid;
use authority::{Authority, LIFETIME};
use policy_doc::PolicySet;
use render::{Certificates, SecretFile};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// What is kept of them for the next run of the command. It has the keys of every authority, so it is
/// never in a directory that an Envoy sees.
pub(crate) const STORE: &str = "local-certificates.json";

/// The authorities and certificates of every region of a policy set.
#[derive(Debug)]
pub struct LocalCertificates {
    regions: Vec<Region>,
}

#[derive(Debug)]
struct Region {
    name: String,
    /// The id of its gateway.
    id: String,
    /// Whose ids its authority vouches for.
    domains: Vec<String>,
    current: Arc<Authority>,
    next: Arc<Authority>,
    /// What some may still show a certificate of.
    previous: Option<String>,
    identity: Identity,
    issued: SystemTime,
}

impl LocalCertificates {
    /// New ones for every region.
    ///
    /// # Errors
    /// A region without an id.
    pub fn generate(set: &PolicySet, now: SystemTime) -> Result<Self, Failure> {
        let regions = Self::regions_of(set)?.into_iter().map(|(name, id, domains)| {
            let current = Arc::new(Authority::generate(&name, now)?);
            let next = Arc::new(Authority::generate(&name, now)?);
            let identity = current.issue(&name, &[&id], Validity::Usual, now)?;
            Ok(Region { name, id, domains, current, next, previous: None, identity, issued: now })
        });
        Ok(Self { regions: regions.collect::<Result<_, Failure>>()? })
    }

    /// Those that an earlier run has left in a directory, renewed where it is time; else new ones.
    pub(crate) fn load(
        set: &PolicySet,
        directory: &Path,
        now: SystemTime,
    ) -> Result<Self, Failure> {
        let path = directory.join(STORE);
        let kept = match fs::read_to_string(&path) {
            Ok(text) => Self::from_json(set, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("read", &path, &error)),
        };
        match kept {
            None => Self::generate(set, now),
            Some(kept) if kept.is_due(now) => kept.renewed(now),
            Some(kept) => Ok(kept),
        }
    }

    /// Whether two thirds of the time are over, or the clock says that it has not begun.
    pub fn is_due(&self, now: SystemTime) -> bool {
        self.regions.iter().any(|region| {
            now.duration_since(region.issued).map_or(true, |age| age >= LIFETIME * 2 / 3)
        })
    }

    /// Every certificate issued again, by an authority that is believed already unless it is too
    /// old for that.
    ///
    /// # Errors
    /// What has kept a certificate from being made.
    pub fn renewed(&self, now: SystemTime) -> Result<Self, Failure> {
        let regions = self.regions.iter().map(|region| {
            let name = &region.name;
            let (current, previous) = if region.next.can_issue(now) {
                (Arc::clone(&region.next), Some(region.current.certificate.clone()))
            } else {
                (Arc::new(Authority::generate(name, now)?), None)
            };
            let identity = current.issue(name, &[&region.id], Validity::Usual, now)?;
            let next = Arc::new(Authority::generate(name, now)?);
            Ok(Region {
                name: name.clone(),
                id: region.id.clone(),
                domains: region.domains.clone(),
                current,
                next,
                previous,
                identity,
                issued: now,
            })
        });
        Ok(Self { regions: regions.collect::<Result<_, Failure>>()? })
    }

    /// When they expire.
    pub fn expire(&self) -> Option<SystemTime> {
        self.regions.iter().filter_map(|region| region.issued.checked_add(LIFETIME)).min()
    }

    /// The certificate of a region's gateway.
    pub fn gateway(&self, region: &str) -> Option<&Identity> {
        self.region(region).map(|region| &region.identity)
    }

    /// The authorities of a region, as PEM.
    pub fn authorities(&self, region: &str) -> Option<String> {
        self.region(region).map(Region::believed)
    }

    /// A certificate by the authority of a region, with whatever ids, also those of another
    /// region's trust domain.
    ///
    /// # Errors
    /// A region that is not there; an id that is no ASCII.
    pub fn issue(
        &self,
        region: &str,
        ids: &[&str],
        validity: Validity,
    ) -> Result<Identity, Failure> {
        let found = self.region(region).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("there is no authority of region `{region}`"))
        })?;
        found.current.issue(&found.name, ids, validity, SystemTime::now())
    }

    /// A certificate that nobody vouches for.
    ///
    /// # Errors
    /// An id that is no ASCII.
    pub fn self_signed(&self, ids: &[&str]) -> Result<Identity, Failure> {
        authority::self_signed(ids, SystemTime::now())
    }

    /// The files that the Envoys of all regions read, authorities first.
    pub(crate) fn files(&self, set: &PolicySet) -> Result<Vec<SecretFile>, Failure> {
        let authorities = self.believed();
        let mut files = Vec::new();
        for region in &self.regions {
            let certificates = inline(&region.identity, authorities.clone());
            files.extend(render::secrets(set, &region.name, &certificates).map_err(invalid)?);
        }
        files.sort_by_key(|file| file.is_private);
        Ok(files)
    }

    /// Writes what a region's Envoy shows, whatever it is, below a directory.
    pub(crate) fn show(
        &self,
        set: &PolicySet,
        region: &str,
        identity: &Identity,
        directory: &Path,
    ) -> Result<(), Failure> {
        let certificates = inline(identity, self.believed());
        let files = render::secrets(set, region, &certificates).map_err(invalid)?;
        for file in files.iter().filter(|file| file.is_private) {
            replace(&directory.join(&file.path), file.text.as_bytes())?;
        }
        Ok(())
    }

    /// The authorities of every trust domain.
    fn believed(&self) -> BTreeMap<String, String> {
        let regions = self.regions.iter();
        regions
            .flat_map(|region| {
                region.domains.iter().map(|domain| (domain.clone(), region.believed()))
            })
            .collect()
    }

    /// Writes the files that the Envoys read below a directory.
    ///
    /// # Errors
    /// A file that cannot be written; a set that is not the one they were made for.
    pub fn write(&self, set: &PolicySet, directory: &Path) -> Result<(), Failure> {
        for file in self.files(set)? {
            replace(&directory.join(&file.path), file.text.as_bytes())?;
        }
        Ok(())
    }

    /// Writes what [`Self::load`] reads.
    pub(crate) fn keep(&self, directory: &Path) -> Result<(), Failure> {
        replace(&directory.join(STORE), self.to_json().as_bytes())
    }

    fn region(&self, name: &str) -> Option<&Region> {
        self.regions.iter().find(|region| region.name == name)
    }

    /// Name, id of the gateway, and trust domains of each region.
    fn regions_of(set: &PolicySet) -> Result<Vec<(String, String, Vec<String>)>, Failure> {
        let regions = set.body.regions.iter().map(|region| {
            let id = render::gateway_id(set, &region.name).map_err(invalid)?;
            let domains = render::trust_domains(set, &region.name).map_err(invalid)?;
            let domains = domains.into_iter().map(str::to_owned).collect();
            Ok((region.name.clone(), id.to_owned(), domains))
        });
        regions.collect()
    }
}

impl Region {
    /// Every authority that may have issued what one meets.
    fn believed(&self) -> String {
        let previous = self.previous.as_deref().unwrap_or_default();
        [previous, &self.current.certificate, &self.next.certificate].concat()
    }
}

fn inline(identity: &Identity, authorities: BTreeMap<String, String>) -> Certificates {
    let Identity { certificate, key } = identity.clone();
    Certificates::Inline { certificate, key, authorities }
}

#[cfg(test)]
mod tests;
