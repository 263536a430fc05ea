use streamhost::{Job, console, job, kafka};

#[job]
fn words() -> Job {
    kafka("lines")
        .try_map(|line| line.text())
        .key_by(|word| word.to_lowercase().as_str())
        .each_batch()
        .count()
        .to(console())
}

fn main() {}
