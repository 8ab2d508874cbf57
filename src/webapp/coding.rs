//! Content codings: which there are, how a file is compressed, and whether a form that somebody else compressed is
//! right.
//!
//! A form is made once and sent a thousand times, so each is made at the highest quality. Windows are as large as every
//! browser must support, and no larger: a larger window would fail in some browsers.
//!
//! Sources: RFC 9110 section 8.4.1; RFC 7932 section 9.1 (brotli: windows up to 2^24); RFC 8878 and RFC 9659 (zstd:
//! windows up to 8 MiB in a content coding); RFC 1952 (gzip).

use std::io::{self, Read};

use brotli::{Decompressor, enc::BrotliEncoderParams};
use flate2::{
    Compression,
    bufread::{GzDecoder, GzEncoder},
};
use zstd::{bulk::Compressor, stream::read::Decoder, zstd_safe::CParameter};

/// A content coding: a compressed form of a file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

const BROTLI_QUALITY: i32 = 11;
const BROTLI_WINDOW_LOG: u32 = 24;
const ZSTD_LEVEL: i32 = 22;
const ZSTD_WINDOW_LOG: u32 = 23;
/// The smallest window that brotli allows, as a power of two.
const LEAST_WINDOW_LOG: u32 = 10;
const CHUNK_BYTES: usize = 64 << 10;

impl Coding {
    /// All codings, in the order of `index`.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// The position of this coding in an array with one element for each coding.
    pub fn index(self) -> usize {
        match self {
            Self::Brotli => 0,
            Self::Zstd => 1,
            Self::Gzip => 2,
        }
    }

    /// The coding's name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The end of the name of a file that holds another file in this coding.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }

    /// Compresses these bytes at the highest quality. Brotli takes seconds for a megabyte.
    pub fn encode(self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut coded = Vec::new();
        match self {
            Self::Brotli => {
                let params = BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: window_log(plain.len(), BROTLI_WINDOW_LOG).cast_signed(),
                    size_hint: plain.len(),
                    ..BrotliEncoderParams::default()
                };
                let mut rest = plain;
                brotli::BrotliCompress(&mut rest, &mut coded, &params)?;
            }
            Self::Zstd => {
                let mut compressor = Compressor::new(ZSTD_LEVEL)?;
                let window_log = window_log(plain.len(), ZSTD_WINDOW_LOG);
                compressor.set_parameter(CParameter::WindowLog(window_log))?;
                coded = compressor.compress(plain)?;
            }
            Self::Gzip => {
                GzEncoder::new(plain, Compression::best()).read_to_end(&mut coded)?;
            }
        }
        coded.shrink_to_fit();
        Ok(coded)
    }

    /// Would every browser decode `coded` to exactly these bytes? Bytes behind the end, a window that is too large, or
    /// a second part make browsers differ.
    pub fn decodes_to(self, coded: &[u8], plain: &[u8]) -> bool {
        match self {
            Self::Brotli => {
                !has_large_window(coded) && yields(&mut Decompressor::new(coded, CHUNK_BYTES), plain)
            }
            Self::Zstd => Decoder::with_buffer(coded).is_ok_and(|decoder| {
                let mut decoder = decoder.single_frame();
                decoder.window_log_max(ZSTD_WINDOW_LOG).is_ok()
                    && yields(&mut decoder, plain)
                    && decoder.into_inner().is_empty()
            }),
            Self::Gzip => {
                let mut decoder = GzDecoder::new(coded);
                yields(&mut decoder, plain) && decoder.into_inner().is_empty()
            }
        }
    }
}

/// RFC 7932 section 9.1: these seven bits are no window size. A later form of brotli, which our decoder takes and
/// browsers don't, begins with them.
fn has_large_window(coded: &[u8]) -> bool {
    coded.first().is_some_and(|first| first & 0x7f == 0b001_0001)
}

