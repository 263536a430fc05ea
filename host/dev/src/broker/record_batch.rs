//! Record batches (format 2) as bytes: read the header, check, put at an offset, find a time, make
//! a marker. The records of a compressed batch are never looked at.

use bytes::{Buf, BufMut};
use kafka_protocol::ResponseError;

/// Bytes before the first record.
const HEADER_BYTES: usize = 61;
/// Bytes before the part that the checksum covers. Base offset and leader epoch lie before it and
/// may be changed.
const CHECKED_FROM: usize = 21;

/// The least that follows a record's length: attributes, time, offset, lengths of key and value,
/// number of headers.
const RECORD_BYTES_MIN: usize = 6;

const COMPRESSION: i16 = 0x07;
/// The last kind of compression that there is.
const ZSTD: i16 = 4;
const APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// A batch's header, as far as it is of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) base_offset: i64,
    pub(super) attributes: i16,
    pub(super) last_offset_delta: i32,
    pub(super) base_time_ms: i64,
    pub(super) max_time_ms: i64,
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i16,
    pub(super) base_sequence: i32,
    pub(super) record_count: i32,
}

impl BatchHeader {
    /// `None` if the bytes do not begin with a header of format 2.
    pub(super) fn parse(bytes: &[u8]) -> Option<BatchHeader> {
        let mut rest = bytes.get(..HEADER_BYTES)?;
        let base_offset = rest.get_i64();
        let _length = rest.get_i32();
        let _leader_epoch = rest.get_i32();
        let magic = rest.get_u8();
        let _checksum = rest.get_u32();
        (magic == 2).then(|| BatchHeader {
            base_offset,
            attributes: rest.get_i16(),
            last_offset_delta: rest.get_i32(),
            base_time_ms: rest.get_i64(),
            max_time_ms: rest.get_i64(),
            producer_id: rest.get_i64(),
            producer_epoch: rest.get_i16(),
            base_sequence: rest.get_i32(),
            record_count: rest.get_i32(),
        })
    }

    pub(super) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }
}

/// What a producer sent for one partition: exactly one whole batch of at most `bytes_max`,
/// unbroken, of ordinary records.
pub(super) fn check_produced(bytes: &[u8], bytes_max: usize) -> Result<BatchHeader, ResponseError> {
    if bytes.len() > bytes_max {
        return Err(ResponseError::MessageTooLarge);
    }
    let header = BatchHeader::parse(bytes).ok_or(ResponseError::InvalidRecord)?;
    let length = (&bytes[8..12]).get_i32();
    if i64::from(length) + 12 != bytes.len() as i64 {
        return Err(ResponseError::InvalidRecord);
    }
    if crc32c::crc32c(&bytes[CHECKED_FROM..]) != (&bytes[17..21]).get_u32() {
        return Err(ResponseError::CorruptMessage);
    }
    let counts_fit =
        header.record_count >= 1 && header.last_offset_delta == header.record_count - 1;
    let producer_fits = header.producer_id < 0 && !header.is_transactional()
        || header.producer_id >= 0 && header.producer_epoch >= 0 && header.base_sequence >= 0;
    if header.attributes & CONTROL != 0 || !counts_fit || !producer_fits {
        return Err(ResponseError::InvalidRecord);
    }
    // What no consumer could read would stop all of them, for ever.
    if header.attributes & COMPRESSION > ZSTD {
        return Err(ResponseError::UnsupportedCompressionType);
    }
    if header.attributes & APPEND_TIME != 0 {
        // Only a broker says so, and this one never does.
        return Err(ResponseError::InvalidTimestamp);
    }
    if header.attributes & COMPRESSION == 0
        && !has_records(&bytes[HEADER_BYTES..], header.record_count)
    {
        return Err(ResponseError::InvalidRecord);
    }
    Ok(header)
}

/// Whether the bytes are exactly so many records, by their lengths.
fn has_records(mut bytes: &[u8], count: i32) -> bool {
    for _ in 0..count {
        let length = varint(&mut bytes).and_then(|length| usize::try_from(length).ok());
        let rest = length
            .filter(|length| *length >= RECORD_BYTES_MIN)
            .and_then(|length| bytes.get(length..));
        let Some(rest) = rest else { return false };
        bytes = rest;
    }
    bytes.is_empty()
}

