//! Invariance to the order of columns and rows, and input that is no CSV at all.

use proptest::prelude::*;

use super::{collect, identity};

/// A file as cells: the header, then rows.
fn write(header: &[String], rows: &[Vec<String>], columns: &[usize], order: &[usize]) -> String {
    let line = |cells: &[String]| {
        let picked: Vec<&str> = columns.iter().map(|&column| cells[column].as_str()).collect();
        picked.join(",") + "\n"
    };
    let body: String = order.iter().map(|&row| line(&rows[row])).collect();
    line(header) + &body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn neither_the_order_of_columns_nor_that_of_rows_changes_a_bit(
        cells in proptest::collection::vec(
            (1_u32..400, proptest::collection::vec(proptest::option::of(0.0..3.0_f64), 8)), 2..40),
        columns in Just((0..9).collect::<Vec<usize>>()).prop_shuffle(),
        keys in proptest::collection::vec(any::<u32>(), 40),
    ) {
        let names = ["timestamp", "a_latency", "a_throughput", "b_io-read", "b_io-write", "b_cpu", "a_mem",
            "c_latency-p99", "c_throughput"];
        let header = names.map(str::to_owned).to_vec();
        let mut time = 0;
        let rows: Vec<Vec<String>> = cells.iter().map(|(distance, values)| {
            time += distance;
            let numbers = values.iter().map(|value| value.map_or(String::new(), |number| number.to_string()));
            std::iter::once((f64::from(time) / 10.0).to_string()).chain(numbers).collect()
        }).collect();
        let straight: Vec<usize> = (0..rows.len()).collect();
        let mut shuffled = straight.clone();
        shuffled.sort_by_key(|&row| keys[row]);
        let identical: Vec<usize> = (0..9).collect();
        let first = collect(write(&header, &rows, &identical, &straight)).unwrap();
        let second = collect(write(&header, &rows, &columns, &straight)).unwrap();
        let third = collect(write(&header, &rows, &columns, &shuffled)).unwrap();
        prop_assert_eq!(identity(&first.frame), identity(&second.frame));
        prop_assert_eq!(first.warnings, second.warnings);
        prop_assert_eq!(identity(&first.frame), identity(&third.frame));
    }

    #[test]
    fn no_bytes_bring_the_reader_down(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = collect(&bytes);
        let _ = collect([b"timestamp,a_cpu\n".as_slice(), &bytes].concat());
    }
}
