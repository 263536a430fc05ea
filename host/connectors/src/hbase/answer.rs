//! The gateway's answers, bounded: how many bytes and items one may have, and how long the whole of
//! a call may take. The generated readers trust what they read: they make room for as many items or
//! bytes as an answer announces, before any of them has come.
//!
//! ```text
//! socket ─► TimedStream ─► AnswerReader: frames, bytes left ─► protocol ─► BoundedProtocol ─► generated reader
//! ```

use super::{Protocol, Transport};
use std::io::{BufReader, Error, ErrorKind, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamhost_core::limits;
use thrift::protocol::{
    TBinaryInputProtocol, TCompactInputProtocol, TFieldIdentifier, TInputProtocol, TListIdentifier,
    TMapIdentifier, TMessageIdentifier, TMessageType, TSetIdentifier, TStructIdentifier,
};
use thrift::{ProtocolError, ProtocolErrorKind, Result};

/// Of a number in the compact protocol, 7 bits a byte.
const VARINT_BYTES_MAX: u32 = 5;

/// Reads one answer after the other, takes the lengths of frames out, and counts the bytes of each
/// answer.
struct AnswerReader<R> {
    stream: BufReader<R>,
    framed: bool,
    /// Of the present frame.
    frame_left: usize,
    /// Of the present answer.
    answer_left: usize,
}

impl<R: Read> Read for AnswerReader<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.framed && self.frame_left == 0 {
            let mut length = [0; 4];
            self.stream.read_exact(&mut length)?;
            self.frame_left = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
            // To a reader of frames the first letters of an HTTP answer are more than a gigabyte.
            if self.frame_left > self.answer_left || self.frame_left == 0 {
                let words = spoken(length).unwrap_or("it is no frame that came back");
                return Err(Error::new(ErrorKind::InvalidData, words));
            }
        }
        if self.answer_left == 0 && !out.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!(
                    "its answer has more than {} bytes",
                    limits::HBASE_ANSWER_BYTES_MAX
                ),
            ));
        }
        let most = if self.framed {
            self.frame_left
        } else {
            self.answer_left
        };
        let wanted = out.len().min(most);
        let read = self.stream.read(&mut out[..wanted])?;
        self.answer_left -= read;
        self.frame_left = self.frame_left.saturating_sub(read);
        Ok(read)
    }
}

/// The reader, for a protocol and for who looks after it.
struct SharedReader<R>(Arc<Mutex<AnswerReader<R>>>);

impl<R> Clone for SharedReader<R> {
    fn clone(&self) -> Self {
        SharedReader(Arc::clone(&self.0))
    }
}

impl<R> SharedReader<R> {
    fn lock(&self) -> MutexGuard<'_, AnswerReader<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Read> Read for SharedReader<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.lock().read(out)
    }
}

/// A protocol whose lengths are looked at before room is made for them.
struct BoundedProtocol<P, R> {
    inner: P,
    reader: SharedReader<R>,
    protocol: Protocol,
    /// Items that the answer's lists, sets and maps may still have, all together.
    items_left: usize,
}

/// Reads answers from `stream` as the gateway writes them.
pub(super) fn answers<R: Read + Send + 'static>(
    stream: BufReader<R>,
    transport: Transport,
    protocol: Protocol,
) -> Box<dyn TInputProtocol + Send> {
    let reader = SharedReader(Arc::new(Mutex::new(AnswerReader {
        stream,
        framed: transport == Transport::Framed,
        frame_left: 0,
        answer_left: 0,
    })));
    let items_left = 0;
    match protocol {
        Protocol::Binary => Box::new(BoundedProtocol {
            inner: TBinaryInputProtocol::new(reader.clone(), true),
            reader,
            protocol,
            items_left,
        }),
        Protocol::Compact => Box::new(BoundedProtocol {
            inner: TCompactInputProtocol::new(reader.clone()),
            reader,
            protocol,
            items_left,
        }),
    }
}

/// What else a server speaks that begins so, and what to do.
fn spoken(first: [u8; 4]) -> Option<&'static str> {
    match first {
        [b'H', b'T', b'T', b'P'] => Some("it speaks HTTP: set `hbase.transport = \"http\"`"),
        // An alert of any version of TLS.
        [0x15, 3, ..] => Some("it speaks TLS: set `hbase.tls = true`"),
        _ => None,
    }
}

/// An answer begins as none of this protocol does.
fn begins_otherwise<T>(first: [u8; 4]) -> Result<T> {
    let other = || format!("its first bytes are {first:?}");
    let why = spoken(first).map_or_else(other, str::to_owned);
    refused(ProtocolErrorKind::BadVersion, why)
}

fn refused<T>(kind: ProtocolErrorKind, why: String) -> Result<T> {
    Err(thrift::Error::Protocol(ProtocolError::new(
        kind,
        format!("its answer makes no sense: {why}"),
    )))
}

