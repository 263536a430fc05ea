use streamhost::{Job, console, job, kafka, param};

#[job]
fn words() -> Job {
    let letter = param("letter", 'a');
    kafka("lines")
        .try_map(|line| line.text())
        .filter(move |line| line.starts_with(letter))
        .to(console())
}

fn main() {}
