//! Reading a policy set: a directory of YAML files, or the built-in example.

use crate::cli::CandidateArgs;
use crate::exit::{Exit, Failure};
use crate::terminal;
use policy_doc::{
    Diagnostic, Loaded, LoadedMaps, PolicySet, PolicyTest, Purpose, Severity, Source, Timeline,
    WorldState,
};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// More files, or larger ones, are no policy set.
const FILES_MAX: usize = 1000;
const FILE_BYTES_MAX: u64 = 4 << 20;
const DEPTH_MAX: usize = 8;

/// The example, as `policies/tpe-tokyo` has it.
const EXAMPLE: &[(&str, &str)] = &[
    ("contexts.yaml", include_str!("../../../policies/tpe-tokyo/contexts.yaml")),
    ("fencing.yaml", include_str!("../../../policies/tpe-tokyo/fencing.yaml")),
    ("mesh.yaml", include_str!("../../../policies/tpe-tokyo/mesh.yaml")),
    ("residency.yaml", include_str!("../../../policies/tpe-tokyo/residency.yaml")),
    ("topology.yaml", include_str!("../../../policies/tpe-tokyo/topology.yaml")),
    ("drills/adr-037.yaml", include_str!("../../../policies/tpe-tokyo/drills/adr-037.yaml")),
    ("tests/adr-037.yaml", include_str!("../../../policies/tpe-tokyo/tests/adr-037.yaml")),
    ("tests/tour.yaml", include_str!("../../../policies/tpe-tokyo/tests/tour.yaml")),
];

/// The state in which nothing is wrong.
const NORMAL: &str = "normal";

/// The file that `up --tour` plays, below the set's directory.
const TOUR: &str = "tests/tour.yaml";

/// Where a policy set comes from.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// A directory.
    Directory(&'a Path),
    /// The example that the command carries.
    Example,
}

impl<'a> Origin<'a> {
    /// The directory if there is one, else the example.
    pub fn of(directory: Option<&'a Path>) -> Self {
        directory.map_or(Self::Example, Self::Directory)
    }

    fn file(self, name: &str) -> String {
        match self {
            Self::Directory(directory) => directory.join(name).display().to_string(),
            Self::Example => format!("tpe-tokyo/{name}"),
        }
    }
}

/// Reads and resolves a policy set, whatever is wrong with it.
///
/// # Errors
/// Files that cannot be read.
pub fn load(origin: Origin<'_>, purpose: Purpose) -> Result<Loaded, Failure> {
    Ok(policy_doc::load(sources(origin)?, purpose))
}

fn sources(origin: Origin<'_>) -> Result<Vec<Source>, Failure> {
    Ok(match origin {
        Origin::Directory(directory) => read(directory)?,
        Origin::Example => EXAMPLE
            .iter()
            .map(|(name, text)| Source { file: origin.file(name), text: (*text).to_owned() })
            .collect(),
    })
}

/// The tenant maps of a policy set, which may lack their signatures, and the keys of its mesh.
///
/// # Errors
/// Files that cannot be read; maps that are invalid, after their problems were shown.
pub(crate) fn maps(origin: Origin<'_>) -> Result<LoadedMaps, Failure> {
    let sources = sources(origin)?;
    let loaded = policy_doc::load_maps(&sources);
    show(&loaded.diagnostics, &sources);
    let is_valid = loaded.diagnostics.iter().all(|found| found.severity != Severity::Error);
    is_valid.then_some(loaded).ok_or_else(|| Failure::told(Exit::InvalidPolicy))
}

/// Reads a policy set that has to be valid: every problem is shown, and any error ends the command.
///
/// # Errors
/// Files that cannot be read; an invalid policy set, after its problems were shown.
pub fn require(origin: Origin<'_>, purpose: Purpose) -> Result<PolicySet, Failure> {
    let loaded = load(origin, purpose)?;
    show(&loaded.diagnostics, &loaded.sources);
    loaded.set.ok_or_else(|| Failure::told(Exit::InvalidPolicy))
}

/// The timelines of a file, for a policy set; every problem is shown, and any error ends the command.
///
/// # Errors
/// A file that cannot be read; one that is invalid, after its problems were shown.
pub(crate) fn timelines(path: &Path, set: &PolicySet) -> Result<Vec<Timeline>, Failure> {
    let source = Source { file: path.display().to_string(), text: read_file(path)? };
    let (found, diagnostics) = policy_doc::load_timelines(source.clone(), set);
    show(&diagnostics, &[source]);
    if found.is_empty() { Err(Failure::told(Exit::InvalidPolicy)) } else { Ok(found) }
}

