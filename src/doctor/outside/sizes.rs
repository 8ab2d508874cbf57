//! An upload that is one byte too large: is it refused in words, or is its connection cut?
//!
//! Sources: RFC 9110 section 15.5.14 (413), RFC 9112 section 9.6 (what is lost when a connection is closed too early).

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{ANSWER, Outside};
use crate::doctor::finding::Said;

const PART: [u8; 16 << 10] = [b'x'; 16 << 10];
/// The most bytes that are read of an answer for its status.
const MAX_LINE: usize = 64;

pub async fn sizes(outside: Arc<Outside>) -> Vec<Said> {
    let advice =
        "somebody in front of the gateway cuts large uploads: people see a broken upload, and no reason";
    let most = outside.settings.body_bytes;
    match timeout(ANSWER, refused(&outside, most + 1)).await {
        Ok(Ok(status)) if status == "413" => vec![Said::ok(format!("413 for a body of {} bytes", most + 1))],
        Ok(Ok(status)) => vec![Said::warn(
            format!("{status:?} and not 413 for a body of {} bytes", most + 1),
            "is sizes.body of the gateway another one? Else somebody in front of it answers",
        )],
        Ok(Err(why)) => vec![Said::fail(why, advice)],
        Err(_) => vec![Said::fail("no answer to a body that is too large", advice)],
    }
}

/// The status for a body of this size, which is sent as a browser does: on and on until there is an answer.
async fn refused(outside: &Outside, size: u64) -> Result<String, String> {
    let stream = outside
        .connect(&outside.host, outside.port, &[b"http/1.1"])
        .await?;
    let (mut from, mut to) = tokio::io::split(stream);
    let head = format!(
        "POST /lti/v1 HTTP/1.1\r\nHost: {}\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n",
        outside.authority()
    );
    let sending = async {
        to.write_all(head.as_bytes()).await?;
        let mut left = usize::try_from(size).unwrap_or(usize::MAX);
        while left > 0 {
            let part = PART.get(..left.min(PART.len())).unwrap_or_default();
            to.write_all(part).await?;
            left -= part.len();
        }
        to.flush().await
    };
    let reading = async {
        let mut line = Vec::new();
        while line.len() < MAX_LINE && !line.contains(&b'\n') {
            if from.read_buf(&mut line).await? == 0 {
                break;
            }
        }
        Ok::<_, std::io::Error>(line)
    };
    tokio::pin!(reading);
    // Who can send no more may have an answer all the same.
    let (line, sent) = tokio::select! {
        line = &mut reading => (line, Ok(())),
        sent = sending => (reading.await, sent),
    };
    let line = line.map_err(|error| format!("the connection is cut: {}", sent.err().unwrap_or(error)))?;
    let line = String::from_utf8_lossy(&line).into_owned();
    match line.split(' ').nth(1) {
        Some(status) => Ok(status.to_owned()),
        None => Err("the connection is closed without an answer".into()),
    }
}
