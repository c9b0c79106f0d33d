//! Seeds that are worth remembering, and that a seed is always the same world.

use simulation::fixture::Fixture;
use simulation::mutant::Mutant;
use simulation::run;
use simulation::world::{Options, play};

#[test]
fn what_was_violated_once_is_not_again() {
    let fixture = Fixture::load().unwrap();
    for run::Regression { seed, mode, why } in run::regressions().unwrap() {
        let report = play(&fixture, Options { seed, mode, ..Options::default() });
        let story = report.violation.map(|_| run::story(seed, mode, None).unwrap().text);
        assert_eq!(story, None, "{why}\n{}", story.as_deref().unwrap_or_default());
    }
}

/// Without that no seed would be a regression, and no command would show a failure again.
#[test]
fn a_seed_is_always_the_same() {
    let fixture = Fixture::load().unwrap();
    for seed in 0..40 {
        let mutant = (seed % 4 == 0).then_some(Mutant::StoreGrantsEarly);
        let told = Options { seed, mutant, is_logged: true, is_told: true, ..Options::default() };
        let (first, second) = (play(&fixture, told), play(&fixture, told));
        assert_eq!(first.decisions, second.decisions, "seed {seed}");
        assert_eq!(first.story.to_text(), second.story.to_text(), "seed {seed}");
        assert_eq!(first.violation, second.violation, "seed {seed}");
        let untold = Options { is_told: false, is_logged: false, ..told };
        assert_eq!(play(&fixture, untold).counts, first.counts, "to be watched changes nothing");
    }
}
