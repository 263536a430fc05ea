use streamhost::{Job, console, job, kafka};

#[job]
fn words() -> Job {
    kafka("lines").try_map(|line| line.text()).key_by(|word| *word).running().count().top(10).to(console())
}

fn main() {}
