//! Who the regions are: the ids of their certificates, and whose authority vouches for them.

use super::RenderError;
use policy_core::SpiffeId;
use policy_core::wire::Region;
use policy_doc::PolicySet;
use std::collections::BTreeSet;

/// The id in the one certificate of a region's Envoy: it speaks for the region at the other ones,
/// and its own workloads believe it.
///
/// # Errors
/// A region without such an id.
pub fn gateway_id<'a>(set: &'a PolicySet, region: &str) -> Result<&'a str, RenderError> {
    let unknown =
        || RenderError::RegionUnknown { set: set.name.clone(), region: region.to_owned() };
    own_id(set.body.regions.iter().find(|known| known.name == region).ok_or_else(unknown)?)
}

/// The trust domains of a region's ids, in order.
///
/// # Errors
/// A region that is not there, or has an id that is none.
pub fn trust_domains<'a>(
    set: &'a PolicySet,
    region: &str,
) -> Result<BTreeSet<&'a str>, RenderError> {
    let region = set.body.regions.iter().filter(|known| known.name == region);
    let ids = region.flat_map(|region| {
        region.peer_ids.iter().chain(&region.gateway_ids).map(move |id| (region, id))
    });
    ids.map(|(region, id)| trust_domain(region, id)).collect()
}

/// The trust domains of the ids that may speak for the other regions here.
pub(super) fn peer_domains<'a>(
    set: &'a PolicySet,
    here: &str,
) -> Result<BTreeSet<&'a str>, RenderError> {
    let others = set.body.regions.iter().filter(|region| region.name != here);
    let ids = others.flat_map(|region| region.peer_ids.iter().map(move |id| (region, id)));
    ids.map(|(region, id)| trust_domain(region, id)).collect()
}

/// Every region can prove who it is. That no other one can is checked with the documents.
pub(super) fn check(set: &PolicySet) -> Result<(), RenderError> {
    for region in &set.body.regions {
        own_id(region)?;
        trust_domains(set, &region.name)?;
    }
    Ok(())
}

fn own_id(region: &Region) -> Result<&str, RenderError> {
    let Some(id) = region.peer_ids.first() else {
        return Err(RenderError::IdMissing { region: region.name.clone() });
    };
    if region.gateway_ids.contains(id) {
        Ok(id)
    } else {
        Err(RenderError::IdNotBelieved { region: region.name.clone(), id: id.clone() })
    }
}

fn trust_domain<'a>(region: &Region, id: &'a str) -> Result<&'a str, RenderError> {
    let id_malformed =
        || RenderError::IdMalformed { region: region.name.clone(), id: id.to_owned() };
    Ok(SpiffeId::parse(id).ok_or_else(id_malformed)?.trust_domain())
}
