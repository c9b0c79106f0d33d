//! YAML policy documents with spans, their diagnostics, and the policy set they resolve to.
//!
//! Pure: texts in, a [`PolicySet`] or diagnostics out. Reading a directory is the command's.

mod policy_test;
mod set;

pub use policy_test::{
    Case, Expectation, HeaderExpectation, InFlight, Observed, PolicyTest, TestCaller, TestRequest,
    WorldState,
};
pub use set::{Issuer, MeshFacts, PolicySet};
