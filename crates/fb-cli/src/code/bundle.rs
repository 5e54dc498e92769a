//! What is sent for a source: itself, or, if it needs npm packages or files that are no modules of the app, a bundle that
//! esbuild makes of all of them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::CodeId;
use super::imports::imports;
use super::local::Sources;
use crate::CliError;

/// The version that is fetched with npx where the project has none of its own.
const ESBUILD: &str = "esbuild@0.28.2";

/// What code finds on the server, beside `node:` and `freshbase:`.
const ON_SERVER: [&str; 21] = [
    "assert",
    "buffer",
    "crypto",
    "events",
    "express",
    "http",
    "https",
    "image",
    "node-fetch",
    "os",
    "path",
    "perf_hooks",
    "process",
    "querystring",
    "stream",
    "string_decoder",
    "timers",
    "url",
    "util",
    "v8",
    "zlib",
];

/// What an import leads to.
#[derive(Debug, PartialEq, Eq)]
enum Lead {
    /// Something that is there when the code runs: a module of the server, a module or handler of the app.
    Given,
    /// A file or package that has to be sent along.
    Bundled,
}

/// The text to send for the code in `path`.
pub(crate) async fn text_of(
    project: &Path,
    code_dir: &Path,
    sources: &Sources,
    path: &Path,
) -> Result<String, CliError> {
    let text = std::fs::read_to_string(path).map_err(CliError::io("reading", path))?;
    let needs: Vec<String> = imports(&text)
        .into_iter()
        .filter(|import| lead(import, path, code_dir, sources) == Lead::Bundled)
        .collect();
    if needs.is_empty() {
        return Ok(text);
    }
    if !project.join("package.json").is_file() && needs.iter().any(|import| !import.starts_with('.')) {
        return Err(CliError::Project(format!(
            "{} needs {}, but there is no package.json in {}; run `npm init -y && npm install {}` there",
            path.display(),
            needs.join(", "),
            project.display(),
            needs
                .iter()
                .filter(|n| !n.starts_with('.'))
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        )));
    }
    let bundle = run(project, sources, path).await?;
    Ok(with_short_names(bundle, project, sources))
}

fn lead(import: &str, from: &Path, code_dir: &Path, sources: &Sources) -> Lead {
    if import.starts_with("node:") || import.starts_with("freshbase:") {
        return Lead::Given;
    }
    if !import.starts_with('.') {
        return match ON_SERVER
            .iter()
            .any(|known| import == *known || import.starts_with(&format!("{known}/")))
        {
            true => Lead::Given,
            false => Lead::Bundled,
        };
    }
    let dir = from.parent().unwrap_or(code_dir);
    // In the folder of a module its own files come first.
    if dir != code_dir && resolve(dir, import).is_some_and(|file| !sources.files.values().any(|known| *known == file)) {
        return Lead::Bundled;
    }
    let name = import.trim_start_matches(['.', '/']);
    let name = name.strip_suffix(".js").unwrap_or(name);
    let is_handler = || CodeId::parse(name).is_ok_and(|id| sources.files.contains_key(&id));
    let is_given = sources.has_module(name) || name.contains('/') && is_handler();
    match is_given || resolve(dir, import).is_none() {
        // Also what is not there at all: it may be on the server only.
        true => Lead::Given,
        false => Lead::Bundled,
    }
}

/// The file that a relative import means, as bundlers see it.
fn resolve(dir: &Path, import: &str) -> Option<PathBuf> {
    let plain = dir.join(import);
    let mut candidates = vec![plain.clone()];
    for extension in ["js", "mjs", "cjs", "ts", "json"] {
        let mut with = plain.clone().into_os_string();
        with.push(format!(".{extension}"));
        candidates.push(with.into());
        candidates.push(plain.join(format!("index.{extension}")));
    }
    let file = candidates.into_iter().find(|candidate| candidate.is_file())?;
    file.canonicalize().ok()
}

async fn run(project: &Path, sources: &Sources, entry: &Path) -> Result<String, CliError> {
    let own = project.join("node_modules").join(".bin").join(match cfg!(windows) {
        true => "esbuild.cmd",
        false => "esbuild",
    });
    let mut command = match own.is_file() {
        true => Command::new(&own),
        false => {
            let mut command = Command::new(if cfg!(windows) { "npx.cmd" } else { "npx" });
            command.args(["--yes", ESBUILD]);
            command
        }
    };
    command.arg(entry).args([
        "--bundle",
        "--format=cjs",
        "--platform=neutral",
        "--main-fields=module,main",
        "--conditions=node",
        "--target=es2022",
        "--charset=utf8",
        "--sourcemap=inline",
        "--sources-content=false",
        "--log-level=warning",
        "--external:node:*",
        "--external:freshbase:*",
    ]);
    for name in ON_SERVER {
        command.arg(format!("--external:{name}"));
    }
    // By their files: packages have files of the same names.
    for file in sources.files.values().filter(|file| *file != entry) {
        command.arg(format!("--external:{}", file.display()));
    }
    command.current_dir(project).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| {
        let name = entry.display();
        CliError::Project(match error.kind() {
            std::io::ErrorKind::NotFound => format!(
                "{name} has to be bundled, for which esbuild is needed: install Node (https://nodejs.org) and run `npm install \
                 --save-dev esbuild` in the project"
            ),
            _ => format!("{name}: esbuild cannot be started: {error}"),
        })
    })?;
    if !output.status.success() {
        let what = crate::ui::clean(&String::from_utf8_lossy(&output.stderr));
        return Err(CliError::Project(format!(
            "{} cannot be bundled:\n{}",
            entry.display(),
            what.trim_end()
        )));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| CliError::Project(format!("{}: esbuild wrote something that is no text", entry.display())))
}

/// Other modules of the app stand in a bundle with the paths of their files, relative to the project; the server knows them
/// by their names.
fn with_short_names(mut bundle: String, project: &Path, sources: &Sources) -> String {
    for (id, file) in &sources.files {
        let Some(relative) = file.strip_prefix(project).ok().and_then(Path::to_str) else {
            continue;
        };
        let relative = relative.replace(std::path::MAIN_SEPARATOR, "/");
        let name = match id.is_module() {
            true => id.bucket.clone(),
            false => format!("{}/{}", id.bucket, id.code_type),
        };
        for call in ["require", "import"] {
            bundle = bundle.replace(&format!("{call}(\"./{relative}\")"), &format!("{call}(\"./{name}\")"));
        }
    }
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_bundled_is_what_the_server_has() {
        // The engine is no dependency of this crate, but its table of modules is in the same tree.
        let table = include_str!("../../../fb-functions/src/builtins.rs");
        let (_, table) = table.split_once("static BUILTINS:").unwrap();
        let (table, _) = table.split_once("\n};").unwrap();
        let mut there: Vec<&str> = table
            .lines()
            .filter_map(|line| line.split_once(" public ["))
            .map(|(name, _)| name.trim().trim_matches('"'))
            // `assert/strict` goes with `assert`.
            .map(|name| name.split('/').next().unwrap_or(name))
            .collect();
        there.sort_unstable();
        there.dedup();
        assert_eq!(there, ON_SERVER);
    }
}
