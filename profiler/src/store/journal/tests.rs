//! What comes back from torn and damaged files.

use super::*;

fn change(number: u64) -> Change {
    let mut change = Change::default();
    change.insert(number.to_be_bytes().to_vec(), vec![7; number as usize]);
    change
}

fn written(directory: &Path, numbers: std::ops::RangeInclusive<u64>) -> Journal {
    let mut journal = Journal::begin(directory, *numbers.start()).unwrap();
    for number in numbers {
        journal.append(number, &change(number)).unwrap();
    }
    journal
}

fn read(directory: &Path, after: u64) -> (Vec<u64>, Replayed) {
    let mut seen = Vec::new();
    let outcome = replay::<io::Error>(directory, after, None, |number, found| {
        assert_eq!(found, &change(number));
        seen.push(number);
        Ok(())
    });
    (seen, outcome.unwrap())
}

#[test]
fn changes_come_back_in_order_across_segments() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path(), 1..=3);
    let mut journal = written(directory.path(), 4..=6);
    assert_eq!(read(directory.path(), 0).0, [1, 2, 3, 4, 5, 6]);
    assert_eq!(read(directory.path(), 4).0, [5, 6]);
    journal.turn(7).unwrap();
    journal.forget_through(6).unwrap();
    assert_eq!(journal.total(), 0);
    let (seen, outcome) = read(directory.path(), 6);
    assert_eq!((seen, outcome.last, outcome.gaps), (vec![], 6, vec![]));
    assert_eq!(read(&directory.path().join("none"), 9).1.last, 9);
}

#[test]
fn a_torn_end_is_told_and_costs_nothing_before_it() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path(), 1..=5);
    let path = directory.path().join(format!("{:020}.journal", 1));
    let bytes = fs::read(&path).unwrap();
    let last = HEADER_BYTES + change(5).encode().len();
    for cut in 1..last {
        fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
        let (seen, outcome) = read(directory.path(), 0);
        assert_eq!(seen, [1, 2, 3, 4]);
        assert!(outcome.torn_end && outcome.gaps.is_empty());
    }
    // The same number again, as after a restart.
    written(directory.path(), 5..=6);
    let (seen, outcome) = read(directory.path(), 0);
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    assert_eq!(outcome.gaps, []);
}

#[test]
fn behind_a_gap_that_was_never_acknowledged_nothing_counts() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path(), 1..=6);
    let path = directory.path().join(format!("{:020}.journal", 1));
    let mut bytes = fs::read(&path).unwrap();
    // The sectors of change 4 were dropped, and those behind it kept.
    let ends: Vec<usize> = frames(&bytes).0.iter().map(|frame| frame.end).collect();
    bytes[ends[2]..ends[3]].fill(0);
    fs::write(&path, bytes).unwrap();
    let gaps = |promised| replay::<io::Error>(directory.path(), 0, promised, |_, _| Ok(())).unwrap();
    assert_eq!((gaps(Some(3)).last, gaps(Some(3)).newest, gaps(Some(3)).gaps), (3, 3, vec![]));
    assert_eq!((gaps(Some(4)).last, gaps(Some(4)).gaps), (6, vec![(4, 4)]), "it was acknowledged");
    assert_eq!((gaps(None).last, gaps(None).gaps), (6, vec![(4, 4)]), "nobody knows");
    cut_after(directory.path(), 3).unwrap();
    written(directory.path(), 4..=5);
    let (seen, outcome) = read(directory.path(), 0);
    assert_eq!((seen, outcome.gaps), (vec![1, 2, 3, 4, 5], vec![]));
    cut_after(directory.path(), 2).unwrap();
    assert_eq!(read(directory.path(), 0).0, [1, 2]);
}

#[test]
fn a_flipped_bit_costs_one_change_and_names_it() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path(), 1..=5);
    let path = directory.path().join(format!("{:020}.journal", 1));
    let bytes = fs::read(&path).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        let (seen, outcome) = read(directory.path(), 0);
        assert_eq!(seen.len(), 4, "bit {bit}");
        assert!(outcome.torn_end || outcome.gaps.len() == 1, "bit {bit}");
    }
}

#[test]
fn a_payload_whose_length_a_frame_cannot_tell_is_refused() {
    let most = u64::from(u32::MAX);
    assert_eq!(require_frame(most), Ok(()));
    let error = require_frame(most + 1).unwrap_err().to_string();
    assert!(error.contains("4294967296 bytes") && error.contains("4294967295"), "{error}");
}
