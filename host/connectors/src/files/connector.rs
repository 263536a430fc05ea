//! Files as a connector of sinks.

use super::disk::Disk;
use super::store::Store;
use super::{FilesSink, schema, words};
use crate::connector::{Connector, Presence, SinkConnector, SinkContext};
use std::fs;
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::{ConnectorRules, FILES};
use streamhost_engine::sink::{Sink, SinkError};

/// Folders of the disks that the host sees; there is nothing to configure.
#[derive(Debug)]
pub(crate) struct FilesConnector;

impl Connector for FilesConnector {
    fn rules(&self) -> &'static ConnectorRules {
        &FILES
    }

    fn sink(&self) -> Option<&dyn SinkConnector> {
        Some(self)
    }
}

impl SinkConnector for FilesConnector {
    fn inspect(&self, spec: &SinkSpec, create: bool) -> Result<Presence, SinkError> {
        let wanted = schema::Schema::of(spec)?;
        let failure = |error| words::failure(&spec.target, &error);
        match fs::metadata(&spec.target) {
            Ok(found) if !found.is_dir() => {
                let reason = "it is a file: name a folder".to_owned();
                Err(words::refused(&spec.target, reason))
            }
            Ok(_) => {
                let disk = Disk::new(&spec.target);
                if let Some(stored) = disk.read(schema::FILE).map_err(failure)? {
                    let had = schema::Schema::read(&spec.target, &stored)?;
                    wanted.beside(&spec.target, &had)?;
                }
                disk.open(&FilesSink::mark(spec, "deploy"))
                    .map_err(failure)?;
                Ok(Presence::There)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && create => {
                Ok(Presence::Missing)
            }
            Err(error) => Err(failure(error)),
        }
    }

    fn create(&self, spec: &SinkSpec) -> Result<(), SinkError> {
        let made = fs::create_dir_all(&spec.target);
        made.map_err(|error| words::failure(&spec.target, &error))?;
        self.inspect(spec, false).map(drop)
    }

    fn open(&self, spec: &SinkSpec, context: &SinkContext<'_>) -> Box<dyn Sink> {
        let disk = Box::new(Disk::new(&spec.target));
        Box::new(FilesSink::new(disk, spec, context.owner, context.cancel))
    }
}
