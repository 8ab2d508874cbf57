//! How large records are, and what is held of them.

/// What stands before each record.
pub(super) const HEADER_BYTES: usize = 5;

/// What stands behind the plaintext of a record of TLS 1.3, and is sealed with it: what kind of a record it is.
pub(super) const KIND_BYTES: usize = 1;

/// What each cipher of TLS 1.3 adds (RFC 5116 section 5; RFC 8439 section 2.8).
pub(super) const TAG_BYTES: usize = 16;

/// The most plaintext of one record (RFC 8446 section 5.1).
pub(super) const RECORD_BYTES: usize = 16 * 1024;

/// The most that a record of ours has beside its plaintext: a header, and with TLS 1.2 a nonce of 8 and a tag of 16
/// (RFC 5288 section 3).
pub(super) const AROUND_RECORD_BYTES: usize = HEADER_BYTES + 8 + 16;

/// The largest record that a peer may send (RFC 5246 section 6.2.3; RFC 8446 section 5.2 allows less).
pub(super) const MAX_RECORD_BYTES: usize = HEADER_BYTES + RECORD_BYTES + 2048;

/// How much is read at once: a record of TLS 1.3.
pub(super) const READ_BYTES: usize = HEADER_BYTES + RECORD_BYTES + 256;

/// How much may wait to be written, so that nothing more is taken.
pub(super) const LIMIT_BYTES: usize = 4 * (RECORD_BYTES + AROUND_RECORD_BYTES);

/// A buffer for all of it, and for what rustls itself may have to say beside it, such as tickets.
pub(super) const FULL_BYTES: usize = LIMIT_BYTES + 1024;
