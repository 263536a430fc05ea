//! Reads the sections of PostgreSQL's databases: `[postgres]`, and `[postgres.NAME]` beside it.

use super::reader::{Reader, Section};
use std::collections::BTreeMap;
use streamhost_connectors::postgres::PostgresSettings;

/// The keys of a section; a table of another name is a database of its own.
const KEYS: [&str; 6] = ["url", "password", "tls", "ca", "certificate", "key"];

impl Reader<'_> {
    pub(super) fn postgres(
        &mut self,
        at: usize,
        mut section: Section<'_>,
        all: &mut BTreeMap<String, PostgresSettings>,
    ) {
        for (name, at, own) in self.instances_of(&mut section, &KEYS) {
            if let Some(settings) = self.database(at, own) {
                all.insert(name, settings);
            }
        }
        if !section.entries.is_empty()
            && let Some(settings) = self.database(at, section)
        {
            all.insert(String::new(), settings);
        }
    }

    fn database(&mut self, at: usize, mut section: Section<'_>) -> Option<PostgresSettings> {
        let name = section.name.clone();
        let url = self.text_of(&mut section, "url");
        let password = self.password_of(&mut section);
        let tls = self.tls_of(&mut section);
        self.rest(section);
        let Some((url_at, url)) = url else {
            let shape = "postgresql://USER@HOST:PORT/DATABASE";
            self.fault(at, format!("`{name}url` is missing: it is {shape}"));
            return None;
        };
        match PostgresSettings::of_url(name.trim_end_matches('.'), &url) {
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
