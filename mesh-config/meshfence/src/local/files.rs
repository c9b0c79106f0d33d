//! The configurations that the guards of a run read, and what they say.

use crate::draft::replace;
use crate::exit::Failure;
use policy_core::Role;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One file for each region and role.
#[derive(Debug)]
pub(super) struct Configurations {
    directory: PathBuf,
    texts: BTreeMap<PathBuf, String>,
}

impl Configurations {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, texts: BTreeMap::new() }
    }

    /// Whether a file says this already.
    pub(super) fn has(&self, region: &str, role: Role, text: &str) -> bool {
        self.texts.get(&self.path(region, role)).is_some_and(|known| known == text)
    }

    /// Moves another file into the place of one.
    pub(super) fn write(&mut self, region: &str, role: Role, text: String) -> Result<(), Failure> {
        let path = self.path(region, role);
        replace(&path, text.as_bytes())?;
        self.texts.insert(path, text);
        Ok(())
    }

    fn path(&self, region: &str, role: Role) -> PathBuf {
        self.directory.join(render::plugin_file(region, role))
    }
}
