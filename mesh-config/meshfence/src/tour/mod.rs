//! Playing a `PolicyTest` against running regions.

mod observe;
mod play;
mod table;

pub use play::{Outcome, play, token};
pub use table::report;
