//! Every fault is a sentence that names file, line and column.

use automap_collector::error::CollectErrorKind;

use super::{collect, sentence};

#[test]
fn unparsable_cells_are_named_by_file_line_and_column() {
    assert_eq!(
        sentence("timestamp,cart_cpu\n1,2\n\n2,\"12,5\"\n"),
        "metrics.csv line 4, column cart_cpu: \"12,5\" is no number; leave the cell empty for a missing sample"
    );
    assert_eq!(
        sentence("timestamp,cart_cpu\r\n1,2\r\n2,x\r\n"),
        "metrics.csv line 3, column cart_cpu: \"x\" is no number; leave the cell empty for a missing sample"
    );
    let long = sentence(format!("timestamp,a_cpu\n1,{}", "y".repeat(1000)));
    assert!(long.len() < 200, "{long}");
    assert!(long.starts_with("metrics.csv line 2, column a_cpu"), "{long}");
}

#[test]
fn times_that_are_none_are_named() {
    assert_eq!(
        sentence("timestamp,a_cpu\nnoon,1\n"),
        "metrics.csv line 2, column timestamp: \"noon\" is no time in unix seconds"
    );
    assert!(sentence("timestamp,a_cpu\n,1\n").contains("\"\" is no time"));
    assert!(sentence("timestamp,a_cpu\nnan,1\n").contains("\"nan\" is no time"));
    assert!(
        sentence("timestamp,a_cpu\n1661270702000,1\n")
            .ends_with("is it in milliseconds? then divide by 1000")
    );
}

#[test]
fn empty_files_and_files_without_rows_are_told_apart() {
    assert_eq!(sentence(""), "metrics.csv is empty; its first line must name the columns");
    assert_eq!(sentence("\n\r\n"), sentence(""));
    let error = collect("timestamp,a_cpu\n").unwrap_err();
    assert_eq!(error.to_string(), "metrics.csv holds a header and no rows");
    assert_eq!(error.kind(), CollectErrorKind::TooLittleData);
}

#[test]
fn a_header_without_timestamp_is_refused() {
    let missing = "metrics.csv line 1: there is no column `timestamp` of unix seconds";
    assert_eq!(
        sentence("timestmp,a_cpu\n1,2\n"),
        format!("{missing}; is it the column \"timestmp\"? then rename it")
    );
    assert_eq!(sentence("a_cpu,b_cpu\n1,2\n"), format!("{missing}; the first column is \"a_cpu\""));
}

#[test]
fn ragged_rows_are_named_by_line() {
    let cut = "was the file cut off?";
    assert_eq!(
        sentence("timestamp,a_cpu,b_cpu\n1,2,3\n2,4\n"),
        format!("metrics.csv line 3: has 2 cells where the header names 3 columns; {cut}")
    );
    assert_eq!(
        sentence("timestamp,a_cpu\n1,2,3"),
        format!("metrics.csv line 2: has 3 cells where the header names 2 columns; {cut}")
    );
}

#[test]
fn text_that_is_not_utf8_is_named() {
    assert_eq!(
        sentence(b"timestamp,a_cpu\n1,\xff\n"),
        "metrics.csv line 2, column a_cpu: is not UTF-8 text; save the file as UTF-8"
    );
    assert_eq!(
        sentence(b"timestamp,\xe4_cpu\n1,2\n"),
        "metrics.csv line 1, column 2: is not UTF-8 text; save the file as UTF-8"
    );
    let utf16: Vec<u8> = "timestamp,a_cpu\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(!sentence([&b"\xff\xfe"[..], &utf16].concat()).is_empty());
}

#[test]
fn duplicate_times_name_both_lines() {
    assert_eq!(
        sentence("timestamp,a_cpu\n1,2\n2,3\n1,4\n"),
        "metrics.csv: lines 2 and 4 are both of time 1; keep one row per time"
    );
}
