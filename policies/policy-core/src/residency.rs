//! Where data may be: residency rules compiled into one table per kind of context, so that a
//! decision costs the same whatever the number of rules.
//!
//! ```text
//! wire::Residency ──► Rulebook ──► Table (one for classes, purpose, context)
//!                      rules        row: country · nobody · unknown · strictest
//!                                   column: operation, kind, entry, bucket, bases
//!                                        └──► timeline ──► ResidencyCell
//! ```

mod axes;
mod cell;
mod conditions;
mod fit;
mod groups;
mod judge;
mod rulebook;
mod table;

pub use cell::{Exclusion, ResidencyCell};
pub use conditions::Circumstances;
pub use fit::{Asked, Fit, fits};
pub use groups::Group;
pub(crate) use groups::groups;
pub use rulebook::{EXCEPTION_DAYS_MAX, is_link};
pub(crate) use rulebook::{Names, Rulebook, TableKey};
pub use table::Subject;
pub(crate) use table::{Found, Table};