/// The same policy set with the candidate of the arguments, if they name one.
///
/// # Errors
/// As for [`require`], of the candidate.
pub(crate) fn with_candidate(
    set: PolicySet,
    candidate: &CandidateArgs,
    purpose: Purpose,
) -> Result<PolicySet, Failure> {
    let Some(directory) = &candidate.directory else { return Ok(set) };
    let candidate = require(Origin::Directory(directory), purpose)?;
    Ok(set.with_candidate(&candidate))
}

/// The `PolicyTest` of a tour: this file, or the set's own.
///
/// # Errors
/// As for [`test_file`]; a set without a tour.
pub fn tour(
    origin: Origin<'_>,
    set: &PolicySet,
    file: Option<&Path>,
) -> Result<PolicyTest, Failure> {
    let Some(file) = file else {
        let own = origin.file(TOUR);
        return set.tests.iter().find(|test| test.file == own).cloned().ok_or_else(|| {
            Failure::new(Exit::Usage, format!("the policy set has no `{TOUR}`"))
                .help("pass the PolicyTest file to play: --tour FILE")
        });
    };
    test_file(set, file)
}

/// A `PolicyTest` of a file that need not be one of the set's.
///
/// # Errors
/// A file that cannot be read or is invalid, after its problems were shown.
pub fn test_file(set: &PolicySet, file: &Path) -> Result<PolicyTest, Failure> {
    let source = Source { file: file.display().to_string(), text: read_file(file)? };
    let (test, diagnostics) = policy_doc::load_test(source.clone(), set);
    show(&diagnostics, &[source]);
    test.ok_or_else(|| Failure::told(Exit::InvalidPolicy))
}

/// The state of this name, else the set's own static one, else its `normal`.
///
/// # Errors
/// That no `PolicyTest` of the set has it.
pub fn state(set: &PolicySet, name: Option<&str>) -> Result<WorldState, Failure> {
    if let (None, Some(document)) = (name, &set.body.fencing.static_state) {
        return Ok(WorldState { document: document.clone(), ..WorldState::default() });
    }
    let states: BTreeMap<_, _> = set.tests.iter().flat_map(|test| &test.states).collect();
    match (states.get(&name.unwrap_or(NORMAL).to_owned()), name) {
        (Some(state), _) => Ok((*state).clone()),
        (None, None) => Ok(WorldState::default()),
        (None, Some(name)) => {
            let known: Vec<_> = states.keys().collect();
            Err(Failure::new(Exit::Usage, format!("no PolicyTest of the set has a state `{name}`"))
                .suggest(name, &known))
        }
    }
}

fn show(diagnostics: &[Diagnostic], sources: &[Source]) {
    if !diagnostics.is_empty() {
        let colour = terminal::has_colour(&std::io::stderr());
        let text = policy_doc::render_human(diagnostics, sources, colour);
        // Without standard error there is nobody to tell.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// Every YAML file of a directory, in the order of their names.
fn read(directory: &Path) -> Result<Vec<Source>, Failure> {
    let mut files = Vec::new();
    list(directory, 0, &mut files)?;
    files.sort();
    if files.is_empty() {
        let message = format!("no YAML files in `{}`", directory.display());
        return Err(Failure::new(Exit::InvalidPolicy, message)
            .help("a policy set is a directory of .yaml or .yml files"));
    }
    files
        .into_iter()
        .map(|file| Ok(Source { text: read_file(&file)?, file: file.display().to_string() }))
        .collect()
}

fn list(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = std::fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| unreadable(directory, &error))?.path();
        let is_hidden =
            path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if is_hidden {
            continue;
        }
        if path.is_dir() {
            if depth < DEPTH_MAX {
                list(&path, depth.saturating_add(1), files)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            let message = format!("more than {FILES_MAX} YAML files in `{}`", directory.display());
            return Err(Failure::new(Exit::InvalidPolicy, message));
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<String, Failure> {
    let size = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if size > FILE_BYTES_MAX {
        let message = format!("`{}` is larger than {FILE_BYTES_MAX} bytes", path.display());
        return Err(Failure::new(Exit::InvalidPolicy, message));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("cannot read `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_what_the_repository_has() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/tpe-tokyo");
        let mut files = Vec::new();
        list(&directory, 0, &mut files).unwrap();
        let mut found: Vec<_> = files
            .iter()
            .map(|file| file.strip_prefix(&directory).unwrap().to_str().unwrap().to_owned())
            .collect();
        found.sort();
        let mut carried: Vec<_> = EXAMPLE.iter().map(|(name, _)| (*name).to_owned()).collect();
        carried.sort();
        assert_eq!(found, carried);
    }
}
