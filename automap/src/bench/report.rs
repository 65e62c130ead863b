//! What a benchmark found.

use automap_graph_builder::build::{BuiltGraph, MetricLevel};
use automap_proto::{budget::TestBudget, settings::GraphSettings};
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use super::{load::Load, meter::Cost, workers::SpreadFigures};

/// Costs of whole builds and of the bare matrix products of the same size, from one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// n.
    pub services: usize,
    /// T.
    pub samples: usize,
    /// Metric types.
    pub metrics: usize,
    /// Whether all series follow one load.
    pub shared_load: bool,
    /// The conditional independence test.
    pub ci_test: &'static str,
    /// Its level.
    pub alpha: f64,
    /// Largest conditioning set.
    pub max_condition: usize,
    /// What was removed before testing.
    pub load_removal: &'static str,
    /// How much testing a build may take.
    pub budget: String,
    /// Threads of the builds.
    pub threads: usize,
    /// Conditional independence tests of one build.
    pub tests: u64,
    /// Edges of the graph; an undirected edge counts once.
    pub edges: usize,
    /// Time on cores of one build, the median of the builds, seconds.
    pub cpu_seconds: f64,
    /// Time on the clock of that build, seconds.
    pub wall_seconds: f64,
    /// Time on one core of the matrix products alone, seconds.
    pub matrix_product_cpu_seconds: f64,
    /// `cpu_seconds` / `matrix_product_cpu_seconds`.
    pub build_to_product: f64,
    /// Time on one core of level 0 of all metric types, from their series on, seconds.
    pub level_zero_cpu_seconds: f64,
    /// `level_zero_cpu_seconds` / `matrix_product_cpu_seconds`.
    pub level_zero_to_product: f64,
    /// Tests per second of time on cores.
    pub tests_per_cpu_second: f64,
    /// Memory of the first build at its peak beside its input; absent where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    /// What the levels from 1 on took.
    pub levels: Vec<LevelFigures>,
    /// What the graph says of itself.
    pub warnings: Vec<String>,
    /// What telling the tests of edges took, where that was asked for.
    pub edge_tests: Option<EdgeTestFigures>,
    /// What its bootstrap resamples took, where they were asked for.
    pub resamples: Option<ResampleFigures>,
    /// The same spread over worker processes, where that was asked for.
    pub spread: Option<SpreadFigures>,
}

/// What builds take that tell the tests of edges, beside ones that do not; both in turn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EdgeTestFigures {
    /// Time on cores of the cheapest build with them, seconds.
    pub cpu_seconds: f64,
    /// Time on cores of the cheapest build without them, seconds.
    pub without_cpu_seconds: f64,
    /// `cpu_seconds` / `without_cpu_seconds`.
    pub with_to_without: f64,
}

impl EdgeTestFigures {
    /// Of the cheapest of both.
    pub fn new(cpu_seconds: f64, without_cpu_seconds: f64) -> Self {
        Self { cpu_seconds, without_cpu_seconds, with_to_without: cpu_seconds / without_cpu_seconds }
    }
}

/// What bootstrap resamples took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResampleFigures {
    /// How many there were.
    pub resamples: u32,
    /// Time on cores, seconds.
    pub cpu_seconds: f64,
    /// Time on the clock, seconds.
    pub wall_seconds: f64,
}

impl ResampleFigures {
    /// What so many cost.
    pub fn new(resamples: u32, cost: Cost) -> Self {
        Self { resamples, cpu_seconds: cost.cpu.as_secs_f64(), wall_seconds: cost.wall.as_secs_f64() }
    }
}

/// What the tests of one level of one metric type took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LevelFigures {
    /// The metric type.
    pub metric: &'static str,
    /// Size of the conditioning sets.
    pub level: usize,
    /// Pairs that were connected when it began.
    pub pairs: usize,
    /// Tests that these would take if nothing separated any of them.
    pub most_tests: u64,
    /// Tests that were expected before it began.
    pub expected_tests: u64,
    /// Tests that were made.
    pub tests: u64,
    /// Pairs that keep their edges because the budget ended their search.
    pub cut_pairs: usize,
}

