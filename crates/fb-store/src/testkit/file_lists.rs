//! Lists of files.

use std::collections::BTreeSet;
use std::sync::Arc;

use fb_auth::{FileAction, FileGrant, FileOperation, authorize_file};
use fb_types::{Acl, FolderPath};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::bench::Bench;
use super::uploads::{content, open_to_all, path, put, write};
use super::user;
use crate::{ContentWrite, FileList, Write};

/// A name, and whether user 1 may read the file.
type File = (String, bool);

/// What the list should be: its entries by bytes, those behind `after`.
fn model(files: &[File], folder: &str, after: Option<&str>, is_deep: bool, limit: usize) -> Vec<String> {
    let entry = |name: &String| match name[folder.len()..].find('/') {
        Some(at) if !is_deep => name[..=folder.len() + at].to_owned(),
        _ => name.clone(),
    };
    let reached = files.iter().filter(|(name, may)| *may && name.starts_with(folder));
    let entries: BTreeSet<_> = reached.map(|(name, _)| entry(name)).collect();
    let behind = |name: &String| after.is_none_or(|after| name.as_str() > after);
    entries.into_iter().filter(behind).take(limit).collect()
}

/// Makes a bucket of these files. Those that user 1 may not read have several rules, so that neighbours differ.
async fn fill(bench: &Bench, bucket: &str, files: &[File]) {
    bench.put_bucket(open_to_all(bucket)).await;
    let mut writes = Vec::new();
    for (i, (name, is_readable)) in (0..).zip(files) {
        // As random as is necessary to be another for each bucket.
        let number = content(u128::from(crc(bucket)) << 64 | i);
        let acl = match (is_readable, i % 3) {
            (true, 0) => None,
            (true, 1) => Some(Acl::private_to("/db/User/1")),
            (true, _) => Some(Acl::private_to("*")),
            (false, 0) => Some(Acl::private_to("/db/User/2")),
            (false, _) => Some(Acl::private_to(&format!("/db/User/{}", i + 2))),
        };
        writes.push(Write::Content(ContentWrite::Announce(number)));
        let put = put(name, number, acl);
        writes.push(write(bench.files(bucket), name, FileAction::Upload, put));
    }
    bench.commit_all(writes).await.expect("the files are written");
}

fn crc(text: &str) -> u64 {
    text.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte))
}

/// What user 1 may.
fn limited(bucket: &str) -> FileGrant {
    authorize_file(&user("1"), FileOperation::List, &open_to_all(bucket)).unwrap()
}

async fn list(
    bench: &Bench,
    grant: &FileGrant,
    folder: &str,
    after: Option<&str>,
    is_deep: bool,
    limit: usize,
) -> Vec<String> {
    let list = FileList {
        folder: FolderPath::new(folder).unwrap(),
        after: after.map(str::to_owned),
        is_deep,
        limit,
    };
    bench.store().files(grant, &list).await.expect("they are listed")
}

fn readable(names: &[&str]) -> Vec<File> {
    names.iter().map(|name| ((*name).to_owned(), true)).collect()
}

/// Names whose order and meaning tempt.
const SPECIAL: &[&str] = &[
    " ",
    "!",
    "\"",
    "%",
    "%2F",
    "%2e%2e/x",
    "'",
    "*",
    "0",
    "a b",
    "a",
    "a b/c",
    "a-b",
    "a.b",
    "a/!",
    "a/b",
    "a/b/c",
    "a/b/d",
    "a/b-/e",
    "a/c",
    "a0",
    "a0b",
    "aa",
    "A/b",
    "_%",
    "ids/x",
    "ü",
    "ü/ö/é",
    "ü0",
    "z'); DROP TABLE files; --",
    "\u{1F600}/x",
    "\u{10FFFF}\u{10FFFF}",
];

