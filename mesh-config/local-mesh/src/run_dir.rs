//! The files of one run, in a temporary directory that does not outlive it.
//!
//! A command that is killed cannot clean up: [`remove_after`] does in a process that outlives it, and
//! every run first sweeps what dead runs left even so. Two
//! things have to agree before a directory goes: no process has the number in its name, and nobody
//! holds the lock on its `pid` file. The number alone would be wrong where containers share a
//! temporary directory (each has its own process 7); the lock alone would be wrong for the moment
//! between creating the directory and locking the file.

use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::survivor;

const PREFIX: &str = "meshfence-";
const PID_FILE: &str = "pid";
/// Between two attempts to remove a directory.
const REMOVE_PAUSE: Duration = Duration::from_millis(50);

/// A fresh directory `meshfence-<pid>-xxxxxx`, readable by this user only, removed on drop.
#[derive(Debug)]
pub struct RunDir {
    // Locked as long as it is open. Before `dir`, as fields are dropped in order and some systems
    // do not remove open files.
    _pid: File,
    dir: tempfile::TempDir,
}

// === impl RunDir ===

impl RunDir {
    /// Sweeps the directories of dead runs of this user, then creates one in the operating
    /// system's temporary directory.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the directory cannot be created. What cannot be swept is left alone.
    pub fn create() -> Result<Self, Error> {
        Self::create_in(&std::env::temp_dir())
    }

    /// The same below `parent`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the directory cannot be created.
    pub fn create_in(parent: &Path) -> Result<Self, Error> {
        sweep(parent);
        let pid = std::process::id();
        let dir = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{pid}-"))
            .tempdir_in(parent)
            .map_err(|error| Error::io("create a directory in", parent, error))?;
        let path = dir.path().join(PID_FILE);
        let file = (|| {
            let mut file = File::create_new(&path)?;
            file.lock()?;
            writeln!(file, "{pid}")?;
            Ok(file)
        })()
        .map_err(|error| Error::io("write", &path, error))?;
        Ok(Self { _pid: file, dir })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file, replacing one of the same name, and returns its path.
    ///
    /// # Errors
    ///
    /// [`Error::BadName`] when `name` is anything but a plain file name, [`Error::Io`] when it
    /// cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
        let bad = |why| Error::BadName { name: name.to_owned(), why };
        if name == PID_FILE {
            return Err(bad("the run directory has a file of that name"));
        }
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', ':', '\0']) {
            return Err(bad("it must be a plain file name"));
        }
        let path = self.path().join(name);
        // By way of a second file: an Envoy that watches the first must never see half of it.
        (|| {
            let mut file = tempfile::NamedTempFile::new_in(self.path())?;
            file.write_all(bytes)?;
            file.persist(&path).map_err(|error| error.error)
        })()
        .map_err(|error| Error::io("write", &path, error))?;
        Ok(path)
    }

    /// Where a region's Envoy should write its access log; the caller puts this into the bootstrap.
    pub fn access_log(&self, region: &str) -> PathBuf {
        self.file(region, "access.log")
    }

    /// Where the output of a region's Envoy goes.
    pub fn envoy_log(&self, region: &str) -> PathBuf {
        self.file(region, "envoy.log")
    }

    /// Where the output of a region's upstream goes.
    pub fn upstream_log(&self, region: &str) -> PathBuf {
        self.file(region, "upstream.log")
    }

    fn file(&self, region: &str, what: &str) -> PathBuf {
        // Regions are checked when a mesh starts; these paths are also asked for before that.
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        self.path().join(format!("{}-{what}", region.chars().map(safe).collect::<String>()))
    }
}

/// The directories of this user's runs that go on, in the operating system's temporary directory.
pub fn running() -> Vec<PathBuf> {
    runs(&std::env::temp_dir()).filter(|run| !run.is_over()).map(|run| run.path).collect()
}

/// Whether the run of this directory has ended, also when the directory is gone already.
pub(crate) fn is_over(path: &Path) -> bool {
    let Some(pid) = path.file_name().and_then(|name| pid_of(name.to_str()?)) else { return false };
    match path.try_exists() {
        Ok(true) => Run { pid, path: path.to_owned() }.is_over(),
        Ok(false) => true,
        // Nobody here can tell.
        Err(_) => false,
    }
}

/// Waits for the end of the parent, which is the end of `pipe`, and removes its run's directory.
///
/// Nothing is removed that is not the directory of a run, nor before the run is over.
pub async fn remove_after(path: &Path, pipe: impl Read) {
    if survivor::outlive(pipe) {
        return;
    }
    let deadline = Instant::now() + survivor::LIMIT;
    // Others of the run may be on their way out, and still write.
    while path.exists() && Instant::now() < deadline {
        if is_over(path) {
            let _ = fs::remove_dir_all(path);
        }
        tokio::time::sleep(REMOVE_PAUSE).await;
    }
}

