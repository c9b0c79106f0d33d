//! What our module is to reach, and what it reached.

use crate::case::Case;
use crate::run::Measured;
use crate::variant::Variant;
use std::fmt;

/// One figure of one case and what it is to be.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    case: Case,
    what: &'static str,
    of: fn(&Measured) -> f64,
    limit: Limit,
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

/// All of them.
pub const BOUNDS: [Bound; 11] = [
    least(Case::Times(3.0), "goodput", |it| it.figures.goodput, 0.98),
    least(Case::Times(6.0), "goodput", |it| it.figures.goodput, 0.98),
    least(Case::Times(6.0), "critical", |it| it.figures.success.critical, 0.99),
    least(Case::Times(10.0), "critical", |it| it.figures.success.critical, 0.97),
    most(Case::Times(3.0), "recovery s", |it| it.figures.recovery, 10.0),
    most(Case::Times(6.0), "recovery s", |it| it.figures.recovery, 10.0),
    most(Case::Times(10.0), "recovery s", |it| it.figures.recovery, 10.0),
    most(Case::Calm, "false shed", |it| it.false_shed, 0.001),
    // Where low work is let in, which it is not at three times the capacity and more.
    most(Case::Times(1.5), "inversion", |it| it.figures.inversion, 0.0),
    most(Case::Slow, "inversion", |it| it.figures.inversion, 0.0),
    most(Case::Halved, "inversion", |it| it.figures.inversion, 0.0),
];

const fn least(case: Case, what: &'static str, of: fn(&Measured) -> f64, least: f64) -> Bound {
    Bound { case, what, of, limit: Limit::AtLeast(least) }
}

const fn most(case: Case, what: &'static str, of: fn(&Measured) -> f64, most: f64) -> Bound {
    Bound { case, what, of, limit: Limit::AtMost(most) }
}

impl Bound {
    /// Its case, its figure, what that is to be, what it was, and whether that is reached; nothing where
    /// the case was not played with our module alone.
    pub fn row(&self, measured: &[Measured]) -> Option<[String; 5]> {
        let ours = measured.iter().filter(|one| one.variant == Variant::Meshfence);
        let found = (self.of)(ours.into_iter().find(|one| one.case == self.case)?);
        Some([
            self.case.name(),
            self.what.to_owned(),
            self.limit.to_string(),
            format!("{found:.4}"),
            if self.limit.holds(found) { "yes" } else { "no" }.to_owned(),
        ])
    }
}

impl Limit {
    fn holds(self, found: f64) -> bool {
        match self {
            Self::AtLeast(least) => found >= least,
            Self::AtMost(most) => found <= most,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_itself_is_reached_and_no_number_is_not() {
        for (limit, found, holds) in [
            (Limit::AtLeast(0.98), 0.98, true),
            (Limit::AtLeast(0.98), 0.979, false),
            (Limit::AtLeast(0.98), f64::NAN, false),
            (Limit::AtMost(10.0), 10.0, true),
            (Limit::AtMost(10.0), 10.5, false),
            (Limit::AtMost(10.0), f64::NAN, false),
        ] {
            assert_eq!(limit.holds(found), holds, "{limit}: {found}");
        }
    }

    #[test]
    fn what_was_not_played_reaches_nothing() {
        assert!(BOUNDS.iter().all(|bound| bound.row(&[]).is_none()));
    }
}
