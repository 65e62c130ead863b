//! How answers look: tables and pages for people, JSON for programs.

pub mod alerts_table;
pub mod diagnosis_json;
pub mod diagnosis_page;
pub mod diagnosis_text;
mod edge_json;
pub mod evaluation_charts;
pub mod evaluation_page;
pub mod evaluation_table;
pub mod experiment_section;
pub mod graph_json;
pub mod no_fault_table;
pub mod paragraph;
pub mod verdict;
