//! The application as processes of this machine: the testbed of `deploy/pymicro`.

use anyhow::Context as _;
use automap_pymicro::{
    fault::Fault,
    testbed::{Options, Testbed},
};

use super::driver::Driver;
use crate::{named_source::NamedSource, source_arguments::SourceArgs};

/// A testbed that is started by [`Driver::prepare`]. Its processes die with this one, and their faults with them.
#[derive(Debug)]
pub struct Local {
    options: Options,
    step: String,
    running: Option<(Testbed, NamedSource)>,
}

impl Local {
    /// A testbed with these options, whose metrics are asked every `step`.
    pub const fn new(options: Options, step: String) -> Self {
        Self { options, step, running: None }
    }

    fn testbed(&mut self) -> anyhow::Result<&mut Testbed> {
        let (testbed, _) = self.running.as_mut().context("the testbed was not started")?;
        Ok(testbed)
    }
}

impl Driver for Local {
    async fn prepare(&mut self) -> anyhow::Result<()> {
        // A Prometheus that was killed never said that its targets are gone: for minutes they would count twice.
        let samples = self.options.directory.join("prometheus");
        if samples.exists() {
            std::fs::remove_dir_all(&samples)
                .with_context(|| format!("cannot remove {}", samples.display()))?;
        }
        let interval = format!("{}ms", self.options.scrape_interval.as_millis());
        let testbed = Testbed::start(self.options.clone()).await?;
        let named = SourceArgs {
            source: Some(testbed.prometheus_url()),
            preset: Some(super::PYMICRO.into()),
            scrape_interval: Some(interval),
            // Everything is on this machine.
            proxy: Some("none".into()),
            ..SourceArgs::default()
        };
        let source = NamedSource::new(&named, Some(&self.step)).map_err(anyhow::Error::new)?;
        self.running = Some((testbed, source));
        Ok(())
    }

    fn source(&self) -> Option<&NamedSource> {
        self.running.as_ref().map(|(_, source)| source)
    }

    async fn inject(&mut self, _round: usize, service: &str, fault: &Fault) -> anyhow::Result<()> {
        Ok(self.testbed()?.inject(service, fault).await?)
    }

    async fn heal(&mut self) -> anyhow::Result<()> {
        match &mut self.running {
            Some((testbed, _)) => Ok(testbed.heal().await?),
            None => Ok(()),
        }
    }

    async fn verify_healed(&mut self, _service: Option<&str>) -> anyhow::Result<()> {
        Ok(self.testbed()?.verify_healed().await?)
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        match self.running.take() {
            Some((testbed, _)) => Ok(testbed.stop().await?),
            None => Ok(()),
        }
    }
}
