use streamhost::{Context, Job, console, job, kafka};

#[job]
fn of_a_value() -> Job {
    kafka("a")
        .map(|record| record.time_ms)
        .key_by(|_| ())
        .process(|_, time_ms, _: &mut Option<u64>, _: &mut Context<'_, String>| time_ms)
        .to(console())
}

fn main() {}
