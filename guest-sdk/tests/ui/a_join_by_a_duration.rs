use streamhost::{Job, console, job, kafka, minutes};

#[job]
fn pairs() -> Job {
    let right = kafka("right").try_map(|line| line.text()).key_by(|line| *line);
    kafka("left")
        .try_map(|line| line.text())
        .key_by(|line| *line)
        .join(right, minutes(1), |left, _| left)
        .to(console())
}

fn main() {}
