use std::path::Path;

use super::*;

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn found(dir: &Path) -> Vec<String> {
    let sources = read(&dir.join("code"), None).unwrap();
    sources.files.keys().map(|id| id.path()).collect()
}

#[test]
fn both_layouts_are_understood() {
    let dir = project(&[
        ("code/hello.js", ""),
        ("code/user.register.js", ""),
        ("code/es.mjs", ""),
        ("code/old.es6", ""),
        ("code/big/index.js", ""),
        ("code/big/helper.js", ""),
        ("code/other/module.js", ""),
        ("code/Todo/insert.js", ""),
        ("code/Todo/afterUpload.js", ""),
        ("code/Todo/insert.test.js", ""),
        ("code/logs.AppLog/validate.js", ""),
        ("code/README.md", ""),
        ("code/.hidden.js", ""),
        ("code/esbuild.config.js", ""),
        ("code/node_modules/x/index.js", ""),
    ]);
    assert_eq!(
        found(dir.path()),
        [
            "/code/Todo/afterUpload",
            "/code/Todo/insert",
            "/code/big/module",
            "/code/es/module",
            "/code/hello/module",
            "/code/logs.AppLog/validate",
            "/code/old/module",
            "/code/other/module",
            "/code/user.register/module",
        ]
    );
}

#[test]
fn two_files_for_one_thing_are_refused() {
    for files in [
        [("code/a.js", ""), ("code/a/index.js", "")],
        [("code/a/index.js", ""), ("code/a/module.js", "")],
        [("code/a.js", ""), ("code/a.mjs", "")],
    ] {
        let dir = project(&files);
        let error = read(&dir.path().join("code"), None).unwrap_err().to_string();
        assert!(error.contains("are both a (module)"), "{error}");
    }
    let dir = project(&[("code/a b.js", "")]);
    assert!(
        read(&dir.path().join("code"), None)
            .unwrap_err()
            .to_string()
            .contains("no name of a module")
    );
}

#[test]
fn names_are_read_as_people_write_them() {
    for (text, path) in [
        ("hello", "/code/hello/module"),
        ("hello/module", "/code/hello/module"),
        ("Todo/insert", "/code/Todo/insert"),
        ("/code/Todo/validate", "/code/Todo/validate"),
    ] {
        assert_eq!(CodeId::parse(text).unwrap().path(), path);
    }
    for text in ["", "Todo/nonsense", "../x", "a/b/c", "a b", "/", "Todo/"] {
        assert_eq!(CodeId::parse(text).unwrap_err().exit_code(), 2, "{text}");
    }
}

async fn text(dir: &Path, file: &str) -> Result<String, CliError> {
    let code = dir.join("code");
    let sources = read(&code, None)?;
    text_of(dir, &code, &sources, &code.join(file)).await
}

#[tokio::test]
async fn what_needs_nothing_else_is_sent_as_it_is() {
    let source = "const fs = require('node:fs'), { x } = require('./other'), h = require('../Todo/insert');\n\
        import http from 'http'; import s from 'stream/promises'; import f from 'freshbase:db'; require('./only-on-server');\n";
    let dir = project(&[
        ("code/a.js", source),
        ("code/other.js", ""),
        ("code/Todo/insert.js", source),
    ]);
    assert_eq!(text(dir.path(), "a.js").await.unwrap(), source);
    assert_eq!(text(dir.path(), "Todo/insert.js").await.unwrap(), source);
}

#[tokio::test]
async fn packages_without_a_package_json_are_explained() {
    let dir = project(&[("code/a.js", "require('left-pad')")]);
    let error = text(dir.path(), "a.js").await.unwrap_err().to_string();
    assert!(error.contains("npm install left-pad"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_projects_own_esbuild_makes_the_bundle_and_says_what_is_wrong() {
    use std::os::unix::fs::PermissionsExt;
    let esbuild = |script: &str| {
        let dir = project(&[
            ("package.json", "{}"),
            ("code/a/index.js", "require('./helper'); require('../b')"),
            ("code/a/helper.js", "1"),
            ("code/b.js", "2"),
            ("node_modules/.bin/esbuild", &format!("#!/bin/sh\n{script}\n")),
        ]);
        let path = dir.path().join("node_modules/.bin/esbuild");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        dir
    };
    let dir = esbuild(r#"echo "$*" | grep -q -- "--external:.*/code/b.js" && echo 'require("./code/b.js")'"#);
    assert_eq!(text(dir.path(), "a/index.js").await.unwrap(), "require(\"./b\")\n");
    let dir = esbuild("echo 'code/a/index.js:1:2: no' >&2; exit 1");
    let error = text(dir.path(), "a/index.js").await.unwrap_err().to_string();
    assert!(
        error.contains("cannot be bundled") && error.contains("1:2: no"),
        "{error}"
    );
}