impl<P: TInputProtocol, R: Read> BoundedProtocol<P, R> {
    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.reader.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn fixed(&mut self) -> Result<[u8; 4]> {
        let mut bytes = [0; 4];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn varint(&mut self) -> Result<u32> {
        let mut number = 0_u64;
        for i in 0..VARINT_BYTES_MAX {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0
                && let Ok(number) = u32::try_from(number)
            {
                return Ok(number);
            }
        }
        refused(
            ProtocolErrorKind::InvalidData,
            "a number is too long".to_owned(),
        )
    }

    /// The length of bytes or a text: no more than the answer may still have.
    fn length(&mut self) -> Result<usize> {
        let length = match self.protocol {
            Protocol::Binary => u32::from_be_bytes(self.fixed()?),
            Protocol::Compact => self.varint()?,
        };
        let left = self.reader.lock().answer_left;
        match usize::try_from(length) {
            Ok(length) if length <= left => Ok(length),
            _ => refused(
                ProtocolErrorKind::SizeLimit,
                format!("it announces {length} bytes, and may have {left} more"),
            ),
        }
    }

    /// Refuses a number of items that the answer cannot have; each takes a byte at least.
    fn check_items(&mut self, items: i32) -> Result<()> {
        let left = self.reader.lock().answer_left.min(self.items_left);
        match usize::try_from(items) {
            Ok(items) if items <= left => {
                self.items_left -= items;
                Ok(())
            }
            _ => refused(
                ProtocolErrorKind::SizeLimit,
                format!("it announces {items} items, and may have {left} more"),
            ),
        }
    }

    /// What stands before a message's name and, in the compact protocol, its number.
    fn header(&mut self) -> Result<(TMessageType, Option<i32>)> {
        match self.protocol {
            Protocol::Binary => match self.fixed()? {
                [0x80, 0x01, _, kind] => Ok((TMessageType::try_from(kind)?, None)),
                other => begins_otherwise(other),
            },
            Protocol::Compact => match [self.byte()?, self.byte()?] {
                [0x82, second] if second & 0x1f == 1 => {
                    let kind = TMessageType::try_from(second >> 5)?;
                    Ok((kind, Some(self.varint()?.cast_signed())))
                }
                [first, second] => begins_otherwise([first, second, self.byte()?, self.byte()?]),
            },
        }
    }
}

impl<P: TInputProtocol, R: Read> TInputProtocol for BoundedProtocol<P, R> {
    fn read_message_begin(&mut self) -> Result<TMessageIdentifier> {
        self.reader.lock().answer_left = limits::HBASE_ANSWER_BYTES_MAX;
        self.items_left = limits::HBASE_ANSWER_ITEMS_MAX;
        let (kind, number) = self.header()?;
        let name = self.read_string()?;
        let number = match number {
            Some(number) => number,
            None => i32::from_be_bytes(self.fixed()?),
        };
        Ok(TMessageIdentifier::new(name, kind, number))
    }

    fn read_message_end(&mut self) -> Result<()> {
        self.inner.read_message_end()
    }

    fn read_struct_begin(&mut self) -> Result<Option<TStructIdentifier>> {
        self.inner.read_struct_begin()
    }

    fn read_struct_end(&mut self) -> Result<()> {
        self.inner.read_struct_end()
    }

    fn read_field_begin(&mut self) -> Result<TFieldIdentifier> {
        self.inner.read_field_begin()
    }

    fn read_field_end(&mut self) -> Result<()> {
        self.inner.read_field_end()
    }

    fn read_bool(&mut self) -> Result<bool> {
        self.inner.read_bool()
    }

    fn read_bytes(&mut self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.length()?];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn read_i8(&mut self) -> Result<i8> {
        self.inner.read_i8()
    }

    fn read_i16(&mut self) -> Result<i16> {
        self.inner.read_i16()
    }

    fn read_i32(&mut self) -> Result<i32> {
        self.inner.read_i32()
    }

    fn read_i64(&mut self) -> Result<i64> {
        self.inner.read_i64()
    }

    fn read_double(&mut self) -> Result<f64> {
        self.inner.read_double()
    }

    fn read_string(&mut self) -> Result<String> {
        String::from_utf8(self.read_bytes()?).map_err(From::from)
    }

    fn read_list_begin(&mut self) -> Result<TListIdentifier> {
        let list = self.inner.read_list_begin()?;
        self.check_items(list.size).map(|()| list)
    }

    fn read_list_end(&mut self) -> Result<()> {
        self.inner.read_list_end()
    }

    fn read_set_begin(&mut self) -> Result<TSetIdentifier> {
        let set = self.inner.read_set_begin()?;
        self.check_items(set.size).map(|()| set)
    }

    fn read_set_end(&mut self) -> Result<()> {
        self.inner.read_set_end()
    }

    fn read_map_begin(&mut self) -> Result<TMapIdentifier> {
        let map = self.inner.read_map_begin()?;
        self.check_items(map.size).map(|()| map)
    }

    fn read_map_end(&mut self) -> Result<()> {
        self.inner.read_map_end()
    }

    fn read_byte(&mut self) -> Result<u8> {
        self.inner.read_byte()
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
