//! Properties of anything, and that they can fail.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRng, TestRunner};
use std::fmt::Debug;

/// What a property found: nothing, or what is wrong.
pub(crate) type Found = Result<(), String>;

/// Asserts that a property holds for every input that is tried.
pub(crate) fn holds<I: Debug>(inputs: impl Strategy<Value = I>, property: impl Fn(I) -> Found) {
    let why = run(&inputs, property).err().map(|error| error.to_string());
    assert_eq!(why, None);
}

/// Asserts that a property fails for some input: it would notice.
pub(crate) fn fails<I: Debug>(inputs: impl Strategy<Value = I>, property: impl Fn(I) -> Found) {
    assert!(matches!(run(&inputs, property), Err(TestError::Fail(..))), "nothing was noticed");
}

fn run<S: Strategy>(
    inputs: &S,
    property: impl Fn(S::Value) -> Found,
) -> Result<(), TestError<S::Value>> {
    let config = Config { failure_persistence: None, cases: 1_000, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    runner.run(inputs, |input| property(input).map_err(TestCaseError::fail))
}
