//! An image of an Envoy that this machine has, made without pulling anything.
//!
//! Envoy needs nothing but the C library, so the image is the executable, the libraries that the
//! dynamic loader of this machine gives it, at the same paths, and the certificates of public
//! authorities for bootstraps that fetch keys.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::{Engine, Image, complaint};
use crate::envoy::EnvoyBinary;
use crate::error::Error;
use crate::process;
use crate::run_dir::RunDir;

/// Where the official image has it.
const EXECUTABLE: &str = "/usr/local/bin/envoy";
/// Where rendered bootstraps look for it.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where systems keep it.
const AUTHORITIES_OF_SYSTEMS: &[&str] = &[
    AUTHORITIES,
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

const LDD_LIMIT: Duration = Duration::from_secs(30);
const IMPORT_LIMIT: Duration = Duration::from_mins(5);

impl Engine {
    /// Makes an image of an Envoy and its libraries, and starts it once.
    ///
    /// # Errors
    ///
    /// [`Error::ImageBuild`], and [`Error::ImageUnusable`] when the Envoy does not start in there.
    pub async fn build(
        &self,
        envoy: &EnvoyBinary,
        tag: &str,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Image, Error> {
        if !cfg!(target_os = "linux") {
            let why = "an Envoy of this operating system does not run in a container";
            return Err(failed(why.to_owned()));
        }
        progress(&format!("packing Envoy {} and its libraries", envoy.version));
        let mut files = vec![(envoy.path.clone(), PathBuf::from(EXECUTABLE))];
        files.extend(libraries(&envoy.path).await?.into_iter().map(|path| (path.clone(), path)));
        let authorities = AUTHORITIES_OF_SYSTEMS.iter().map(PathBuf::from);
        if let Some(found) = authorities.filter(|path| path.is_file()).take(1).next() {
            files.push((found, PathBuf::from(AUTHORITIES)));
        }
        let work = RunDir::create()?;
        let archive = work.path().join("image.tar");
        let packed = pack(&archive, &files);
        packed.map_err(|error| failed(format!("{}: {error}", archive.display())))?;
        progress(&format!("importing it as {tag}"));
        let entrypoint = format!("ENTRYPOINT [\"{EXECUTABLE}\"]");
        let arguments = ["import", "--change", &entrypoint].map(OsStr::new);
        let arguments = arguments.into_iter().chain([archive.as_os_str(), OsStr::new(tag)]);
        let arguments: Vec<&OsStr> = arguments.collect();
        let imported = process::ask(&self.program, &arguments, IMPORT_LIMIT).await;
        let imported = imported.map_err(|error| failed(error.to_string()))?;
        if !imported.status.success() {
            return Err(failed(complaint(&imported)));
        }
        self.started_once(tag).await
    }
}

fn failed(why: String) -> Error {
    Error::ImageBuild { why }
}

/// The libraries of an executable and their loader, as the loader of this machine finds them.
async fn libraries(executable: &Path) -> Result<Vec<PathBuf>, Error> {
    let output = process::ask(OsStr::new("ldd"), &[executable.as_os_str()], LDD_LIMIT).await;
    let output = output.map_err(|error| failed(format!("ldd: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(failed(format!("ldd cannot read {}", executable.display())));
    }
    parse_ldd(&text).map_err(|line| failed(format!("a library is missing: {line}")))
}

/// `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)`, `/lib64/ld-linux-x86-64.so.2 (0x…)`, and
/// `linux-vdso.so.1 (0x…)`, which is the kernel's and no file. The error is the line of a library
/// that was not found.
fn parse_ldd(text: &str) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        let place = line.split_once(" => ").map_or(line, |(_, place)| place);
        if place == "not found" {
            return Err(line.to_owned());
        }
        let path = place.rsplit_once(" (").map_or(place, |(path, _)| path);
        if path.starts_with('/') {
            found.push(PathBuf::from(path));
        }
    }
    Ok(found)
}

/// Writes files, and the directories that lead to them, into an archive: readable by everybody,
/// owned by root, and the same bytes for the same files.
fn pack(archive: &Path, files: &[(PathBuf, PathBuf)]) -> io::Result<()> {
    let mut builder = tar::Builder::new(File::create_new(archive)?);
    let targets = files.iter().map(|(_, target)| relative(target));
    let directories: BTreeSet<PathBuf> = targets
        .flat_map(|target| target.ancestors().skip(1).map(Path::to_owned).collect::<Vec<_>>())
        .collect();
    for directory in directories.iter().filter(|directory| !directory.as_os_str().is_empty()) {
        let mut header = header(0);
        header.set_entry_type(tar::EntryType::Directory);
        builder.append_data(&mut header, directory, io::empty())?;
    }
    for (source, target) in files {
        let file = File::open(source)?;
        let mut header = header(file.metadata()?.len());
        builder.append_data(&mut header, relative(target), file)?;
    }
    builder.into_inner()?.sync_all()
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// A path in an archive, from its top.
fn relative(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ldd_prints() {
        let text = "\tlinux-vdso.so.1 (0x00007ffc)\n\
                    \tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f3)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f4)\n";
        let paths = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(parse_ldd(text).unwrap(), paths.map(PathBuf::from));
        assert_eq!(parse_ldd("\tlibm.so.6 => not found\n").unwrap_err(), "libm.so.6 => not found");
        assert_eq!(parse_ldd("\tstatically linked\n").unwrap(), [""; 0].map(PathBuf::from));
    }

    #[test]
    fn packs_the_same_files_into_the_same_bytes_readable_by_all() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("secret-mode");
        std::fs::write(&source, b"x").unwrap();
        let files = [(source, PathBuf::from("/usr/bin/x"))];
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        pack(&one, &files).unwrap();
        pack(&two, &files).unwrap();
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
        let mut archive = tar::Archive::new(File::open(&one).unwrap());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            (path, entry.header().mode().unwrap(), entry.header().uid().unwrap())
        });
        let expected = ["usr/", "usr/bin/", "usr/bin/x"];
        let expected = expected.map(|path| (path.trim_end_matches('/').to_owned(), 0o755, 0));
        assert_eq!(
            entries.map(|(p, m, u)| (p.trim_end_matches('/').to_owned(), m, u)).collect::<Vec<_>>(),
            expected
        );
    }
}
