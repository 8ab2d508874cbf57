//! `health`: asks the running gateway's admin listener, as a probe does that has no program of its own to ask with, such as one
//! in a container.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, StatusCode, header};
use tokio::{net::TcpStream, time::timeout};

use super::{Refused, join_link::reachable};
use crate::{proxy, reply::BoxError};

/// Shorter than the 5 s that whoever runs this command waits for it (`deploy/`).
const TIME: Duration = Duration::from_secs(4);

/// The most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 1024;

/// Is it alive, or, with `ready`, does it take requests? What it says; an error if it does not.
pub(super) fn answer(admin: &[SocketAddr], ready: bool) -> Result<String, Refused> {
    let Some(admin) = admin.first() else {
        return Err("listen.admin is not set, and nobody else can be asked".to_owned());
    };
    let addr = reachable(*admin);
    let path = if ready { "/readyz" } else { "/livez" };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let asked = runtime.block_on(async { timeout(TIME, ask(addr, path)).await });
    let answer = asked
        .map_err(|_| format!("http://{addr}{path}: no answer within {} s", TIME.as_secs()))?
        .map_err(|error| format!("http://{addr}{path}: {error}"))?;
    let (status, said) = answer;
    if status == StatusCode::OK {
        Ok(said)
    } else {
        Err(format!("http://{addr}{path}: {status}: {said}"))
    }
}

async fn ask(addr: SocketAddr, path: &str) -> Result<(StatusCode, String), BoxError> {
    let request = Request::get(path).header(header::HOST, addr.to_string());
    let request = request.body(Empty::<Bytes>::new())?;
    let answer = proxy::once(TcpStream::connect(addr).await?, request, MAX_ANSWER_BYTES).await?;
    let said = String::from_utf8_lossy(answer.body()).trim_end().to_owned();
    Ok((answer.status(), said))
}
