//! Keeps a table in step with commands: `put KEY NAME [NOTE]`, `unset KEY` for the note alone,
//! `delete KEY` for the row.

use streamhost::{Change, Edit, Job, Record, Row, hbase, job, kafka};

#[derive(Row)]
struct Person<'a> {
    #[row(key)]
    id: &'a str,
    #[row("info:name")]
    name: Option<&'a str>,
    #[row("info:note")]
    note: Edit<&'a str>,
}

fn command(record: Record<'_>) -> Result<Change<Person<'_>>, String> {
    let words: Vec<&str> = record.text()?.split(' ').collect();
    Ok(match words[..] {
        ["put", id, name] => Change::Put(Person {
            id,
            name: Some(name),
            note: Edit::Keep,
        }),
        ["put", id, name, note] => Change::Put(Person {
            id,
            name: Some(name),
            note: Edit::Set(note),
        }),
        ["unset", id] => Change::Put(Person {
            id,
            name: None,
            note: Edit::Delete,
        }),
        ["delete", id] => Change::Delete(id),
        _ => return Err("no command".into()),
    })
}

/// See the top.
#[job]
pub fn people() -> Job {
    kafka("people").try_map(command).to(hbase("people"))
}
