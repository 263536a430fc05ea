use streamhost::{Job, console, job, kafka};

#[job]
fn sizes() -> Job {
    kafka("lines").map(|line| line.value.len() as f64).key_by(|size| *size).running().count().map(|_| "").to(console())
}

fn main() {}
