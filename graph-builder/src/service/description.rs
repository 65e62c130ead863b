//! What a caller of BuildGraph asks for, checked.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use automap_proto::{
    budget::TestBudget,
    frame::{MetricFrame, check_name},
    incident::{row_ranges, rows_from_wire},
    invalid::{Invalid, did_you_mean},
    settings::GraphSettings,
    v1,
};

/// Most graphs of one call: each takes a whole computation.
const MAX_SELECTIONS: usize = 256;

/// Most bootstrap resamples of one graph: more tell no more.
pub(super) const MAX_RESAMPLES: u32 = 1000;

/// What can be checked before the samples arrive.
#[derive(Debug)]
pub(super) struct Outline {
    settings: GraphSettings,
    budget: TestBudget,
}

impl Outline {
    pub(super) fn new(description: &v1::GraphDescription) -> Result<Self, Invalid> {
        let settings = match &description.settings {
            Some(settings) => {
                GraphSettings::try_from(settings).map_err(|invalid| invalid.within("description.settings"))?
            }
            None => GraphSettings::default(),
        };
        let selections = &description.selections;
        if selections.is_empty() || selections.len() > MAX_SELECTIONS {
            return Err(Invalid::new(
                "description.selections",
                format!("are {}; ask for 1 to {MAX_SELECTIONS} graphs", selections.len()),
            ));
        }
        let mut names = BTreeSet::new();
        for (index, selection) in selections.iter().enumerate() {
            let field = format!("description.selections[{index}].name");
            check_name(&field, &selection.name)?;
            if selection.resamples > MAX_RESAMPLES {
                return Err(Invalid::new(
                    format!("description.selections[{index}].resamples"),
                    format!("are {}; at most {MAX_RESAMPLES} are drawn", selection.resamples),
                ));
            }
            if !names.insert(&selection.name) {
                return Err(Invalid::new(
                    field,
                    format!("{} is taken; name every selection differently", selection.name),
                ));
            }
        }
        if let Some(unknown) = description.max_conditions.keys().find(|name| !names.contains(name)) {
            return Err(Invalid::new(
                "description.max_conditions",
                format!("{unknown} is the name of no selection"),
            ));
        }
        let budget = TestBudget::from_wire("description.budget", description.budget.as_ref())?;
        Ok(Self { settings, budget })
    }
}

/// Rows from which one graph is built.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) name: String,
    pub(super) rows: Ranges,
    /// Bootstrap resamples.
    pub(super) resamples: u32,
    /// Whether edges tell their tests.
    pub(super) edge_tests: bool,
    pub(super) settings: GraphSettings,
}

/// Rows as ranges: expanded they may take more memory than the frame.
#[derive(Debug)]
pub(super) struct Ranges(Vec<Range<usize>>);

impl Ranges {
    fn from_wire(field: &str, ranges: &[v1::RowRange], frame: &MetricFrame) -> Result<Self, Invalid> {
        Ok(Self(row_ranges(&rows_from_wire(field, ranges, frame.grid())?)))
    }

    /// How many rows there are.
    pub(super) fn count(&self) -> usize {
        self.0.iter().map(ExactSizeIterator::len).sum()
    }

    /// Every row, ascending.
    pub(super) fn rows(&self) -> Vec<usize> {
        self.0.iter().cloned().flatten().collect()
    }
}

/// A valid call of BuildGraph.
#[derive(Debug)]
pub(super) struct GraphTask {
    pub(super) frame: Arc<MetricFrame>,
    pub(super) selections: Vec<Selection>,
    /// Position of the front end among the services of the frame.
    pub(super) front_end: Option<usize>,
    pub(super) throughput_rows: Option<Ranges>,
    pub(super) budget: TestBudget,
    /// Seeds the resamples.
    pub(super) seed: u64,
}

impl GraphTask {
    /// Checks what refers to the frame. O(selections · rows).
    pub(super) fn new(
        outline: Outline,
        description: &v1::GraphDescription,
        frame: MetricFrame,
    ) -> Result<Self, Invalid> {
        let mut selections = Vec::with_capacity(description.selections.len());
        for (index, selection) in description.selections.iter().enumerate() {
            let field = format!("description.selections[{index}].rows");
            let settings = match description.max_conditions.get(&selection.name) {
                Some(&size) => outline.settings.with_max_condition(size as usize),
                None => outline.settings.clone(),
            };
            selections.push(Selection {
                settings,
                name: selection.name.clone(),
                resamples: selection.resamples,
                edge_tests: selection.edge_tests,
                rows: Ranges::from_wire(&field, &selection.rows, &frame)?,
            });
        }
        let throughput_rows = match description.throughput_rows.as_slice() {
            [] => None,
            ranges => Some(Ranges::from_wire("description.throughput_rows", ranges, &frame)?),
        };
        Ok(Self {
            front_end: front_end_of(&description.front_end, &frame)?,
            selections,
            throughput_rows,
            budget: outline.budget,
            seed: description.seed,
            frame: Arc::new(frame),
        })
    }
}

fn front_end_of(name: &str, frame: &MetricFrame) -> Result<Option<usize>, Invalid> {
    if name.is_empty() {
        return Ok(None);
    }
    match frame.service_index(name) {
        Some(index) => Ok(Some(index)),
        None => {
            let near = did_you_mean(name, frame.services().iter().map(String::as_str));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            Err(Invalid::new("description.front_end", format!("{name} is no service of the frame{hint}")))
        }
    }
}
