//! The bytes of one connection, call by call, with a bound on each call's size and time. The
//! protocol above makes room for as many bytes as a length says, so the length is looked at here
//! before the protocol sees it.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::rc::Rc;
use std::time::{Duration, Instant};
use streamhost_core::clock::monotonic;
use streamhost_core::limits::{TABLES_CALL_BYTES_MAX, TABLES_CALL_TIME, TABLES_IDLE_TIME};

const BUFFER_BYTES: usize = 64 << 10;
/// How often a read that waits looks at the clock.
const READ_TIME: Duration = Duration::from_secs(30);

/// How calls are framed and encoded on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) framed: bool,
    pub(super) compact: bool,
}

impl Dialect {
    /// Told from a connection's first five bytes. A strict binary call begins with 80, a compact
    /// one with 82; before a frame stands its length, whose first byte is small as long calls are
    /// refused.
    pub(super) fn of(first: [u8; 5]) -> Option<Self> {
        let (framed, call) = if first[0] < 0x80 {
            (true, first[4])
        } else {
            (false, first[0])
        };
        match call {
            0x80 => Some(Dialect {
                framed,
                compact: false,
            }),
            0x82 => Some(Dialect {
                framed,
                compact: true,
            }),
            _ => None,
        }
    }
}

/// The reading side of a connection.
pub(super) struct Wire {
    stream: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes that the call under way may still have; exactly what it has where it is framed.
    left: usize,
    call_ends_by: Instant,
}

/// A handle for the protocol, and one for those who look at lengths before it does.
#[derive(Clone)]
pub(super) struct SharedWire(pub(super) Rc<RefCell<Wire>>);

impl Read for SharedWire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(out)
    }
}

fn refused(why: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(READ_TIME))?;
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Ok(Wire {
            stream,
            buffer,
            start: 0,
            end: 0,
            left: 0,
            call_ends_by: monotonic(),
        })
    }

    /// Waits for the first byte of a call, for as long as a connection may idle. False: the client
    /// is done.
    pub(super) fn wait_for_call(&mut self) -> io::Result<bool> {
        let since = monotonic();
        while self.start == self.end {
            match self.fill() {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if is_timeout(&error) && since.elapsed() < TABLES_IDLE_TIME => {}
                Err(error) if is_timeout(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.call_ends_by = monotonic() + TABLES_CALL_TIME;
        self.left = TABLES_CALL_BYTES_MAX;
        Ok(true)
    }

    /// The dialect of the call that has begun.
    pub(super) fn dialect(&mut self) -> io::Result<Dialect> {
        let mut first = [0; 5];
        first.copy_from_slice(self.peek(5)?);
        Dialect::of(first).ok_or_else(|| {
            refused(format!(
                "neither strict binary nor compact Thrift, buffered or framed: it begins with {first:02x?}"
            ))
        })
    }

    /// Begins a call of this dialect.
    pub(super) fn begin_call(&mut self, dialect: Dialect) -> io::Result<()> {
        if dialect.framed {
            let mut length = [0; 4];
            self.read_exact(&mut length)?;
            self.left = match usize::try_from(u32::from_be_bytes(length)) {
                Ok(length) if length <= TABLES_CALL_BYTES_MAX => length,
                _ => {
                    let length = u32::from_be_bytes(length);
                    return Err(refused(format!(
                        "a frame of {length} bytes, {TABLES_CALL_BYTES_MAX} are taken at most"
                    )));
                }
            };
        }
        Ok(())
    }

    /// Ends a call: what is left of its frame is passed over.
    pub(super) fn end_call(&mut self, dialect: Dialect) -> io::Result<()> {
        while dialect.framed && self.left > 0 {
            let mut rest = [0; 1024];
            let length = rest.len().min(self.left);
            self.read_exact(&mut rest[..length])?;
        }
        Ok(())
    }

    /// Bytes that the call may still have.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// The next length of bytes, which stays to be read: a big-endian number, or where compact a
    /// varint.
    pub(super) fn peek_length(&mut self, compact: bool) -> io::Result<usize> {
        if compact {
            Ok(self.peek_varint(0)?.0)
        } else {
            self.peek_word(0)
        }
    }

    /// The length of the method's name in a call's header, all of which stays to be read.
    pub(super) fn peek_name_length(&mut self, compact: bool) -> io::Result<usize> {
        if !compact {
            return self.peek_word(4); // behind version and type
        }
        let (_, sequence_bytes) = self.peek_varint(2)?; // behind version and type
        Ok(self.peek_varint(2 + sequence_bytes)?.0)
    }

    fn peek_word(&mut self, at: usize) -> io::Result<usize> {
        let mut word = [0; 4];
        word.copy_from_slice(&self.peek(at + 4)?[at..]);
        Ok(u32::from_be_bytes(word) as usize)
    }

    /// A varint and how many bytes it takes.
    fn peek_varint(&mut self, at: usize) -> io::Result<(usize, usize)> {
        let mut number = 0;
        for bytes in 0..5 {
            let byte = self.peek(at + bytes + 1)?[at + bytes];
            number |= usize::from(byte & 0x7F) << (7 * bytes);
            if byte < 0x80 {
                return Ok((number, bytes + 1));
            }
        }
        Err(refused("a number of more than five bytes".to_owned()))
    }

    fn peek(&mut self, bytes: usize) -> io::Result<&[u8]> {
        if bytes > self.left {
            return Err(refused("a call that ends within a length".to_owned()));
        }
        while self.end - self.start < bytes {
            if self.fill_call()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(&self.buffer[self.start..self.start + bytes])
    }

    /// Reads more of a call, unless its time is over.
    fn fill_call(&mut self) -> io::Result<usize> {
        while monotonic() < self.call_ends_by {
            match self.fill() {
                Err(error) if is_timeout(&error) => {} // silent for a while
                read => return read,
            }
        }
        Err(io::Error::new(
            ErrorKind::TimedOut,
            format!("a call took over {TABLES_CALL_TIME:?} to arrive"),
        ))
    }

    /// Reads more behind what is there, which is little or nothing.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let bytes = self.stream.read(&mut self.buffer[self.end..])?;
        self.end += bytes;
        Ok(bytes)
    }
}

impl Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !out.is_empty() {
            return Err(refused(format!(
                "a call that goes on behind its end, or is over {TABLES_CALL_BYTES_MAX} bytes"
            )));
        }
        if self.start == self.end {
            self.fill_call()?;
        }
        let bytes = out.len().min(self.left).min(self.end - self.start);
        out[..bytes].copy_from_slice(&self.buffer[self.start..self.start + bytes]);
        self.start += bytes;
        self.left -= bytes;
        Ok(bytes)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn a_silent_call_has_all_of_its_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut wire = Wire::new(listener.accept().unwrap().0).unwrap();
        wire.stream
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        client.write_all(&[0x80]).unwrap();
        assert!(wire.wait_for_call().unwrap());
        wire.call_ends_by = monotonic() + Duration::from_millis(20);
        let error = wire.dialect().unwrap_err();
        assert!(
            error.to_string().contains("to arrive"),
            "its time is over, not one read's: {error}"
        );
        wire.call_ends_by = monotonic() + TABLES_CALL_TIME;
        client.write_all(&[1, 0, 1, 0]).unwrap();
        assert_eq!(
            wire.dialect().unwrap(),
            Dialect {
                framed: false,
                compact: false
            }
        );
    }
}
