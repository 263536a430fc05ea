//! A job whose versions differ in one thing, which a parameter names: for what compares versions.
//! Every thousandth record is the one that it shows at.

use streamhost::{Job, Row, hbase, job, kafka, param};

#[derive(Row, Clone)]
struct Seen {
    #[row(key)]
    number: u64,
    #[row("f:text")]
    text: String,
    #[row("f:length")]
    length: u64,
    /// The version that made it, where its change is to be told.
    #[row("f:by")]
    by: Option<String>,
}

#[derive(Row)]
struct Sum {
    #[row(key)]
    key: String,
    #[row("f:sum")]
    sum: u64,
    #[row("f:by")]
    by: Option<String>,
}

/// Reads numbers; every hundredth one is a dead letter, and each is added up under its last digit,
/// unless `sums` is false.
#[job]
pub fn twin() -> Job {
    let change = param("change", "none".to_owned());
    let is = |what: &str| change == what;
    let (column, filter, reason) = (is("column"), is("filter"), is("reason"));
    // By whom: a column that the other version lacks, as `mark` and `refuse` have it.
    let by = (is("mark") || is("refuse")).then(|| change.clone());
    let (refuse, by_whom) = (is("refuse"), by.clone());
    let (merge, slow, memory) = (is("merge"), is("slow"), is("memory"));
    let (broken, dies) = (is("broken"), is("dies"));
    let parse = move |text: &str| -> Result<Seen, String> {
        let number: u64 = text.trim().parse().map_err(|_| "no number".to_owned())?;
        let shows = number % 1000 == 7;
        if number % 100 == 50 {
            let other = reason && number % 1000 == 50;
            return Err(if other { "not taken" } else { "not wanted" }.to_owned());
        }
        if refuse && number % 20 == 3 {
            return Err("one in twenty".to_owned());
        }
        assert!(!(broken && shows), "the thousandth record");
        assert!(!dies, "it breaks on all records");
        if slow {
            work(20_000);
        }
        if memory && shows {
            std::hint::black_box(vec![1_u8; 8 << 20]);
        }
        let length = text.len() as u64 + u64::from(column && shows);
        let text = text.to_owned();
        Ok(Seen {
            number,
            text,
            length,
            by: by.clone(),
        })
    };
    let seen = kafka("twin-in")
        .try_map(move |record| parse(record.text()?))
        .filter(move |seen| !(filter && seen.number % 1000 == 7));
    if !param("sums", true) {
        return seen.to(hbase("twin-rows"));
    }
    seen.also(|seen| seen.to(hbase("twin-rows")))
        .key_by(|seen| format!("k{}", seen.number % 10))
        .running()
        .sum(move |seen| match merge && seen.number % 1000 == 7 {
            true => seen.number + 1,
            false => seen.number,
        })
        .map(move |update| Sum {
            key: update.key,
            sum: update.value,
            by: by_whom.clone(),
        })
        .to(hbase("twin-sums"))
}

/// Takes a while.
fn work(steps: u64) {
    let mut mixed = 1_u64;
    for step in 0..steps {
        mixed = std::hint::black_box(mixed.rotate_left(5) ^ step);
    }
}
