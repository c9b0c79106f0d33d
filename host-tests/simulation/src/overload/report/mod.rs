//! What the model shows, as tables and as plots.

pub mod jobs;
#[cfg(feature = "plots")]
pub mod plots;
pub mod sections;
pub mod table;