/// Puts a batch at its place in the log. Both fields lie outside the checksum.
pub(super) fn place(batch: &mut [u8], base_offset: i64) {
    batch[..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].copy_from_slice(&0i32.to_be_bytes()); // one broker, one leader epoch for ever
}

/// The marker that ends a transaction in a partition.
pub(super) fn marker(producer_id: i64, epoch: i16, commit: bool, now_ms: i64) -> Vec<u8> {
    let record: [u8; 16] = [
        32, // the length of what follows, 16, as a zigzag varint
        0,
        0,
        0, // attributes, time delta, offset delta
        8,
        0,
        0,
        0,
        u8::from(commit), // key: four bytes, version 0 and the kind
        12,
        0,
        0,
        0,
        0,
        0,
        0, // value: six bytes, version 0 and the coordinator's epoch
    ];
    let mut body = Vec::with_capacity(HEADER_BYTES - CHECKED_FROM + record.len() + 1);
    body.put_i16(CONTROL | TRANSACTIONAL);
    body.put_i32(0);
    body.put_i64(now_ms);
    body.put_i64(now_ms);
    body.put_i64(producer_id);
    body.put_i16(epoch);
    body.put_i32(-1);
    body.put_i32(1);
    body.extend_from_slice(&record);
    body.push(0); // no headers
    let mut batch = Vec::with_capacity(CHECKED_FROM + body.len());
    batch.put_i64(0);
    batch.put_i32((body.len() + CHECKED_FROM - 12) as i32);
    batch.put_i32(0);
    batch.put_u8(2);
    batch.put_u32(crc32c::crc32c(&body));
    batch.extend_from_slice(&body);
    batch
}

/// Offset and time of the first record at or after `time_ms`, of a batch whose latest time is not
/// before it. In a compressed batch that is the batch's first record, which is never too late.
pub(super) fn first_at_or_after(batch: &[u8], time_ms: i64) -> Option<(i64, i64)> {
    let header = BatchHeader::parse(batch)?;
    if header.attributes & COMPRESSION != 0 || header.base_time_ms >= time_ms {
        return Some((header.base_offset, header.base_time_ms));
    }
    let mut records = &batch[HEADER_BYTES..];
    for _ in 0..header.record_count {
        let length = usize::try_from(varint(&mut records)?).ok()?;
        let mut record = records.get(..length)?;
        records = &records[length..];
        record.try_get_i8().ok()?;
        let time = header.base_time_ms.checked_add(varint(&mut record)?)?;
        let offset = header.base_offset.checked_add(varint(&mut record)?)?;
        if time >= time_ms {
            return Some((offset, time));
        }
    }
    None
}

fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// Batches for tests: record `i` of a batch has the time `times_ms[i]` and a value of three bytes.
#[cfg(test)]
pub(super) fn sample(producer: (i64, i16, i32), transactional: bool, times_ms: &[i64]) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_i16(if transactional { TRANSACTIONAL } else { 0 });
    body.put_i32(times_ms.len() as i32 - 1);
    body.put_i64(times_ms[0]);
    body.put_i64(times_ms.iter().copied().max().unwrap());
    body.put_i64(producer.0);
    body.put_i16(producer.1);
    body.put_i32(producer.2);
    body.put_i32(times_ms.len() as i32);
    let zigzag = |out: &mut Vec<u8>, number: i64| {
        let mut bits = ((number << 1) ^ (number >> 63)) as u64;
        while bits >= 0x80 {
            out.push(bits as u8 | 0x80);
            bits >>= 7;
        }
        out.push(bits as u8);
    };
    for (index, time_ms) in times_ms.iter().enumerate() {
        let mut record = vec![0];
        zigzag(&mut record, time_ms - times_ms[0]);
        zigzag(&mut record, index as i64);
        zigzag(&mut record, -1);
        zigzag(&mut record, 3);
        record.extend_from_slice(b"abc\0");
        zigzag(&mut body, record.len() as i64);
        body.extend_from_slice(&record);
    }
    let mut batch = Vec::new();
    batch.put_i64(0);
    batch.put_i32((body.len() + 9) as i32);
    batch.put_i32(-1);
    batch.put_u8(2);
    batch.put_u32(crc32c::crc32c(&body));
    batch.extend_from_slice(&body);
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::limits::BROKER_BATCH_BYTES_MAX;

    fn check_produced(bytes: &[u8]) -> Result<BatchHeader, ResponseError> {
        super::check_produced(bytes, BROKER_BATCH_BYTES_MAX)
    }

    /// A batch with other bytes at a place, and the checksum of them.
    fn changed(batch: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut batch = batch.to_vec();
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
        batch[17..21].copy_from_slice(&checksum.to_be_bytes());
        batch
    }

    #[test]
    fn what_no_consumer_could_read_is_refused() {
        let good = sample((-1, -1, -1), false, &[10, 20]);
        let (attributes, last_delta, count) = (21, 23, 57);
        for codec in 1..=4 {
            assert!(
                check_produced(&changed(&good, attributes, &[0, codec])).is_ok(),
                "codec {codec}"
            );
        }
        for codec in 5..=7 {
            let refused = check_produced(&changed(&good, attributes, &[0, codec]));
            assert_eq!(
                refused,
                Err(ResponseError::UnsupportedCompressionType),
                "codec {codec}"
            );
        }
        assert_eq!(
            check_produced(&changed(&good, attributes, &[0, 8])),
            Err(ResponseError::InvalidTimestamp)
        );
        for records in [1, 3, i32::MAX] {
            let claimed = changed(&good, last_delta, &(records - 1).to_be_bytes());
            let claimed = changed(&claimed, count, &records.to_be_bytes());
            assert_eq!(
                check_produced(&claimed),
                Err(ResponseError::InvalidRecord),
                "{records} of 2 records"
            );
        }
        assert_eq!(
            super::check_produced(&good, good.len() - 1),
            Err(ResponseError::MessageTooLarge),
            "what the topic takes counts"
        );
    }

    #[test]
    fn broken_batches_are_refused() {
        let good = sample((-1, -1, -1), false, &[10, 20]);
        assert_eq!(check_produced(&good).unwrap().record_count, 2);
        for cut in 0..good.len() {
            assert_eq!(
                check_produced(&good[..cut]),
                Err(ResponseError::InvalidRecord),
                "cut at {cut}"
            );
        }
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(check_produced(&flipped), Err(ResponseError::CorruptMessage));
        assert_eq!(
            check_produced(&[good.clone(), good].concat()),
            Err(ResponseError::InvalidRecord)
        );
        assert_eq!(
            check_produced(&marker(1, 0, true, 5)),
            Err(ResponseError::InvalidRecord),
            "markers are the broker's"
        );
        assert_eq!(
            check_produced(&sample((-1, -1, -1), true, &[1])),
            Err(ResponseError::InvalidRecord)
        );
    }

    #[test]
    fn placing_keeps_the_checksum() {
        let mut batch = sample((7, 0, 0), false, &[10]);
        place(&mut batch, 42);
        assert_eq!(check_produced(&batch).unwrap().base_offset, 42);
    }

    #[test]
    fn a_marker_is_a_whole_batch() {
        let batch = marker(7, 3, true, 1000);
        assert_eq!((&batch[8..12]).get_i32() as usize + 12, batch.len());
        assert_eq!(
            crc32c::crc32c(&batch[CHECKED_FROM..]),
            (&batch[17..21]).get_u32()
        );
        let header = BatchHeader::parse(&batch).unwrap();
        assert_eq!(
            (header.producer_id, header.producer_epoch, header.attributes),
            (7, 3, CONTROL | TRANSACTIONAL)
        );
        let mut record = &batch[HEADER_BYTES..];
        assert_eq!(varint(&mut record), Some(record.len() as i64));
    }

    #[test]
    fn finds_the_first_record_of_a_time() {
        let mut batch = sample((-1, -1, -1), false, &[100, 90, 300, 200]);
        place(&mut batch, 50);
        assert_eq!(first_at_or_after(&batch, 0), Some((50, 100)));
        assert_eq!(first_at_or_after(&batch, 101), Some((52, 300)));
        assert_eq!(first_at_or_after(&batch, 300), Some((52, 300)));
        assert_eq!(first_at_or_after(&batch, 301), None);
        batch[22] |= 1; // gzip: the records stay closed
        assert_eq!(first_at_or_after(&batch, 101), Some((50, 100)));
    }
}
