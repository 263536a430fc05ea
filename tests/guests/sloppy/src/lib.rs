//! Copies numbers, fails some of them, and works on each for a while, by parameters.

use std::hint::black_box;
use streamhost::{Job, Row, hbase, job, kafka, param};

#[derive(Row)]
struct Number {
    #[row(key)]
    number: u64,
    #[row("f:turns")]
    turns: u64,
}

/// Reads `numbers-in`. Of a hundred numbers, `fails` fail; each takes so many thousand `turns`.
#[job]
pub fn numbers() -> Job {
    let (fails, turns) = (param::<u64>("fails", 0), param::<u64>("turns", 0));
    kafka("numbers-in")
        .try_map(move |record| {
            let text = record.text()?;
            let number: u64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
            if number % 100 < fails {
                return Err(format!("{number} fails"));
            }
            let turned = (0..1000 * turns).fold(number, |sum, turn| black_box(sum ^ turn));
            black_box(turned);
            Ok(Number { number, turns })
        })
        .to(hbase("numbers-out"))
}