/// Lists are in the order of bytes, with each subfolder once.
pub async fn files_are_listed_by_folder(bench: Bench) {
    let files = readable(&[
        "test.png",
        "images/b",
        "images/a",
        "images/x/y",
        "a",
        "images-2/z",
        "zoo",
    ]);
    fill(&bench, "b", &files).await;
    fill(&bench, "c", &readable(&["other"])).await;
    let all = bench.files("b");
    let root = ["a", "images-2/", "images/", "test.png", "zoo"];
    assert_eq!(list(&bench, &all, "", None, false, 99).await, root);
    assert_eq!(list(&bench, &all, "/", None, false, 99).await, root);
    let images = ["images/a", "images/b", "images/x/"];
    assert_eq!(list(&bench, &all, "images", None, false, 99).await, images);
    assert_eq!(list(&bench, &all, "images/x/", None, false, 99).await, ["images/x/y"]);
    let deep = [
        "a",
        "images-2/z",
        "images/a",
        "images/b",
        "images/x/y",
        "test.png",
        "zoo",
    ];
    assert_eq!(list(&bench, &all, "", None, true, 99).await, deep);
    assert_eq!(list(&bench, &all, "images", None, true, 99).await, deep[2..5]);
    for nothing in ["imag", "a", "images/x/y", "test.png/", "~"] {
        assert!(
            list(&bench, &all, nothing, None, false, 99).await.is_empty(),
            "{nothing}"
        );
        assert!(
            list(&bench, &all, nothing, None, true, 99).await.is_empty(),
            "{nothing}"
        );
    }
    assert!(list(&bench, &bench.files("none"), "", None, true, 99).await.is_empty());
    assert!(list(&bench, &all, "", None, false, 0).await.is_empty());
    // An entry goes with the last file in it.
    bench.delete_file("b", "images-2/z").await;
    assert_eq!(list(&bench, &all, "", None, false, 2).await, ["a", "images/"]);
}

/// A page begins behind a name, whether or not there is such a file, and is as long as was asked for.
pub async fn file_lists_have_pages(bench: Bench) {
    let files = readable(&["a", "f/1", "f/2", "f/s/1", "f/s/2", "f/t", "g"]);
    fill(&bench, "b", &files).await;
    let all = bench.files("b");
    let cases: &[(&str, &str, bool, &[&str])] = &[
        ("", "", false, &["a", "f/", "g"]),
        ("", "a", false, &["f/", "g"]),
        ("", "b", false, &["f/", "g"]),
        ("", "f", false, &["f/", "g"]),
        ("", "f/", false, &["g"]),
        // A subfolder stands before all that is in it.
        ("", "f/1", false, &["g"]),
        ("", "f/s/", false, &["g"]),
        ("", "f/~", false, &["g"]),
        ("", "g", false, &[]),
        ("", "\u{10FFFF}", false, &[]),
        ("", "f/s/", true, &["f/s/1", "f/s/2", "f/t", "g"]),
        ("", "f/s/1", true, &["f/s/2", "f/t", "g"]),
        ("f", "a", false, &["f/1", "f/2", "f/s/", "f/t"]),
        // The folder itself stands before all that is in it.
        ("f", "f/", false, &["f/1", "f/2", "f/s/", "f/t"]),
        ("f/s", "f/", false, &["f/s/1", "f/s/2"]),
        ("f/s", "f/s/", true, &["f/s/1", "f/s/2"]),
        ("f", "f/2", false, &["f/s/", "f/t"]),
        ("f", "f/s/", false, &["f/t"]),
        ("f", "f/s/1", false, &["f/t"]),
        ("f", "f/t", false, &[]),
        ("f", "f0", false, &[]),
        ("f", "g", true, &[]),
    ];
    for (folder, after, is_deep, expected) in cases {
        for limit in 0..=expected.len() + 1 {
            let found = list(&bench, &all, folder, Some(after), *is_deep, limit).await;
            let expected = &expected[..limit.min(expected.len())];
            assert_eq!(found, expected, "{folder:?} after {after:?}, deep {is_deep}");
        }
    }
}

/// Names are data, and their bytes are their order.
pub async fn names_of_files_are_data(bench: Bench) {
    let files = readable(SPECIAL);
    fill(&bench, "b", &files).await;
    let all = bench.files("b");
    let names: BTreeSet<_> = SPECIAL.iter().map(|name| (*name).to_owned()).collect();
    let sorted: Vec<_> = names.into_iter().collect();
    assert_eq!(list(&bench, &all, "", None, true, 99).await, sorted);
    for name in SPECIAL {
        assert_eq!(bench.file("b", name).await.unwrap().path, path(name));
        for is_deep in [false, true] {
            let found = list(&bench, &all, "", Some(name), is_deep, 99).await;
            assert_eq!(found, model(&files, "", Some(name), is_deep, 99), "after {name:?}");
            let found = list(&bench, &all, name, None, is_deep, 99).await;
            let folder = format!("{name}/");
            assert_eq!(found, model(&files, &folder, None, is_deep, 99), "in {name:?}");
        }
    }
}