/// The smallest window that holds the whole content, at most `most`: a larger one would only cost memory on both sides.
fn window_log(len: usize, most: u32) -> u32 {
    let holds_all = usize::BITS - len.saturating_sub(1).leading_zeros();
    // Brotli keeps 16 bytes of its window for itself.
    (holds_all + 1).clamp(LEAST_WINDOW_LOG, most)
}

/// Does the decoder yield exactly these bytes? It is read in pieces, so that a compression bomb costs one piece of
/// memory.
fn yields(decoder: &mut dyn Read, plain: &[u8]) -> bool {
    let mut rest = plain;
    let mut piece = vec![0; CHUNK_BYTES];
    loop {
        match decoder.read(&mut piece) {
            Ok(0) => return rest.is_empty(),
            Ok(len) => match piece.get(..len).and_then(|piece| rest.strip_prefix(piece)) {
                Some(after) => rest = after,
                None => return false,
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(len: usize) -> Vec<u8> {
        (0..)
            .flat_map(|n: u32| format!("export const v{n}=()=>import('./c{}.js');\n", n % 97).into_bytes())
            .take(len)
            .collect()
    }

    #[test]
    fn what_is_written_can_be_read() {
        for len in [0, 1, 1000, 1 << 18] {
            let plain = script(len);
            for coding in Coding::ALL {
                let coded = coding.encode(&plain).unwrap();
                assert!(coding.decodes_to(&coded, &plain), "{coding:?} of {len}");
                assert!(len < 1000 || coded.len() < len / 3, "{coding:?} of {len}");
            }
        }
    }

    #[test]
    fn what_is_not_exactly_the_file_is_told() {
        let plain = script(5000);
        for coding in Coding::ALL {
            let good = coding.encode(&plain).unwrap();
            let longer = coding.encode(&[&plain[..], b"x"].concat()).unwrap();
            let shorter = coding.encode(&plain[1..]).unwrap();
            let cut = &good[..good.len() - 1];
            let mut bent = good.clone();
            bent[good.len() / 2] ^= 0x10;
            for bad in [&longer[..], &shorter, cut, &bent, b"", &plain] {
                assert!(!coding.decodes_to(bad, &plain), "{coding:?}");
            }
        }
        for coding in [Coding::Zstd, Coding::Gzip] {
            let good = coding.encode(&plain).unwrap();
            assert!(
                !coding.decodes_to(&[&good[..], b"x"].concat(), &plain),
                "{coding:?}"
            );
            assert!(
                !coding.decodes_to(&[&good[..], &good].concat(), &plain.repeat(2)),
                "{coding:?}"
            );
        }
    }

    /// RFC 9659: a browser may refuse a window above 8 MiB; RFC 7932 knows none above 16 MiB.
    #[test]
    fn a_window_that_browsers_refuse_is_refused() {
        let plain = script(9 << 20);
        let mut wide = Compressor::new(1).unwrap();
        wide.set_parameter(CParameter::WindowLog(24)).unwrap();
        assert!(!Coding::Zstd.decodes_to(&wide.compress(&plain).unwrap(), &plain));
        let mut ours = Compressor::new(1).unwrap();
        ours.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG))
            .unwrap();
        assert!(Coding::Zstd.decodes_to(&ours.compress(&plain).unwrap(), &plain));

        let params = BrotliEncoderParams {
            quality: 1,
            lgwin: 25,
            large_window: true,
            ..BrotliEncoderParams::default()
        };
        let mut wide = Vec::new();
        brotli::BrotliCompress(&mut &plain[..], &mut wide, &params).unwrap();
        assert!(!Coding::Brotli.decodes_to(&wide, &plain));
    }

    #[test]
    fn a_window_holds_the_file_if_it_may() {
        assert_eq!(window_log(0, 24), 10);
        assert_eq!(window_log(1 << 16, 24), 17);
        assert_eq!(window_log(6 << 20, 24), 24);
        assert_eq!(window_log(64 << 20, 23), 23);
    }
}
