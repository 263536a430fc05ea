use streamhost::*;

#[derive(Row)]
#[row(separator = "/")]
struct Reading<'a> {
    #[row(key)]
    site: Option<&'a str>,
    #[row(key)]
    at: u64,
}

fn main() {}
