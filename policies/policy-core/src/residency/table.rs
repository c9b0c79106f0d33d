//! The residency table of one kind of context.

use super::axes::Axes;
use super::cell::ResidencyCell;
use super::conditions::{Circumstances, Conditions, Whom, place};
use super::judge::{Column, Judge, Row, Shadows};
use super::rulebook::{Rulebook, TableKey, fault};
use crate::caller::Countries;
use crate::country::Country;
use crate::moment::Moment;
use crate::vocabulary::DataClass;
use crate::wire::ConfigFault;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

/// A policy whose tables have more entries than this together is refused: its rules tell too many
/// things apart.
const ENTRIES_MAX: usize = 200_000;
/// As often as what holds for one kind of request may change in the course of time.
const PIECES_MAX: usize = 200;

/// Whom the data of one request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Nobody, because the context says so: only rules about nobody apply.
    Nobody,
    /// Somebody who need not be known and is not.
    Unknown,
    /// Somebody of whom it is not known where they reside: what holds for everybody holds.
    Strictest,
    /// Somebody who resides there, by every source that says so.
    Of(Countries),
}

/// The residency table of contexts with the same classes, and the same purpose and name where rules
/// ask for those.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    axes: Axes,
    columns: usize,
    row_of: Box<[u16]>,
    rows: Rows,
    /// For each row and column the number of its timeline.
    entries: Box<[u32]>,
    timelines: Box<[Timeline]>,
    cells: Box<[ResidencyCell]>,
    /// What leases go by: for each row the number of its cell in `standing`.
    standing_of: Box<[u16]>,
    standing: Box<[ResidencyCell]>,
    depends_on_country: bool,
}

/// The rows that are no country's.
#[derive(Debug, Clone, Copy)]
struct Rows {
    nobody: usize,
    unknown: usize,
    strictest: usize,
}

/// What holds in the course of time: from each moment on, until the next.
type Timeline = Box<[(Moment, Pair)]>;

/// What holds, and what would hold if nothing were in shadow, by the numbers of their cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    enforced: u16,
    meant: u16,
}

/// What a table says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// What holds.
    pub(crate) cell: ResidencyCell,
    /// What would hold if nothing were in shadow, where that is something else.
    pub(crate) shadow: Option<ResidencyCell>,
    /// The number of the standing cell; none for subjects without one.
    pub(crate) standing: Option<usize>,
}

impl Table {
    /// What the rules say of a subject's data. Nothing where that depends on the time and nobody
    /// can tell it.
    pub(crate) fn find(
        &self,
        subject: Subject,
        circumstances: &mut Circumstances,
        now: &mut impl FnMut() -> Option<Moment>,
    ) -> Option<Found> {
        let column = self.axes.column(circumstances);
        let mut find = |row, at: &mut Option<Moment>| self.entry(row, column, at, now);
        let at = &mut circumstances.at;
        match subject {
            Subject::Nobody => find(self.rows.nobody, at),
            Subject::Unknown => find(self.rows.unknown, at),
            Subject::Strictest => find(self.rows.strictest, at),
            Subject::Of(countries) => {
                let mut rows = countries.iter().map(|country| self.row(country));
                let mut met = match rows.next() {
                    // Nobody names no country; should anybody, what holds for all of them holds.
                    None => return find(self.rows.strictest, at),
                    Some(row) => Found { standing: self.standing_number(row), ..find(row, at)? },
                };
                for row in rows {
                    let other = find(row, at)?;
                    met.shadow = match (met.shadow, other.shadow) {
                        (None, None) => None,
                        (one, two) => {
                            Some(one.unwrap_or(met.cell).meet(&two.unwrap_or(other.cell)))
                        }
                    };
                    met.cell = met.cell.meet(&other.cell);
                    // Data of two groups belongs to the lease of neither.
                    let own = self.standing_number(row);
                    met.standing = met.standing.filter(|known| Some(*known) == own);
                }
                Some(met)
            }
        }
    }

