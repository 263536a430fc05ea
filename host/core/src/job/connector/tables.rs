//! Names of tables in SQL databases.

/// The schema or database, if it is named, and the table.
pub fn table_parts(name: &str) -> (Option<&str>, &str) {
    match name.split_once('.') {
        Some((schema, table)) => (Some(schema), table),
        None => (None, name),
    }
}

/// Whether this is a table's name with or without that of the `schema` that it is in. `too_long` says
/// how long a part is that is too long.
pub(super) fn table_name(
    name: &str,
    schema: &str,
    too_long: impl Fn(&str) -> Option<String>,
) -> Result<(), String> {
    let (named, table) = table_parts(name);
    for part in named.into_iter().chain([table]) {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-');
        if part.is_empty() {
            let schema = schema.to_ascii_uppercase();
            return Err(format!(
                "a table is TABLE or {schema}.TABLE, and neither is empty"
            ));
        }
        if let Some(length) = too_long(part) {
            return Err(format!("`{part}` has {length}"));
        }
        if !part.chars().all(fits) {
            return Err(format!(
                "only letters, digits, `_`, `$` and `-` may be in the name of a table or {schema}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_apart() {
        assert_eq!(table_parts("shop.clicks"), (Some("shop"), "clicks"));
        assert_eq!(table_parts("clicks"), (None, "clicks"));
    }
}
