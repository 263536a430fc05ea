//! The members of gzip data, one after the other, as `gzip` reads them.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// What gzip data hold. Zeros behind the last member are padding, as tapes and block devices leave
/// it; anything else there is told, and not taken for an end.
pub(super) struct Members<R> {
    /// None for a moment only, while one takes the place of another.
    at: Option<At<R>>,
}

enum At<R> {
    Member(GzDecoder<BufReader<R>>),
    /// Behind a member; `padded`: and behind zeros.
    Between {
        rest: BufReader<R>,
        padded: bool,
    },
}

impl<R: Read> Members<R> {
    pub(super) fn new(input: R) -> Members<R> {
        let first = GzDecoder::new(BufReader::new(input));
        Members {
            at: Some(At::Member(first)),
        }
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            match &mut self.at {
                Some(At::Member(member)) => match member.read(into)? {
                    0 => {}
                    read => return Ok(read),
                },
                Some(At::Between { rest, padded }) => {
                    let block = rest.fill_buf()?;
                    let zeros = block.iter().take_while(|byte| **byte == 0).count();
                    match (block.get(zeros), zeros > 0 || *padded) {
                        (None, _) if zeros == 0 => return Ok(0), // it may grow
                        (None, _) => {
                            rest.consume(zeros);
                            *padded = true;
                            continue;
                        }
                        (Some(0x1f), false) => {}
                        (Some(_), _) => {
                            return Err(io::Error::new(
                                io::ErrorKind::InvalidData,
                                "what follows them is no gzip data, and is to be cut off",
                            ));
                        }
                    }
                }
                None => return Ok(0),
            }
            self.at = self.at.take().map(|at| match at {
                At::Member(member) => At::Between {
                    rest: member.into_inner(),
                    padded: false,
                },
                At::Between { rest, .. } => At::Member(GzDecoder::new(rest)),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// What is read, and the first error.
    fn read(data: &[u8]) -> (String, Option<String>) {
        let (mut members, mut all) = (Members::new(data), Vec::new());
        let error = members.read_to_end(&mut all).err();
        let error = error.map(|error| error.to_string());
        (String::from_utf8(all).unwrap(), error)
    }

    #[test]
    fn members_follow_each_other_and_only_zeros_may_follow_them() {
        let long = "a line\n".repeat(20_000);
        let two = [gzip(b"one\n"), gzip(long.as_bytes())].concat();
        let both = format!("one\n{long}");
        assert_eq!(read(&two), (both.clone(), None));
        let padded = [&two[..], &[0; 20_000]].concat();
        assert_eq!(read(&padded), (both, None));
        for tail in [&b"garbage"[..], &[0, 0, 7], &[0x1e], &[0, 0x1f, 0x8b]] {
            let (all, error) = read(&[&gzip(b"one\n")[..], tail].concat());
            assert_eq!(all, "one\n");
            assert!(error.unwrap().contains("is no gzip data"), "{tail:?}");
        }
        let cut = &two[..two.len() - 3];
        assert!(read(cut).1.is_some() && read(b"no gzip at all").1.is_some());
        assert!(read(&[&two[..], &[0x1f]].concat()).1.is_some());
    }
}