    /// How many entries it has.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn row(&self, country: Country) -> usize {
        self.row_of.get(country.index()).map_or(self.rows.strictest, |row| usize::from(*row))
    }

    fn entry(
        &self,
        row: usize,
        column: usize,
        at: &mut Option<Moment>,
        now: &mut impl FnMut() -> Option<Moment>,
    ) -> Option<Found> {
        let number = row.saturating_mul(self.columns).saturating_add(column);
        let timeline = self.timelines.get(usize::try_from(*self.entries.get(number)?).ok()?)?;
        let pair = match &**timeline {
            [(_, only)] => *only,
            pieces => {
                let at = match *at {
                    Some(at) => at,
                    None => *at.insert(now()?),
                };
                let later = pieces.partition_point(|(since, _)| *since <= at);
                pieces.get(later.checked_sub(1)?)?.1
            }
        };
        let cell = |number: u16| self.cells.get(usize::from(number)).copied();
        let shadow = if pair.meant == pair.enforced { None } else { cell(pair.meant) };
        Some(Found { cell: cell(pair.enforced)?, shadow, standing: None })
    }

    fn standing_number(&self, row: usize) -> Option<usize> {
        self.standing_of.get(row).map(|number| usize::from(*number))
    }

    /// Whether it matters where a subject resides.
    pub(crate) fn depends_on_country(&self) -> bool {
        self.depends_on_country
    }

    /// What leases go by: what holds for every request about the subjects of a country, always.
    pub(crate) fn standing(&self) -> &[ResidencyCell] {
        let countries = self.standing.len().saturating_sub(2);
        self.standing.get(..countries).unwrap_or_default()
    }

    /// The same for requests about nobody, and for those about somebody unknown.
    pub(crate) fn standing_of_no_country(&self) -> [Option<&ResidencyCell>; 2] {
        let of = |row| self.standing.get(self.standing_number(row)?);
        [of(self.rows.nobody), of(self.rows.unknown)]
    }
}

// === building ===

impl Rulebook<'_> {
    /// The table of contexts with this key, beside others with so many entries.
    ///
    /// # Errors
    /// The rules tell too many things apart.
    pub(crate) fn table(&self, key: &TableKey, others: usize) -> Result<Table, ConfigFault> {
        let (rules, exceptions) = self.relevant(key);
        let classes = key.classes.iter().copied().collect();
        let judge = Judge { book: self, rules, exceptions, classes };
        let axes = Axes::of(&judge);
        let (row_of, mut rows) = judge.rows();
        let special = Rows {
            nobody: rows.len(),
            unknown: rows.len().saturating_add(1),
            strictest: rows.len().saturating_add(2),
        };
        rows.extend([judge.row_of_nobody(), judge.row_of_unknown()]);
        let count = rows.len().saturating_add(1).saturating_mul(axes.len());
        let count = count.saturating_add(others);
        if count > ENTRIES_MAX {
            let message = format!("tell {count} kinds of requests apart, more than {ENTRIES_MAX}");
            return Err(fault("policy.residency.rules", message));
        }
        let columns = axes.columns();
        let mut builder = Builder::new(&judge, &columns);
        for row in &rows {
            builder.row(row)?;
        }
        builder.strictest(special.nobody, columns.len())?;
        let (standing_of, standing) = judge.standing_cells(&rows);
        let depends_on_country = builder.depends_on_country(special, columns.len());
        Ok(Table {
            columns: columns.len(),
            axes,
            row_of,
            rows: special,
            entries: builder.entries.into(),
            timelines: builder.timelines.into(),
            cells: builder.cells.into(),
            standing_of: standing_of.into(),
            standing: standing.into(),
            depends_on_country,
        })
    }
}

