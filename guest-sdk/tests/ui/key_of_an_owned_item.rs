use streamhost::{Job, console, job, kafka};

#[job]
fn words() -> Job {
    kafka("lines")
        .try_map(|line| line.text().map(String::from))
        .key_by(|word| word.as_str())
        .each_batch()
        .count()
        .to(console())
}

fn main() {}
