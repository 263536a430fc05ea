use streamhost::Key;

#[derive(Key)]
enum Side {
    Left,
    Right,
}

#[derive(Key)]
struct Nothing;

#[derive(Key)]
struct Degrees(f64);

fn main() {}
