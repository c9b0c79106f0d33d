//! The files that a command renders, on their way to a directory.

use crate::exit::{Exit, Failure};
use crate::terminal;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What was rendered: every file of a directory, before any is written.
#[derive(Debug)]
pub(super) struct Output<'a> {
    directory: &'a Path,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl<'a> Output<'a> {
    /// Nothing yet.
    pub(super) fn new(directory: &'a Path) -> Self {
        Self { directory, files: Vec::new() }
    }

    /// Adds a file, by its path below the directory.
    pub(super) fn add(&mut self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) {
        self.files.push((path.into(), bytes.into()));
    }

    /// Writes every file and says so. Each is written beside its place first, so that where the
    /// disk is full, or one may not be written, all of them stay as they were.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let mut drafts = Vec::new();
        for (path, bytes) in &self.files {
            let path = self.directory.join(path);
            let draft = draft(&path);
            let written = path
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| check_place(&path))
                .and_then(|()| fs::write(&draft, bytes));
            drafts.push((draft, path));
            if let Err(error) = written {
                discard(&drafts);
                return Err(unwritable(
                    drafts.last().map_or(self.directory, |(_, path)| path),
                    &error,
                ));
            }
        }
        for (draft, path) in &drafts {
            if let Err(error) = fs::rename(draft, path) {
                discard(&drafts);
                return Err(unwritable(path, &error));
            }
            terminal::print(&path.display().to_string())?;
        }
        Ok(())
    }
}

/// Where a file is written before it takes its place.
fn draft(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.draft", std::process::id()));
    path.with_file_name(name)
}

/// A draft cannot take the place of a directory; better to know before the first one moves.
fn check_place(path: &Path) -> io::Result<()> {
    if path.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(()) }
}

fn discard(drafts: &[(PathBuf, PathBuf)]) {
    for (draft, _) in drafts {
        // Some of them are in their places already, or were never written.
        let _ = fs::remove_file(draft);
    }
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Environment, format!("cannot write `{}`: {error}", path.display()))
}
