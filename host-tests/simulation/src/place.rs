//! Where things are: two regions, the third site that has the leases, and the data.

use core::fmt;

/// One of the two regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The first.
    Taiwan,
    /// The second.
    Tokyo,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Taiwan, Self::Tokyo];

    /// The name in stories, and in the example.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Taiwan => "taiwan",
            Self::Tokyo => "tokyo",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Taiwan => Self::Tokyo,
            Self::Tokyo => Self::Taiwan,
        }
    }

    /// The region as a place.
    pub const fn site(self) -> Site {
        match self {
            Self::Taiwan => Site::Taiwan,
            Self::Tokyo => Site::Tokyo,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that each region has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Each<T> {
    /// Of the first.
    pub taiwan: T,
    /// Of the second.
    pub tokyo: T,
}

impl<T> Each<T> {
    /// Makes it for each.
    pub fn from_fn(mut make: impl FnMut(Side) -> T) -> Self {
        let taiwan = make(Side::Taiwan);
        Self { taiwan, tokyo: make(Side::Tokyo) }
    }

    /// That of one.
    pub const fn of(&self, side: Side) -> &T {
        match side {
            Side::Taiwan => &self.taiwan,
            Side::Tokyo => &self.tokyo,
        }
    }

    /// That of one, to be changed.
    pub const fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Taiwan => &mut self.taiwan,
            Side::Tokyo => &mut self.tokyo,
        }
    }
}

/// A place that messages come from and go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// A region.
    Taiwan,
    /// The other one.
    Tokyo,
    /// Where the leases are.
    Witness,
    /// Where the data is.
    Data,
}

impl Site {
    /// Every site.
    pub const ALL: [Self; 4] = [Self::Taiwan, Self::Tokyo, Self::Witness, Self::Data];

    /// Its name in stories.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Taiwan => "taiwan",
            Self::Tokyo => "tokyo",
            Self::Witness => "witness",
            Self::Data => "data",
        }
    }
}
