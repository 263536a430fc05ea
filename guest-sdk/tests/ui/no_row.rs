use streamhost::*;

struct Plain {
    _a: usize,
}

#[job]
fn wrong() -> Job {
    kafka("c").map(|r| Plain { _a: r.value.len() }).to(hbase("c"))
}

fn main() {}
