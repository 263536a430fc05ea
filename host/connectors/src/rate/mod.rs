//! Numbers at a rate, for trying things: the values are `0`, `1`, `2` and so on, and a number is
//! its own offset.
//!
//! Nothing about a record depends on when it was made, so that a batch that is run again has the
//! same records: number `n` has the time `n / rate` seconds after 1970. `start=<time>` begins at
//! the first number with that time or a later one; any other start begins at 0. The wall clock only
//! decides how many numbers there are by now.

mod connector;

pub(crate) use connector::CONNECTOR;

use std::io::Write;
use std::time::{Duration, Instant, UNIX_EPOCH};
use streamhost_core::clock;
use streamhost_core::job::SourceSpec;
use streamhost_core::job::settings::StartPosition;
use streamhost_core::types::{Offset, Partition, Positions, Record};
use streamhost_engine::batch::BatchBuilder;
use streamhost_engine::source::{Source, SourceError};

/// Makes numbers. It has one partition, and never ends.
pub struct RateSource {
    partition: Partition,
    rate: u32,
    /// Since when it makes numbers, and which is the first one. None: it is not assigned.
    began: Option<(Instant, Offset)>,
}

impl RateSource {
    /// The job's source of this number.
    pub fn new(source: u16, spec: &SourceSpec) -> Self {
        RateSource {
            partition: Partition { source, id: 0 },
            rate: u32::try_from(spec.options.number("rate"))
                .unwrap_or(u32::MAX)
                .max(1),
            began: None,
        }
    }

    /// The first number that is not made yet.
    fn made(&self) -> Option<Offset> {
        let (since, first) = self.began?;
        let nanos = clock::monotonic()
            .saturating_duration_since(since)
            .as_nanos();
        let more = nanos.saturating_mul(u128::from(self.rate)) / 1_000_000_000;
        Some(first.saturating_add(Offset::try_from(more).unwrap_or(Offset::MAX)))
    }

    /// How long it is until number `n` is made.
    fn until(&self, n: Offset) -> Duration {
        let Some((since, first)) = self.began else {
            return Duration::MAX;
        };
        let after = u128::try_from(n.saturating_add(1).saturating_sub(first)).unwrap_or(0);
        let nanos = (after * 1_000_000_000).div_ceil(u128::from(self.rate));
        let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        due.saturating_sub(clock::monotonic().saturating_duration_since(since))
    }

    fn time_ms(&self, n: Offset) -> i64 {
        i64::try_from(i128::from(n) * 1000 / i128::from(self.rate)).unwrap_or(i64::MAX)
    }

    /// Appends what there is. Says whether the batch came further.
    fn take(&self, builder: &mut BatchBuilder) -> bool {
        let wanted = builder
            .wanted()
            .find(|(partition, ..)| *partition == self.partition);
        let (Some((_, at, until)), Some(made)) = (wanted, self.made()) else {
            return false;
        };
        let mut text = Vec::new();
        for n in at..until.unwrap_or(made) {
            if builder.is_full() {
                return true;
            }
            text.clear();
            write!(text, "{n}").expect("writing to memory does not fail");
            builder.push(
                self.partition,
                Record {
                    offset: n,
                    time_ms: self.time_ms(n),
                    key: None,
                    value: Some(&text),
                    headers: &[],
                },
            );
        }
        at < until.unwrap_or(made)
    }
}

impl Source for RateSource {
    fn partitions(&mut self) -> Result<Vec<Partition>, SourceError> {
        Ok(vec![self.partition])
    }

