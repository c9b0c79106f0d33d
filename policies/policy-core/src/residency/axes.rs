//! The columns of a table: values that no rule of the table tells apart share one.

use super::conditions::{Circumstances, Conditions, Words, place};
use super::judge::{Column, Judge};
use super::rulebook::Rule;
use crate::caller::BasisSet;
use crate::region::{RegionId, RegionSet};
use crate::vocabulary::{Operation, PrincipalKind};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A bucket of somebody who is not known: whatever is enforced for anybody is enforced for them.
const BUCKET_UNKNOWN: u8 = 0;
const BUCKETS: u8 = 100;

/// How the columns of a table are told apart.
#[derive(Debug, Clone)]
pub(super) struct Axes {
    operations: Axis,
    kinds: Axis,
    entries: Axis,
    buckets: Axis,
    bases: Axis,
}

/// One of the things that columns differ in: each of its values belongs to a class.
#[derive(Debug, Clone)]
struct Axis {
    class_of: Box<[u8]>,
    /// A value of each class.
    values: Box<[usize]>,
}

impl Axis {
    /// Puts values together that `sign` does not tell apart.
    fn of<S: PartialEq>(count: usize, sign: impl Fn(usize) -> S) -> Self {
        let mut signs: Vec<S> = Vec::new();
        let mut values = Vec::new();
        let mut class_of = Vec::with_capacity(count);
        for value in 0..count {
            let own = sign(value);
            let class = signs.iter().position(|known| *known == own).unwrap_or_else(|| {
                signs.push(own);
                values.push(value);
                signs.len().saturating_sub(1)
            });
            // An axis has 100 values at most.
            class_of.push(u8::try_from(class).unwrap_or(u8::MAX));
        }
        Self { class_of: class_of.into(), values: values.into() }
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn class(&self, value: usize) -> usize {
        self.class_of.get(value).map_or(0, |class| usize::from(*class))
    }
}

impl Axes {
    pub(super) fn of(judge: &Judge<'_, '_>) -> Self {
        let all = judge.book.names.all;
        let conditions = || {
            let of_rules = judge.rules.iter().map(|rule| &rule.when);
            of_rules.chain(judge.exceptions.iter().map(|exception| &exception.when))
        };
        // Only rules that tell values apart at all are asked.
        let words = |of: fn(&Conditions) -> Words| -> Vec<Words> {
            conditions().map(of).filter(|words| !words.is_all()).collect()
        };
        let sign = |words: &[Words], value| -> Vec<bool> {
            words.iter().map(|words| words.contains(value)).collect()
        };
        let operations = words(|when| when.operations);
        let kinds = words(|when| when.kinds);
        let entries: Vec<_> =
            conditions().map(|when| when.entries).filter(|entries| *entries != all).collect();
        let percents: Vec<u8> =
            judge.rules.iter().filter_map(|rule: &&Rule| rule.percent).collect();
        let has_bases = judge.rules.iter().any(|rule| rule.rests());
        let granted = if has_bases { judge.book.granted_bases() } else { 0 };
        Self {
            operations: Axis::of(Operation::ALL.len(), |value| sign(&operations, value)),
            kinds: Axis::of(PrincipalKind::ALL.len(), |value| sign(&kinds, value)),
            entries: Axis::of(judge.book.names.body.regions.len(), |rank| -> Vec<bool> {
                let contains = |entries: &RegionSet| {
                    RegionId::new(rank).is_some_and(|region| entries.contains(region))
                };
                entries.iter().map(contains).collect()
            }),
            buckets: Axis::of(usize::from(BUCKETS), |bucket| -> Vec<bool> {
                percents.iter().map(|percent| bucket < usize::from(*percent)).collect()
            }),
            bases: Axis::of(BasisSet::all(granted).count(), |value| value),
        }
    }

    /// How many columns there are.
    pub(super) fn len(&self) -> usize {
        let Self { operations, kinds, entries, buckets, bases } = self;
        [operations, kinds, entries, buckets, bases]
            .iter()
            .fold(1, |product: usize, axis| product.saturating_mul(axis.len()))
    }

    /// The number of the column for a request, below [`Axes::len`].
    pub(super) fn column(&self, circumstances: &Circumstances) -> usize {
        let Circumstances { operation, kind, entry, bases, bucket, at: _ } = *circumstances;
        let bucket = bucket.filter(|bucket| *bucket < BUCKETS).unwrap_or(BUCKET_UNKNOWN);
        [
            (&self.operations, place(Operation::ALL, operation)),
            (&self.kinds, place(PrincipalKind::ALL, kind)),
            (&self.entries, entry.rank()),
            (&self.buckets, usize::from(bucket)),
            (&self.bases, bases.index()),
        ]
        .iter()
        .fold(0, |number: usize, (axis, value)| {
            number.saturating_mul(axis.len()).saturating_add(axis.class(*value))
        })
    }

    /// Every column, in the order of their numbers.
    pub(super) fn columns(&self) -> Vec<Column> {
        let mut columns = Vec::with_capacity(self.len());
        for operation in &self.operations.values {
            for kind in &self.kinds.values {
                for entry in &self.entries.values {
                    for bucket in &self.buckets.values {
                        for bases in &self.bases.values {
                            columns.extend(column(*operation, *kind, *entry, *bucket, *bases));
                        }
                    }
                }
            }
        }
        columns
    }
}

fn column(
    operation: usize,
    kind: usize,
    entry: usize,
    bucket: usize,
    bases: usize,
) -> Option<Column> {
    Some(Column {
        operation: *Operation::ALL.get(operation)?,
        kind: *PrincipalKind::ALL.get(kind)?,
        entry: RegionId::new(entry)?,
        bucket: u8::try_from(bucket).ok()?,
        bases: BasisSet::all(BasisSet::MAX).nth(bases)?,
    })
}
