//! Sockets as a connector.

use super::SocketSource;
use crate::connector::OwnSources;
use streamhost_core::job::connector::SOCKET;

pub(crate) const CONNECTOR: OwnSources = OwnSources {
    rules: &SOCKET,
    open: |i, spec, context| Box::new(SocketSource::new(i, spec, context.until_end)),
};
