//! A diagnosis as people see it, in the terminal, in a file and on the page of the walker.
//!
//! | module | what it holds |
//! |---|---|
//! | [`answer`] | a diagnosis, checked |
//! | [`verdict`] | the root cause with what it is worth, or why none is named |
//! | [`context`] | what was diagnosed, and what it resembles |
//! | [`learned`] | what it owes to confirmed incidents |
//! | [`drawing`] | its graph |
//! | [`chart`], [`quantity`] | a series behind a claim, and numbers beside it |
//! | [`gaps`] | which services lacked which metric |
//! | [`sections`] | all of these as parts of an HTML page |

pub mod answer;
pub mod chart;
pub mod context;
pub mod drawing;
pub mod gaps;
pub mod learned;
pub mod quantity;
pub mod sections;
pub mod verdict;

/// The style sheet of pages made of [`sections`], without that of drawings.
pub const STYLE: &str = include_str!("report.css");
