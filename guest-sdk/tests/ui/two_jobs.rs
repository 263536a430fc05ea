use streamhost::{Job, console, job, kafka};

#[job]
fn first() -> Job {
    kafka("a").to(console())
}

#[job]
fn second() -> Job {
    kafka("b").to(console())
}

fn main() {}
