use streamhost::*;

#[derive(Row)]
struct Once<'a> {
    #[row(key)]
    id: &'a [u8],
}

#[job]
fn wrong() -> Job {
    kafka("c").map(|r| Once { id: r.value }).also(|c| c.to(console())).to(kafka("d"))
}

fn main() {}
