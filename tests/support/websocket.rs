//! The handshake of a WebSocket, as a server answers it (RFC 6455 section 4.2.2), and one that sends back what comes.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::raw::{RawUpstream, header};

/// The answer to the handshake with this head.
pub fn agreed(head: &str) -> String {
    agreed_with(head, "")
}

/// As `agreed`, with more fields, each with its line end.
pub fn agreed_with(head: &str, more: &str) -> String {
    let key = header(head, "sec-websocket-key").unwrap();
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// Takes every WebSocket and sends back the bytes that come.
pub async fn echo() -> RawUpstream {
    RawUpstream::acting(|head, mut connection| async move {
        connection.send(agreed(&head)).await;
        while let Ok(bytes) = connection.some().await {
            if connection.try_send(bytes).await.is_err() {
                return;
            }
        }
    })
    .await
}
