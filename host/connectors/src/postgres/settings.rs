//! Where a PostgreSQL database is, and how one gets in.

use crate::sql::{DatabaseSettings, NO_PASSWORD};
use streamhost_core::limits;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};

/// PostgreSQL's own port.
const PORT: u16 = 5432;
/// Servers that one URL may name.
const SERVERS_MAX: usize = limits::SQL_SERVERS_MAX;

/// The database on this machine that no section names.
pub fn usual() -> DatabaseSettings {
    let servers = vec![("127.0.0.1".to_owned(), PORT)];
    DatabaseSettings::new("postgres", servers, "postgres", "postgres")
}

/// Those of a section: `postgresql://USER@HOST:PORT/DATABASE`.
///
/// # Errors
/// Says what is wrong with the URL, without a password that may be in it.
pub fn of_url(section: &str, url: &str) -> Result<DatabaseSettings, String> {
    let shape = "it is postgresql://USER@HOST:PORT/DATABASE, with several HOST:PORT where one of \
                 several servers takes writes";
    if !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
        return Err(shape.to_owned());
    }
    let config: Config = url.parse().map_err(|_| shape.to_owned())?;
    if config.get_password().is_some() {
        return Err(NO_PASSWORD.to_owned());
    }
    if has_more(&config) {
        return Err(format!("nothing stands behind the database: {shape}"));
    }
    let (Some(user), Some(database)) = (config.get_user(), config.get_dbname()) else {
        return Err(format!("it names no user or no database: {shape}"));
    };
    let mut servers = Vec::new();
    for (n, host) in config.get_hosts().iter().enumerate() {
        let Host::Tcp(host) = host else {
            return Err(format!("a server is reached by its HOST: {shape}"));
        };
        let ports = config.get_ports();
        let port = ports.get(n).or(ports.first()).copied().unwrap_or(PORT);
        servers.push((host.clone(), port));
    }
    match servers.len() {
        0 => return Err(shape.to_owned()),
        n if n > SERVERS_MAX => {
            return Err(format!("it names more than {SERVERS_MAX} servers"));
        }
        _ => {}
    }
    Ok(DatabaseSettings::new(section, servers, user, database))
}

/// What the client is told, with this password.
pub(super) fn client(settings: &DatabaseSettings, password: Option<&str>) -> Config {
    let mut config = Config::new();
    config
        .user(&settings.user)
        .dbname(&settings.database)
        .application_name("streamhost")
        .ssl_mode(match settings.tls {
            Some(_) => SslMode::Require,
            None => SslMode::Disable,
        });
    if let Some(password) = password {
        config.password(password);
    }
    config
}

/// The URL says what has a setting of its own here, or none.
fn has_more(config: &Config) -> bool {
    config.get_options().is_some()
        || config.get_application_name().is_some()
        || config.get_ssl_mode() != SslMode::Prefer
        || config.get_ssl_negotiation() != SslNegotiation::Postgres
        || config.get_target_session_attrs() != TargetSessionAttrs::Any
        || config.get_connect_timeout().is_some()
        || !config.get_hostaddrs().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_what_is_wrong_is_said() {
        let read = |url| of_url("postgres", url);
        let good = read("postgresql://app@db.example:5433/shop").expect("a URL");
        assert_eq!(good.address(), "db.example:5433");
        assert_eq!((&*good.user, &*good.database), ("app", "shop"));
        assert!(!good.is_local() && usual().is_local());
        let two = read("postgres://app@one,two:6000/shop").expect("two servers");
        assert_eq!(two.servers.len(), 2);
        for (url, part) in [
            ("", "it is postgresql://"),
            ("db.example", "it is postgresql://"),
            ("host=a user=b", "it is postgresql://"),
            (
                "postgresql://app:secret@db/shop",
                "a password does not stand here",
            ),
            ("postgresql://db/shop", "no user"),
            ("postgresql://app@db", "no database"),
            (
                "postgresql://app@db/shop?sslmode=require",
                "nothing stands behind",
            ),
            ("postgresql://app@/shop", "HOST"),
        ] {
            let words = read(url).expect_err(url);
            assert!(words.contains(part), "{url}: {words}");
            assert!(!words.contains("secret"), "{words}");
        }
    }
}
