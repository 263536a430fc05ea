//! HBase as a connector.

use super::held::HbaseHeld;
use super::{HbaseProvision, HbaseSettings, HbaseSink};
use crate::connector::{Connector, HeldContext, Presence, SinkConnector, SinkContext};
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::{ConnectorRules, HBASE};
use streamhost_engine::sink::{HeldPlace, Provision, Sink, SinkError};

/// One gateway.
#[derive(Debug)]
pub struct HbaseConnector {
    settings: HbaseSettings,
}

impl HbaseConnector {
    /// The gateway that these settings name.
    pub fn new(settings: HbaseSettings) -> Self {
        HbaseConnector { settings }
    }

    fn provision(&self) -> HbaseProvision {
        HbaseProvision::new(self.settings.clone())
    }
}

impl Connector for HbaseConnector {
    fn rules(&self) -> &'static ConnectorRules {
        &HBASE
    }

    fn sink(&self) -> Option<&dyn SinkConnector> {
        Some(self)
    }
}

impl SinkConnector for HbaseConnector {
    fn inspect(&self, spec: &SinkSpec, create: bool) -> Result<Presence, SinkError> {
        match self.provision().inspect(spec) {
            Ok(()) => Ok(Presence::There),
            Err(SinkError::TableMissing { .. }) if create && !spec.columns.is_empty() => {
                Ok(Presence::Missing)
            }
            // A real gateway has no call that adds a family.
            Err(SinkError::FamilyMissing { .. })
                if create && self.settings.add_families.is_some() =>
            {
                Ok(Presence::Missing)
            }
            Err(error) => Err(error),
        }
    }

    fn create(&self, spec: &SinkSpec) -> Result<(), SinkError> {
        self.provision().create(spec)
    }

    fn open(&self, spec: &SinkSpec, context: &SinkContext<'_>) -> Box<dyn Sink> {
        let settings = self.settings.clone();
        Box::new(HbaseSink::new(spec, settings, context.cancel.clone()))
    }

    fn held(
        &self,
        spec: &SinkSpec,
        context: &HeldContext<'_>,
    ) -> Result<Box<dyn HeldPlace>, &'static str> {
        let settings = self.settings.clone();
        Ok(Box::new(HbaseHeld::new(
            spec,
            settings,
            context.cancel.clone(),
        )))
    }
}
