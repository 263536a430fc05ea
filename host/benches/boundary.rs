//! What a call of the guest costs, beside the same work without a guest.
//!
//! ```sh
//! cargo run -p streamhost-host -- build examples/clicks && cargo bench -p streamhost-host --bench boundary
//! ```

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use streamhost_host::guest::run::Guest;
use streamhost_host::guest::{GuestLimits, Guests, Instance, sha256};
use streamhost_host::record::{Chunk, Column, Partition, Record};

const COMPONENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/streamhost/clicks.wasm");

/// Clicks of about 200 bytes.
fn chunk(records: usize) -> Chunk {
    let mut chunk = Chunk::new(Partition { source: 0, id: 0 });
    for i in 0..records {
        let path = "x".repeat(120);
        let line = format!(
            "click{i:012},student{:06},http://example.org/{path},2020-01-01T00:00:00.000,book,{}",
            i % 1000,
            i % 20
        );
        chunk.push(Record { offset: i as i64, time_ms: 0, key: None, value: Some(line.as_bytes()) });
    }
    chunk
}

/// The same rows, made by hand.
fn by_hand(values: &Column) -> Column {
    let mut cells = Column { data: Vec::with_capacity(values.data.len()), ends: Vec::with_capacity(6 * values.len()) };
    for value in values.iter() {
        let Ok(line) = std::str::from_utf8(value) else { continue };
        let mut fields = [""; 6];
        line.splitn(6, ',').zip(&mut fields).for_each(|(field, into)| *into = field);
        let Ok(quantity) = fields[5].parse::<u64>() else { continue };
        if quantity > 0 {
            fields[..5].iter().for_each(|field| cells.push(field.as_bytes()));
            cells.push(&quantity.to_le_bytes());
        }
    }
    cells
}

fn boundary(criterion: &mut Criterion) {
    let component =
        std::fs::read(COMPONENT).expect("target/streamhost/clicks.wasm: `streamhost build examples/clicks` makes it");
    let cache = tempfile::tempdir().expect("a folder for compiled code");
    let guests = Guests::new(cache.path()).expect("an engine");
    let loaded = guests.load(&sha256(&component), &component).expect("the component loads");
    let limits = GuestLimits::default();
    let mut instance = Instance::new(&loaded, limits, Arc::new(|_, _: &str| {})).expect("an instance");
    let mut group = criterion.benchmark_group("clicks, ns a record = 1e9 / elements a second");
    for records in [1, 100, 1000, 4096] {
        let chunk = chunk(records);
        group.throughput(Throughput::Elements(records as u64));
        group.bench_with_input(BenchmarkId::new("guest", records), &chunk, |bench, chunk| {
            bench.iter(|| black_box(instance.transform(0, chunk, limits.time)));
        });
        group.bench_with_input(BenchmarkId::new("by hand", records), &chunk, |bench, chunk| {
            bench.iter(|| black_box(by_hand(&chunk.values)));
        });
    }
    group.finish();
}

criterion_group!(benches, boundary);
criterion_main!(benches);
