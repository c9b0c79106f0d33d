//! What a rule or an exception is about, with every name looked up.

use super::judge::Column;
use super::rulebook::Names;
use crate::caller::BasisSet;
use crate::country::Country;
use crate::moment::Moment;
use crate::region::{RegionId, RegionSet};
use crate::vocabulary::{DataClass, Operation, PrincipalKind, Situation};
use crate::wire::{self, ConfigFault};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

/// What rules may ask of a request beside whose data it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// What it does with the data.
    pub operation: Operation,
    /// What the caller is.
    pub kind: PrincipalKind,
    /// Where it entered the mesh.
    pub entry: RegionId,
    /// The transfer bases that the caller's claims grant.
    pub bases: BasisSet,
    /// The caller's bucket, if it is known who that is: 0 to 99.
    pub bucket: Option<u8>,
    /// The time, where the answer depends on it.
    pub at: Option<Moment>,
}

/// Whom data is about, as a rule has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whom {
    /// Any subject, known or not.
    Anybody,
    /// Nobody: the request has no subject.
    Nobody,
    /// Subjects of countries that no other rule for the class names.
    Others,
    /// Subjects of these countries.
    Of(BTreeSet<Country>),
}

/// Every vocabulary of conditions fits into [`Words`].
const _: () = assert!(
    DataClass::ALL.len() <= 8
        && Operation::ALL.len() <= 8
        && PrincipalKind::ALL.len() <= 8
        && Situation::ALL.len() <= 8
);

/// A set of the values of a vocabulary, by their places in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words(u8);

impl Words {
    /// These, or all where none is said.
    pub(super) fn of<T: PartialEq>(all: &[T], said: &[T]) -> Self {
        if said.is_empty() || all.iter().all(|word| said.contains(word)) {
            return Self(u8::MAX);
        }
        let places = all.iter().enumerate().filter(|(_, word)| said.contains(word));
        Self(places.fold(0, |bits, (place, _)| bits | bit(place)))
    }

    pub(super) fn contains(self, place: usize) -> bool {
        self.0 & bit(place) != 0
    }

    pub(super) fn is_all(self) -> bool {
        self.0 == u8::MAX
    }
}

fn bit(place: usize) -> u8 {
    u32::try_from(place).ok().and_then(|place| 1_u8.checked_shl(place)).unwrap_or(0)
}

/// What a rule or an exception is about.
#[derive(Debug)]
pub(super) struct Conditions {
    pub(super) classes: Words,
    pub(super) whom: Whom,
    contexts: Box<[Box<str>]>,
    purposes: Box<[Box<str>]>,
    pub(super) operations: Words,
    pub(super) kinds: Words,
    pub(super) entries: RegionSet,
    pub(super) situations: Words,
}

impl Conditions {
    pub(super) fn compile(
        wire: &wire::Conditions,
        path: &str,
        names: &Names<'_>,
    ) -> Result<Self, ConfigFault> {
        let fault = |at: &str, message: &str| ConfigFault {
            path: format!("{path}.when.{at}"),
            message: String::from(message),
        };
        if wire.data_classes.is_empty() {
            return Err(fault("dataClasses", "names no class"));
        }
        let mut countries = BTreeSet::new();
        let mut others = false;
        for (number, country) in wire.countries.iter().enumerate() {
            if country == "*" {
                others = true;
            } else {
                let at = format!("{path}.when.countries[{number}]");
                countries.insert(super::rulebook::parse_country(country, &at)?);
            }
        }
        if others && !countries.is_empty() {
            return Err(fault("countries", "`*` stands beside other countries"));
        }
        if wire.no_subject && !wire.countries.is_empty() {
            return Err(fault("noSubject", "a rule about nobody names countries"));
        }
        if wire.situations.contains(&Situation::Normal) {
            // What holds in normal times alone would be lifted by a failover.
            return Err(fault(
                "situations",
                "`normal` is no situation that a rule may be limited to",
            ));
        }
        for (number, context) in wire.contexts.iter().enumerate() {
            names.context(context, &format!("{path}.when.contexts[{number}]"))?;
        }
        let entries = if wire.entry_regions.is_empty() {
            names.all
        } else {
            names.regions(&wire.entry_regions, &format!("{path}.when.entryRegions"))?
        };
        Ok(Self {
            classes: Words::of(DataClass::ALL, &wire.data_classes),
            whom: match (wire.no_subject, others) {
                (true, _) => Whom::Nobody,
                (false, true) => Whom::Others,
                (false, false) if countries.is_empty() => Whom::Anybody,
                (false, false) => Whom::Of(countries),
            },
            contexts: wire.contexts.iter().map(|name| name.as_str().into()).collect(),
            purposes: wire.purposes.iter().map(|name| name.as_str().into()).collect(),
            operations: Words::of(Operation::ALL, &wire.operations),
            kinds: Words::of(PrincipalKind::ALL, &wire.principal_kinds),
            entries,
            situations: Words::of(Situation::ALL, &wire.situations),
        })
    }

    pub(super) fn names_contexts(&self) -> bool {
        !self.contexts.is_empty()
    }

    pub(super) fn names_purposes(&self) -> bool {
        !self.purposes.is_empty()
    }

    pub(super) fn fits_context(&self, context: &str) -> bool {
        self.contexts.is_empty() || self.contexts.iter().any(|name| **name == *context)
    }

    pub(super) fn fits_purpose(&self, purpose: Option<&str>) -> bool {
        self.purposes.is_empty()
            || purpose.is_some_and(|purpose| self.purposes.iter().any(|name| **name == *purpose))
    }

    /// Whether it holds for requests of a column in a situation.
    pub(super) fn fits(&self, column: Column, situation: Situation) -> bool {
        self.fits_column(column) && self.situations.contains(place(Situation::ALL, situation))
    }

    /// Whether it holds for requests of a column in some situation.
    pub(super) fn fits_column(&self, column: Column) -> bool {
        self.operations.contains(place(Operation::ALL, column.operation))
            && self.kinds.contains(place(PrincipalKind::ALL, column.kind))
            && self.entries.contains(column.entry)
    }

    /// Whether it holds for every request about the same subject, whatever the request does.
    pub(super) fn is_about_subjects_alone(&self, all: RegionSet) -> bool {
        self.operations.is_all()
            && self.kinds.is_all()
            && self.situations.is_all()
            && self.entries == all
            && self.contexts.is_empty()
            && self.purposes.is_empty()
    }
}

/// The place of a value in its vocabulary.
pub(super) fn place<T: PartialEq + Copy>(all: &[T], one: T) -> usize {
    all.iter().position(|known| *known == one).unwrap_or(0)
}