/// Removes the directories of dead runs. Best effort: it is housekeeping, not what was asked for.
fn sweep(parent: &Path) {
    for run in runs(parent).filter(Run::is_over) {
        let _ = fs::remove_dir_all(run.path);
    }
}

/// What a run left, or goes on filling.
struct Run {
    pid: u32,
    path: PathBuf,
}

impl Run {
    fn is_over(&self) -> bool {
        !is_alive(self.pid) && !is_locked(&self.path.join(PID_FILE))
    }
}

/// The directories of this user's runs.
fn runs(parent: &Path) -> impl Iterator<Item = Run> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries.filter(is_ours).filter_map(|entry| {
        Some(Run { pid: pid_of(entry.file_name().to_str()?)?, path: entry.path() })
    })
}

/// The number in `meshfence-<pid>-xxxxxx`.
fn pid_of(name: &str) -> Option<u32> {
    let (pid, rest) = name.strip_prefix(PREFIX)?.split_once('-')?;
    (!rest.is_empty() && pid.bytes().all(|b| b.is_ascii_digit())).then(|| pid.parse().ok())?
}

/// A directory (no link to one) of this user.
fn is_ours(entry: &fs::DirEntry) -> bool {
    let Ok(metadata) = entry.metadata() else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw()
    }
    #[cfg(not(unix))]
    metadata.is_dir()
}

/// Whether there is a process of this number. A zombie counts: its parent is still busy with it.
pub(crate) fn is_alive(pid: u32) -> bool {
    #[cfg(unix)]
    {
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        // Anything but "no such process" means that there is one, if of somebody else.
        pid.is_some_and(|pid| {
            rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
        })
    }
    #[cfg(not(unix))]
    {
        // Without a portable answer the lock decides alone.
        let _ = pid;
        false
    }
}

fn is_locked(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => file.try_lock().is_err(),
        // Killed before it could write the file, or half removed already.
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    //! What is written, what is swept, and above all what is not.

    use super::*;

    /// A number that no process has: the largest Linux allows is 4194304.
    const DEAD: u32 = 2_000_000_000;

    #[test]
    fn goes_away_with_everything_in_it() {
        let dir = RunDir::create().unwrap();
        let path = dir.write("a.yaml", b"x: 1").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x: 1");
        assert_eq!(dir.write("a.yaml", b"y").unwrap(), path);
        assert_eq!(fs::read(&path).unwrap(), b"y");
        let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
        assert_eq!(pid.trim(), std::process::id().to_string());
        let root = dir.path().to_owned();
        drop(dir);
        assert!(!root.exists());
    }

    #[test]
    fn writes_nowhere_else() {
        let dir = RunDir::create().unwrap();
        for name in ["", ".", "..", "../x", "/tmp/x", "a/b", "a\\b", "pid"] {
            assert!(matches!(dir.write(name, b""), Err(Error::BadName { .. })), "{name}");
        }
        let log = dir.access_log("../../etc/passwd");
        assert_eq!(log.parent(), Some(dir.path()), "{}", log.display());
    }

    #[test]
    fn sweeps_dead_runs_only() {
        let parent = tempfile::tempdir().unwrap();
        let made = |name: String| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("pid"), "?").unwrap();
            path
        };
        let dead = made(format!("meshfence-{DEAD}-abc"));
        let alive = made(format!("meshfence-{}-abc", std::process::id()));
        let other = [
            made("meshfence-abc".to_owned()),
            made(format!("meshfence-{DEAD}")),
            made(format!("meshfence-{DEAD}-")),
            made(format!("else-{DEAD}-abc")),
            made("meshfence-+7-abc".to_owned()),
        ];
        let locked = made(format!("meshfence-{DEAD}-locked"));
        let lock = File::open(locked.join("pid")).unwrap();
        lock.lock().unwrap();

        assert!(is_over(&dead) && is_over(&parent.path().join("meshfence-7-gone")));
        assert!(!is_over(&alive) && !is_over(&locked) && !other.iter().any(|path| is_over(path)));
        assert!(!is_over(&parent.path().join("gone")));
        assert!(!is_over(&locked.join("pid/meshfence-7-unknown")), "nobody can tell");

        let dir = RunDir::create_in(parent.path()).unwrap();
        assert!(!dead.exists());
        assert!(alive.exists());
        assert!(locked.exists());
        assert!(other.iter().all(|path| path.exists()));
        assert!(dir.path().exists());

        drop(lock);
        let _second = RunDir::create_in(parent.path()).unwrap();
        assert!(!locked.exists());
        assert!(dir.path().exists());
    }

    #[cfg(unix)]
    #[test]
    fn does_not_follow_links() {
        let parent = tempfile::tempdir().unwrap();
        let precious = tempfile::tempdir().unwrap();
        let link = parent.path().join(format!("meshfence-{DEAD}-link"));
        std::os::unix::fs::symlink(precious.path(), &link).unwrap();
        let _dir = RunDir::create_in(parent.path()).unwrap();
        assert!(precious.path().exists());
        assert!(link.symlink_metadata().is_ok());
    }
}
