//! Files as a connector.

use super::FileSource;
use crate::connector::OwnSources;
use streamhost_core::job::connector::FILE;

pub(crate) const CONNECTOR: OwnSources = OwnSources {
    rules: &FILE,
    open: |i, spec, context| Box::new(FileSource::new(i, spec, context.until_end)),
};
