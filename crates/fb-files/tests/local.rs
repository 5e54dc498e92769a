//! What holds of local directories beyond the contract: durability, modes, links, leftovers.

mod support;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use fb_files::{Contents, FileStore, FilesError};
use fb_types::{AppId, Timestamp};
use support::{id, load, pattern, random_id, store, write_in};

struct Place {
    directory: tempfile::TempDir,
    files: FileStore,
    contents: Contents,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let (files, contents) = open(directory.path());
    Place {
        directory,
        files,
        contents,
    }
}

fn open(directory: &Path) -> (FileStore, Contents) {
    let data = directory.to_owned();
    let files = FileStore::local(move |app| data.join(app.as_str()).join("files"));
    let contents = files.app(&app());
    (files, contents)
}

fn app() -> AppId {
    AppId::new("shop").unwrap()
}

impl Place {
    fn root(&self) -> PathBuf {
        self.directory.path().join("shop/files")
    }

    fn path(&self, id: fb_types::ContentId) -> PathBuf {
        self.root().join(&id.to_string()[..2]).join(id.to_string())
    }
}

fn entries(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn a_content_is_one_file_named_by_its_id() {
    let place = place();
    store(&place.contents, id(0xab), &pattern(10)).await.unwrap();
    place
        .contents
        .put_variant(id(0xab), "w320", Bytes::from_static(b"x"))
        .await
        .unwrap();
    assert_eq!(std::fs::read(place.path(id(0xab))).unwrap(), pattern(10));
    assert_eq!(
        std::fs::read(place.path(id(0xab)).with_extension("v").join("w320")).unwrap(),
        b"x"
    );
    assert_eq!(entries(&place.root().join("tmp")), [""; 0]);
    assert!(matches!(place.files.check().await, Ok(())));
    assert_eq!(entries(place.directory.path()), ["shop"], "the check leaves nothing");
}

#[tokio::test]
async fn an_upload_that_is_dropped_removes_its_file() {
    let place = place();
    for size in [10, 600_000, 5_000_000] {
        let mut upload = place.contents.create(id(1)).await.unwrap();
        write_in(&mut upload, &pattern(size), 100_000).await.unwrap();
        assert_eq!(entries(&place.root().join("tmp")).len(), 1);
        upload.abort().await;
        assert_eq!(entries(&place.root().join("tmp")), [""; 0]);
    }
    let mut upload = place.contents.create(id(1)).await.unwrap();
    write_in(&mut upload, &pattern(5_000_000), 100_000).await.unwrap();
    drop(upload);
    // It is removed in the background; the test ends by itself or hangs.
    while !entries(&place.root().join("tmp")).is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn leftovers_of_other_processes_are_removed_and_uploads_under_way_are_not() {
    let place = place();
    let temporary = place.root().join("tmp");
    std::fs::create_dir_all(&temporary).unwrap();
    std::fs::write(temporary.join("leftover"), b"x").unwrap();
    let mut first = place.contents.create(id(1)).await.unwrap();
    assert_eq!(entries(&temporary).len(), 1, "the first upload sweeps");
    first.write(pattern(1_000_000)).await.unwrap();

    // Another process, as far as locks are concerned.
    let (_, other) = open(place.directory.path());
    std::fs::write(temporary.join("leftover"), b"x").unwrap();
    store(&other, id(2), &pattern(10)).await.unwrap();
    assert_eq!(entries(&temporary).len(), 1, "only the upload under way is left");
    std::fs::write(temporary.join("leftover"), b"x").unwrap();
    assert_eq!(other.sweep(Timestamp::from_millis(0)).await.unwrap(), 1);
    assert_eq!(other.sweep(Timestamp::from_millis(i64::MAX)).await.unwrap(), 0);
    first.finish().await.unwrap();
    assert!(load(&other, id(1), 0..1_000_000).await.unwrap() == pattern(1_000_000));
    assert_eq!(entries(&temporary), [""; 0]);
}

#[tokio::test]
async fn an_upload_to_an_app_that_was_removed_fails() {
    let place = place();
    let mut upload = place.contents.create(id(1)).await.unwrap();
    write_in(&mut upload, &pattern(1_000_000), 100_000).await.unwrap();
    place.files.remove_app(&app()).await.unwrap();
    assert!(upload.finish().await.is_err());
    assert_eq!(place.files.app(&app()).list(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_reader_reads_on_when_the_content_is_removed() {
    let place = place();
    let bytes = pattern(3_000_000);
    store(&place.contents, id(1), &bytes).await.unwrap();
    let mut download = place.contents.open(id(1), 0..3_000_000).await.unwrap();
    let mut read = download.next().await.unwrap().unwrap().to_vec();
    place.contents.remove(id(1)).await.unwrap();
    while let Some(piece) = download.next().await {
        read.extend_from_slice(&piece.unwrap());
    }
    assert!(read == bytes);
}

#[tokio::test]
async fn a_content_that_shrinks_while_it_is_read_is_damaged() {
    let place = place();
    store(&place.contents, id(1), &pattern(3_000_000)).await.unwrap();
    let mut download = place.contents.open(id(1), 0..3_000_000).await.unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(place.path(id(1))).unwrap();
    file.set_len(400_000).unwrap();
    let mut last = None;
    while let Some(piece) = download.next().await {
        last = piece.err();
    }
    assert!(matches!(last, Some(FilesError::Corrupt { .. })), "{last:?}");
}

#[tokio::test]
async fn a_variant_without_its_content_is_none_and_can_be_removed() {
    let place = place();
    store(&place.contents, id(1), &pattern(10)).await.unwrap();
    place
        .contents
        .put_variant(id(1), "a", Bytes::from_static(b"x"))
        .await
        .unwrap();
    // As a crash in the middle of a removal leaves it.
    std::fs::remove_file(place.path(id(1))).unwrap();
    assert_eq!(place.contents.variant(id(1), "a").await.unwrap(), None);
    assert_eq!(place.contents.list(None, 10).await.unwrap(), [id(1)]);
    place.contents.remove(id(1)).await.unwrap();
    assert_eq!(place.contents.list(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_found_by_the_check() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    let files = FileStore::local(move |app| file.join(app.as_str()));
    assert!(files.check().await.is_err());
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[tokio::test]
    async fn files_are_readable_by_their_owner_only() {
        let place = place();
        store(&place.contents, id(1), &pattern(10)).await.unwrap();
        place
            .contents
            .put_variant(id(1), "a", Bytes::from_static(b"x"))
            .await
            .unwrap();
        let _upload = place.contents.create(id(2)).await.unwrap();
        let mut seen = 0;
        let mut rest = vec![place.directory.path().join("shop")];
        while let Some(path) = rest.pop() {
            let metadata = path.metadata().unwrap();
            let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(metadata.permissions().mode() & 0o777, expected, "{}", path.display());
            if metadata.is_dir() {
                rest.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            seen += 1;
        }
        assert_eq!(seen, 8);
    }

    #[tokio::test]
    async fn links_are_not_followed() {
        let place = place();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), b"secret").unwrap();
        std::fs::write(outside.path().join(id(1).to_string()), b"secret").unwrap();
        std::fs::create_dir_all(place.root().join("02")).unwrap();
        // A directory of contents, and a content.
        symlink(outside.path(), place.root().join("01")).unwrap();
        symlink(outside.path().join("secret"), place.path(id(2))).unwrap();
        for id in [id(1), id(2)] {
            assert!(place.contents.open(id, 0..6).await.is_err());
            assert!(place.contents.read(id, 100).await.is_err());
            assert!(store(&place.contents, id, &pattern(10)).await.is_err());
        }
        assert!(place.contents.put_variant(id(1), "a", Bytes::new()).await.is_err());
        assert!(place.contents.remove(id(1)).await.is_err());
        // The directory of variants, and a variant.
        for (n, variants) in [(3, true), (4, false)] {
            store(&place.contents, id(n), &pattern(10)).await.unwrap();
            let path = place.path(id(n)).with_extension("v");
            if variants {
                symlink(outside.path(), &path).unwrap();
                assert!(place.contents.put_variant(id(n), "new", Bytes::new()).await.is_err());
            } else {
                std::fs::create_dir(&path).unwrap();
                symlink(outside.path().join("secret"), path.join("secret")).unwrap();
            }
            assert!(place.contents.variant(id(n), "secret").await.is_err());
        }
        // Written over a link: the link goes, what it names stays.
        place
            .contents
            .put_variant(id(4), "secret", Bytes::from_static(b"new"))
            .await
            .unwrap();
        assert_eq!(place.contents.variant(id(4), "secret").await.unwrap().unwrap(), "new");
        place.contents.remove(id(4)).await.unwrap();
        place.files.remove_app(&app()).await.unwrap();
        assert_eq!(entries(outside.path()).len(), 2);
        assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"secret");
    }
}

/// Begun uploads as `begin <id> <size>`, finished ones as `done <id>`, on standard output. Run by the test below.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of a_killed_process_leaves_whole_contents_only"]
async fn child_that_uploads_for_ever() {
    use std::io::Write;
    let Some(directory) = std::env::var_os("FB_FILES_CHILD") else {
        return;
    };
    let (_, contents) = open(Path::new(&directory));
    let say = |text: String| {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{text}").unwrap();
        stdout.flush().unwrap();
    };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let contents = contents.clone();
        tasks.spawn(async move {
            let largest = pattern(4_000_000);
            loop {
                let id = random_id();
                let size = usize::from(id.as_bytes()[1]) * 15_000 + usize::from(id.as_bytes()[2]);
                say(format!("begin {id} {size}"));
                store(&contents, id, &largest.slice(..size)).await.unwrap();
                say(format!("done {id}"));
            }
        });
    }
    tasks.join_next().await;
}

#[tokio::test]
async fn a_killed_process_leaves_whole_contents_only() {
    use std::collections::HashMap;
    use std::io::BufRead;
    let place = place();
    let expected = pattern(4_000_000);
    let (mut sizes, mut done, mut interrupted) = (HashMap::new(), Vec::new(), 0);
    for round in 0..6 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_uploads_for_ever", "--ignored", "--nocapture"])
            .env("FB_FILES_CHILD", place.directory.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut kill_after = 5 + round * 7;
        for line in std::io::BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("begin"), Some(id), Some(size)) => {
                    sizes.insert(
                        id.parse::<fb_types::ContentId>().unwrap(),
                        size.parse::<usize>().unwrap(),
                    );
                }
                (Some("done"), Some(id), None) => {
                    done.push(id.parse().unwrap());
                    kill_after -= 1;
                    if kill_after == 0 {
                        // SIGKILL; what it had said is still read.
                        child.kill().unwrap();
                    }
                }
                _ => {}
            }
        }
        child.wait().unwrap();
        interrupted += entries(&place.root().join("tmp")).len();
        let listed = place.contents.list(None, usize::MAX).await.unwrap();
        for id in &listed {
            let size = sizes[id];
            assert!(load(&place.contents, *id, 0..size as u64).await.unwrap() == expected[..size]);
            assert_eq!(place.path(*id).metadata().unwrap().len(), size as u64);
        }
        assert!(
            done.iter().all(|id| listed.contains(id)),
            "an acknowledged content is missing"
        );
    }
    assert!(interrupted > 0, "no upload was interrupted: the test shows nothing");
    // The next process cleans up.
    let (_, contents) = open(place.directory.path());
    contents.create(id(1)).await.unwrap().abort().await;
    assert_eq!(entries(&place.root().join("tmp")), [""; 0]);
}
