//! Clocks that gain or lose up to a quarter, or stand still, and agents that say again what was so:
//! only the datastore's check has to hold, with what each proxy owes to what it was told.

use simulation::check::Invariant;
use simulation::fixture::Fixture;
use simulation::mutant::Mutant;
use simulation::run::{self, Many};
use simulation::setting::Mode;
use simulation::world::{Options, play};

const MODE: Option<Mode> = Some(Mode::Beyond);

#[test]
fn beyond_what_is_promised_the_datastore_holds() {
    let what = Many { mode: MODE, failures_max: 1, ..Many::default() };
    let summary = run::many(0..2_000, what, |_| ()).unwrap();
    let story = summary.failed.first().map(|seed| run::story(*seed, MODE, None).unwrap().text);
    assert_eq!(story, None, "{}", story.as_deref().unwrap_or_default());
    assert_eq!(summary.played, 2_000);
    assert!(summary.counts.stale > 500, "the datastore had to refuse {}", summary.counts.stale);
}

/// The test above can fail, in each way that it is there for.
#[test]
fn there_the_datastore_is_needed() {
    let fixture = Fixture::load().unwrap();
    for (mutant, invariant) in
        [(Mutant::NoStoreCheck, Invariant::F2), (Mutant::StoreCheckAtEndOnly, Invariant::F8)]
    {
        let is_needed = (0..1_000).any(|seed| {
            let options = Options { seed, mode: MODE, mutant: Some(mutant), ..Options::default() };
            play(&fixture, options).violation.is_some_and(|found| found.invariant == invariant)
        });
        assert!(is_needed, "{mutant:?}");
    }
}