impl Judge<'_, '_> {
    /// The row of each country, and the rows: countries that no rule tells apart share one.
    fn rows(&self) -> (Box<[u16]>, Vec<Row>) {
        let mut rules: BTreeMap<Country, Vec<(usize, DataClass)>> = BTreeMap::new();
        for (number, rule) in self.rules.iter().enumerate() {
            self.add(&mut rules, number, &rule.when);
        }
        let mut exceptions: BTreeMap<Country, Vec<(usize, DataClass)>> = BTreeMap::new();
        for (number, exception) in self.exceptions.iter().enumerate() {
            self.add(&mut exceptions, number, &exception.when);
        }
        let asks_for_law = self.rules.iter().any(|rule| rule.rests());
        let mut numbers = BTreeMap::new();
        let mut rows = Vec::new();
        let mut row_of = vec![0_u16; Country::COUNT];
        for country in Country::all() {
            let has_law = asks_for_law && !self.book.under_law_of(Some(country)).is_empty();
            let row = Row {
                home: Some(self.book.home(country)),
                law: has_law.then_some(country),
                rules: rules.remove(&country).unwrap_or_default(),
                exceptions: exceptions.remove(&country).unwrap_or_default(),
            };
            let key = (row.home, row.law, row.rules.clone(), row.exceptions.clone());
            let number = *numbers.entry(key).or_insert_with(|| {
                rows.push(row);
                // At most one row a country: 249 of them.
                u16::try_from(rows.len().saturating_sub(1)).unwrap_or(u16::MAX)
            });
            if let Some(slot) = row_of.get_mut(country.index()) {
                *slot = number;
            }
        }
        (row_of.into(), rows)
    }

    /// Puts a rule into the rows of the countries that it is about, once for each of its classes.
    fn add(
        &self,
        rows: &mut BTreeMap<Country, Vec<(usize, DataClass)>>,
        number: usize,
        when: &Conditions,
    ) {
        for class in self.classes_of(when) {
            let mut add = |country| rows.entry(country).or_default().push((number, class));
            match &when.whom {
                Whom::Nobody => {}
                Whom::Anybody => Country::all().for_each(add),
                Whom::Of(countries) => countries.iter().copied().for_each(add),
                Whom::Others => {
                    Country::all()
                        .filter(|country| !self.book.is_named(class, *country))
                        .for_each(&mut add);
                }
            }
        }
    }

    fn classes_of(&self, when: &Conditions) -> Vec<DataClass> {
        let is_of = |class: &DataClass| when.classes.contains(place(DataClass::ALL, *class));
        self.classes.iter().copied().filter(is_of).collect()
    }

    fn row_of_nobody(&self) -> Row {
        self.row_about(|whom| *whom == Whom::Nobody)
    }

    fn row_of_unknown(&self) -> Row {
        self.row_about(|whom| matches!(whom, Whom::Nobody | Whom::Anybody))
    }

    fn row_about(&self, is_about: impl Fn(&Whom) -> bool) -> Row {
        let mut row = Row::default();
        for (number, rule) in self.rules.iter().enumerate() {
            if is_about(&rule.when.whom) {
                row.rules
                    .extend(self.classes_of(&rule.when).into_iter().map(|class| (number, class)));
            }
        }
        for (number, exception) in self.exceptions.iter().enumerate() {
            if is_about(&exception.when.whom) {
                let classes = self.classes_of(&exception.when).into_iter();
                row.exceptions.extend(classes.map(|class| (number, class)));
            }
        }
        row
    }

    /// The standing cell of each row: cells of countries first, each once, then those of nobody and
    /// of somebody unknown.
    fn standing_cells(&self, rows: &[Row]) -> (Vec<u16>, Vec<ResidencyCell>) {
        let mut cells: Vec<ResidencyCell> = Vec::new();
        let mut numbers: BTreeMap<ResidencyCell, u16> = BTreeMap::new();
        let mut of = Vec::with_capacity(rows.len());
        let countries = rows.len().saturating_sub(2);
        for (place, row) in rows.iter().enumerate() {
            let cell = self.standing(row);
            let next = u16::try_from(cells.len()).unwrap_or(u16::MAX);
            let number =
                if place < countries { *numbers.entry(cell).or_insert(next) } else { next };
            if number == next {
                cells.push(cell);
            }
            of.push(number);
        }
        (of, cells)
    }

