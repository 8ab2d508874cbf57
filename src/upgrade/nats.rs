//! The first words of a NATS connection, read as they pass: whose it is, and whether NATS lets it in.
//!
//! The client's CONNECT carries plugNmeet's token in `auth_token`. It comes behind the server's INFO, in any letters, in
//! one frame or several, with PING beside it.
//!
//! SECURITY: bounded by `MAX_BYTES`, and let go of with the first word that can't be CONNECT. Of the token nothing is kept
//! but room and user.
//!
//! Sources: NATS client protocol (CONNECT, PING, PONG; lines end with CR LF, and nats-server takes LF alone), docs/plugnmeet.md
//! section 5.

use serde::Deserialize;

use super::payload::Payloads;

/// A CONNECT with the largest token that a cookie can hold has half of it.
const MAX_BYTES: usize = 8 * 1024;

/// Reads what NATS says until it has let a client in, or has refused it.
#[derive(Default)]
pub(super) struct AnswerReader {
    frames: Payloads,
    /// The first letters of the current line.
    word: [u8; 3],
    have: usize,
    lines: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// INFO, as the first of all.
    Greeting,
    /// The first of all is something else: this is not NATS.
    Other,
    /// PONG or +OK.
    LetIn,
    /// -ERR.
    Refused,
}

impl AnswerReader {
    /// Reads bytes that go by, frames and all. A PING of NATS' own says nothing: it comes two seconds after the upgrade,
    /// whoever the client is.
    pub(super) fn hear(&mut self, bytes: &[u8], mut says: impl FnMut(Said)) {
        let Self {
            frames,
            word,
            have,
            lines,
        } = self;
        let passed = frames.pass(bytes, |piece| {
            for byte in piece {
                if *byte == b'\n' {
                    *have = 0;
                    *lines += 1;
                    continue;
                }
                let Some(letter) = word.get_mut(*have) else {
                    continue;
                };
                *letter = byte.to_ascii_uppercase();
                *have += 1;
                if *have == word.len() {
                    match (&*word, *lines) {
                        (b"INF", 0) => says(Said::Greeting),
                        (_, 0) => says(Said::Other),
                        (b"PON" | b"+OK", _) => says(Said::LetIn),
                        (b"-ER", _) => says(Said::Refused),
                        (_, _) => {}
                    }
                }
            }
        });
        if passed.is_err() {
            says(Said::Other);
        }
    }
}

/// Reads what a client says until its CONNECT has gone by.
#[derive(Default)]
pub(super) struct ConnectReader {
    frames: Payloads,
    line: Vec<u8>,
    bytes: usize,
}

/// What is known after some more bytes.
#[derive(PartialEq, Eq)]
pub(super) enum Heard {
    /// CONNECT may still come.
    NotYet,
    /// The token of the CONNECT.
    Token(String),
    /// This is no client of NATS, or one without a token, or it says too much.
    Nothing,
}

#[derive(Deserialize)]
struct Connect {
    auth_token: Option<String>,
    /// What other clients of NATS have instead.
    jwt: Option<String>,
}

impl ConnectReader {
    /// Reads bytes that go by, frames and all.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Heard {
        let Self {
            frames,
            line,
            bytes: total,
        } = self;
        let mut heard = Heard::NotYet;
        let passed = frames.pass(bytes, |piece| {
            if heard != Heard::NotYet {
                return;
            }
            let mut piece = piece;
            *total += piece.len();
            while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
                let (rest_of_line, next) = piece.split_at(end);
                line.extend_from_slice(rest_of_line);
                heard = said(line);
                line.clear();
                if heard != Heard::NotYet {
                    return;
                }
                piece = next.get(1..).unwrap_or_default();
            }
            if *total > MAX_BYTES {
                heard = Heard::Nothing;
                return;
            }
            line.extend_from_slice(piece);
        });
        match passed {
            Ok(()) => heard,
            Err(_unreadable) => Heard::Nothing,
        }
    }
}

