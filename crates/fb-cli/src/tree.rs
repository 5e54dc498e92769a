//! The files below a folder, by their names in URLs.

use std::path::{Path, PathBuf};

use crate::CliError;
use crate::ignore::Ignore;

/// A file to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalFile {
    /// Its name relative to the folder, with `/`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Bytes.
    pub(crate) size: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// By name.
    pub(crate) files: Vec<LocalFile>,
    /// What was left out although nobody asked for that, and why.
    pub(crate) notes: Vec<String>,
}

/// All files below `root` that `ignore` does not leave out. Links to files inside of `root` are files; links to folders, and
/// those that lead out, are not followed.
pub(crate) fn walk(root: &Path, ignore: &Ignore) -> Result<Tree, CliError> {
    let real_root = root.canonicalize().map_err(CliError::io("reading", root))?;
    let mut tree = Tree::default();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let dir = root.join(&folder);
        let failed = || CliError::io("reading", &dir);
        for entry in std::fs::read_dir(&dir).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let path = entry.path();
            let Ok(own_name) = entry.file_name().into_string() else {
                let text = format!("the name of {} is not UTF-8; rename the file", path.display());
                return Err(CliError::Project(text));
            };
            let name = match folder.as_str() {
                "" => own_name,
                folder => format!("{folder}/{own_name}"),
            };
            let kind = entry.file_type().map_err(CliError::io("looking at", &path))?;
            if ignore.leaves_out(&name, kind.is_dir()) {
                continue;
            }
            if kind.is_dir() {
                folders.push(name);
                continue;
            }
            let real = match kind.is_symlink() {
                false => path,
                true => match path.canonicalize() {
                    Ok(real) if !real.starts_with(&real_root) => {
                        tree.notes.push(format!(
                            "{name} is a link that leads out of the folder, and is left out"
                        ));
                        continue;
                    }
                    Ok(real) if real.is_dir() => {
                        tree.notes
                            .push(format!("{name} is a link to a folder, and is left out"));
                        continue;
                    }
                    // What is left out by its own name does not get in by another one.
                    Ok(real) if is_left_out(&real_root, &real, ignore) => {
                        tree.notes
                            .push(format!("{name} is a link to a file that is ignored, and is left out"));
                        continue;
                    }
                    Ok(real) => real,
                    Err(_) => {
                        tree.notes.push(format!("{name} is a link to nothing, and is left out"));
                        continue;
                    }
                },
            };
            let known = std::fs::metadata(&real).map_err(CliError::io("looking at", &real))?;
            if known.is_file() {
                tree.files.push(LocalFile {
                    name,
                    path: real,
                    size: known.len(),
                });
            } else {
                tree.notes.push(format!("{name} is no file, and is left out"));
            }
        }
    }
    tree.files.sort_by(|a, b| a.name.cmp(&b.name));
    tree.notes.sort();
    Ok(tree)
}

/// True if the file, or a folder that it is in, is ignored.
fn is_left_out(root: &Path, real: &Path, ignore: &Ignore) -> bool {
    let Some(name) = real.strip_prefix(root).ok().and_then(Path::to_str) else {
        return true;
    };
    let name = name.replace(std::path::MAIN_SEPARATOR, "/");
    let folders = name.match_indices('/').map(|(end, _)| &name[..end]);
    folders.into_iter().any(|folder| ignore.leaves_out(folder, true)) || ignore.leaves_out(&name, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(root: &Path, patterns: &[&str]) -> Vec<String> {
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let tree = walk(root, &Ignore::new(&patterns).unwrap()).unwrap();
        tree.files.into_iter().map(|file| file.name).collect()
    }

    fn write(root: &Path, name: &str) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, name).unwrap();
    }

    #[test]
    fn files_are_found_at_any_depth_and_sorted() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "index.html",
            "a/b/ü ?.txt",
            "a/.env",
            "a/x.map",
            ".well-known/security.txt",
            "node_modules/x.js",
        ] {
            write(dir.path(), name);
        }
        assert_eq!(
            names(dir.path(), &["*.map"]),
            [".well-known/security.txt", "a/b/ü ?.txt", "index.html"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn s31_links_do_not_lead_out_of_the_folder() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("www");
        for name in ["secret", "www/page.html", "www/sub/x", "www/.env"] {
            write(dir.path(), name);
        }
        symlink("../secret", root.join("a")).unwrap();
        symlink("/etc", root.join("b")).unwrap();
        symlink("page.html", root.join("c.html")).unwrap();
        symlink("sub", root.join("d")).unwrap();
        symlink(".", root.join("loop")).unwrap();
        symlink("nowhere", root.join("e")).unwrap();
        symlink(".env", root.join("env.txt")).unwrap();
        let tree = walk(&root, &Ignore::new(&[]).unwrap()).unwrap();
        let found: Vec<&str> = tree.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(found, ["c.html", "page.html", "sub/x"]);
        let notes = tree.notes.join("\n");
        for part in [
            "a is a link that leads out",
            "b is a link that leads out",
            "d is a link to a folder",
            "e is a link to nothing",
            "env.txt is a link to a file that is ignored",
            "loop is a link to a folder",
        ] {
            assert!(notes.contains(part), "{part}: {notes}");
        }
    }
}
