use streamhost::{Job, console, fields, job, kafka};

// `ok(…)` and `Ok::<_, String>(…)` are the ways out.
#[job]
fn words() -> Job {
    kafka("lines")
        .try_map(|line| {
            let [word, _] = fields(line.text()?, ',')?;
            Ok(word)
        })
        .to(console())
}

fn main() {}
