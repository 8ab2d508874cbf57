//! Why what an upstream sent is no answer.

/// What is wrong with the bytes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// What came is no head of an answer in HTTP/1.
    #[error("what came is no answer in HTTP/1")]
    Head,
    /// The head has more bytes or fields than an answer may have.
    #[error("the head of the answer is too large")]
    LargeHead,
    /// The head does not tell where the body ends.
    #[error("the length of the answer's body is not clear")]
    Framing,
    /// The body is not what `chunked` says of its form.
    #[error("the chunks of the answer's body are broken")]
    Chunk,
    /// The connection ended before the answer did.
    #[error("the connection ended before the answer did")]
    Ended,
}
