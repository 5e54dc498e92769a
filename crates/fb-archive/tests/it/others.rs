//! Other programs read what is written here, and what they write is read.

use std::io::{Cursor, Write};
use std::process::Command;

use fb_archive::{Archive, Limits, NewEntry, Writer};
use fb_types::Timestamp;

use crate::kit::read_all;
use crate::roundtrip::{MOMENT, entry, write};

/// What Python's reader says of an archive: one line for each entry.
fn by_python(archive: &[u8], script: &str) -> Vec<String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(archive).unwrap();
    let output = Command::new("python3")
        .arg("-c")
        .arg(script)
        .arg(file.path())
        .output()
        .expect("python3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

const LIST: &str = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    for i in z.infolist():
        print(ascii(i.filename), i.file_size, i.date_time[0], i.compress_type, oct(i.external_attr >> 16))
";

#[test]
fn python_reads_what_is_written() {
    let text = b"text ".repeat(30_000);
    let files = vec![
        ("plain.txt".to_owned(), text.clone(), true),
        ("sub/stored.bin".to_owned(), text, false),
        ("ü🦀/é.txt".to_owned(), b"x".to_vec(), true),
        ("empty".to_owned(), Vec::new(), false),
        ("empty too".to_owned(), Vec::new(), true),
    ];
    assert_eq!(
        by_python(&write(&files, 10_000), LIST),
        [
            "'plain.txt' 150000 2024 8 0o100644",
            "'sub/stored.bin' 150000 2024 0 0o100644",
            "'\\xfc\\U0001f980/\\xe9.txt' 1 2024 8 0o100644",
            "'empty' 0 2024 0 0o100644",
            "'empty too' 0 2024 8 0o100644",
        ]
    );
    assert_eq!(by_python(&Writer::new().finish().unwrap(), LIST), [""; 0]);
}

#[test]
fn more_entries_than_the_short_records_can_count() {
    let mut writer = Writer::new();
    let mut bytes = Vec::new();
    for n in 0..70_000 {
        writer.begin(entry(&format!("f{n}"), 0, false)).unwrap();
        bytes.extend(writer.take());
    }
    bytes.extend(writer.finish().unwrap());
    let all = read_all(&bytes, &Limits::default()).unwrap();
    assert_eq!((all.len(), all[69_999].0.as_str()), (70_000, "f69999"));
    let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(len(z.namelist()), z.namelist()[-1])";
    assert_eq!(by_python(&bytes, script), ["70000 f69999"]);
}

#[test]
#[ignore = "packs and unpacks five gigabytes twice; by hand: \
            cargo test --release -p fb-archive --test it larger_than_the_short -- --ignored"]
fn contents_that_are_larger_than_the_short_headers_can_say() {
    const SIZE: u64 = 5 << 30;
    let (mut writer, mut bytes) = (Writer::new(), Vec::new());
    let large = NewEntry {
        size: SIZE,
        ..entry("large", 0, true)
    };
    writer.begin(large).unwrap();
    for _ in 0..SIZE >> 20 {
        writer.write(&[0; 1 << 20]).unwrap();
        bytes.extend(writer.take());
    }
    writer.begin(entry("behind", 1, false)).unwrap();
    writer.write(b"1").unwrap();
    bytes.extend(writer.finish().unwrap());
    let limits = Limits {
        free_bytes: u64::MAX,
        ..Limits::default()
    };
    let mut archive = Archive::open(Cursor::new(&bytes), &limits).unwrap();
    let (mut content, mut total) = (archive.content(0).unwrap().unwrap(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match content.read(&mut buffer).unwrap() {
            0 => break,
            n => total += n as u64,
        }
    }
    assert_eq!(total, SIZE);
    let listed = by_python(&bytes, LIST);
    assert_eq!(
        listed,
        ["'large' 5368709120 2024 8 0o100644", "'behind' 1 2024 0 0o100644"]
    );
}

#[test]
fn archives_of_python_are_read() {
    let script = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:
    z.writestr('a/b.txt', 'text ' * 1000)
    z.writestr('\\u00fc.txt', 'x')
    with z.open('large.txt', 'w', force_zip64=True) as f: f.write(b'y' * 100)
    z.mkdir('dir') if hasattr(z, 'mkdir') else None
    z.comment = b'a comment'
";
    let file = tempfile::NamedTempFile::new().unwrap();
    let status = Command::new("python3")
        .arg("-c")
        .arg(script)
        .arg(file.path())
        .status()
        .unwrap();
    assert!(status.success());
    let mut all = read_all(&std::fs::read(file.path()).unwrap(), &Limits::default()).unwrap();
    all.sort();
    let names: Vec<_> = all
        .iter()
        .map(|(name, content)| (name.as_str(), content.len()))
        .collect();
    assert_eq!(names, [("a/b.txt", 5000), ("large.txt", 100), ("ü.txt", 1)]);
}

#[test]
fn moments_outside_of_the_calendar_of_archives_are_no_errors() {
    for millis in [i64::MIN, -1, 0, MOMENT, i64::MAX] {
        let mut writer = Writer::new();
        let modified = Timestamp::from_millis(millis);
        writer
            .begin(NewEntry {
                modified,
                ..entry("a", 0, false)
            })
            .unwrap();
        assert_eq!(
            read_all(&writer.finish().unwrap(), &Limits::default()).unwrap().len(),
            1
        );
    }
}
