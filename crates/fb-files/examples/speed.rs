//! How fast local contents are written and read, beside plain system calls in the same run:
//! `cargo run --release -p fb-files --example speed`.
//!
//! It needs 2 GiB of disk in the folder for temporary files (`TMPDIR`), and leaves nothing there.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it reports to a person, who is told what failed"
)]

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fb_files::FileStore;
use fb_types::{AppId, ContentId};

const MIB: u64 = 1024;

fn id(n: u8) -> ContentId {
    ContentId::from_bytes([n; 16])
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_owned();
    let app = AppId::new("measured").unwrap();
    let root = data.join(app.as_str());
    let contents = FileStore::local(move |app| data.join(app.as_str())).app(&app);
    let piece = Bytes::from(vec![7_u8; 256 * 1024]);

    let start = Instant::now();
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    for _ in 0..MIB * 4 {
        digest.update(&piece);
    }
    digest.finish();
    say("SHA-256 alone", start.elapsed());

    let start = Instant::now();
    let mut file = std::fs::File::create(directory.path().join("plain")).unwrap();
    for _ in 0..MIB * 4 {
        file.write_all(&piece).unwrap();
    }
    file.sync_all().unwrap();
    say("plain write with flush", start.elapsed());
    std::fs::remove_file(directory.path().join("plain")).unwrap();

    let start = Instant::now();
    let mut upload = contents.create(id(1)).await.unwrap();
    for _ in 0..MIB * 4 {
        upload.write(piece.clone()).await.unwrap();
    }
    upload.finish().await.unwrap();
    say("upload", start.elapsed());

    let path = root.join("01").join(id(1).to_string());
    for _ in 0..3 {
        let start = Instant::now();
        let mut file = std::fs::File::open(&path).unwrap();
        let mut buffer = vec![0; 256 * 1024];
        while file.read(&mut buffer).unwrap() > 0 {}
        say("plain read into one buffer", start.elapsed());

        let start = Instant::now();
        let (mut download, mut pieces) = (contents.open(id(1), 0..MIB << 20).await.unwrap(), 0);
        while let Some(piece) = download.next().await {
            piece.unwrap();
            pieces += 1;
        }
        say(&format!("download in {pieces} pieces"), start.elapsed());
    }

    // And as a server does it: through a socket.
    for _ in 0..2 {
        let plain = path.clone();
        let sent = over_socket(move |mut socket| async move {
            use tokio::io::AsyncWriteExt;
            let mut file = std::fs::File::open(&plain).unwrap();
            let mut buffer = vec![0; 256 * 1024];
            while let read @ 1.. = file.read(&mut buffer).unwrap() {
                socket.write_all(&buffer[..read]).await.unwrap();
            }
        });
        say("plain read, through a socket", sent.await);
        let contents = contents.clone();
        let sent = over_socket(move |mut socket| async move {
            use tokio::io::AsyncWriteExt;
            let mut download = contents.open(id(1), 0..MIB << 20).await.unwrap();
            while let Some(piece) = download.next().await {
                socket.write_all(&piece.unwrap()).await.unwrap();
            }
        });
        say("download, through a socket", sent.await);
    }

    let small = id(2);
    let mut upload = contents.create(small).await.unwrap();
    upload.write(Bytes::from(vec![7_u8; 4096])).await.unwrap();
    upload.finish().await.unwrap();
    let start = Instant::now();
    for _ in 0..10_000 {
        let mut download = contents.open(small, 0..4096).await.unwrap();
        while download.next().await.is_some() {}
    }
    println!("{:>30}: {:?} each", "4 KiB", start.elapsed() / 10_000);
}

async fn over_socket<F: Future<Output = ()> + Send + 'static>(
    send: impl FnOnce(tokio::net::TcpStream) -> F + Send + 'static,
) -> Duration {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut stream, mut buffer) = (std::net::TcpStream::connect(address).unwrap(), vec![0; 1 << 20]);
        while stream.read(&mut buffer).unwrap() > 0 {}
    });
    let (socket, _) = listener.accept().await.unwrap();
    let start = Instant::now();
    tokio::spawn(send(socket)).await.unwrap();
    let elapsed = start.elapsed();
    reader.join().unwrap();
    elapsed
}

fn say(what: &str, elapsed: Duration) {
    println!(
        "{what:>30}: {:.0} MB/s",
        (MIB << 20) as f64 / 1e6 / elapsed.as_secs_f64()
    );
}
