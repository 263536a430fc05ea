use streamhost::*;

#[derive(Row)]
struct Tagged {
    #[row(key)]
    id: String,
    tags: Vec<String>,
}

fn main() {}