/// Files that the caller may not read are not listed, nor are folders that have no others.
pub async fn s04_unreadable_files_are_not_listed(bench: Bench) {
    let mut files = readable(&["a", "mixed/m", "open/x"]);
    for hidden in [
        "0",
        "b",
        "hidden/a",
        "hidden/b/c",
        "mixed/a",
        "mixed/b/c",
        "mixed/z",
        "zz",
    ] {
        files.push((hidden.to_owned(), false));
    }
    fill(&bench, "b", &files).await;
    let mine = limited("b");
    assert_eq!(list(&bench, &mine, "", None, false, 99).await, ["a", "mixed/", "open/"]);
    assert_eq!(list(&bench, &mine, "", None, false, 2).await, ["a", "mixed/"]);
    assert_eq!(list(&bench, &mine, "mixed", None, false, 99).await, ["mixed/m"]);
    assert!(list(&bench, &mine, "hidden", None, false, 99).await.is_empty());
    assert_eq!(
        list(&bench, &mine, "", None, true, 99).await,
        ["a", "mixed/m", "open/x"]
    );
    let everything = list(&bench, &bench.files("b"), "", None, true, 99).await;
    assert_eq!(everything.len(), files.len());
}

#[derive(Debug, Clone)]
struct Case {
    files: Vec<File>,
    folder: String,
    after: Option<String>,
    is_deep: bool,
    page: usize,
}

fn name() -> impl Strategy<Value = String> {
    let segment = select(vec![
        "a",
        "b",
        "a-",
        "a.",
        "a0",
        "0",
        "ü",
        "%",
        "'",
        "ids",
        " ",
        "\u{1F600}",
    ]);
    proptest::collection::vec(segment, 1..5)
        .prop_map(|segments| segments.join("/"))
        .prop_filter("reserved", |name| name != "ids")
}

fn case() -> impl Strategy<Value = Case> {
    let files = proptest::collection::btree_map(name(), any::<bool>(), 0..40);
    let folder = prop_oneof![Just(String::new()), name().prop_map(|name| name + "/")];
    let after = (name(), select(vec!["", "/", "\0", "0", "-"])).prop_map(|(name, end)| name + end);
    let after = proptest::option::of(after);
    (files, folder, after, any::<bool>(), 1..6usize).prop_map(|(files, folder, after, is_deep, page)| {
        let files: Vec<_> = files.into_iter().collect();
        // Most random folders are empty; those of files are not.
        let folder = match files.get(page * 3) {
            Some((name, _)) if !folder.is_empty() => name.rfind('/').map_or(String::new(), |at| name[..=at].to_owned()),
            _ => folder,
        };
        Case {
            files,
            folder,
            after,
            is_deep,
            page,
        }
    })
}

/// All pages together are the list, for whoever asks.
pub async fn pages_of_random_files_are_the_list(bench: Bench) {
    let bench = Arc::new(bench);
    let runtime = tokio::runtime::Handle::current();
    let mut number = 0;
    let mut run = |case: Case| {
        number += 1;
        let bucket = format!("b{number}");
        let bench = bench.clone();
        runtime.block_on(async move {
            fill(&bench, &bucket, &case.files).await;
            let everything: Vec<_> = case.files.iter().map(|(name, _)| (name.clone(), true)).collect();
            for (grant, files) in [(bench.files(&bucket), &everything), (limited(&bucket), &case.files)] {
                let (folder, first, page) = (&case.folder, case.after.as_deref(), case.page);
                let expected = model(files, folder, first, case.is_deep, usize::MAX);
                let mut found: Vec<String> = Vec::new();
                loop {
                    let after = found.last().map_or(first, |name| Some(name));
                    let names = list(&bench, &grant, folder, after, case.is_deep, page).await;
                    prop_assert!(names.len() <= page);
                    let is_last = names.len() < page;
                    found.extend(names);
                    if is_last || found.len() > expected.len() {
                        break;
                    }
                }
                prop_assert_eq!(&found, &expected);
            }
            Ok::<_, TestCaseError>(())
        })
    };
    let config = Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    };
    // The cases wait for the store one after the other, which only a thread of its own may do.
    tokio::task::block_in_place(|| {
        let cell = std::cell::RefCell::new(&mut run);
        TestRunner::new(config)
            .run(&case(), |case| (cell.borrow_mut())(case))
            .unwrap_or_else(|e| panic!("{e}"));
    });
}
