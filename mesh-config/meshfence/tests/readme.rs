//! The README's commands, run as written.
//!
//! A `console` block is a session: its lines run one after the other. `meshfence up` without a tour
//! goes on until the end of its block and is then interrupted, as a reader would with Ctrl-C.
#![expect(clippy::unwrap_used, reason = "a command that fails fails the test")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The line that `up` prints last, once everything is ready.
const UP_IS_READY: &str = "Ctrl-C stops everything";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The command lines of each console block.
fn sessions(readme: &str) -> Vec<Vec<String>> {
    let blocks = readme.split("```console\n").skip(1);
    let body = |block: &str| block.split("```").next().unwrap_or_default().to_owned();
    let commands = |block: String| {
        block.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
    };
    blocks.map(body).map(commands).collect()
}

fn shell(line: &str, directory: &Path) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_meshfence")).parent().unwrap().to_owned();
    let old = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths([binary].into_iter().chain(std::env::split_paths(&old))).unwrap();
    let mut command = Command::new("sh");
    // A temporary directory of its own: `token` looks there for the one `up` that is running.
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    command.args(["-ec", line]).current_dir(directory).env("PATH", path).env("TMPDIR", temporary);
    // As whoever looks back has it: the key of the mesh.
    command.env("MESHFENCE_HMAC_K1", "the key of the mesh that README is about");
    command
}

/// The log of a running `up`, once it has a record: Envoy writes what it has every ten seconds.
fn access_log() -> String {
    let wait = "timeout 30 sh -c 'until grep -qs seq meshfence-*/taiwan-access.log; do sleep 0.2; done'; \
                cat meshfence-*/taiwan-access.log";
    let output = shell(wait, Path::new(env!("CARGO_TARGET_TMPDIR"))).output().unwrap();
    assert!(output.status.success(), "there is no access log with a record");
    String::from_utf8(output.stdout).unwrap()
}

/// A running `up` that does not outlive its test, whatever becomes of that.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        // It ended already if all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `up` and waits until it says that it is ready.
fn start(line: &str, directory: &Path) -> Up {
    // `exec`, so that the signal reaches the command and not its shell.
    let spawned = shell(&format!("exec {line}"), directory).stdout(Stdio::piped()).spawn();
    let mut up = Up(spawned.unwrap());
    let output = BufReader::new(up.0.stdout.take().unwrap());
    let ready = output.lines().map_while(Result::ok).any(|line| line.contains(UP_IS_READY));
    assert!(ready, "{line}: ended before it was ready");
    up
}

fn interrupt(mut up: Up) {
    let kill = Command::new("kill").args(["-INT", &up.0.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let ended = up.0.wait().unwrap();
    assert!(ended.success(), "up ended with {ended} after Ctrl-C");
}

#[test]
fn the_commands_run_as_written() {
    let root = root();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root.join("policies"), elsewhere.path().join("policies")).unwrap();
    let sessions = sessions(&readme);
    assert!(sessions.len() >= 4, "{sessions:?}");
    for session in sessions {
        let mut up = None;
        for line in session {
            if line == "cargo test --workspace" {
                continue; // this is what runs it
            }
            // The repository stays as it is: only what needs its manifest runs inside it.
            let directory = if line.starts_with("cargo ") { &root } else { elsewhere.path() };
            if line == "meshfence up" {
                up = Some(start(&line, directory));
                continue;
            }
            let output = shell(&line, directory).output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
            // What failed is told at the end of the output: progress before it.
            assert!(output.status.success(), "{line}\n{stderr}\n{stdout}");
            if line.starts_with("curl ") {
                assert!(stdout.starts_with("HTTP/1.1 200"), "{line}\n{stderr}\n{stdout}");
            }
        }
        if let Some(up) = up {
            std::fs::write(elsewhere.path().join("access.log"), access_log()).unwrap();
            interrupt(up);
        }
    }
    let rendered = elsewhere.path().join("my-envoys");
    for file in ["taiwan.yaml", "tokyo.yaml", "meshfence.wasm"] {
        assert!(rendered.join(file).is_file(), "{file}");
    }
}