    /// When what the rules of a row say may change, in their order.
    fn dates(&self, row: &Row) -> BTreeSet<Moment> {
        let rules = row.rules.iter().filter_map(|(number, _)| self.rules.get(*number));
        let exceptions =
            row.exceptions.iter().filter_map(|(number, _)| self.exceptions.get(*number));
        rules
            .flat_map(|rule| self.book.dates(rule))
            .chain(exceptions.flat_map(|exception| exception.dates()))
            .chain(self.book.mode_until())
            .collect()
    }
}

/// Fills the entries of a table.
struct Builder<'j, 'b, 'w> {
    judge: &'j Judge<'b, 'w>,
    columns: &'j [Column],
    entries: Vec<u32>,
    timelines: Vec<Timeline>,
    timeline_numbers: BTreeMap<Timeline, u32>,
    cells: Vec<ResidencyCell>,
    cell_numbers: BTreeMap<ResidencyCell, u16>,
}

impl<'j, 'b, 'w> Builder<'j, 'b, 'w> {
    fn new(judge: &'j Judge<'b, 'w>, columns: &'j [Column]) -> Self {
        Self {
            judge,
            columns,
            entries: Vec::new(),
            timelines: Vec::new(),
            timeline_numbers: BTreeMap::new(),
            cells: Vec::new(),
            cell_numbers: BTreeMap::new(),
        }
    }

    fn row(&mut self, row: &Row) -> Result<(), ConfigFault> {
        let dates = self.judge.dates(row);
        if dates.len() > PIECES_MAX {
            return Err(too_many_dates());
        }
        // Columns differ only where a rule of the row asks for what they differ in.
        let mut known: Vec<(Column, u32)> = Vec::new();
        for &column in self.columns {
            let same = known.iter().find(|(other, _)| self.judge.are_alike(row, column, *other));
            let number = match same {
                Some((_, number)) => *number,
                None => self.timeline(row, column, &dates)?,
            };
            if same.is_none() {
                known.push((column, number));
            }
            self.entries.push(number);
        }
        Ok(())
    }

    fn timeline(
        &mut self,
        row: &Row,
        column: Column,
        dates: &BTreeSet<Moment>,
    ) -> Result<u32, ConfigFault> {
        let mut pieces: Vec<(Moment, Pair)> = Vec::new();
        for since in core::iter::once(Moment(0)).chain(dates.iter().copied()) {
            let enforced = self.judge.cell(row, column, since, Shadows::Allow);
            let meant = self.judge.cell(row, column, since, Shadows::Act);
            let pair = Pair { enforced: self.number(enforced)?, meant: self.number(meant)? };
            match pieces.last() {
                Some((_, last)) if *last == pair => {}
                _ => pieces.push((since, pair)),
            }
        }
        self.add(pieces)
    }

    /// The row of subjects whose country is not known: what holds for those of every country.
    fn strictest(&mut self, countries: usize, columns: usize) -> Result<(), ConfigFault> {
        for column in 0..columns {
            let of_row = |row: usize| {
                let place = row.saturating_mul(columns).saturating_add(column);
                self.entries
                    .get(place)
                    .and_then(|number| self.timelines.get(usize::try_from(*number).ok()?))
            };
            let mut lines: Vec<&Timeline> = (0..countries).filter_map(of_row).collect();
            lines.sort_unstable();
            lines.dedup();
            let dates: BTreeSet<Moment> =
                lines.iter().flat_map(|line| line.iter().map(|(since, _)| *since)).collect();
            let mut pieces: Vec<(Moment, [ResidencyCell; 2])> = Vec::new();
            for since in dates {
                let mut met: Option<[ResidencyCell; 2]> = None;
                for line in &lines {
                    let later = line.partition_point(|(from, _)| *from <= since);
                    let piece = later.checked_sub(1).and_then(|place| line.get(place));
                    let Some((_, pair)) = piece else { continue };
                    let cell = |number: u16| self.cells.get(usize::from(number));
                    let (Some(enforced), Some(meant)) = (cell(pair.enforced), cell(pair.meant))
                    else {
                        continue;
                    };
                    met = Some(match met {
                        None => [*enforced, *meant],
                        Some([one, two]) => [one.meet(enforced), two.meet(meant)],
                    });
                }
                pieces.extend(met.map(|met| (since, met)));
            }
            let mut numbered: Vec<(Moment, Pair)> = Vec::new();
            for (since, [enforced, meant]) in pieces {
                let pair = Pair { enforced: self.number(enforced)?, meant: self.number(meant)? };
                match numbered.last() {
                    Some((_, last)) if *last == pair => {}
                    _ => numbered.push((since, pair)),
                }
            }
            let number = self.add(numbered)?;
            self.entries.push(number);
        }
        Ok(())
    }

