//! Nobody sheds.

use crate::overload::limiter::{Ask, Ending, Gauge, Limiter};
use crate::overload::queue::Us;

/// Lets everything in.
#[derive(Debug, Default)]
pub struct Open {
    in_flight: u64,
}

impl Limiter for Open {
    type Pass = ();

    fn admit(&mut self, _: usize, _: &Ask, _: Us) -> Option<()> {
        self.in_flight += 1;
        Some(())
    }

    fn end(&mut self, _: usize, (): (), _: Ending, _: Us) {
        self.in_flight -= 1;
    }

    fn tick(&mut self, _: usize, _: Us) {}

    fn gauge(&self) -> Gauge {
        Gauge { in_flight: self.in_flight, ..Gauge::default() }
    }
}
