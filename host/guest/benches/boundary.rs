//! What a call of the guest costs, beside the same work without a guest.
//!
//! ```sh
//! for job in clicks wordcount; do cargo run -p streamhost-host -- build examples/$job; done
//! cargo bench -p streamhost-guest --bench boundary
//! ```

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::contract::{Finished, Groups, GuestFault, Moment, Partials};
use streamhost_core::types::{Chunk, Column, Keyed, NO_TIME_MS, Partition, Record};
use streamhost_engine::guest::Guest;
use streamhost_guest::{Compiler, GuestEngine, GuestLimits, Instance};
use streamhost_storage::catalog::sha256;

const COMPONENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/streamhost");
const MOMENT: Moment = Moment {
    batch_ms: 1_600_000_000_000,
    watermark_ms: NO_TIME_MS,
    partition_ms: NO_TIME_MS,
};
/// Of the words in lines.
const DISTINCT_WORDS: usize = 1000;

fn chunk(records: usize, line: impl Fn(usize) -> String) -> Chunk {
    let mut chunk = Chunk::new(Partition { source: 0, id: 0 });
    for i in 0..records {
        chunk.push(Record {
            offset: i as i64,
            time_ms: 0,
            key: None,
            value: Some(line(i).as_bytes()),
            headers: &[],
        });
    }
    chunk
}

/// A click of about 200 bytes.
fn click(i: usize) -> String {
    let (path, student, quantity) = ("x".repeat(120), i % 1000, i % 20);
    format!(
        "click{i:012},student{student:06},http://example.org/{path},2020-01-01T00:00:00.000,book,{quantity}"
    )
}

/// A line of ten words.
fn line(i: usize) -> String {
    let word = |j: usize| {
        format!(
            "word{}",
            (i * 10 + j).wrapping_mul(2_654_435_761) % DISTINCT_WORDS
        )
    };
    (0..10).map(word).collect::<Vec<_>>().join(" ")
}

/// The rows of clicks, made by hand.
fn rows_by_hand(values: &Column) -> Column {
    let mut cells = Column {
        data: Vec::with_capacity(values.data.len()),
        ends: Vec::with_capacity(6 * values.len()),
    };
    for value in values.iter() {
        let Ok(line) = std::str::from_utf8(value) else {
            continue;
        };
        let mut fields = [""; 6];
        line.splitn(6, ',')
            .zip(&mut fields)
            .for_each(|(field, into)| *into = field);
        let Ok(quantity) = fields[5].parse::<u64>() else {
            continue;
        };
        if quantity > 0 {
            fields[..5]
                .iter()
                .for_each(|field| cells.push(field.as_bytes()));
            cells.push(&quantity.to_le_bytes());
        }
    }
    cells
}

/// The counts of words, made by hand.
fn counts_by_hand(values: &Column) -> Column {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for value in values.iter() {
        let Ok(line) = std::str::from_utf8(value) else {
            continue;
        };
        line.split_whitespace()
            .for_each(|word| *counts.entry(word).or_default() += 1);
    }
    let mut cells = Column::default();
    for (word, count) in counts {
        cells.push(word.as_bytes());
        cells.push(&count.to_le_bytes());
    }
    cells
}

fn instance(guests: &GuestEngine, job: &str) -> Instance {
    let path = format!("{COMPONENTS}/{job}.wasm");
    let component =
        std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}: `streamhost build` makes it"));
    let loaded = guests
        .load(&sha256(&component), &component, &|| true)
        .expect("the component loads");
    Instance::new(&loaded, GuestLimits::default(), Arc::new(|_, _: &str| {})).expect("an instance")
}

/// What the shuffle asks after one call: each key is there once.
fn groups_of(part: Keyed) -> (Column, Partials) {
    let groups = part.keys.len() as u32;
    let accumulators = Column {
        data: Vec::new(),
        ends: vec![0; part.keys.len()],
    };
    let (absent, group_ends) = ((0..groups).collect(), (1..=groups).collect());
    (
        part.keys,
        Partials {
            accumulators,
            absent,
            group_ends,
            partials: part.values,
        },
    )
}

/// Words to partials, partials to counts, counts to rows.
fn count_words(guest: &mut Instance, chunk: &Chunk) -> Result<usize, GuestFault> {
    let time = GuestLimits::default().time;
    let mut answer = guest.transform(0, MOMENT, chunk, time)?;
    let (keys, partials) = groups_of(answer.keyed.remove(0));
    let accumulators = guest.combine(1, &partials, time)?;
    let times = vec![MOMENT.batch_ms; keys.len()];
    let groups = Groups {
        keys,
        accumulators,
        starts_ms: times.clone(),
        ends_ms: times,
    };
    let moment = Moment {
        partition_ms: NO_TIME_MS,
        ..MOMENT
    };
    Ok(guest
        .finish(1, moment, &Finished::Groups(groups), time)?
        .rows[0]
        .len())
}

fn boundary(criterion: &mut Criterion) {
    let cache = tempfile::tempdir().expect("a folder for compiled code");
    let guests = GuestEngine::new(&cache.path().join("cache"), Compiler::Here).expect("an engine");
    let time = GuestLimits::default().time;
    let mut clicks = instance(&guests, "clicks");
    let mut group = criterion.benchmark_group("clicks, ns a record = 1e9 / elements a second");
    for records in [1, 100, 1000, 4096] {
        let chunk = chunk(records, click);
        let rows = clicks
            .transform(0, MOMENT, &chunk, time)
            .map(|answer| answer.rows[0].len());
        assert_eq!(
            rows,
            Ok(rows_by_hand(&chunk.values).len() / 6),
            "the guest makes as many rows as there are"
        );
        group.throughput(Throughput::Elements(records as u64));
        group.bench_with_input(
            BenchmarkId::new("guest", records),
            &chunk,
            |bench, chunk| {
                bench.iter(|| black_box(clicks.transform(0, MOMENT, chunk, time).expect("rows")));
            },
        );
        group.bench_with_input(
            BenchmarkId::new("by hand", records),
            &chunk,
            |bench, chunk| {
                bench.iter(|| black_box(rows_by_hand(&chunk.values)));
            },
        );
    }
    group.finish();

    words(criterion, &guests, time);
}

fn words(criterion: &mut Criterion, guests: &GuestEngine, time: Duration) {
    let mut words = instance(guests, "wordcount");
    let mut group =
        criterion.benchmark_group("words of lines of ten, ns a word = 1e9 / elements a second");
    for records in [1, 100, 1000, 4096] {
        let chunk = chunk(records, line);
        let (counted, by_hand) = (
            count_words(&mut words, &chunk),
            counts_by_hand(&chunk.values).len() / 2,
        );
        assert_eq!(
            counted,
            Ok(by_hand),
            "the guest counts as many words as there are"
        );
        group.throughput(Throughput::Elements(10 * records as u64));
        group.bench_with_input(
            BenchmarkId::new("guest, to accumulators", records),
            &chunk,
            |bench, chunk| {
                bench
                    .iter(|| black_box(words.transform(0, MOMENT, chunk, time).expect("partials")));
            },
        );
        group.bench_with_input(
            BenchmarkId::new("guest, to rows", records),
            &chunk,
            |bench, chunk| {
                bench.iter(|| black_box(count_words(&mut words, chunk).expect("rows")));
            },
        );
        group.bench_with_input(
            BenchmarkId::new("by hand", records),
            &chunk,
            |bench, chunk| {
                bench.iter(|| black_box(counts_by_hand(&chunk.values)));
            },
        );
    }
    group.finish();
}

criterion_group!(benches, boundary);
criterion_main!(benches);