    fn start(&mut self, start: StartPosition) -> Result<Positions, SourceError> {
        let first = match start {
            StartPosition::Earliest | StartPosition::Latest => 0,
            StartPosition::At(time) => {
                let ms = time
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_millis());
                Offset::try_from((ms * u128::from(self.rate)).div_ceil(1000)).unwrap_or(Offset::MAX)
            }
        };
        Ok([(self.partition, first)].into())
    }

    fn high_watermarks(&mut self) -> Result<Positions, SourceError> {
        Ok(Positions::new()) // a generator without an end is no table
    }

    fn group(&mut self) -> Result<Positions, SourceError> {
        Ok(Positions::new())
    }

    fn assign(&mut self, at: &Positions) -> Result<(), SourceError> {
        self.began = at
            .get(&self.partition)
            .map(|&first| (clock::monotonic(), first));
        Ok(())
    }

    fn fetch(&mut self, builder: &mut BatchBuilder, wait: Duration) -> Result<(), SourceError> {
        if self.take(builder) || builder.is_full() {
            return Ok(());
        }
        let next = builder
            .wanted()
            .find(|(partition, ..)| *partition == self.partition)
            .map(|(_, at, _)| at);
        std::thread::sleep(next.map_or(wait, |at| self.until(at).min(wait)));
        self.take(builder);
        Ok(())
    }

    fn ends(&mut self) -> Positions {
        self.made()
            .map(|made| (self.partition, made))
            .into_iter()
            .collect()
    }

    fn rereads(&self, _source: u16) -> bool {
        true
    }

    fn commit_progress(&mut self, _reached: &Positions) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::job::connector::Options;
    use streamhost_core::job::settings::BatchLimits;
    use streamhost_core::types::Span;

    const P: Partition = Partition { source: 3, id: 0 };

    fn source(rate: u32) -> RateSource {
        RateSource::new(
            3,
            &SourceSpec {
                options: Options::default().with("rate", rate),
                ..SourceSpec::default()
            },
        )
    }

    fn fetch(
        source: &mut RateSource,
        mut builder: BatchBuilder,
    ) -> streamhost_engine::batch::Batch {
        while !builder.is_full() {
            source.fetch(&mut builder, Duration::from_secs(60)).unwrap();
        }
        builder.close()
    }

    #[test]
    fn numbers_come_at_their_rate_and_are_the_same_again() {
        let mut source = source(1000);
        assert_eq!(source.partitions().unwrap(), [P]);
        let at: Positions = [(P, 41)].into();
        source.assign(&at).unwrap();
        let before = Instant::now();
        let batch = fetch(
            &mut source,
            BatchBuilder::open(
                &at,
                BatchLimits {
                    records_max: 20,
                    bytes_max: 1000,
                },
            ),
        );
        assert!(
            before.elapsed() >= Duration::from_millis(19),
            "they came too fast"
        );
        assert_eq!(
            batch.spans[&P],
            Span {
                from: 41,
                to: 61,
                records: 20
            }
        );
        let first = batch.chunks[0].get(0);
        assert_eq!(
            (first.value, first.time_ms, first.key),
            (Some(&b"41"[..]), 41, None)
        );

        let mut other = super::RateSource::new(
            3,
            &SourceSpec {
                options: Options::default().with("rate", 1000),
                ..SourceSpec::default()
            },
        );
        other.assign(&[(P, 0)].into()).unwrap();
        assert_eq!(
            fetch(&mut other, BatchBuilder::exactly(&batch.spans)).chunks,
            batch.chunks,
            "without waiting for the clock"
        );
    }

    #[test]
    fn nothing_comes_that_was_not_asked_for() {
        let mut source = source(1_000_000);
        let mut builder = BatchBuilder::open(&[(P, 0)].into(), BatchLimits::default());
        source.fetch(&mut builder, Duration::ZERO).unwrap();
        source
            .assign(&[(Partition { source: 0, id: 0 }, 0)].into())
            .unwrap();
        source
            .fetch(&mut builder, Duration::from_millis(1))
            .unwrap();
        assert!(builder.is_empty() && source.ends().is_empty());
        source.assign(&[(P, 5)].into()).unwrap();
        let mut others = BatchBuilder::open(
            &[(Partition { source: 0, id: 0 }, 0)].into(),
            BatchLimits::default(),
        );
        source.fetch(&mut others, Duration::from_millis(1)).unwrap();
        assert!(
            others.is_empty() && source.ends()[&P] >= 5 && !source.is_exhausted(&[(P, 9)].into())
        );
    }

    #[test]
    fn starts_where_its_times_begin() {
        let mut source = source(3);
        let time = |ms| StartPosition::At(UNIX_EPOCH + Duration::from_millis(ms));
        for (start, want) in [
            (StartPosition::Earliest, 0),
            (StartPosition::Latest, 0),
            (time(0), 0),
            (time(334), 2),
            (time(2000), 6),
        ] {
            assert_eq!(source.start(start).unwrap()[&P], want, "{start:?}");
        }
        assert_eq!(
            (source.time_ms(1), source.time_ms(2), source.time_ms(6)),
            (333, 666, 2000)
        );
    }
}
