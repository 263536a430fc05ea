use streamhost::{Job, Record, console, job, kafka};

#[derive(Debug)]
struct Wrong;

fn parse(record: Record<'_>) -> Result<&str, Wrong> {
    record.text().map_err(|_| Wrong)
}

#[job]
fn words() -> Job {
    kafka("lines").try_map(parse).to(console())
}

fn main() {}
