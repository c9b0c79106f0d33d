//! Stamps as their text, and vectors as lists of stamps, for whoever keeps states as JSON.

use crate::{Stamp, VersionVector};
use alloc::vec::Vec;
use core::fmt;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Stamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version, such as 0192f3a4b5c60007-tyo-3fa29c1b")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Stamp, E> {
                Stamp::parse(text.as_bytes())
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl Serialize for VersionVector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for VersionVector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut vector = Self::new();
        for stamp in Vec::<Stamp>::deserialize(deserializer)? {
            if vector.get(stamp.code()).is_some() {
                return Err(D::Error::custom("a region has two versions in one vector"));
            }
            if !vector.observe(stamp) {
                let most = alloc::format!("at most {} regions", Self::REGIONS);
                return Err(D::Error::invalid_length(
                    Self::REGIONS.saturating_add(1),
                    &most.as_str(),
                ));
            }
        }
        Ok(vector)
    }
}
