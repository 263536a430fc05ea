use streamhost::*;

#[derive(Row)]
struct Reading {
    #[row(key)]
    degrees: f64,
}

fn main() {}
