//! What alerts and metrics ask of the walker.

use automap_proto::v1;
use automap_service_kit::error::ServiceError;

use super::{WalkerRpc, registry::OnEnd};
use crate::sinks::Kept;

impl Kept for WalkerRpc {
    async fn kept(&self, id: &str) -> Result<v1::Diagnosis, ServiceError> {
        self.find(id).await
    }
}

impl WalkerRpc {
    /// Begins a diagnosis without a caller; the same one changes nothing. What makes it the same is told by `digest`, and not by
    /// the request: alerts that come again may tell more.
    ///
    /// # Errors
    /// The request is wrong, its beginning cannot be kept, or another one has that id.
    pub(crate) async fn begin(
        &self,
        id: String,
        digest: String,
        request: v1::DiagnoseRequest,
    ) -> Result<(), ServiceError> {
        let mut order = self.order(id, request)?;
        order.record = true;
        self.start(order, digest).await
    }

    /// Hands every diagnosis that ends here from now on, done, failed or cancelled, to `hook`, once each; the first call counts.
    pub(crate) fn on_end(&self, hook: OnEnd) {
        self.registry.on_end(hook);
    }

    /// Diagnoses that run and that wait here now.
    pub(crate) fn load(&self) -> (usize, usize) {
        self.admission.load()
    }

    /// Keeps alerts with a diagnosis that has ended.
    ///
    /// # Errors
    /// The profiler cannot be reached, or refuses.
    pub(crate) async fn note_alerts(&self, id: &str, alerts: v1::AlertList) -> Result<(), ServiceError> {
        let Some(known) = self.stored(id).await? else { return Ok(()) };
        self.keep(v1::Diagnosis { alerts: Some(alerts), ..known }).await
    }
}
