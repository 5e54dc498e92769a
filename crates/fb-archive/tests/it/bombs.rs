//! S44: archives that would unpack to more than they say, or than anybody wants.

use std::io::Cursor;

use fb_archive::{Archive, ArchiveError, Limits};

use crate::kit::{Forged, archive, crc, deflate, end, parts, read_all, refusal};

#[track_caller]
fn too_large(bytes: &[u8], limits: &Limits, what: &str) {
    match read_all(bytes, limits) {
        Err(error @ ArchiveError::TooLarge { .. }) => assert!(error.to_string().contains(what), "{error}"),
        Err(error) => panic!("{error}"),
        Ok(all) => panic!("it was taken, with {} entries", all.len()),
    }
}

#[test]
fn s44_the_number_of_entries_is_limited() {
    let entries: Vec<_> = (0..11).map(|n| Forged::stored(format!("{n}/"), b"")).collect();
    let limits = Limits {
        entries: 10,
        ..Limits::default()
    };
    too_large(&archive(&entries), &limits, "entries");
    read_all(&archive(&entries[1..]), &limits).unwrap();
    // A number that is not true costs nothing either.
    let [body, directory, _] = parts(&entries);
    let lies = [&body[..], &directory, &end(9, directory.len(), body.len())].concat();
    assert!(matches!(read_all(&lies, &limits), Err(ArchiveError::Damaged { .. })));
    let lies = [&body[..], &directory, &end(12, directory.len(), body.len())].concat();
    assert!(matches!(refusal(&lies), ArchiveError::Damaged { .. }));
}

#[test]
fn s44_names_and_the_directory_are_limited() {
    let long = "n".repeat(1025);
    too_large(&archive(&[Forged::stored(&long, b"")]), &Limits::default(), "name");
    read_all(&archive(&[Forged::stored(&long[1..], b"")]), &Limits::default()).unwrap();
    let mut padded = Forged::stored("a", b"");
    padded.extra = [&[9, 9, 0, 0x80][..], &[0; 0x8000]].concat();
    let limits = Limits {
        directory_bytes: 0x8000,
        ..Limits::default()
    };
    too_large(&archive(&[padded]), &limits, "directory");
}

#[test]
fn s44_sizes_are_limited_one_by_one_and_together() {
    let entries = [Forged::stored("a", &[1; 600]), Forged::deflated("b", &[1; 600])];
    let bytes = archive(&entries);
    too_large(
        &bytes,
        &Limits {
            entry_bytes: 599,
            ..Limits::default()
        },
        "one file",
    );
    too_large(
        &bytes,
        &Limits {
            total_bytes: 1199,
            ..Limits::default()
        },
        "together",
    );
    let exact = Limits {
        entry_bytes: 600,
        total_bytes: 1200,
        ..Limits::default()
    };
    assert_eq!(read_all(&bytes, &exact).unwrap().len(), 2);
}

#[test]
fn s44_what_unpacks_to_many_times_its_size_is_refused() {
    let bomb = archive(&[Forged::deflated("zeros", &vec![0; 1 << 20])]);
    let limits = Limits {
        free_bytes: 1 << 10,
        ..Limits::default()
    };
    too_large(&bomb, &limits, "of this size");
    // Small ones do no harm.
    read_all(&bomb, &Limits::default()).unwrap();
    let text: Vec<u8> = (0..100_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    read_all(&archive(&[Forged::deflated("data", &text)]), &limits).unwrap();
}

#[test]
fn s44_an_entry_never_gives_more_than_it_announced() {
    let zeros = vec![0; 1 << 20];
    for (announced, checksum) in [(10, crc(&zeros)), (10, crc(&[0; 10])), (0, 0)] {
        let mut entry = Forged::deflated("liar", &zeros);
        entry.size = announced;
        entry.checksum = checksum;
        let error = refusal(&archive(&[entry])).to_string();
        assert!(
            error.contains("larger than it says") && error.contains("liar"),
            "{error}"
        );
    }
    let mut fewer = Forged::deflated("liar", b"abc");
    fewer.size = 4;
    assert!(refusal(&archive(&[fewer])).to_string().contains("smaller"));
    let mut two_sizes = Forged::stored("liar", b"abc");
    two_sizes.size = 2;
    assert!(refusal(&archive(&[two_sizes])).to_string().contains("two sizes"));
}

#[test]
fn s44_bytes_behind_a_content_are_refused() {
    let mut entry = Forged::deflated("hiding", b"abc");
    entry.packed.extend_from_slice(&deflate(b"more"));
    entry.packed_size = u32::try_from(entry.packed.len()).unwrap();
    let error = refusal(&archive(&[entry])).to_string();
    assert!(error.contains("behind its content"), "{error}");
}

/// Why an archive is refused before any content is looked at.
#[track_caller]
fn unopened(bytes: &[u8]) -> String {
    let opened = Archive::open(Cursor::new(bytes), &Limits::default());
    opened.err().expect("this archive is bad").to_string()
}

/// The bombs that unpack to gigabytes: many entries share one content, or quote the headers of one another.
#[test]
fn s44_entries_that_overlap_are_refused() {
    let content = vec![0; 10_000];
    let one = Forged::deflated("0", &content);
    let mut all = vec![one.clone()];
    for n in 1..10 {
        let mut again = Forged {
            name: format!("{n}").into_bytes(),
            ..one.clone()
        };
        again.packed.clear();
        again.header_at = Some(0);
        all.push(again);
    }
    // What lies behind the one content does not matter.
    let error = unopened(&archive(&all));
    assert!(error.contains("overlaps"), "{error}");

    // An entry whose content is the whole next entry.
    let inner = archive(&[Forged::stored("inner", b"1234")]);
    let inner = &inner[..30 + 5 + 4];
    let mut outer = Forged::stored("outer", inner);
    outer.header_at = Some(0);
    let mut quoted = Forged::stored("inner", b"1234");
    quoted.packed.clear();
    quoted.header_at = Some(30 + 5);
    let error = unopened(&archive(&[outer, quoted]));
    assert!(error.contains("overlaps"), "{error}");

    // One that reaches into the directory.
    let mut last = Forged::stored("last", b"1234");
    last.packed_size = 40;
    last.size = 40;
    let error = unopened(&archive(&[last]));
    assert!(error.contains("overlaps"), "{error}");
}

/// The room between two entries is seen in the header before the content only.
#[test]
fn s44_entries_that_overlap_because_of_their_inner_headers_are_refused() {
    let entries = [Forged::stored("a", b"12345678"), Forged::stored("b", b"1")];
    let mut bytes = archive(&entries);
    // An extra field of four bytes that is not there.
    bytes[28] = 4;
    let error = refusal(&bytes).to_string();
    assert!(error.contains("overlaps"), "{error}");
}
