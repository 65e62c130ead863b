//! p-values of χ² and G² against scipy's.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails to unwrap in a test fails the test")]

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use automap_graph_builder::contingency::{Association, Statistic, Tabulation};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const TABLES: usize = 1000;

/// Counts by stratum and row.
type Table = Vec<Vec<Vec<u32>>>;

/// Tables of all shapes: dense and sparse ones, with empty rows, columns and strata, independent and dependent ones.
fn random_table(random: &mut ChaCha8Rng) -> Table {
    let (rows, columns) = (random.random_range(1..=5), random.random_range(1..=5));
    let largest = [1, 3, 20, 400][random.random_range(0..4_usize)];
    let dependence = [0.0, 0.2, 1.0][random.random_range(0..3_usize)];
    let is_sparse = random.random_bool(0.3);
    (0..random.random_range(1..=27))
        .map(|_| {
            (0..rows)
                .map(|row| {
                    (0..columns)
                        .map(|column| {
                            let count: u32 = random.random_range(0..=largest);
                            let is_empty = is_sparse && random.random_bool(0.6);
                            let is_diagonal = row == column && random.random_bool(dependence);
                            if is_empty { 0 } else { count + if is_diagonal { largest } else { 0 } }
                        })
                        .collect()
                })
                .collect()
        })
        .collect()
}

fn association(statistic: Statistic, table: &Table) -> Association {
    let samples: u32 = table.iter().flatten().flatten().sum();
    let tabulation = Tabulation::new(statistic, samples as usize);
    let mut total = Association::default();
    for stratum in table {
        tabulation.add(&mut total, &stratum.concat(), stratum[0].len());
    }
    total
}

/// The interpreter that `.ci/test` sets up beside the builds.
fn python() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(3).unwrap().join("ci-venv/bin/python");
    assert!(path.is_file(), "{} is missing: run `bash .ci/test`, which sets it up", path.display());
    path
}

fn by_scipy(tables: &[Table]) -> Vec<(f64, f64, usize)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scipy_p_values/p_values.py");
    let mut child =
        Command::new(python()).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // The script reads all before it writes.
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(tables).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn p_values_of_a_thousand_random_tables_are_those_of_scipy() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let tables: Vec<Table> = (0..TABLES).map(|_| random_table(&mut random)).collect();
    let expected = by_scipy(&tables);
    assert_eq!(expected.len(), TABLES);
    let mut between = 0;
    for (table, (chi2, g2, freedom)) in tables.iter().zip(expected) {
        for (statistic, p) in [(Statistic::Chi2, chi2), (Statistic::G2, g2)] {
            let found = association(statistic, table);
            assert_eq!(found.degrees_of_freedom, freedom, "{table:?}");
            assert!((found.p_value() - p).abs() < 1e-9, "{statistic:?} {} {p} {table:?}", found.p_value());
        }
        between += usize::from((1e-6..0.999).contains(&chi2));
    }
    // The comparison says something only where p is neither 0 nor 1.
    assert!(between > TABLES / 4, "{between}");
}
