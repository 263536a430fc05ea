//! How far the times of a job that was undeployed had come, as bytes: the format's number, and
//! milliseconds since 1970, 8 bytes big-endian. Releases before numbers wrote the time alone.

use crate::fault::damaged;
use crate::format::FORGOTTEN;
use streamhost_core::state::StoreError;

const TIME_BYTES: usize = size_of::<i64>();

/// The bytes of a time.
pub(crate) fn write(ms: i64) -> Vec<u8> {
    [&[FORGOTTEN.format as u8], &ms.to_be_bytes()[..]].concat()
}

/// The time of these bytes.
pub(crate) fn read(bytes: &[u8]) -> Result<i64, StoreError> {
    let time = match bytes {
        [number, time @ ..] if bytes.len() != TIME_BYTES => {
            FORGOTTEN.check(u32::from(*number))?;
            time
        }
        unnumbered => unnumbered,
    };
    let time = <[u8; TIME_BYTES]>::try_from(time).map_err(damaged)?;
    Ok(i64::from_be_bytes(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_and_without_a_number_and_not_of_a_newer_release() {
        assert_eq!(read(&write(-7)).unwrap(), -7);
        assert_eq!(read(&7_i64.to_be_bytes()).unwrap(), 7);
        let mut newer = write(7);
        newer[0] += 1;
        let refused = read(&newer).unwrap_err().to_string();
        assert!(
            refused.contains("in format 3, and this streamhost reads format 2"),
            "{refused}"
        );
        assert!(read(b"cut").is_err());
    }
}
