//! The generator as a connector.

use super::RateSource;
use crate::connector::OwnSources;
use streamhost_core::job::connector::RATE;

pub(crate) const CONNECTOR: OwnSources = OwnSources {
    rules: &RATE,
    open: |i, spec, _| Box::new(RateSource::new(i, spec)),
};
