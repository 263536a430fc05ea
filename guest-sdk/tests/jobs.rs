//! What jobs make of their records, operator by operator and row by row.

use std::collections::BTreeMap;
use streamhost::*;

#[derive(Row, Clone)]
struct Click<'a> {
    #[row(key)]
    id: &'a str,
    #[row("c:item")]
    item: &'a str,
    #[row("c:n")]
    quantity: u32,
}

impl<'a> Click<'a> {
    fn parse(record: Record<'a>) -> Result<Self, String> {
        let [id, item, quantity] = fields(record.text()?, ',')?;
        Ok(Click {
            id,
            item,
            quantity: quantity
                .parse()
                .map_err(|e| format!("quantity `{quantity}`: {e}"))?,
        })
    }
}

#[job]
fn branches() -> Job {
    kafka("clicks")
        .also(|raw| raw.to(kafka("raw")))
        .try_map(Click::parse)
        .filter(|click| click.quantity > 0)
        .also(|clicks| {
            clicks
                .filter(|click| click.item == "book")
                .also(|books| {
                    books
                        .try_map(|b| {
                            if b.quantity > 5 {
                                Err("too many")
                            } else {
                                Ok(b.id)
                            }
                        })
                        .to(console())
                })
                .to(exactly_once(kafka("books")))
        })
        .to(hbase("clicks"))
}

#[test]
fn branches_see_the_items_where_they_leave_the_chain() {
    let mut job = testing::run(branches);
    job.send(
        "clicks",
        ["a,book,1", "b,page,2", "c,book,0", "d,book", "e,book,9"],
    );
    assert_eq!(
        job.rows("clicks"),
        [
            "key=a c:item=book c:n=1",
            "key=b c:item=page c:n=2",
            "key=e c:item=book c:n=9"
        ]
    );
    assert_eq!(
        job.rows("books"),
        ["key=a c:item=book c:n=1", "key=e c:item=book c:n=9"]
    );
    assert_eq!(job.rows("console"), ["value=a"]);
    assert_eq!(job.rows("raw").len(), 5);
    assert_eq!(
        job.dead_letters(),
        [
            "clicks@3: the line has 2 fields, not 3",
            "clicks@4: too many"
        ]
    );
    assert!(
        job.rows("clicks").is_empty() && job.dead_letters().is_empty(),
        "what was looked at is gone"
    );
}

#[job(name = "two-sources")]
fn two() -> Job {
    let lines = kafka("lines").every(seconds(1)).try_map(|line| line.text());
    let words = lines
        .flat_map(|text| text.split_whitespace())
        .map(str::len)
        .map(|n| Length { n: n as i64 });
    let records = kafka("records")
        .every(millis(1000))
        .filter(Record::has_key)
        .to(kafka("copy"));
    words.to(console()).and(records)
}

#[derive(Row)]
struct Length {
    n: i64,
}

#[test]
fn several_sources_are_one_job() {
    let mut job = testing::run(two);
    let description = job.description();
    assert_eq!(description.name, "two-sources");
    let names: Vec<&str> = description
        .sources
        .iter()
        .map(|source| source.name.as_str())
        .collect();
    assert_eq!(names, ["lines", "records"]);
    assert_eq!(description.every, Some(seconds(1)));
    job.send("lines", ["a bcd", ""]).send(
        "records",
        [Record::from("no key"), Record::from(("k", "v"))],
    );
    job.send(
        "records",
        [
            Record::without_value().with_key(b"gone"),
            Record::new(b"\x00\xff").with_key(b""),
        ],
    );
    assert_eq!(job.rows("console"), ["n=1", "n=3"]);
    assert_eq!(
        job.rows("copy"),
        ["key=k value=v", "key=gone", "value=0x00ff"]
    );
}

#[derive(Row)]
#[row(separator = "|")]
struct Reading<'a> {
    #[row(key)]
    sensor: &'a str,
    #[row(key)]
    at: i64,
    #[row("p:site")]
    site: Option<&'a str>,
    #[row("p:note")]
    note: Edit<&'a str>,
    #[row("p:ok")]
    ok: bool,
    #[row("p:seen")]
    seen: Time,
    #[row(skip)]
    _line: &'a str,
    #[row(dynamic)]
    values: BTreeMap<&'a str, f64>,
}

