use streamhost::{Job, console, job, kafka, minutes, tumbling};

#[job]
fn words() -> Job {
    kafka("lines")
        .try_map(|line| line.text())
        .key_by(|word| *word)
        .window(tumbling(minutes(1)))
        .map(|word| word.len())
        .to(console())
}

fn main() {}