    fn add(&mut self, pieces: Vec<(Moment, Pair)>) -> Result<u32, ConfigFault> {
        if pieces.len() > PIECES_MAX {
            return Err(too_many_dates());
        }
        let timeline: Timeline = pieces.into();
        let next = u32::try_from(self.timelines.len()).unwrap_or(u32::MAX);
        let number = *self.timeline_numbers.entry(timeline.clone()).or_insert(next);
        if number == next {
            self.timelines.push(timeline);
        }
        Ok(number)
    }

    fn number(&mut self, cell: ResidencyCell) -> Result<u16, ConfigFault> {
        if let Some(number) = self.cell_numbers.get(&cell) {
            return Ok(*number);
        }
        let number = u16::try_from(self.cells.len())
            .map_err(|_| fault("policy.residency.rules", "say too many different things"))?;
        self.cells.push(cell);
        self.cell_numbers.insert(cell, number);
        Ok(number)
    }

    /// Whether the subjects of some country are treated otherwise than somebody unknown.
    fn depends_on_country(&self, rows: Rows, columns: usize) -> bool {
        let line = |row: usize, column: usize| {
            let place = row.saturating_mul(columns).saturating_add(column);
            let number = self.entries.get(place)?;
            self.timelines.get(usize::try_from(*number).ok()?)
        };
        let limits = |line: &Timeline| -> Vec<_> {
            let of = |number: u16| self.cells.get(usize::from(number)).map(ResidencyCell::limits);
            line.iter().map(|(since, pair)| (*since, of(pair.enforced), of(pair.meant))).collect()
        };
        (0..columns).any(|column| {
            let unknown = line(rows.unknown, column).map(limits);
            let mut differs: BTreeMap<&Timeline, bool> = BTreeMap::new();
            (0..rows.nobody)
                .filter_map(|row| line(row, column))
                .any(|own| *differs.entry(own).or_insert_with(|| Some(limits(own)) != unknown))
        })
    }
}

impl Judge<'_, '_> {
    /// Whether no rule of a row tells two columns apart.
    fn are_alike(&self, row: &Row, one: Column, other: Column) -> bool {
        let rules = row.rules.iter().filter_map(|(number, _)| self.rules.get(*number));
        let exceptions =
            row.exceptions.iter().filter_map(|(number, _)| self.exceptions.get(*number));
        let mut conditions =
            rules.clone().map(|rule| &rule.when).chain(exceptions.map(|exception| &exception.when));
        // Two columns may fit alike for different reasons; then they are taken for alike, rightly.
        let is_alike = |when: &Conditions| when.fits_column(one) == when.fits_column(other);
        let is_staged_alike = rules.clone().all(|rule| {
            rule.percent.is_none_or(|percent| (one.bucket < percent) == (other.bucket < percent))
        });
        let rests = || rules.clone().any(|rule| rule.rests());
        conditions.all(is_alike) && is_staged_alike && (one.bases == other.bases || !rests())
    }
}

fn too_many_dates() -> ConfigFault {
    let message = format!("have more than {PIECES_MAX} dates for one kind of request");
    fault("policy.residency.rules", message)
}
