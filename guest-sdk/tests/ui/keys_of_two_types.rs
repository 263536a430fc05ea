use streamhost::{Job, console, job, kafka, minutes, within};

#[job]
fn pairs() -> Job {
    let lengths = kafka("right").try_map(|line| line.text()).key_by(|line| line.len() as u64);
    kafka("left")
        .try_map(|line| line.text())
        .key_by(|line| *line)
        .join(lengths, within(minutes(1)), |left, _| left)
        .to(console())
}

fn main() {}