impl Report {
    /// Puts the figures together: the costs of the build, without a budget, of level 0, and of the matrix products.
    pub fn new(
        load: &Load,
        settings: &GraphSettings,
        threads: usize,
        built: &BuiltGraph,
        [cost, level_zero, product]: [Cost; 3],
        peak_memory_bytes: Option<u64>,
    ) -> Self {
        let (cpu_seconds, product_seconds) = (cost.cpu.as_secs_f64(), product.cpu.as_secs_f64());
        Self {
            services: load.services,
            samples: load.samples,
            metrics: load.kinds().len(),
            shared_load: load.shared,
            ci_test: settings.ci_test().name(),
            alpha: settings.alpha(),
            max_condition: settings.max_condition(),
            load_removal: settings.load_removal().name(),
            budget: TestBudget::Unlimited.to_string(),
            threads,
            tests: built.tests,
            edges: built.graph.drawn_edges().count(),
            cpu_seconds,
            wall_seconds: cost.wall.as_secs_f64(),
            matrix_product_cpu_seconds: product_seconds,
            build_to_product: cpu_seconds / product_seconds,
            level_zero_cpu_seconds: level_zero.cpu.as_secs_f64(),
            level_zero_to_product: level_zero.cpu.as_secs_f64() / product_seconds,
            tests_per_cpu_second: built.tests as f64 / cpu_seconds,
            peak_memory_bytes,
            levels: built.levels.iter().map(level_figures).collect(),
            warnings: built.warnings.clone(),
            edge_tests: None,
            resamples: None,
            spread: None,
        }
    }

    /// The figures for a person.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["figure", "value"]);
        let load = format!(
            "{} services x {} samples x {} metrics{}",
            self.services,
            self.samples,
            self.metrics,
            if self.shared_load { ", shared load" } else { "" }
        );
        let test = format!("{} at {}, up to {} conditions", self.ci_test, self.alpha, self.max_condition);
        let memory =
            self.peak_memory_bytes.map_or("unknown".into(), |bytes| format!("{:.0}", bytes as f64 / 1e6));
        for (figure, value) in [
            ("load", load),
            ("test", test),
            ("load removal", self.load_removal.to_owned()),
            ("budget", self.budget.clone()),
            ("threads", self.threads.to_string()),
            ("tests", self.tests.to_string()),
            ("edges", self.edges.to_string()),
            ("wall s", format!("{:.4}", self.wall_seconds)),
            ("cpu s", format!("{:.4}", self.cpu_seconds)),
            ("matrix products, cpu s", format!("{:.4}", self.matrix_product_cpu_seconds)),
            ("build / products", format!("{:.2}", self.build_to_product)),
            ("level 0 / products", format!("{:.2}", self.level_zero_to_product)),
            ("million tests per cpu s", format!("{:.1}", self.tests_per_cpu_second / 1e6)),
            ("peak memory beside the input, MB", memory),
        ] {
            table.add_row([figure.to_owned(), value]);
        }
        if let Some(EdgeTestFigures { cpu_seconds, without_cpu_seconds, with_to_without }) = &self.edge_tests
        {
            let value = format!("{cpu_seconds:.4} / {without_cpu_seconds:.4} = {with_to_without:.3}");
            table.add_row(["cpu s with tests of edges / without".to_owned(), value]);
        }
        if let Some(ResampleFigures { resamples, cpu_seconds, wall_seconds }) = &self.resamples {
            let value = format!("{resamples}: {wall_seconds:.4}, {cpu_seconds:.4}");
            table.add_row(["resamples, wall s, cpu s".to_owned(), value]);
        }
        for (figure, value) in self.spread.iter().flat_map(spread_rows) {
            table.add_row([figure.to_owned(), value]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = format!("{table}\n");
        for warning in &self.warnings {
            text.push_str(&format!("{warning}\n"));
        }
        text
    }
}

fn spread_rows(spread: &SpreadFigures) -> [(&'static str, String); 6] {
    let shards: Vec<String> = spread.shards.iter().map(u64::to_string).collect();
    [
        ("worker processes, one thread each", spread.workers.to_string()),
        ("with them, wall s", format!("{:.4}", spread.wall_seconds)),
        ("workers / threads", format!("{:.3}", spread.wall_to_threads)),
        ("shipped, MB", format!("{:.2}", spread.bytes_shipped as f64 / 1e6)),
        ("first shard, s", format!("{:.3}", spread.seconds_to_first_shard)),
        (
            "shards by coordinator, workers",
            format!(
                "{}{}",
                shards.join(", "),
                if spread.same_graph { "; same graph" } else { "; OTHER GRAPH" }
            ),
        ),
    ]
}

fn level_figures(MetricLevel { metric, level }: &MetricLevel) -> LevelFigures {
    LevelFigures {
        metric: metric.name(),
        level: level.size,
        pairs: level.pairs,
        most_tests: level.most_tests,
        expected_tests: level.expected_tests,
        tests: level.tests,
        cut_pairs: level.cut_pairs,
    }
}
