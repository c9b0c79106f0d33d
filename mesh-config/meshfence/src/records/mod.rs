//! Decision records, as access logs have them.

pub(crate) mod audit;
pub(crate) mod log;
pub(crate) mod replay;
#[cfg(test)]
mod tests;
