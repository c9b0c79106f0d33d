//! Many runs at once.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What is quicker needs no progress.
const PATIENCE: Duration = Duration::from_secs(2);

/// What each of these gives, in their order, on all processors. Progress goes to the terminal of the
/// standard error, where there is one.
pub fn all<T: Sync, R: Send>(title: &str, of: &[T], run: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (began, is_terminal) = (Instant::now(), std::io::stderr().is_terminal());
    let work = || {
        let mut results = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = of.get(at) else { return results };
            results.push((at, run(item)));
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if is_terminal && began.elapsed() > PATIENCE {
                // Progress that cannot be shown is no reason to stop.
                let _ = write!(std::io::stderr(), "\r{title}: {done} of {} runs  ", of.len());
            }
        }
    };
    let mut results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    if is_terminal && began.elapsed() > PATIENCE {
        let _ = writeln!(std::io::stderr());
    }
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_come_in_order() {
        let items: Vec<u64> = (0..100).collect();
        assert_eq!(super::all("squares", &items, |n| n * n)[99], 99 * 99);
    }
}
