//! What sections of several servers say alike: by what a server is trusted, and who the host is to it.

use super::reader::{Reader, Section};
use std::path::PathBuf;
use streamhost_connectors::secret::{Secret, open_to_all};
use streamhost_connectors::tls_files::TlsFiles;
use toml::de::DeValue;

impl Reader<'_> {
    /// `tls`, `ca`, `certificate` and `key`.
    pub(super) fn tls_of(&mut self, section: &mut Section<'_>) -> Option<TlsFiles> {
        let name = section.name.clone();
        let tls = self.truth_of(section, "tls");
        let ca = self.text_of(section, "ca");
        let certificate = self.text_of(section, "certificate");
        let key = self.text_of(section, "key");
        let named = [("ca", &ca), ("certificate", &certificate), ("key", &key)];
        let first_at = named
            .into_iter()
            .find_map(|(name, file)| file.as_ref().map(|(at, _)| (name, *at)));
        let [ca, certificate, key] = [ca, certificate, key]
            .map(|named| named.map(|(at, file)| (at, self.folder.join(file))));
        if !tls {
            if let Some((key, at)) = first_at {
                let what = format!("`{name}{key}` is for TLS: set `{name}tls = true`");
                self.fault(at, what);
            }
            return None;
        }
        let file = |named: Option<(usize, PathBuf)>| named.map(|(_, path)| path);
        let own = match (certificate, key) {
            (Some((_, certificate)), Some((_, key))) => Some((certificate, key)),
            (Some((at, _)), None) => {
                let what =
                    format!("`{name}certificate` needs its private key: name it as `{name}key`");
                self.fault(at, what);
                return None;
            }
            (None, Some((at, _))) => {
                let what =
                    format!("`{name}key` needs its certificate: name it as `{name}certificate`");
                self.fault(at, what);
                return None;
            }
            (None, None) => None,
        };
        self.warnings
            .extend(own.iter().filter_map(|(_, key)| open_to_all(key)));
        let files = TlsFiles { ca: file(ca), own };
        if let Err(reason) = files.check(name.trim_end_matches('.')) {
            self.fault(first_at.map_or(0, |(_, at)| at), reason);
        }
        Some(files)
    }

    /// Where the password stands. It is read whenever a connection is made, and here as well, as
    /// one that is missing stops the start.
    pub(super) fn password_of(&mut self, section: &mut Section<'_>) -> Option<(usize, Secret)> {
        self.secret_of(section, "password")
    }

    /// The same of any secret.
    pub(super) fn secret_of(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
    ) -> Option<(usize, Secret)> {
        section.known.push(key);
        let (at, value) = section.entries.remove(key)?;
        let secret = match value.into_inner() {
            DeValue::Table(table) => self.elsewhere(&table),
            _ => None,
        };
        let name = &section.name;
        let Some(secret) = secret else {
            let what = format!(
                "`{name}{key}`: a {} does not stand here: {{ file = \"…\" }} or \
                 {{ env = \"…\" }} says where it does",
                key.trim_start_matches("api-")
            );
            self.fault(at, what);
            return Some((at, Secret::Env(String::new())));
        };
        self.warnings.extend(secret.warning());
        if let Err(reason) = secret.read() {
            self.fault(at, format!("`{name}{key}`: {reason}"));
        }
        Some((at, secret))
    }

    fn truth_of(&mut self, section: &mut Section<'_>, key: &'static str) -> bool {
        section.known.push(key);
        let Some((at, value)) = section.entries.remove(key) else {
            return false;
        };
        match value.get_ref() {
            DeValue::Boolean(is) => *is,
            _ => {
                let name = &section.name;
                self.fault(at, format!("`{name}{key}`: true or false belongs here"));
                false
            }
        }
    }
}
