use streamhost::*;

#[derive(Row)]
struct Mistyped {
    #[row(keyy)]
    id: String,
}

#[derive(Row)]
#[row(separator = "")]
struct EmptySeparator {
    #[row(key)]
    a: String,
    #[row(key)]
    b: String,
}

#[derive(Row)]
#[row(separator = "|")]
struct NeedlessSeparator {
    #[row(key)]
    a: String,
}

#[derive(Row)]
struct TwoRoles {
    #[row(key)]
    #[row("f:a")]
    a: String,
}

#[derive(Row)]
struct OneNameTwice {
    #[row("f:a")]
    a: String,
    #[row("f:a")]
    b: String,
}

#[derive(Row)]
struct ValueNotAlone {
    #[row(value)]
    a: String,
    b: String,
}

#[derive(Row)]
struct NoName {
    #[row("")]
    a: String,
}

#[derive(Row)]
struct NoColumn {
    #[row(header, column = "a")]
    a: String,
}

#[derive(Row)]
enum Either {
    A,
    B,
}

fn main() {}
