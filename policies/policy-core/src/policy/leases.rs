//! Which leases a policy has, and which of them a context needs.

use super::compile::fault;
use super::{LeaseRef, LeaseSpec, Shard, ShardSource};
use crate::region::{RegionId, RegionSet};
use crate::residency::{self, Group, ResidencyCell, Table};
use crate::vocabulary::{Situation, SubjectMode};
use crate::wire::{self, ConfigFault, ShardBy};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// Puts the leases of a policy together.
pub(super) struct Leases<'w, N> {
    pub(super) specs: Vec<LeaseSpec>,
    pub(super) body: &'w wire::PolicyBody,
    pub(super) name_of: &'w N,
}

impl<N: Fn(RegionId) -> Box<str>> Leases<'_, N> {
    pub(super) fn compile(
        &mut self,
        tables: &[Rc<Table>],
        region: &impl Fn(&str, &str) -> Result<RegionId, ConfigFault>,
    ) -> Result<(), ConfigFault> {
        let all = RegionSet::first(self.body.regions.len());
        let mut initial: BTreeMap<&str, RegionId> = BTreeMap::new();
        for (context, holder) in &self.body.fencing.initial_holders {
            let path = format!("policy.fencing.initialHolders.{context}");
            initial.insert(context, region(holder, &path)?);
        }
        for (number, (context, table)) in self.body.contexts.iter().zip(tables).enumerate() {
            let at = |key: &str| format!("policy.contexts[{number}].{key}");
            if !context.consistency.is_leased() {
                if context.lease.is_some() || context.shard.is_some() {
                    return Err(fault(at("lease"), "is not for eventual contexts"));
                }
                continue;
            }
            let shards = match &context.shard {
                None if context.lease.is_some() => continue,
                None => {
                    let home = initial.remove(context.name.as_str()).ok_or_else(|| {
                        fault(
                            "policy.fencing.initialHolders",
                            format!("names no region for `{}`", context.name),
                        )
                    })?;
                    Vec::from([Shard { name: None, home, possible: all }])
                }
                Some(wire::Shard { by: ShardBy::Path, .. }) => continue,
                Some(wire::Shard { by: ShardBy::Residency, .. }) => {
                    if context.subject != SubjectMode::SelfCaller {
                        return Err(fault(at("shard"), "by residency needs `subject: self`"));
                    }
                    let (groups, _) = residency::groups(table, self.name_of)
                        .map_err(|message| fault(at("shard"), message))?;
                    groups.into_iter().map(Shard::from).collect()
                }
            };
            self.add(context.lease.as_ref().unwrap_or(&context.name), shards);
        }
        if let Some((name, _)) = initial.first_key_value() {
            return Err(fault(
                format!("policy.fencing.initialHolders.{name}"),
                "is no leased context with one lease of its own",
            ));
        }
        Ok(())
    }

    fn add(&mut self, name: &str, shards: Vec<Shard>) {
        match self.specs.iter_mut().find(|spec| *spec.name == *name) {
            None => self.specs.push(LeaseSpec { name: name.into(), shards }),
            Some(spec) => {
                for shard in shards {
                    if !spec.shards.iter().any(|known| known.name == shard.name) {
                        spec.shards.push(shard);
                    }
                }
            }
        }
    }

    pub(super) fn reference(
        &self,
        context: &wire::Context,
        table: &Table,
        number: usize,
    ) -> Result<Option<LeaseRef>, ConfigFault> {
        if !context.consistency.is_leased() {
            return Ok(None);
        }
        let at = |key: &str| format!("policy.contexts[{number}].{key}");
        if let Some(owner) = &context.lease {
            let shares_onward = self.body.contexts.iter().any(|other| {
                other.name == *owner && (other.lease.is_some() || !other.consistency.is_leased())
            });
            if shares_onward {
                return Err(fault(
                    at("lease"),
                    format!("`{owner}` is no leased context with a lease of its own"),
                ));
            }
        }
        let name = context.lease.as_ref().unwrap_or(&context.name);
        let missing = || {
            let message = match &context.shard {
                Some(wire::Shard { by: ShardBy::Path, .. }) => format!(
                    "`{name}` is split by a path variable alone: \
                     share the lease of a context that is split by residency"
                ),
                _ => format!("`{name}` is no leased context"),
            };
            fault(at("lease"), message)
        };
        let lease = self.specs.iter().position(|spec| *spec.name == **name).ok_or_else(missing)?;
        let shards = self.specs.get(lease).map(|spec| spec.shards.as_slice()).unwrap_or_default();
        let whole = shards.iter().any(|shard| shard.name.is_none());
        if whole != context.shard.is_none() || (whole && shards.len() > 1) {
            return Err(fault(
                at("shard"),
                format!("contexts that share the lease `{name}` are split and not split"),
            ));
        }
        let shard = match &context.shard {
            None => ShardSource::Whole,
            Some(wire::Shard { by: ShardBy::Path, variable }) => {
                if variable.is_none() {
                    return Err(fault(at("shard.variable"), "is missing"));
                }
                ShardSource::Path
            }
            Some(wire::Shard { by: ShardBy::Residency, variable }) => {
                if variable.is_some() {
                    return Err(fault(at("shard.variable"), "is only for `by: path`"));
                }
                let (groups, of_cell) = residency::groups(table, self.name_of)
                    .map_err(|message| fault(at("shard"), message))?;
                let number_of = |group: &Group| {
                    shards.iter().position(|shard| shard.name.as_ref() == Some(&group.name))
                };
                ShardSource::Residency(
                    of_cell
                        .iter()
                        .map(|group| group.and_then(|group| groups.get(group)).and_then(number_of))
                        .collect(),
                )
            }
        };
        Ok(Some(LeaseRef { lease, shard }))
    }

    /// With every region up a lease has to be where the data of each subject may be, or their
    /// writes would be refused for ever.
    pub(super) fn check_homes(
        &self,
        context: &wire::Context,
        lease: &LeaseRef,
        table: &Table,
        number: usize,
    ) -> Result<(), ConfigFault> {
        let shards = self.specs.get(lease.lease).map(|spec| spec.shards.as_slice());
        let shards = shards.unwrap_or_default();
        let every_shard = || shards.iter().map(|shard| shard.home).collect::<Vec<_>>();
        let pairs: Vec<(ResidencyCell, RegionId)> = match (&lease.shard, context.subject) {
            (ShardSource::Residency(of_cell), _) => table
                .standing()
                .iter()
                .zip(of_cell)
                .filter_map(|(cell, shard)| Some((*cell, shards.get((*shard)?)?.home)))
                .collect(),
            (ShardSource::Whole | ShardSource::Path, subject) => {
                let mut cells = Vec::new();
                if subject != SubjectMode::None {
                    cells.extend_from_slice(table.standing());
                }
                let [nobody, unknown] = table.standing_of_no_country();
                cells.extend(match subject {
                    SubjectMode::None => nobody,
                    SubjectMode::Optional => unknown,
                    SubjectMode::SelfCaller => None,
                });
                let homes = every_shard();
                cells.iter().flat_map(|cell| homes.iter().map(|home| (*cell, *home))).collect()
            }
        };
        for (cell, home) in pairs {
            let allowed = cell.permitted(Situation::Normal);
            if !allowed.is_empty() && !allowed.contains(home) {
                let region = (self.name_of)(home);
                let message = format!(
                    "the lease of `{}` is in {region} at first, where residency rules do not let \
                     all of its data be",
                    context.name
                );
                return Err(fault(format!("policy.contexts[{number}].lease"), message));
            }
        }
        Ok(())
    }
}

impl From<Group> for Shard {
    fn from(group: Group) -> Self {
        Self { name: Some(group.name), home: group.home, possible: group.possible }
    }
}
