use streamhost::{Job, console, job, kafka};

#[job]
fn words() -> Job {
    kafka("lines")
        .try_map(|line| line.text())
        .key_by(|word| *word)
        .each_batch()
        .avg(|word| word)
        .map(|_| "")
        .to(console())
}

fn main() {}
