//! The files that a command renders, on their way to a directory.

mod difference;
mod pem;

use crate::cli::OutputArgs;
use crate::draft::{Draft, Readers, failed};
use crate::exit::{Exit, Failure};
use crate::terminal::{self, GOOD};
use difference::Difference;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a directory of rendered files is read by; any such file that was not rendered is in effect
/// all the same.
const APPLIED: [&str; 3] = ["yaml", "yml", "json"];
/// How deep rendered files lie at most, and how many there are at most.
const DEPTH_MAX: usize = 4;
const FILES_MAX: usize = 10_000;

/// What was rendered: every file of a directory, before any is written.
#[derive(Debug, Default)]
pub(super) struct Output {
    files: BTreeMap<PathBuf, Vec<u8>>,
    issued: BTreeMap<PathBuf, String>,
    left: Vec<PathBuf>,
}

impl Output {
    /// Adds a file, by its path below the directory.
    pub(super) fn add(&mut self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), bytes.into());
    }

    /// Expects a file that somebody else writes, whose keys and certificates are other ones each
    /// time: only what is around them is compared.
    pub(super) fn expect(&mut self, path: impl Into<PathBuf>, text: &str) {
        self.issued.insert(path.into(), pem::without(text));
    }

    /// Leaves a file below to whoever else writes it.
    pub(super) fn leave(&mut self, path: impl Into<PathBuf>) {
        self.left.push(path.into());
    }

    /// Writes the files, or compares them with what is there.
    pub(super) fn deliver(&self, arguments: &OutputArgs) -> Result<(), Failure> {
        if arguments.check { self.check(&arguments.out) } else { self.write(&arguments.out) }
    }

    /// Writes every file and says so. Each is written beside its place first, so that where the
    /// disk is full, or one may not be written, all of them stay as they were.
    fn write(&self, directory: &Path) -> Result<(), Failure> {
        let drafts = self.files.iter();
        let drafts =
            drafts.map(|(path, bytes)| Draft::write(&directory.join(path), bytes, Readers::Usual));
        let mut placed = Vec::new();
        for draft in drafts.collect::<Result<Vec<_>, Failure>>()? {
            placed.push(draft.place()?);
        }
        for path in placed {
            terminal::print(&path.display().to_string())?;
        }
        for path in self.strangers(directory)? {
            terminal::warn(&format!(
                "`{}` is not part of what was rendered, and still there",
                directory.join(path).display()
            ));
        }
        Ok(())
    }

    /// Compares every file with what is there and shows what differs; writes nothing.
    fn check(&self, directory: &Path) -> Result<(), Failure> {
        let mut differences = Vec::new();
        for (path, rendered) in &self.files {
            let place = directory.join(path);
            let found = read(&place)?;
            differences.extend(Difference::between(&place, found.as_deref(), Some(rendered)));
        }
        for (path, expected) in &self.issued {
            let place = directory.join(path);
            // What is no text is compared as it is.
            let found = read(&place)?.map(|found| match str::from_utf8(&found) {
                Ok(text) => pem::without(text).into_bytes(),
                Err(_) => found,
            });
            let expected = Some(expected.as_bytes());
            differences.extend(Difference::between(&place, found.as_deref(), expected));
        }
        for path in self.strangers(directory)? {
            let place = directory.join(path);
            let found = fs::read(&place).map_err(|error| failed("read", &place, &error))?;
            differences.extend(Difference::between(&place, Some(&found), None));
        }
        if differences.is_empty() {
            let files = self.files.len().saturating_add(self.issued.len());
            let plural = if files == 1 { "" } else { "s" };
            return terminal::print(&format!(
                "{GOOD}ok{GOOD:#}: {files} file{plural}, none differs"
            ));
        }
        for difference in &differences {
            terminal::print(&difference.to_string())?;
        }
        Err(Failure::new(Exit::Difference, difference::summary(directory, &differences))
            .help("render again without --check to make it so"))
    }

    /// The files below the directory that would be applied with the rendered ones and are none.
    fn strangers(&self, directory: &Path) -> Result<Vec<PathBuf>, Failure> {
        let mut found = Vec::new();
        list(directory, Path::new(""), 0, &mut found)?;
        let is_left = |path: &Path| self.left.iter().any(|left| path == left);
        let is_known =
            |path: &Path| self.files.contains_key(path) || self.issued.contains_key(path);
        found.retain(|path| !is_known(path) && !is_left(path));
        found.sort();
        Ok(found)
    }
}

/// What a file has, if it is there.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}

