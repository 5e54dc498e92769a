//! The stand-in's WebSockets, and who is told of writes on them.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};

use crate::State;

/// A WebSocket on which nothing but `subscribe` is understood.
pub(crate) fn open_socket(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Response<Full<Bytes>> {
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else {
            return;
        };
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
        let (sender, mut messages) = unbounded_channel::<String>();
        tokio::spawn(async move {
            while let Some(text) = messages.recv().await {
                let mut frame = vec![0x81, 126];
                frame.extend_from_slice(&(text.len() as u16).to_be_bytes());
                frame.extend_from_slice(text.as_bytes());
                if writer.write_all(&frame).await.is_err() {
                    return;
                }
            }
        });
        // Subscriptions of the benchmark are all between 126 and 65,535 bytes long.
        let mut header = [0; 8];
        while reader.read_exact(&mut header).await.is_ok() {
            let mut payload = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]]))];
            if reader.read_exact(&mut payload).await.is_err() {
                return;
            }
            for (byte, mask) in payload.iter_mut().zip(header[4..].iter().cycle()) {
                *byte ^= mask;
            }
            if let (Ok(message), Ok(mut state)) = (serde_json::from_slice(&payload), state.lock()) {
                let _ = state.subscribe(&message, &sender);
            }
        }
    });
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [("connection", "upgrade"), ("upgrade", "websocket")] {
        response
            .headers_mut()
            .insert(name, hyper::header::HeaderValue::from_static(value));
    }
    response
}

impl State {
    fn subscribe(&mut self, message: &Value, sender: &UnboundedSender<String>) -> Result<()> {
        let id = message["id"].as_str().context("a subscription without id")?.to_owned();
        let filter = serde_json::from_str(message["query"].as_str().context("a subscription without query")?)?;
        let _ = sender
            .send(json!({ "id": id, "type": "result", "data": [], "date": "2026-01-01T00:00:00.123Z" }).to_string());
        self.subscriptions.push((id, filter, sender.clone()));
        Ok(())
    }

    pub(crate) fn tell(&self, post: &Value) {
        let defect = self.defect.as_deref().unwrap_or_default();
        let is_odd = post["stamp"].as_u64().is_some_and(|stamp| stamp.is_multiple_of(7));
        for (id, filter, sender) in &self.subscriptions {
            let is_for = filter["owner"] == post["owner"];
            let times = match defect {
                "lose-events" if is_odd => 0,
                "double-events" if is_odd && is_for => 2,
                "stray-events" if is_odd => 1,
                _ => usize::from(is_for),
            };
            for _ in 0..times {
                let event =
                    json!({ "id": id, "type": "match", "matchType": "change", "operation": "update", "data": post });
                let _ = sender.send(event.to_string());
            }
        }
    }
}
