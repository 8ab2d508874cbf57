//! The body of a request that is read before it goes on, as it may ask for a token: whole, small, and in time.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::IssueError;
use crate::client_body::ClientBody;

/// Reads all of it, and nothing at all of one that says it is too large.
pub(super) async fn read(
    body: ClientBody,
    max_bytes: usize,
    deadline: Duration,
) -> Result<Bytes, IssueError> {
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(IssueError::BodyTooLarge);
    }
    match timeout(deadline, Limited::new(body, max_bytes).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(IssueError::BodyTooLarge),
        Ok(Err(_broken_off)) => Err(IssueError::BodyBroken),
        Err(_late) => Err(IssueError::BodyTooSlow),
    }
}
