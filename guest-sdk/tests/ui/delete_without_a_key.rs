use streamhost::*;

#[derive(Row)]
struct Keyless<'a> {
    name: &'a str,
}

fn change(record: Record<'_>) -> Result<Change<Keyless<'_>>, String> {
    Ok(Change::Delete(record.key_text()?))
}

fn main() {}