fn reading(record: Record<'_>) -> Result<Change<Reading<'_>>, String> {
    let line = record.text()?;
    let mut parts = line.split(' ');
    let mut part = || parts.next().ok_or("too short");
    let (sensor, at) = (part()?, part()?.parse().map_err(|_| "no time")?);
    if !line.contains("site=") {
        return Ok(Change::Delete((sensor, at)));
    }
    let site = part()?
        .strip_prefix("site=")
        .filter(|site| !site.is_empty());
    let note = match part()? {
        "-" => Edit::Delete,
        "." => Edit::Keep,
        note => Edit::Set(note),
    };
    let pairs = parts.map(|pair| pair.split_once('=').ok_or("no pair"));
    let values = pairs
        .map(|pair| pair.and_then(|(name, v)| Ok((name, v.parse().map_err(|_| "no number")?))));
    Ok(Change::Put(Reading {
        sensor,
        at,
        site,
        note,
        ok: true,
        seen: Time(record.time_ms),
        _line: line,
        values: values.collect::<Result<_, &str>>()?,
    }))
}

#[job]
fn readings() -> Job {
    kafka("readings").try_map(reading).to(hbase("readings"))
}

#[test]
fn a_row_can_have_all_that_rows_can_have() {
    let mut job = testing::run(readings);
    job.send(
        "readings",
        [
            Record::from("s -5 site=roof new v:t=1.5 v:u=-2.0").at(7),
            Record::from("s 1 site= -"),
        ],
    );
    job.send("readings", ["s 2 site= .", "s 3"]);
    assert_eq!(
        job.rows("readings"),
        [
            "key=s|-5 p:site=roof p:note=new p:ok=true p:seen=7 v:t=1.5 v:u=-2.0",
            "key=s|1 p:note (deleted) p:ok=true p:seen=0",
            "key=s|2 p:ok=true p:seen=0",
            "key=s|3 (deleted)",
        ]
    );
}

#[test]
fn a_row_whose_key_would_not_be_its_own_is_set_aside_whole() {
    let mut job = testing::run(readings);
    job.send(
        "readings",
        [
            "a|b 1 site= . v:t=1",
            "a|b 2",
            "s 3 site=x - =4",
            "good 5 site=y . v:t=6.0",
            " 7 site= .",
        ],
    );
    job.send("readings", ["s 8 site= . t=1", "s 8 site= . v:=1"]);
    assert_eq!(
        job.dead_letters(),
        [
            "readings@0: `a|b` is part of a key and holds its separator `|`",
            "readings@1: `a|b` is part of a key and holds its separator `|`",
            "readings@2: a dynamic column has an empty name",
            "readings@5: sink `readings`: the column `t` is not `family:qualifier`",
            "readings@6: sink `readings`: the column `v:` is not `family:qualifier`",
        ]
    );
    assert_eq!(
        job.rows("readings"),
        [
            "key=good|5 p:site=y p:ok=true p:seen=0 v:t=6.0",
            "key=|7 p:ok=true p:seen=0"
        ]
    );
}

#[derive(Row)]
#[row(separator = "::")]
struct Pair<'a> {
    #[row(key)]
    one: &'a str,
    #[row(key)]
    two: &'a str,
    #[row("f:n")]
    n: u8,
}

#[job]
fn joined_by_colons() -> Job {
    kafka("in")
        .try_map(|r| fields(r.text()?, ' ').map_err(String::from))
        .map(|[one, two]| Pair { one, two, n: 1 })
        .to(hbase("t"))
}

#[test]
fn two_rows_do_not_get_one_key_where_the_separator_overlaps_itself() {
    let mut job = testing::run(joined_by_colons);
    job.send("in", ["x: y", "x :y", "a::b c", ": y", "x y::z"]);
    assert_eq!(job.rows("t"), ["key=x:::y f:n=1", "key=x::y::z f:n=1"]);
    assert_eq!(
        job.dead_letters(),
        [
            "in@0: `x:` is part of a key and ends in a piece of its separator `::`",
            "in@2: `a::b` is part of a key and holds its separator `::`",
            "in@3: `:` is part of a key and ends in a piece of its separator `::`",
        ]
    );
}

#[derive(Row)]
struct Raw<'a> {
    #[row(key)]
    key: &'a [u8],
    #[row(value)]
    body: Option<&'a [u8]>,
}

#[job]
fn raw() -> Job {
    kafka("in")
        .map(|r| Raw {
            key: r.key,
            body: r.has_value().then_some(r.value),
        })
        .to(kafka("out"))
}

#[test]
fn a_field_can_be_the_whole_value() {
    let mut job = testing::run(raw);
    job.send(
        "in",
        [
            Record::from(("a", "one")),
            Record::without_value().with_key(b"a"),
        ],
    );
    assert_eq!(job.rows("out"), ["key=a value=one", "key=a"]);
    let column = job.description().sinks[0].shape.columns[0];
    assert_eq!(
        (column.name, column.kind, column.optional),
        ("", Kind::Bytes, true)
    );
}

#[derive(serde::Deserialize, Row)]
struct View<'a> {
    #[row(key)]
    user: &'a str,
    #[serde(borrow)]
    page: std::borrow::Cow<'a, str>,
}

#[job]
fn json() -> Job {
    kafka("views")
        .try_map(|record| record.json::<View>())
        .to(kafka("pages"))
}

