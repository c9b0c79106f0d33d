//! Regions by number, and sets of them.

use core::fmt;

/// A region by its rank in the topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionId(u8);

impl RegionId {
    /// How many regions a policy may have.
    pub const MAX: usize = 32;

    /// The region at this rank, if there can be one.
    pub fn new(rank: usize) -> Option<Self> {
        if rank < Self::MAX { u8::try_from(rank).ok().map(Self) } else { None }
    }

    /// The rank.
    pub fn rank(self) -> usize {
        usize::from(self.0)
    }
}

/// A set of regions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RegionSet(u32);

impl RegionSet {
    /// No region.
    pub const EMPTY: Self = Self(0);

    /// The first `count` regions.
    pub fn first(count: usize) -> Self {
        (0..count).filter_map(RegionId::new).collect()
    }

    /// Whether the region is in it.
    pub fn contains(self, region: RegionId) -> bool {
        self.0 & Self::bit(region) != 0
    }

    /// Whether no region is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many regions are in it.
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The regions in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The regions in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The regions in this one and not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The regions in the order of their rank.
    pub fn iter(self) -> impl Iterator<Item = RegionId> {
        (0..RegionId::MAX).filter_map(RegionId::new).filter(move |region| self.contains(*region))
    }

    /// The region with the best rank.
    pub fn best(self) -> Option<RegionId> {
        RegionId::new(usize::try_from(self.0.trailing_zeros()).ok()?)
    }

    fn bit(region: RegionId) -> u32 {
        1_u32.checked_shl(u32::from(region.0)).unwrap_or(0)
    }
}

impl FromIterator<RegionId> for RegionSet {
    fn from_iter<I: IntoIterator<Item = RegionId>>(regions: I) -> Self {
        Self(regions.into_iter().fold(0, |bits, region| bits | Self::bit(region)))
    }
}

impl From<RegionId> for RegionSet {
    fn from(region: RegionId) -> Self {
        Self(Self::bit(region))
    }
}

impl fmt::Debug for RegionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(RegionId::rank)).finish()
    }
}
