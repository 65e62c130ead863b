//! What alerts and metrics ask of the walker.

use automap_proto::v1;
use automap_service_kit::error::ServiceError;

use super::WalkerRpc;

impl WalkerRpc {
    /// Begins a diagnosis without a caller; one of the same id changes nothing.
    ///
    /// # Errors
    /// The request is wrong, or its beginning cannot be kept.
    pub(crate) async fn begin(&self, id: String, request: v1::DiagnoseRequest) -> Result<(), ServiceError> {
        let mut order = self.order(id, request)?;
        order.record = true;
        // Its id says what it is for: alerts that come again may tell more.
        self.start(order, String::new()).await
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
