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

static SEEN: std::sync::Mutex<Vec<&'static str>> = std::sync::Mutex::new(vec![]);

#[job]
fn wrong() -> Job {
    kafka("c")
        .try_map(parse)
        .map(|c| {
            SEEN.lock().unwrap().push(c.id);
            c
        })
        .to(hbase("c"))
}

fn main() {}
