use streamhost::{Job, console, job, kafka};

struct Acc(u64);

#[job]
fn words() -> Job {
    kafka("lines")
        .try_map(|line| line.text())
        .key_by(|word| *word)
        .running()
        .fold(|| Acc(0), |acc, _| acc.0 += 1, |acc, other| acc.0 += other.0)
        .map(|_| "")
        .to(console())
}

fn main() {}
