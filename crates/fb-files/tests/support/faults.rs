//! Storages that misbehave.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The address of a server that answers each request with `status` and `body`, and closes.
pub async fn that_answers(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                let _ = stream.read(&mut request).await;
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
                while matches!(stream.read(&mut request).await, Ok(1..)) {}
            });
        }
    });
    format!("http://{address}")
}

/// The address of a server that takes connections and says nothing.
pub async fn that_is_silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            kept.push(listener.accept().await.unwrap());
        }
    });
    format!("http://{address}")
}

/// The address of a port where nobody listens.
pub async fn that_is_gone() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// What happens to connections, one after the other. When there is no plan left, they work.
#[derive(Clone, Copy)]
pub enum Plan {
    Work,
    /// Cut when the client has sent so many bytes.
    CutUpload(u64),
    /// Cut when the storage has sent so many bytes.
    CutDownload(u64),
    /// Sends nothing more when the storage has sent so many bytes, and keeps the connection.
    StallDownload(u64),
}

/// Something between the client and the real storage.
pub struct Proxy {
    pub address: String,
    plans: Arc<Mutex<VecDeque<Plan>>>,
}

impl Proxy {
    pub async fn before(storage: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let plans = Arc::new(Mutex::new(VecDeque::new()));
        let (storage, shared) = (storage.trim_start_matches("http://").to_owned(), Arc::clone(&plans));
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let plan = shared.lock().unwrap().pop_front().unwrap_or(Plan::Work);
                let server = TcpStream::connect(&storage).await.unwrap();
                tokio::spawn(carry(client, server, plan));
            }
        });
        Self { address, plans }
    }

    pub fn plan(&self, plans: impl IntoIterator<Item = Plan>) {
        *self.plans.lock().unwrap() = plans.into_iter().collect();
    }

    pub fn left(&self) -> usize {
        self.plans.lock().unwrap().len()
    }
}

async fn carry(client: TcpStream, server: TcpStream, plan: Plan) {
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let (up, down) = match plan {
        Plan::Work => (u64::MAX, u64::MAX),
        Plan::CutUpload(bytes) => (bytes, u64::MAX),
        Plan::CutDownload(bytes) | Plan::StallDownload(bytes) => (u64::MAX, bytes),
    };
    // Whichever ends first ends both.
    tokio::select! {
        () = copy(client_read, server_write, up) => {}
        () = copy(server_read, client_write, down) => if matches!(plan, Plan::StallDownload(_)) {
            std::future::pending::<()>().await;
        }
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, limit: u64) {
    let mut buffer = vec![0; 16 * 1024];
    let mut left = limit;
    while left > 0 {
        let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match from.read(&mut buffer[..room]).await {
            Ok(read @ 1..) if to.write_all(&buffer[..read]).await.is_ok() => left -= read as u64,
            _ => return,
        }
    }
}
