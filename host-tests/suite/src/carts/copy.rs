//! What one region has of one user's cart.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use versions::Stamp;
use versions::merge::{Cart, Register};

/// Items, and how many of each.
pub type Items = BTreeMap<String, u64>;

/// A region's copy of a cart, and beside it what is left of the same writes where the last whole
/// cart wins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartCopy {
    cart: Cart<String>,
    whole: Option<Register<Items>>,
}

impl CartCopy {
    /// Puts an item in.
    pub(super) fn add(&mut self, item: String, quantity: u32, version: Stamp) {
        let mut whole = self.last_whole();
        *whole.entry(item.clone()).or_default() += u64::from(quantity);
        self.write_whole(version, whole);
        self.cart.add(item, quantity, version);
    }

    /// Takes an item out, as far as this copy has it.
    pub(super) fn remove(&mut self, item: &str, version: Stamp) {
        let mut whole = self.last_whole();
        whole.remove(item);
        self.write_whole(version, whole);
        self.cart.remove(&item.to_owned());
    }

    /// Takes over what another copy has.
    pub fn merge(&mut self, other: Self) {
        self.cart.merge(other.cart);
        if let Some(whole) = other.whole {
            self.write_whole(whole.version(), whole.value().clone());
        }
    }

    /// The copies of all regions as one.
    pub(super) fn checkout(copies: Vec<Self>) -> Self {
        let mut merged = Self::default();
        let (carts, wholes): (Vec<_>, Vec<_>) =
            copies.into_iter().map(|copy| (copy.cart, copy.whole)).unzip();
        merged.cart = Cart::checkout(carts);
        for whole in wholes.into_iter().flatten() {
            merged.write_whole(whole.version(), whole.value().clone());
        }
        merged
    }

    /// What is in the cart.
    pub fn items(&self) -> Items {
        self.cart.items().map(|(item, quantity)| (item.clone(), quantity)).collect()
    }

    /// What would be in it if the last whole cart won.
    pub fn last_whole(&self) -> Items {
        self.whole.as_ref().map(|whole| whole.value().clone()).unwrap_or_default()
    }

    /// The version of the last write that this copy knows of.
    pub fn version(&self) -> Option<Stamp> {
        self.whole.as_ref().map(Register::version)
    }

    fn write_whole(&mut self, version: Stamp, items: Items) {
        match &mut self.whole {
            Some(whole) => {
                whole.write(version, items);
            }
            None => self.whole = Some(Register::new(version, items)),
        }
    }
}
