//! Cuts a line into its fields.

use std::fmt;

/// Cuts a line at a separator into exactly `N` fields, without an allocation. Errs where there are
/// more or fewer.
///
/// Fields are raw: nothing is trimmed, and quotes mean nothing.
///
/// ```
/// # use streamhost::fields;
/// let [id, item, quantity] = fields("click1,book,2", ',').unwrap();
/// assert_eq!((id, item, quantity), ("click1", "book", "2"));
///
/// let reason = fields::<3>("click1,book", ',').unwrap_err();
/// assert_eq!(reason.to_string(), "the line has 2 fields, not 3");
/// ```
#[inline]
pub fn fields<const N: usize>(line: &str, separator: char) -> Result<[&str; N], FieldCount> {
    let mut found = [""; N];
    let mut count = 0;
    let mut take = |field| {
        if let Some(place) = found.get_mut(count) {
            *place = field;
        }
        count += 1;
    };
    match u8::try_from(separator) {
        Ok(separator) if separator.is_ascii() => each_ascii(line, separator, &mut take),
        _ => line.split(separator).for_each(&mut take),
    }
    if count == N {
        Ok(found)
    } else {
        Err(FieldCount {
            found: count,
            wanted: N,
        })
    }
}

/// `line.split(separator)`, eight bytes at a time: fields are short, so that starting a search for
/// each one costs more than the search.
#[inline]
fn each_ascii<'a>(line: &'a str, separator: u8, mut take: impl FnMut(&'a str)) {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let pattern = u64::from_ne_bytes([separator; 8]);
    let (words, rest) = line.as_bytes().as_chunks::<8>();
    let mut from = 0;
    let mut cut = |at: usize| {
        take(&line[from..at]);
        from = at + 1;
    };
    for (i, word) in words.iter().enumerate() {
        let differs = u64::from_le_bytes(*word) ^ pattern;
        // The high bit of each byte that equals the separator, and of no other.
        let mut hits = !(((differs & LOW) + LOW) | differs | LOW);
        while hits != 0 {
            cut(8 * i + hits.trailing_zeros() as usize / 8);
            hits &= hits - 1;
        }
    }
    let passed = line.len() - rest.len();
    for (i, _) in rest
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == separator)
    {
        cut(passed + i);
    }
    cut(line.len());
}

/// A line has more or fewer fields than it should. Becomes a `String` with `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldCount {
    /// Fields that are there.
    pub found: usize,
    /// Fields that should be.
    pub wanted: usize,
}

impl fmt::Display for FieldCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.found == 1 { "" } else { "s" };
        write!(
            f,
            "the line has {} field{s}, not {}",
            self.found, self.wanted
        )
    }
}

impl std::error::Error for FieldCount {}

impl From<FieldCount> for String {
    fn from(error: FieldCount) -> String {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_as_split_does_wherever_the_separators_stand() {
        let alphabet = [',', '-', ',', 'é', '\u{ac}'];
        for seed in 0..20_000usize {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let line: String = (0..seed % 23)
                .map(|_| {
                    state = state.rotate_left(7).wrapping_mul(31).wrapping_add(seed);
                    alphabet[(state >> 9) % alphabet.len()]
                })
                .collect();
            for separator in [',', '-', 'é'] {
                let wanted: Vec<&str> = line.split(separator).collect();
                match fields::<4>(&line, separator) {
                    Ok(found) => assert_eq!(found.to_vec(), wanted, "{line}"),
                    Err(count) => {
                        assert!(count.found == wanted.len() && wanted.len() != 4, "{line}")
                    }
                }
            }
        }
    }
}
