//! Residency groups: countries whose leases move together.

use super::table::Table;
use crate::region::{RegionId, RegionSet};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Countries with the same home, the same allowed regions and the same fallback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `tokyo`, `taiwan~tokyo` (Tokyo by fallback) or `tokyo+taiwan` (both, home first).
    pub name: Box<str>,
    /// Where a lease of this group starts.
    pub home: RegionId,
    /// Where a lease of this group may ever be.
    pub possible: RegionSet,
}

/// The groups of a table, and the number of the group that each cell belongs to. Cells that no
/// region may have belong to none.
pub(crate) fn groups(
    table: &Table,
    name_of: &impl Fn(RegionId) -> Box<str>,
) -> Result<(Vec<Group>, Vec<Option<usize>>), String> {
    let mut groups: Vec<Group> = Vec::new();
    let mut keys: Vec<[RegionSet; 3]> = Vec::new();
    let mut of_cell = Vec::new();
    for cell in table.standing() {
        let [normal, drill, failover] = cell.permitted;
        let (drill, failover) = (drill.without(normal), failover.without(normal));
        let fallback = drill.or(failover);
        let Some(home) = cell.best() else {
            of_cell.push(None);
            continue;
        };
        let others = normal.without(home.into());
        let mut name = String::from(name_of(home));
        for region in others.iter() {
            name.push('+');
            name.push_str(&name_of(region));
        }
        for (number, region) in fallback.iter().enumerate() {
            name.push(if number == 0 { '~' } else { '+' });
            name.push_str(&name_of(region));
        }
        let key = [normal, drill, failover];
        let known = groups.iter().position(|group| *group.name == *name);
        let number = match known {
            Some(number) if keys.get(number) == Some(&key) => number,
            Some(_) => {
                return Err(format!(
                    "two residency groups would be named `{name}`: \
                     their rules fall back to the same regions in different situations"
                ));
            }
            None => {
                groups.push(Group { name: name.into(), home, possible: normal.or(fallback) });
                keys.push(key);
                groups.len().saturating_sub(1)
            }
        };
        of_cell.push(Some(number));
    }
    Ok((groups, of_cell))
}