fn said(line: &[u8]) -> Heard {
    let line = line.trim_ascii();
    let end = line
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    if word.is_empty() || word.eq_ignore_ascii_case(b"PING") || word.eq_ignore_ascii_case(b"PONG") {
        return Heard::NotYet;
    }
    if !word.eq_ignore_ascii_case(b"CONNECT") {
        return Heard::Nothing;
    }
    let token = serde_json::from_slice::<Connect>(rest)
        .ok()
        .and_then(|connect| connect.auth_token.or(connect.jwt));
    token.map_or(Heard::Nothing, Heard::Token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::payload::tests::frame, *};

    const KEY: [u8; 4] = [0x1d, 0xe2, 0x33, 0x94];

    fn read(pieces: impl IntoIterator<Item = Vec<u8>>) -> Option<String> {
        let mut reader = ConnectReader::default();
        for piece in pieces {
            match reader.hear(&piece) {
                Heard::NotYet => {}
                Heard::Token(token) => return Some(token),
                Heard::Nothing => return None,
            }
        }
        None
    }

    fn message(text: &str) -> Vec<u8> {
        frame(0x82, text.as_bytes(), Some(KEY))
    }

    #[test]
    fn reads_the_token_in_any_spelling_that_nats_takes() {
        for text in [
            "CONNECT {\"auth_token\":\"a.b.c\",\"verbose\":false}\r\nPING\r\n",
            "connect {\"auth_token\":\"a.b.c\"}\r\n",
            "CoNNect \t  {\"verbose\":true, \"auth_token\" : \"a.b.c\"}  \r\n",
            "PING\r\nPONG\r\n\r\nCONNECT {\"auth_token\":\"a.b.c\"}\n",
            "CONNECT {\"jwt\":\"a.b.c\"}\r\n",
        ] {
            assert_eq!(read([message(text)]).as_deref(), Some("a.b.c"), "{text}");
        }
    }

    fn answers(text: &[&str], cut: usize) -> Vec<Said> {
        let bytes: Vec<u8> = text
            .iter()
            .flat_map(|text| frame(0x82, text.as_bytes(), None))
            .collect();
        let (mut reader, mut said) = (AnswerReader::default(), Vec::new());
        for piece in bytes.chunks(cut) {
            reader.hear(piece, |word| said.push(word));
        }
        said
    }

    #[test]
    fn knows_an_answer_of_nats_from_its_own_ping_however_it_is_cut() {
        for cut in 1..40 {
            let let_in = answers(&["INFO {\"a\":\"PONG\"}\r\n", "PING\r\n", "PONG\r\n"], cut);
            assert_eq!(let_in, [Said::Greeting, Said::LetIn], "{cut}");
            let verbose = answers(&["info {}\r\nPING\r\n+OK\r\n"], cut);
            assert_eq!(verbose, [Said::Greeting, Said::LetIn], "{cut}");
            let refused = answers(&["INFO {}\r\n", "-ERR 'Authorization Violation'\r\n"], cut);
            assert_eq!(refused, [Said::Greeting, Said::Refused], "{cut}");
            assert_eq!(answers(&["hello\r\n"], cut), [Said::Other], "{cut}");
        }
    }

    #[test]
    fn what_has_no_token_is_let_go_of() {
        for text in [
            "CONNECT {\"user\":\"ann\",\"pass\":\"x\"}\r\nCONNECT {\"auth_token\":\"a.b.c\"}\r\n",
            "SUB a 1\r\nCONNECT {\"auth_token\":\"a.b.c\"}\r\n",
            "CONNECT no json\r\nCONNECT {\"auth_token\":\"a.b.c\"}\r\n",
            "GET / HTTP/1.1\r\n",
        ] {
            let mut reader = ConnectReader::default();
            assert!(reader.hear(&message(text)) == Heard::Nothing, "{text}");
        }
    }

    #[test]
    fn a_client_that_says_much_and_no_connect_is_let_go_of() {
        let mut reader = ConnectReader::default();
        let mut heard = 0;
        while reader.hear(&message(&"x".repeat(1000))) == Heard::NotYet {
            heard += 1;
            assert!(reader.line.len() <= MAX_BYTES);
        }
        assert_eq!(heard, MAX_BYTES / 1000);
    }

    proptest! {
        #[test]
        fn however_it_is_cut(
            cut in 1usize..60,
            messages in 1usize..80,
            padding in "[ \t]{1,9}",
            token in "[A-Za-z0-9_.-]{1,3000}",
        ) {
            let text = format!("connect{padding}{{\"auth_token\":\"{token}\"}}{padding}\r\nPING\r\n");
            let mut bytes = frame(0x89, b"", Some(KEY));
            let length = text.len().div_ceil(messages);
            for (nth, part) in text.as_bytes().chunks(length).enumerate() {
                // Fragments of one message, with a ping of the frames' own between them.
                bytes.extend(frame(if nth == 0 { 0x02 } else { 0x00 }, part, Some(KEY)));
                bytes.extend(frame(0x89, b"PING\r\n", Some(KEY)));
            }
            prop_assert_eq!(read(bytes.chunks(cut).map(<[u8]>::to_vec)), Some(token));
        }
    }
}
