//! Lines out of a stream of bytes. Where a line ends depends on the bytes after its begin alone, so
//! that reading on at any line's begin gives the same lines.

use std::io::{ErrorKind, Read, Result};
use streamhost_core::limits;
use streamhost_core::types::Offset;

/// A line, without its `\n` or `\r\n`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Where it begins.
    pub(super) at: Offset,
    /// Its bytes.
    pub(super) bytes: &'a [u8],
    /// It is as long as a line may be, and what follows it is no new line.
    pub(super) is_cut: bool,
}

/// Finds the lines of an input.
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// What was read and not taken yet.
    from: usize,
    to: usize,
    /// So much of it has no `\n`.
    searched: usize,
    found: Option<Find>,
    /// The position of `from` in the input.
    at: Offset,
}

/// The next line in the buffer, and how many bytes it takes up with its end.
#[derive(Clone, Copy)]
struct Find {
    length: usize,
    passed: usize,
    is_cut: bool,
}

impl<R: Read> Lines<R> {
    /// The lines of an input that stands at this position.
    pub(super) fn new(input: R, at: Offset) -> Self {
        Lines {
            input,
            buffer: Vec::new(),
            from: 0,
            to: 0,
            searched: 0,
            found: None,
            at,
        }
    }

    /// Where the next line begins.
    pub(super) fn at(&self) -> Offset {
        self.at
    }

    /// Whether what was read has a whole line.
    pub(super) fn has_line(&mut self) -> bool {
        self.found = self.found.or_else(|| self.find());
        self.found.is_some()
    }

    fn find(&mut self) -> Option<Find> {
        let unread = &self.buffer[self.from..self.to];
        let end = memchr::memchr(b'\n', &unread[self.searched..]).map(|n| self.searched + n);
        match end.filter(|&end| end <= limits::LINE_BYTES_MAX) {
            Some(end) => {
                let carriage = usize::from(unread[..end].ends_with(b"\r"));
                Some(Find {
                    length: end - carriage,
                    passed: end + 1,
                    is_cut: false,
                })
            }
            None if unread.len() > limits::LINE_BYTES_MAX => Some(Find {
                length: limits::LINE_BYTES_MAX,
                passed: limits::LINE_BYTES_MAX,
                is_cut: true,
            }),
            None => {
                self.searched = unread.len();
                None
            }
        }
    }

    /// The next line of what was read.
    pub(super) fn take(&mut self) -> Option<Line<'_>> {
        self.has_line();
        self.found.take().map(|find| self.give(find))
    }

    /// What is left once the input has ended: a line without an end.
    pub(super) fn rest(&mut self) -> Option<Line<'_>> {
        let length = self.to - self.from;
        (length > 0).then(|| {
            self.give(Find {
                length,
                passed: length,
                is_cut: false,
            })
        })
    }

    fn give(&mut self, find: Find) -> Line<'_> {
        let (from, at) = (self.from, self.at);
        self.from += find.passed;
        self.at += find.passed as Offset;
        (self.searched, self.found) = (0, None);
        Line {
            at,
            bytes: &self.buffer[from..from + find.length],
            is_cut: find.is_cut,
        }
    }

    /// Reads once, and says how many bytes came. Called when [`Lines::take`] has no more.
    pub(super) fn fill(&mut self) -> Result<usize> {
        if self.to == self.buffer.len() || self.from == self.to {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        if self.to == self.buffer.len() {
            let room = limits::LINE_BYTES_MAX + limits::LINES_READ_BYTES;
            self.buffer.resize(
                (self.buffer.len() * 2).clamp(limits::LINES_READ_BYTES, room),
                0,
            );
        }
        loop {
            match self.input.read(&mut self.buffer[self.to..]) {
                Ok(read) => {
                    self.to += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Passes everything before `at`. False: the input ends before.
    pub(super) fn skip_to(&mut self, at: Offset) -> Result<bool> {
        while self.at < at {
            let there = self.to - self.from;
            let left = usize::try_from(at - self.at).unwrap_or(usize::MAX);
            if there == 0 && self.fill()? == 0 {
                return Ok(false);
            }
            let passed = left.min(self.to - self.from);
            self.give(Find {
                length: 0,
                passed,
                is_cut: false,
            });
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = limits::LINE_BYTES_MAX;

    /// Gives what it has in portions of these lengths, over and over.
    struct Splittable<'a>(&'a [u8], std::iter::Cycle<std::slice::Iter<'a, usize>>);

    impl Read for Splittable<'_> {
        fn read(&mut self, into: &mut [u8]) -> Result<usize> {
            let n = self.0.len().min(into.len()).min(*self.1.next().unwrap());
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn all(input: impl Read, at: Offset) -> Vec<(Offset, Vec<u8>, bool)> {
        let mut lines = Lines::new(input, at);
        let mut found = Vec::new();
        loop {
            while let Some(line) = lines.take() {
                found.push((line.at, line.bytes.to_vec(), line.is_cut));
            }
            if lines.fill().unwrap() == 0 {
                found.extend(
                    lines
                        .rest()
                        .map(|line| (line.at, line.bytes.to_vec(), line.is_cut)),
                );
                return found;
            }
        }
    }

    #[test]
    fn lines_end_at_line_feeds_however_they_come() {
        let text = b"a\n\nbc\r\n\r\nd\re\nlast\r";
        let want: Vec<(Offset, Vec<u8>, bool)> = [
            (0, "a"),
            (2, ""),
            (3, "bc"),
            (7, ""),
            (9, "d\re"),
            (13, "last\r"),
        ]
        .into_iter()
        .map(|(at, line)| (at, line.as_bytes().to_vec(), false))
        .collect();
        for portions in [&[1_usize][..], &[2, 3], &[1000]] {
            assert_eq!(
                all(Splittable(text, portions.iter().cycle()), 0),
                want,
                "{portions:?}"
            );
        }
        assert_eq!(all(&b""[..], 7), []);
    }

    #[test]
    fn a_long_line_becomes_several_records_and_nothing_of_it_is_lost() {
        let long = |n: usize| vec![b'x'; n];
        let cases = [
            (MAX, vec![(0, MAX, false)]),
            (MAX + 1, vec![(0, MAX, true), (MAX, 1, false)]),
            (
                2 * MAX + 5,
                vec![(0, MAX, true), (MAX, MAX, true), (2 * MAX, 5, false)],
            ),
        ];
        for (length, want) in cases {
            for end in ["\n", ""] {
                let text = [&long(length)[..], end.as_bytes()].concat();
                let found: Vec<_> = all(&text[..], 0)
                    .into_iter()
                    .map(|(at, line, batch)| (at as usize, line.len(), batch))
                    .collect();
                assert_eq!(found, want, "{length} {end:?}");
            }
        }
    }

    #[test]
    fn reading_on_at_any_line_gives_the_same_lines() {
        let mut text = b"one\r\n\ntwo\n".to_vec();
        text.extend(vec![b'y'; 2 * MAX + 3]);
        text.extend(b"\nthree");
        let straight = all(&text[..], 0);
        assert_eq!(straight.len(), 7);
        for (i, (at, ..)) in straight.iter().enumerate() {
            assert_eq!(all(&text[*at as usize..], *at), straight[i..], "from {at}");
            let mut lines = Lines::new(&text[..], 0);
            assert!(lines.skip_to(*at).unwrap() && lines.at() == *at);
        }
        assert!(
            !Lines::new(&text[..], 0)
                .skip_to(text.len() as Offset + 1)
                .unwrap()
        );
        assert!(
            Lines::new(&text[..], 0)
                .skip_to(text.len() as Offset)
                .unwrap()
        );
    }
}
