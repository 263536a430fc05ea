use streamhost::{Context, Job, console, job, kafka};

#[job]
fn without_a_key() -> Job {
    kafka("a")
        .map(|record| record.time_ms)
        .key_by(|_| ())
        .process(|time_ms, _: &mut Option<u64>, ctx: &mut Context<'_, String>| ctx.emit(format!("{time_ms}")))
        .to(console())
}

fn main() {}
