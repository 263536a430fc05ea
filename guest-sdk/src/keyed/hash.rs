//! A hash of keys for the table of one call. It is the same in every call and on every machine;
//! nothing depends on it but speed, as the table is never gone through in its order.

const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const OTHER: u64 = 0xd6e8_feb8_6659_fd93;

/// Eight bytes a step; keys are short.
#[inline]
pub(crate) fn hash(bytes: &[u8], seed: u64) -> u64 {
    let mut state = seed ^ (bytes.len() as u64).wrapping_mul(OTHER);
    let mut rest = bytes;
    while let Some((word, more)) = rest.split_first_chunk::<8>() {
        state = step(state, u64::from_le_bytes(*word));
        rest = more;
    }
    if let (Some(first), Some(last)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        let word =
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
        state = step(state, word);
    } else if let [first, .., last] = rest {
        let middle = u64::from(rest[rest.len() / 2]);
        state = step(
            state,
            u64::from(*first) | middle << 8 | u64::from(*last) << 16,
        );
    } else if let [only] = rest {
        state = step(state, u64::from(*only));
    }
    // The table takes its places from the low bits and its tags from the high ones.
    let state = state.wrapping_mul(OTHER);
    state ^ (state >> 32)
}

#[inline]
fn step(state: u64, word: u64) -> u64 {
    let mixed = (state ^ word).wrapping_mul(SPREAD);
    mixed ^ (mixed >> 29)
}

#[cfg(test)]
mod tests {
    use super::hash;
    use std::collections::HashSet;

    #[test]
    fn keys_that_differ_a_little_are_spread() {
        let keys: Vec<String> = (0..50_000)
            .map(|n| format!("{n}"))
            .chain((0..50_000).map(|n| format!("user-{n:09}")))
            .collect();
        let hashes: Vec<u64> = keys.iter().map(|key| hash(key.as_bytes(), 0)).collect();
        let whole: HashSet<u64> = hashes.iter().copied().collect();
        assert_eq!(whole.len(), keys.len());
        let low: HashSet<u64> = hashes.iter().map(|h| h & 0x1_ffff).collect();
        assert!(
            low.len() > 65_000,
            "{} of 131072 places are taken by 100000 keys",
            low.len()
        );
        let tags: HashSet<u64> = hashes.iter().map(|h| h >> 57).collect();
        assert_eq!(tags.len(), 128);
    }

    #[test]
    fn every_byte_counts() {
        for len in 1..40 {
            let key = vec![7u8; len];
            for at in 0..len {
                let mut other = key.clone();
                other[at] ^= 1;
                assert_ne!(hash(&key, 0), hash(&other, 0), "byte {at} of {len}");
            }
            assert_ne!(hash(&key, 0), hash(&key, 1));
        }
    }
}
