//! Files that take their places whole: whoever reads one never sees half of it.

use crate::exit::{Exit, Failure};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// This user.
    Owner,
    /// Whoever the user lets read new files.
    Usual,
}

/// A file beside its place, which goes again unless it takes it.
#[derive(Debug)]
pub(crate) struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// Writes a file beside its place, in a directory that is made where there is none.
    pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<Self, Failure> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let written = || {
            fs::create_dir_all(directory)?;
            // It could not take the place of a directory; better to know before another one moves.
            if path.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            let mut file = beside(directory, readers)?;
            file.write_all(bytes)?;
            Ok(file)
        };
        let file = written().map_err(|error| failed("write", path, &error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Takes the place.
    pub(crate) fn place(self) -> Result<PathBuf, Failure> {
        let Self { file, path } = self;
        file.persist(&path).map_err(|error| failed("write", &path, &error.error))?;
        Ok(path)
    }
}

/// Puts a file that only this user may read into its place.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    Draft::write(path, bytes, Readers::Owner)?.place().map(drop)
}

/// What could not be done with a file.
pub(crate) fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Environment, format!("cannot {what} `{}`: {error}", path.display()))
}

/// A hidden file, for its owner only unless said otherwise.
fn beside(directory: &Path, readers: Readers) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".draft");
    #[cfg(unix)]
    if readers == Readers::Usual {
        use std::os::unix::fs::PermissionsExt as _;
        // Less what the user's mask takes away.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    #[cfg(not(unix))]
    let _ = readers;
    builder.tempfile_in(directory)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_for_its_readers_and_no_draft_stays() {
        let directory = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let plain = directory.path().join("plain");
        fs::write(&plain, "").unwrap();
        for (readers, expected) in [(Readers::Owner, 0o600), (Readers::Usual, mode(&plain))] {
            let path = directory.path().join("new/file");
            assert_eq!(Draft::write(&path, b"x", readers).unwrap().place().unwrap(), path);
            assert_eq!(mode(&path), expected);
            drop(Draft::write(&path, b"y", readers).unwrap());
            assert_eq!(fs::read(&path).unwrap(), b"x");
            assert_eq!(fs::read_dir(directory.path().join("new")).unwrap().count(), 1);
        }
    }
}
