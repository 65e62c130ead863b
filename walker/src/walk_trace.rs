//! The steps of simulated walks, for whoever wants to see them all.

use automap_proto::v1;

/// Steps of one message: far below what a message may hold.
const STEPS_PER_MESSAGE: usize = 16_384;

/// How a step was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Along an edge of the walked graph, forward, backward or staying.
    Edge,
    /// Back to the front end.
    Jump,
    /// From a service that no edge leaves to any other.
    Teleport,
}

/// One step of a walk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WalkStep {
    /// The walk, counted from 1; a jump back ends one.
    pub walk: u32,
    /// Index of the service that was left.
    pub from: usize,
    /// Index of the service that was reached.
    pub to: usize,
    /// How.
    pub by: Move,
    /// Chance of this step from there, above 0, at most 1.
    pub probability: f64,
}

/// Remembers steps, or nothing at all when nobody wants them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WalkTrace {
    steps: Option<Vec<WalkStep>>,
}

impl WalkTrace {
    /// Remembers steps when they are `wanted`.
    pub fn new(wanted: bool) -> Self {
        Self { steps: wanted.then(Vec::new) }
    }

    /// Remembers a step, which is not even computed when it is not wanted.
    pub(crate) fn record(&mut self, step: impl FnOnce() -> WalkStep) {
        if let Some(steps) = &mut self.steps {
            steps.push(step());
        }
    }

    /// The steps in order; empty when they were not wanted.
    pub fn steps(&self) -> &[WalkStep] {
        self.steps.as_deref().unwrap_or_default()
    }

    /// The steps with other indices: `places[i]` is that of service `i`. Steps of a service without one are left out.
    pub(crate) fn renamed(self, places: &[Option<usize>]) -> Self {
        let place = |index: usize| places.get(index).copied().flatten();
        let renamed =
            |step: WalkStep| Some(WalkStep { from: place(step.from)?, to: place(step.to)?, ..step });
        Self { steps: self.steps.map(|steps| steps.into_iter().filter_map(renamed).collect()) }
    }

    /// The steps as messages, each with the names of `services`, to which indices refer.
    pub(crate) fn to_wire(&self, services: &[String]) -> Vec<v1::WalkSteps> {
        self.steps()
            .chunks(STEPS_PER_MESSAGE)
            .map(|steps| v1::WalkSteps {
                services: services.to_vec(),
                walk: steps.iter().map(|step| step.walk).collect(),
                from: steps.iter().map(|step| wire_index(step.from)).collect(),
                to: steps.iter().map(|step| wire_index(step.to)).collect(),
                r#move: steps.iter().map(|step| step.by.to_wire().into()).collect(),
                probability: steps.iter().map(|step| step.probability).collect(),
            })
            .collect()
    }
}

/// No frame holds as many services as an index of the wire can name.
fn wire_index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl Move {
    const fn to_wire(self) -> v1::WalkMove {
        match self {
            Self::Edge => v1::WalkMove::Edge,
            Self::Jump => v1::WalkMove::Jump,
            Self::Teleport => v1::WalkMove::Teleport,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(walk: u32, from: usize, to: usize) -> WalkStep {
        WalkStep { walk, from, to, by: Move::Edge, probability: 0.5 }
    }

    #[test]
    fn steps_that_nobody_wants_are_not_computed() {
        let mut trace = WalkTrace::new(false);
        trace.record(|| unreachable!("nobody wants it"));
        assert!(trace.steps().is_empty() && trace.to_wire(&[]).is_empty());
    }

    #[test]
    fn steps_are_renamed_and_cut_into_messages() {
        let mut trace = WalkTrace::new(true);
        for walk in 0..20_000 {
            trace.record(|| step(walk, 0, 1));
        }
        trace.record(|| step(9, 0, 2));
        let renamed = trace.renamed(&[Some(1), Some(0), None]);
        assert_eq!((renamed.steps().len(), renamed.steps()[0]), (20_000, step(0, 1, 0)));
        let messages = renamed.to_wire(&["a".into(), "b".into()]);
        assert_eq!((messages.len(), messages[1].walk[0]), (2, 16_384));
        assert_eq!(messages.iter().map(|message| message.from.len()).sum::<usize>(), 20_000);
        assert_eq!(messages[0].services[messages[0].from[0] as usize], "b");
    }
}
