//! Reads the sections of SQL databases: `[postgres]` and `[mysql]`, and `[postgres.NAME]` and so on
//! beside them.

use super::reader::{Reader, Section};
use std::collections::BTreeMap;
use streamhost_connectors::sql::DatabaseSettings;
use streamhost_connectors::{mysql, postgres};

/// The keys of a section; a table of another name is a database of its own.
const KEYS: [&str; 6] = ["url", "password", "tls", "ca", "certificate", "key"];

/// How the URL of a database is read.
struct Urls {
    shape: &'static str,
    read: fn(&str, &str) -> Result<DatabaseSettings, String>,
}

const POSTGRES: Urls = Urls {
    shape: "postgresql://USER@HOST:PORT/DATABASE",
    read: postgres::of_url,
};

const MYSQL: Urls = Urls {
    shape: "mysql://USER@HOST:PORT/DATABASE",
    read: mysql::of_url,
};

impl Reader<'_> {
    pub(super) fn postgres(
        &mut self,
        at: usize,
        section: Section<'_>,
        all: &mut BTreeMap<String, DatabaseSettings>,
    ) {
        self.databases(&POSTGRES, at, section, all);
    }

    pub(super) fn mysql(
        &mut self,
        at: usize,
        section: Section<'_>,
        all: &mut BTreeMap<String, DatabaseSettings>,
    ) {
        self.databases(&MYSQL, at, section, all);
    }

    fn databases(
        &mut self,
        urls: &Urls,
        at: usize,
        mut section: Section<'_>,
        all: &mut BTreeMap<String, DatabaseSettings>,
    ) {
        for (name, at, own) in self.instances_of(&mut section, &KEYS) {
            if let Some(settings) = self.database(urls, at, own) {
                all.insert(name, settings);
            }
        }
        if !section.entries.is_empty()
            && let Some(settings) = self.database(urls, at, section)
        {
            all.insert(String::new(), settings);
        }
    }

    fn database(
        &mut self,
        urls: &Urls,
        at: usize,
        mut section: Section<'_>,
    ) -> Option<DatabaseSettings> {
        let name = section.name.clone();
        let url = self.text_of(&mut section, "url");
        let password = self.password_of(&mut section);
        let tls = self.tls_of(&mut section);
        self.rest(section);
        let Some((url_at, url)) = url else {
            self.fault(at, format!("`{name}url` is missing: it is {}", urls.shape));
            return None;
        };
        match (urls.read)(name.trim_end_matches('.'), &url) {
            Ok(mut settings) => {
                if let (Some((_, secret)), None, false) = (&password, &tls, settings.is_local()) {
                    self.warnings.push(format!(
                        "`{name}password` ({secret}) and all rows go over the network as they are: set `{name}tls = true`"
                    ));
                }
                settings.password = password.map(|(_, secret)| secret);
                settings.tls = tls;
                Some(settings)
            }
            Err(reason) => {
                self.fault(url_at, format!("`{name}url`: {reason}"));
                None
            }
        }
    }
}
