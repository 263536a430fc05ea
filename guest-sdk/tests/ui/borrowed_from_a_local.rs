use streamhost::*;

#[job]
fn wrong() -> Job {
    kafka("c")
        .map(|r| {
            let text = String::from_utf8_lossy(r.value).into_owned();
            text.as_str()
        })
        .to(console())
}

fn main() {}
