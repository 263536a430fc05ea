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
    let mut seen = 0;
    let first = move |_: &Click<'_>| {
        seen += 1;
        seen < 10
    };
    kafka("c").try_map(parse).filter(first).to(hbase("c"))
}

fn main() {}
