//! The machine, as far as figures depend on it.

use crate::trouble::Trouble;
use std::fs;
use std::time::Duration;

/// What it is.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its processor.
    pub processor: String,
    /// How many cores may be used.
    pub cores: usize,
    /// System, release and architecture.
    pub system: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let system = rustix::system::uname();
        let part = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            processor: model.map_or("unknown processor", |(_, model)| model.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            system: [system.sysname(), system.release(), system.machine()].map(part).join(" "),
        }
    }
}

/// How long the threads of a process have run.
///
/// # Errors
/// That there is no such process, or no such system.
pub fn cpu_of(pid: u32) -> Result<Duration, Trouble> {
    let tasks = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&tasks).map_err(Trouble::io(tasks))?;
    let mut sum = Duration::ZERO;
    for thread in threads.flatten() {
        // A thread may end in between.
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let run = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
        sum += Duration::from_nanos(run.unwrap_or(0));
    }
    Ok(sum)
}

/// What all cores have done, in a unit of the system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    idle: u64,
    all: u64,
}

impl Work {
    /// Up to now; nothing where the system does not say it.
    pub fn now() -> Option<Self> {
        Self::read(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn read(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let times: Vec<u64> = line.split_whitespace().map_while(|time| time.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are in the first two.
        let [user, nice, system, idle, iowait, irq, softirq, steal] = *times.first_chunk()?;
        let idle = idle + iowait;
        Some(Self { idle, all: user + nice + system + idle + irq + softirq + steal })
    }

    /// The share of the time since then that the cores had something to do, this machine's or, on a
    /// shared one, another's.
    pub fn busy_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        let idle = self.idle.saturating_sub(before.idle);
        1.0 - simulation::overload::number::share(idle, all.max(idle).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_run_for_some_time() {
        assert!(cpu_of(std::process::id()).unwrap() > Duration::ZERO);
        assert!(cpu_of(u32::MAX).is_err());
    }

    #[test]
    fn what_is_not_idle_is_busy() {
        let of = |text: &str| Work::read(text).unwrap();
        let before = of("cpu  100 0 0 100 0 0 0 0 0 0\ncpu0 1 2 3");
        let after = of("cpu  120 0 5 160 10 0 0 5 0 0\n");
        assert!((after.busy_since(before) - 0.3).abs() < 1e-9);
        assert_eq!(Work::read("intr 1"), None);
        assert!(Machine::this().cores > 0);
    }
}
