//! What an experiment needs of the application that it harms: one trait, wherever the application runs.

use std::future::Future;

use automap_pymicro::fault::Fault;

use crate::named_source::NamedSource;

/// An application whose services can be harmed and healed.
///
/// One fault at a time. All of it can be done again: healing what is healthy does nothing.
pub trait Driver {
    /// Makes sure that the application runs, can be harmed, and bears no fault that an earlier run left behind.
    ///
    /// # Errors
    /// The application does not run, or a fault cannot be removed.
    fn prepare(&mut self) -> impl Future<Output = anyhow::Result<()>>;

    /// Where its metrics are asked; known once it is prepared.
    fn source(&self) -> Option<&NamedSource>;

    /// Harms a service. `round` tells this fault from those of other rounds.
    ///
    /// # Errors
    /// The fault could not be injected; it may be there in part.
    fn inject(
        &mut self,
        round: usize,
        service: &str,
        fault: &Fault,
    ) -> impl Future<Output = anyhow::Result<()>>;

    /// Removes all faults of this experiment, also those of an earlier run.
    ///
    /// # Errors
    /// A fault could not be removed; the message says how to do it by hand where that is needed.
    fn heal(&mut self) -> impl Future<Output = anyhow::Result<()>>;

    /// Waits until no fault is left and `service`, where one is named, serves again.
    ///
    /// # Errors
    /// That takes too long.
    fn verify_healed(&mut self, service: Option<&str>) -> impl Future<Output = anyhow::Result<()>>;

    /// Ends what the driver started.
    ///
    /// # Errors
    /// Something does not end.
    fn stop(&mut self) -> impl Future<Output = anyhow::Result<()>>;
}
