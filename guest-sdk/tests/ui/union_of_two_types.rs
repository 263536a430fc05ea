use streamhost::*;

#[job]
fn both() -> Job {
    kafka("names")
        .try_map(|record| record.text())
        .union(kafka("numbers").try_map(|record| record.json::<u64>()))
        .to(console())
}

fn main() {}
