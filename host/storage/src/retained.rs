//! Records that are kept beside an intent, as bytes: a zero, the format's number, all chunks, and
//! behind them the headers of each. Releases before numbers began with the chunks, of which there
//! is one at least, so never with a zero; those before headers wrote the chunks alone.

use crate::fault::damaged;
use crate::format::RETAINED;
use streamhost_core::state::StoreError;
use streamhost_core::types::{Chunk, Headers};

/// A number follows.
const NUMBERED: u8 = 0;

/// The bytes of these chunks.
pub(crate) fn write(chunks: &[Chunk]) -> postcard::Result<Vec<u8>> {
    let mut bytes = vec![NUMBERED, RETAINED.format as u8];
    bytes.extend(postcard::to_allocvec(chunks)?);
    if chunks.iter().any(|chunk| !chunk.headers.is_empty()) {
        let headers: Vec<&Headers> = chunks.iter().map(|chunk| &chunk.headers).collect();
        bytes.extend(postcard::to_allocvec(&headers)?);
    }
    Ok(bytes)
}

/// The chunks of these bytes.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Chunk>, StoreError> {
    let chunks = match bytes {
        [NUMBERED, number, chunks @ ..] => {
            RETAINED.check(u32::from(*number))?;
            chunks
        }
        unnumbered => unnumbered,
    };
    read_chunks(chunks).map_err(damaged)
}

fn read_chunks(bytes: &[u8]) -> postcard::Result<Vec<Chunk>> {
    let (mut chunks, rest): (Vec<Chunk>, _) = postcard::take_from_bytes(bytes)?;
    if !rest.is_empty() {
        let headers: Vec<Headers> = postcard::from_bytes(rest)?;
        for (chunk, headers) in chunks.iter_mut().zip(headers) {
            chunk.headers = headers;
        }
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::types::{Header, Partition, Record};

    #[test]
    fn chunks_are_read_with_and_without_headers() {
        let chunk = |headers: &[Header<'_>]| {
            let mut chunk = Chunk::new(Partition { source: 0, id: 3 });
            chunk.push(Record {
                offset: 7,
                time_ms: 1,
                key: None,
                value: Some(b"v"),
                headers,
            });
            chunk
        };
        let header = Header {
            name: "trace",
            value: None,
        };
        let (bare, with) = (chunk(&[]), chunk(&[header]));
        for chunks in [vec![], vec![bare.clone()], vec![bare.clone(), with.clone()]] {
            let bytes = write(&chunks).unwrap();
            assert_eq!(read(&bytes).unwrap(), chunks);
        }
        let older = postcard::to_allocvec(&vec![&with]).unwrap();
        assert_eq!(read(&older).unwrap(), [bare], "it had no headers to write");
        assert!(read(&older[..3]).is_err());
        let mut newer = write(&[with]).unwrap();
        newer[1] += 1;
        let refused = read(&newer).unwrap_err().to_string();
        let words = "retained records in format 3, and this streamhost reads format 2 of them";
        assert!(refused.contains(words), "{refused}");
    }
}
