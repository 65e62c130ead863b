//! A client of AutoMAP's walker: connects, has incidents diagnosed, and says what caused them.
//!
//! ```no_run
//! use automap_client::{Client, Recording, Settings};
//!
//! # async fn example() -> Result<(), automap_client::Error> {
//! let client = Client::builder("https://walker.example:4310")
//!     .ca("ca.crt")
//!     .token_file("token")
//!     .connect()?;
//! let recording = Recording::read("incident".as_ref())?;
//! let answer = client
//!     .diagnose(&recording, Settings::default(), |progress| println!("{}", progress.detail))
//!     .await?;
//! for ranked in &answer.diagnosis.ranking {
//!     println!("{} {:.3}", ranked.service, ranked.score);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`builder`] | how a walker is reached, and what is shown to it |
//! | [`client`] | the calls |
//! | [`recording`] | a recorded incident on disk |
//! | [`upload`] | files on their way to a walker |
//! | [`error`] | why there is no answer |
//!
//! Requests and answers are the messages of `automap.v1`. A client belongs to a tokio runtime, and its clones share
//! connections. `cargo run --release --example diagnose_recording -- --help` and `start_and_wait` are whole programs.

pub mod builder;
pub mod client;
pub mod error;
pub mod recording;
pub mod upload;

pub use automap_proto::v1;
pub use builder::ClientBuilder;
pub use client::{Answer, Client};
pub use error::Error;
pub use recording::Recording;
pub use upload::Upload;

/// How to diagnose.
pub type Settings = v1::DiagnosisSettings;
