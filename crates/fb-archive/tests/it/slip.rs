//! S31: entries that would come out where they should not.

use fb_archive::{ArchiveError, Limits};

use crate::kit::{Forged, archive, crc, read_all, refusal};

#[track_caller]
fn refused(entry: Forged, word: &str) {
    let good = Forged::stored("good.txt", b"good");
    for entries in [
        vec![entry.clone()],
        vec![good.clone(), entry.clone()],
        vec![entry, good],
    ] {
        match refusal(&archive(&entries)) {
            ArchiveError::Refused { why, entry } => {
                assert!(why.contains(word), "{why}");
                assert!(!entry.chars().any(char::is_control), "{entry:?}");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn s31_names_that_leave_the_archive_are_refused() {
    for (name, word) in [
        ("../up.txt", ".."),
        ("a/../../up.txt", ".."),
        ("a/..", ".."),
        ("../", ".."),
        ("./../up.txt", ".."),
        ("/etc/passwd", "absolute"),
        ("//host/share", "absolute"),
        ("..\\up.txt", "backslash"),
        ("a\\b.txt", "backslash"),
        ("C:/up.txt", "drive"),
        ("c:up.txt", "drive"),
        ("./C:/up.txt", "drive"),
        ("a\0.txt", "control"),
        ("a\n.txt", "control"),
        ("a//b.txt", "empty"),
        ("", "empty"),
    ] {
        refused(Forged::stored(name, b"bad"), word);
    }
    refused(Forged::stored(b"\xff\xfe.txt", b"bad"), "UTF-8");
    refused(Forged::stored(".", b""), "empty");
}

#[test]
fn s31_links_and_devices_are_refused() {
    for kind in [0o120_000, 0o060_000, 0o020_000, 0o010_000, 0o140_000, 0o110_000_u32] {
        let mut entry = Forged::stored("link", b"/etc/passwd");
        entry.attributes = (kind | 0o777) << 16;
        refused(entry, "link");
    }
}

#[test]
fn s31_directories_are_skipped_but_their_names_are_checked() {
    let mut by_mode = Forged::stored("x", b"");
    by_mode.attributes = 0o040_755 << 16;
    let mut by_dos = Forged::stored("y", b"");
    by_dos.attributes = 0x10;
    let entries = [
        Forged::stored("a/", b""),
        by_mode,
        by_dos,
        Forged::stored("./", b""),
        Forged::stored("a/b", b"1"),
    ];
    let all = read_all(&archive(&entries), &Limits::default()).unwrap();
    assert_eq!(all, [("a/b".to_owned(), b"1".to_vec())]);
    refused(Forged::stored("a/../../", b""), "..");
    refused(Forged::stored("dir/", b"content"), "directory");
}

#[test]
fn s31_two_entries_of_one_name_are_refused_however_they_are_spelled() {
    for (one, other) in [("a", "a"), ("a", "./a"), ("a/b", "a/./b"), ("./././a", "./a")] {
        let entries = [
            Forged::stored(one, b"1"),
            Forged::stored("between", b""),
            Forged::stored(other, b"2"),
        ];
        let error = refusal(&archive(&entries)).to_string();
        assert!(error.contains("two of this name"), "{one} {other}: {error}");
    }
    // Buckets keep these apart.
    let different = ["a", "A", "\u{fc}", "u\u{308}", "a ", "a.", "a/a"];
    let entries: Vec<_> = different.iter().map(|name| Forged::stored(name, b"")).collect();
    assert_eq!(
        read_all(&archive(&entries), &Limits::default()).unwrap().len(),
        different.len()
    );
}

#[test]
fn s31_a_second_name_in_a_field_of_the_header_is_checked_too() {
    let with_name = |name: &[u8]| {
        let mut data = vec![1];
        data.extend_from_slice(&crc(b"plain.txt").to_le_bytes());
        data.extend_from_slice(name);
        let mut entry = Forged::stored("plain.txt", b"1");
        entry.extra = [&0x7075_u16.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), &data].concat();
        entry
    };
    refused(with_name(b"../up.txt"), "..");
    let all = read_all(&archive(&[with_name("ü.txt".as_bytes())]), &Limits::default()).unwrap();
    assert_eq!(all[0].0, "ü.txt");
    let twice = [with_name(b"x"), Forged::stored("x", b"2")];
    assert!(refusal(&archive(&twice)).to_string().contains("two of this name"));
}

#[test]
fn s31_the_two_headers_of_an_entry_have_to_agree() {
    let mut other_name = Forged::stored("good.txt", b"1");
    other_name.local_name = Some(b"../x.txt".to_vec());
    let mut longer_name = other_name.clone();
    longer_name.local_name = Some(b"good.txt.exe".to_vec());
    let mut other_method = Forged::stored("good.txt", b"1");
    other_method.local_method = Some(8);
    for entry in [other_name, longer_name, other_method] {
        let error = refusal(&archive(&[entry]));
        assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("good.txt"), "{error}");
    }
}

#[test]
fn s31_encrypted_entries_and_unknown_compression_are_refused() {
    for flag in [1, 1 << 6, 1 << 13] {
        let mut entry = Forged::stored("secret", b"1");
        entry.flags |= flag;
        refused(entry, "encrypted");
    }
    let mut patch = Forged::stored("patch", b"1");
    patch.flags |= 1 << 5;
    refused(patch, "patch");
    for method in [1, 6, 9, 12, 14, 93, 95, 98, 99, 0xffff] {
        let mut entry = Forged::stored("packed", b"1");
        entry.method = method;
        refused(entry, "deflate");
    }
}
