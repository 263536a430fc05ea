//! The URL of a database.

use crate::sql::{DatabaseSettings, NO_PASSWORD};
use streamhost_core::limits;

/// MySQL's own port.
const PORT: u16 = 3306;

const SHAPE: &str = "it is mysql://USER@HOST:PORT/DATABASE, with several HOST:PORT where one of several servers takes \
                     writes";

/// The database on this machine that no section names.
pub fn usual() -> DatabaseSettings {
    let servers = vec![("127.0.0.1".to_owned(), PORT)];
    DatabaseSettings::new("mysql", servers, "root", "test")
}

/// Those of a section: `mysql://USER@HOST:PORT/DATABASE`.
///
/// # Errors
/// Says what is wrong with the URL, without a password that may be in it.
pub fn of_url(section: &str, url: &str) -> Result<DatabaseSettings, String> {
    let shape = || SHAPE.to_owned();
    let rest = url
        .strip_prefix("mysql://")
        .or_else(|| url.strip_prefix("mariadb://"))
        .ok_or_else(shape)?;
    let (authority, database) = rest
        .split_once('/')
        .ok_or_else(|| format!("it names no database: {SHAPE}"))?;
    // Azure's users have an `@` in them.
    let (user, hosts) = authority
        .rsplit_once('@')
        .ok_or_else(|| format!("it names no user: {SHAPE}"))?;
    if user.contains(':') {
        return Err(NO_PASSWORD.to_owned());
    }
    if user.is_empty() || database.is_empty() {
        return Err(format!("it names no user or no database: {SHAPE}"));
    }
    if database.contains(['?', '/', '#']) {
        return Err(format!("nothing stands behind the database: {SHAPE}"));
    }
    if [user, database].iter().any(|part| part.contains('%')) {
        return Err("user and database stand there as they are, without `%`".to_owned());
    }
    let servers: Vec<(String, u16)> = hosts
        .split(',')
        .map(server)
        .collect::<Option<_>>()
        .ok_or_else(shape)?;
    let most = limits::SQL_SERVERS_MAX;
    if servers.len() > most {
        return Err(format!("it names more than {most} servers"));
    }
    Ok(DatabaseSettings::new(section, servers, user, database))
}

/// `HOST`, `HOST:PORT`, `[IPv6]:PORT`.
fn server(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (text, PORT),
    };
    let bare = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!bare.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_what_is_wrong_is_said() {
        let read = |url| of_url("mysql", url);
        let good = read("mysql://app@db.example:3307/shop").expect("a URL");
        assert_eq!(good.address(), "db.example:3307");
        assert_eq!((&*good.user, &*good.database), ("app", "shop"));
        assert!(!good.is_local() && usual().is_local());
        let two = read("mariadb://app@server@one,[::1]:6000,two/shop").expect("three servers");
        assert_eq!(two.user, "app@server");
        assert_eq!(two.address(), "one:3306,[::1]:6000,two:3306");
        for (url, part) in [
            ("", "it is mysql://"),
            ("db.example", "it is mysql://"),
            ("postgresql://a@b/c", "it is mysql://"),
            (
                "mysql://app:secret@db/shop",
                "a password does not stand here",
            ),
            ("mysql://db/shop", "no user"),
            ("mysql://@db/shop", "no user"),
            ("mysql://app@db", "no database"),
            ("mysql://app@db/", "no database"),
            ("mysql://app@db/shop?ssl=on", "nothing stands behind"),
            ("mysql://app@/shop", "HOST"),
            ("mysql://app@db:port/shop", "HOST"),
            ("mysql://app@::1/shop", "HOST"),
            ("mysql://a%40b@db/shop", "without `%`"),
        ] {
            let words = read(url).expect_err(url);
            assert!(words.contains(part), "{url}: {words}");
            assert!(!words.contains("secret"), "{words}");
        }
    }
}