fn list(root: &Path, below: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let directory = root.join(below);
    let failure = |error: &io::Error| failed("read", &directory, error);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failure(&error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| failure(&error))?;
        let name = entry.file_name();
        let path = below.join(&name);
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.path().is_dir() {
            if depth < DEPTH_MAX {
                list(root, &path, depth.saturating_add(1), found)?;
            }
        } else if path.extension().is_some_and(|end| APPLIED.iter().any(|known| end == *known)) {
            found.push(path);
        }
        if found.len() > FILES_MAX {
            let message = format!("more than {FILES_MAX} files in `{}`", root.display());
            return Err(Failure::new(Exit::Usage, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(files: &[(&str, &str)]) -> Output {
        let mut output = Output::default();
        for (path, text) in files {
            output.add(*path, *text);
        }
        output
    }

    fn files(directory: &Path) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        let mut directories = vec![directory.to_owned()];
        while let Some(next) = directories.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    let name = path.strip_prefix(directory).unwrap().display().to_string();
                    files.insert(name, fs::read_to_string(path).unwrap());
                }
            }
        }
        files
    }

    fn owned(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn what_is_written_is_found_again_and_nothing_else_is_there() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("new/directory");
        let rendered = [("a.yaml", "a: 1\n"), ("taiwan/b.yaml", "b: 2\n")];
        output(&rendered).write(&out).unwrap();
        assert_eq!(files(&out), owned(&rendered));
        output(&rendered).check(&out).unwrap();
    }

    #[test]
    fn a_check_finds_what_differs_is_missing_or_should_not_be_there_and_writes_nothing() {
        for (there, message) in [
            (&[][..], "1 file is missing"),
            (&[("taiwan/a.yaml", "a: 2\n")], "1 file differs"),
            (&[("taiwan/a.yaml", "a: 1")], "1 file differs"),
            (
                &[("taiwan/a.yaml", "a: 1\n"), ("tokyo/a.yml", "a: 1\n")],
                "1 file should not be there",
            ),
            (
                &[("a.yaml", ""), ("b.json", ""), ("taiwan/c.yaml", "")],
                "1 file is missing, 3 files should not be there",
            ),
        ] {
            let temp = tempfile::tempdir().unwrap();
            output(there).write(temp.path()).unwrap();
            let failure = output(&[("taiwan/a.yaml", "a: 1\n")]).check(temp.path()).unwrap_err();
            assert_eq!(failure.exit, Exit::Difference);
            let said = failure.message.split_once(": ").unwrap().1;
            assert_eq!(said, message);
            assert_eq!(files(temp.path()), owned(there));
        }
    }

    #[test]
    fn what_nobody_applies_may_stay() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("README.md"), "").unwrap();
        fs::write(temp.path().join(".hidden.yaml"), "").unwrap();
        output(&[("a.yaml", "")]).write(temp.path()).unwrap();
        output(&[("a.yaml", "")]).check(temp.path()).unwrap();
    }

    #[test]
    fn what_is_left_to_others_is_not_looked_at() {
        let temp = tempfile::tempdir().unwrap();
        output(&[("a.yaml", ""), ("b.json", "")]).write(temp.path()).unwrap();
        let mut rendered = output(&[("a.yaml", "")]);
        assert!(rendered.check(temp.path()).is_err());
        rendered.leave("b.json");
        rendered.check(temp.path()).unwrap();
    }

    #[test]
    fn of_what_somebody_issues_all_but_keys_and_certificates_is_compared() {
        let block = |text: &str| {
            format!("a: |-\n  -----BEGIN CERTIFICATE-----\n  {text}\n  -----END CERTIFICATE-----\n")
        };
        for (there, message) in [
            (&[("tls/a.yaml", block("one"))][..], None),
            (&[("tls/a.yaml", block("two"))], None),
            (&[], Some("1 file is missing")),
            (&[("tls/a.yaml", block("one") + "b: 2\n")], Some("1 file differs")),
            (&[("tls/a.yaml", "a: \n".to_owned())], Some("1 file differs")),
            (
                &[("tls/a.yaml", block("one")), ("tls/b.yaml", String::new())],
                Some("1 file should not be there"),
            ),
        ] {
            let temp = tempfile::tempdir().unwrap();
            let mut rendered = output(&[("a.yaml", "")]);
            rendered.expect("tls/a.yaml", &block("one"));
            rendered.write(temp.path()).unwrap();
            assert!(!temp.path().join("tls").exists(), "somebody else writes it");
            let there: Vec<_> = there.iter().map(|(path, text)| (*path, text.as_str())).collect();
            output(&there).write(temp.path()).unwrap();
            let failure = rendered.check(temp.path()).err();
            let said = failure.as_ref().and_then(|failure| failure.message.split_once(": "));
            assert_eq!(said.map(|said| said.1), message, "{there:?}");
        }
    }

    #[test]
    fn where_one_file_cannot_be_written_none_is() {
        let temp = tempfile::tempdir().unwrap();
        output(&[("a.yaml", "old\n")]).write(temp.path()).unwrap();
        fs::create_dir(temp.path().join("b.yaml")).unwrap();
        let failure =
            output(&[("a.yaml", "new\n"), ("b.yaml", "new\n")]).write(temp.path()).unwrap_err();
        assert_eq!(failure.exit, Exit::Environment);
        assert!(failure.message.contains("b.yaml"), "{}", failure.message);
        assert_eq!(files(temp.path()), owned(&[("a.yaml", "old\n")]));
    }
}