#[test]
fn json_is_borrowed_and_its_faults_have_words() {
    let mut job = testing::run(json);
    job.send(
        "views",
        [r#"{"user":"u","page":"a\nb"}"#, r#"{"user":"u"}"#],
    );
    job.send("views", [Record::without_value()]);
    assert_eq!(job.rows("pages"), ["key=u page=0x610a62"]);
    assert_eq!(
        job.dead_letters(),
        [
            "views@1: the value is not the JSON it should be: missing field `page` at line 1 column 12",
            "views@2: the record has no value",
        ]
    );
}

#[job]
fn logging() -> Job {
    kafka("in")
        .try_map(|record| record.text())
        .filter(|text| {
            log::warn(format_args!("saw {text}"));
            false
        })
        .to(console())
}

#[test]
fn what_a_job_logs_can_be_looked_at() {
    let mut job = testing::run(logging);
    job.send("in", ["a", "b"]);
    assert_eq!(job.logs(), ["warn: saw a", "warn: saw b"]);
    assert!(job.rows("console").is_empty());
}

#[job]
fn impure() -> Job {
    use std::sync::atomic::{AtomicU32, Ordering};
    static SEEN: AtomicU32 = AtomicU32::new(0);
    kafka("in")
        .map(|_| Length {
            n: SEEN.fetch_add(1, Ordering::Relaxed).into(),
        })
        .to(console())
}

#[test]
#[should_panic(expected = "the job depends on how its records are cut into batches")]
fn a_job_that_keeps_something_is_found_out() {
    testing::run(impure).send("in", ["a", "b"]);
}

/// Writes what it is told, and not what it declares.
struct ByHand {
    cells: usize,
}

impl Row for ByHand {
    type Key = std::convert::Infallible;
    const SHAPE: RowShape = RowShape {
        keys: &[],
        key_columns: &[],
        dynamic: false,
        headers: false,
        columns: &[ColumnDef {
            name: "a",
            kind: Kind::Bool,
            optional: false,
        }],
    };
    fn write_key(key: &Self::Key, _: &mut RowWriter) {
        match *key {}
    }
    fn write(&self, out: &mut RowWriter) {
        out.no_key();
        (0..self.cells).for_each(|_| out.cell("no bool"));
    }
}

#[job]
fn by_hand() -> Job {
    kafka("in")
        .map(|record| ByHand {
            cells: record.value.len(),
        })
        .to(console())
}

#[test]
#[should_panic(
    expected = "the job breaks a promise to its host: sink `console`: row 0, column 0: 7 bytes are no Bool"
)]
fn a_row_by_hand_is_held_to_its_kinds() {
    testing::run(by_hand).send("in", ["1"]);
}

#[test]
#[should_panic(
    expected = "the job breaks a promise to its host: sink `console`: 1 rows of a key and 1 cells make 2 items, not 3"
)]
fn a_row_by_hand_is_held_to_its_columns() {
    testing::run(by_hand).send("in", ["12"]);
}

#[job]
fn keyless() -> Job {
    kafka("in")
        .try_map(|r| {
            Ok::<_, RecordError>(Click {
                id: r.text()?,
                item: "",
                quantity: 1,
            })
        })
        .to(hbase("t"))
}

#[test]
fn a_table_refuses_an_empty_key_as_its_host_would() {
    let mut job = testing::run(keyless);
    job.send("in", ["", "a"]);
    assert_eq!(job.rows("t"), ["key=a c:item= c:n=1"]);
    assert_eq!(
        job.dead_letters(),
        ["in@0: sink `t`: the row's key is empty"]
    );
}

fn call(line: &str) -> String {
    line.to_uppercase()
}

fn build(line: &str) -> bool {
    !line.is_empty()
}

#[job]
fn helpers() -> Job {
    kafka("lines")
        .try_map(|line| line.text())
        .filter(|line| build(line))
        .map(call)
        .to(console())
}

#[test]
fn an_authors_functions_may_have_any_name() {
    let mut job = testing::run(helpers);
    job.send("lines", ["a", ""]);
    assert_eq!(job.rows("console"), ["value=A"]);
}

#[derive(Row)]
#[row(separator = "/")]
struct Seat<'a> {
    #[row(key, column = "hall")]
    hall: &'a str,
    #[row(key, column = "seat-number")]
    seat: u64,
    taken: bool,
}

#[job]
fn seats() -> Job {
    kafka("tickets")
        .try_map(|ticket| {
            let [hall, seat] = fields(ticket.text()?, ',')?;
            ok(Seat {
                hall,
                seat: seat.parse()?,
                taken: true,
            })
        })
        .to(kafka("seats"))
}

#[test]
fn a_key_may_be_a_column_too() {
    let mut job = testing::run(seats);
    job.send("tickets", ["red,7"]);
    let rows = job.rows("seats");
    assert_eq!(rows, ["key=red/7 hall=red seat-number=7 taken=true"]);
}
