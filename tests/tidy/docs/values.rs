//! The page of limits has all of them, with their values.

use super::markdown::page;
use crate::files;
use std::collections::BTreeMap;

/// A limit's parts as numbers: milliseconds of a duration, or the number itself.
type Values = Vec<u128>;

/// The constants of `host/core/src/limits` by name, each with its expression.
fn limits() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for source in files::rust() {
        if !source.path.starts_with("host/core/src/limits/") {
            continue;
        }
        for rest in source.text.split("\npub const ").skip(1) {
            let (name, rest) = rest.split_once(':').expect("a constant has a type");
            let (_, rest) = rest.split_once('=').expect("a constant has a value");
            let value = rest.split(';').next().unwrap_or_default();
            found.insert(name.to_owned(), value.split_whitespace().collect());
        }
    }
    assert!(found.len() > 100, "{found:?}");
    found
}

/// What a constant's expression comes to.
fn of_code(expression: &str) -> Values {
    let inner = expression
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let parts = inner.map_or(vec![expression], |inner| inner.split(',').collect());
    parts.into_iter().map(of_part).collect()
}

fn of_part(part: &str) -> u128 {
    for (begin, factor) in [
        ("Duration::from_secs(", 1000),
        ("Duration::from_millis(", 1),
    ] {
        if let Some(rest) = part.strip_prefix(begin) {
            return factor * of_part(rest.trim_end_matches(')'));
        }
    }
    if let Some((number, bits)) = part.split_once("<<") {
        return of_part(number) << of_part(bits);
    }
    let number = |text: &str| text.replace('_', "").parse::<u128>();
    let factors = part.split('*').map(number).collect::<Result<Vec<_>, _>>();
    let factors = factors.unwrap_or_else(|_| panic!("`{part}` is no number: teach this test"));
    factors.into_iter().product()
}

/// What a cell of the table says: `16 MiB`, `5 ms, 3`.
fn of_page(cell: &str) -> Values {
    let parts = cell.split(", ").map(str::trim);
    parts.map(of_cell).collect()
}

fn of_cell(cell: &str) -> u128 {
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    let number: u128 = number
        .replace(',', "")
        .parse()
        .unwrap_or_else(|_| panic!("`{cell}`"));
    let factor = match unit {
        "" | "bytes" | "ms" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        unit => panic!("`{cell}`: what is `{unit}`?"),
    };
    number * factor
}

#[test]
fn every_limit_is_in_the_book_with_its_value() {
    let text = page("limits.md").text;
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        Some((name.to_owned(), cells.next()?.to_owned()))
    };
    let told: BTreeMap<String, String> = text.lines().filter_map(row).collect();
    let limits = limits();
    let mut wrong = Vec::new();
    for (name, expression) in &limits {
        match told.get(name) {
            None => wrong.push(format!("{name} = {expression}: not there")),
            Some(cell) if of_page(cell) != of_code(expression) => {
                wrong.push(format!("{name} = {expression}: not `{cell}`"));
            }
            Some(_) => {}
        }
    }
    let gone = told.keys().filter(|name| !limits.contains_key(*name));
    wrong.extend(gone.map(|name| format!("{name}: there is no such limit")));
    assert!(
        wrong.is_empty(),
        "docs/src/limits.md:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn values_are_compared_as_numbers() {
    for (code, cell) in [
        ("16<<20", "16 MiB"),
        ("24*60*60", "86,400"),
        ("Duration::from_secs(7*24*3600)", "7 d"),
        ("(Duration::from_millis(100),3)", "100 ms, 3"),
    ] {
        assert_eq!(of_code(code), of_page(cell), "{code}");
    }
}
