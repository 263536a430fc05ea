//! Who has signed a component, where the host takes only what trusted keys have signed.

use super::Supervisor;
use super::deploy::unavailable;
use crate::api::Refusal;
use streamhost_guest::signature;

impl Supervisor {
    /// The name of the trusted key that has signed a component; none where the host asks for no
    /// signature. `Err`: none of them has.
    pub(super) fn signer_of(&self, component: &[u8]) -> Result<Option<String>, Refusal> {
        let Some(trusted) = &self.environment.trusted else {
            return Ok(None);
        };
        let signer = signature::verify(component, trusted);
        let signer = signer.map_err(|e| Refusal::Invalid(e.to_string()))?;
        Ok(Some(signer.to_owned()))
    }

    /// The same of a version that is to be active again: its key may be trusted no more.
    pub(super) fn signer_of_kept(&self, digest: &str) -> Result<Option<String>, Refusal> {
        if self.environment.trusted.is_none() {
            return Ok(None);
        }
        let component = self.catalog.component(digest);
        self.signer_of(&component.map_err(|e| unavailable(&e))?)
    }
}
