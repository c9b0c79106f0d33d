//! The last write wins.

use crate::Stamp;

/// A value of which the last write stays, by version. What is deleted is a value too:
/// `Register<Option<T>>`; a register that is simply gone would come back with the next merge.
///
/// ```
/// use versions::Stamp;
/// use versions::merge::Register;
///
/// // The value of `x-meshfence-version` is the version of the write.
/// let version = |header: &[u8]| Stamp::parse(header).ok_or("no version");
/// let taiwan = Register::new(version(b"0192f3a4b5c60007-tpe-3fa29c1b")?, "Mei");
/// let tokyo = Register::new(version(b"0192f3a4b5c60007-tyo-5d0c11e2")?, "Mei-Ling");
///
/// // The same millisecond in two regions is no tie: versions differ in the region.
/// let mut here = taiwan.clone();
/// here.merge(tokyo.clone());
/// let mut there = tokyo;
/// there.merge(taiwan);
/// assert_eq!(here, there);
/// assert_eq!(here.value(), &"Mei-Ling");
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Register<T> {
    version: Stamp,
    value: T,
}

impl<T: Ord> Register<T> {
    /// A value with the version of the write that it came with.
    pub const fn new(version: Stamp, value: T) -> Self {
        Self { version, value }
    }

    /// Writes a value, unless a later write is there already. Whether it is the value now.
    pub fn write(&mut self, version: Stamp, value: T) -> bool {
        // No two writes have one version. Where they do all the same, both regions take the
        // larger value; "what came first" would differ between them for ever.
        let wins = (version, &value) > (self.version, &self.value);
        if wins {
            *self = Self { version, value };
        }
        wins
    }

    /// Takes over the other one if it is later.
    pub fn merge(&mut self, other: Self) {
        self.write(other.version, other.value);
    }
}

impl<T> Register<T> {
    /// The version of the last write.
    pub const fn version(&self) -> Stamp {
        self.version
    }

    /// The value of the last write.
    pub const fn value(&self) -> &T {
        &self.value
    }
}
