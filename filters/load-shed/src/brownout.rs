//! How much an application should leave out before requests are refused.

/// The share of work that has to go from which a level holds; levels are 1 to 4.
const FROM: [f64; 4] = [0.02, 0.2, 0.5, 0.8];
/// How long a level is kept after it is not needed any more, in milliseconds.
const HOLD_MS: u64 = 10_000;

/// A level from 0 (nothing) to 4, which rises at once and falls one step after ten seconds below.
#[derive(Debug, Clone, Default)]
pub(crate) struct Brownout {
    level: u8,
    /// Since when a lower level would do.
    below_ms: Option<u64>,
}

impl Brownout {
    /// `ratio` is the share of work that has to go.
    pub(crate) fn on_tick(&mut self, ratio: f64, now_ms: u64) {
        let needed = needed(ratio);
        if needed >= self.level {
            self.level = needed;
            self.below_ms = None;
            return;
        }
        let since_ms = *self.below_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(since_ms) >= HOLD_MS {
            self.level = self.level.saturating_sub(1);
            self.below_ms = Some(now_ms);
        }
    }

    /// The level.
    pub(crate) const fn level(&self) -> u8 {
        self.level
    }
}

fn needed(ratio: f64) -> u8 {
    let reached = FROM.iter().enumerate().filter(|(number, from)| match number {
        0 => ratio > **from,
        _ => ratio >= **from,
    });
    u8::try_from(reached.count()).unwrap_or(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_holds_from_its_share_on() {
        for (ratio, level, why) in [
            (0.0, 0, "nothing has to go"),
            (0.02, 0, "the first level is for more than its share"),
            (0.020_1, 1, "more than its share"),
            (0.199_9, 1, "less than the second asks for"),
            (0.2, 2, "as much as the second asks for"),
            (0.499_9, 2, "less than the third asks for"),
            (0.5, 3, "as much as the third asks for"),
            (0.799_9, 3, "less than the fourth asks for"),
            (0.8, 4, "as much as the fourth asks for"),
            (0.98, 4, "there is no fifth"),
            (f64::INFINITY, 4, "there is no fifth"),
            (-1.0, 0, "less than nothing"),
            (f64::NAN, 0, "no number asks for nothing"),
        ] {
            let mut brownout = Brownout::default();
            brownout.on_tick(ratio, 0);
            assert_eq!(brownout.level(), level, "{ratio}: {why}");
        }
    }

    #[test]
    fn it_rises_at_once_and_falls_a_level_after_ten_seconds_below() {
        let mut brownout = Brownout::default();
        for (now_ms, ratio, level, why) in [
            (0, 0.9, 4, "all levels at once"),
            (1_000, 0.0, 4, "it is below for the first time"),
            (10_999, 0.0, 4, "not yet for ten seconds"),
            (11_000, 0.0, 3, "for ten seconds"),
            (20_999, 0.0, 3, "the next ten are not over"),
            (21_000, 0.0, 2, "they are"),
            (25_000, 0.2, 2, "this level is needed again"),
            (26_000, 0.0, 2, "so the ten seconds begin anew"),
            (35_999, 0.0, 2, "and are not over"),
            (36_000, 0.0, 1, "now they are"),
            (36_100, 0.5, 3, "from any level it rises at once"),
            (90_000, 0.3, 3, "it is below since now, not since it rose"),
            (500_000, 0.3, 2, "one level, however long it was"),
            (900_000, 0.3, 2, "which is what is needed"),
        ] {
            brownout.on_tick(ratio, now_ms);
            assert_eq!(brownout.level(), level, "at {now_ms}: {why}");
        }
    }
}
