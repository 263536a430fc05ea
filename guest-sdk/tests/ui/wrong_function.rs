use streamhost::*;

fn owned(text: String) -> Result<String, String> {
    Ok(text)
}

#[job]
fn wrong() -> Job {
    kafka("c").try_map(owned).to(console())
}

fn main() {}
