use streamhost::{Context, Job, console, job, kafka};

struct Kept(u64);

#[job]
fn without_serde() -> Job {
    kafka("a")
        .map(|record| record.time_ms)
        .key_by(|_| ())
        .process(|_, _, kept: &mut Option<Kept>, ctx: &mut Context<'_, u64>| ctx.emit(kept.as_ref().map_or(0, |kept| kept.0)))
        .map(|n| format!("{n}"))
        .to(console())
}

fn main() {}
