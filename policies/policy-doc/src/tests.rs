//! The crate as a whole: the example loads, and what is wrong is said.

mod bad_documents;
mod example;
mod policy_tests;
mod properties;
mod timelines;
