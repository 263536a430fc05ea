use streamhost::*;

#[derive(Row, Clone)]
struct Click<'a> {
    #[row(key)]
    id: &'a str,
    quantity: u32,
}

fn parse(record: Record<'_>) -> Result<Click<'_>, String> {
    Ok(Click { id: record.text()?, quantity: 1 })
}

#[job]
fn wrong() -> Job {
    kafka("c").map(parse).filter(|c| c.quantity > 0).to(hbase("c"))
}

fn main() {}
