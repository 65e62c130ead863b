//! Which memory an answer was compared with, as a person names it.

/// Why an incident counts to the system that it counts to, where nobody named one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuessedSystem {
    /// It is called like the directory of the recording.
    Directory,
    /// There is one for all that is not named.
    Default,
}

impl GuessedSystem {
    /// Which memory that means, and how to name another.
    pub fn sentence(self, system: &str) -> String {
        let why = match self {
            Self::Directory => "called like the directory",
            Self::Default => "as none was named",
        };
        format!(
            "remembered under system {system}, {why}: its normal behaviour and past incidents count here; --system NAME tells \
             applications apart"
        )
    }
}

/// The memory of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The flag by which a command finds it; empty for the usual one.
    pub place: String,
    /// Why the system is this one, unless it was named.
    pub guessed: Option<GuessedSystem>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_told_with_its_reason_and_the_way_out() {
        let told = GuessedSystem::Directory.sentence("csv");
        assert!(told.starts_with("remembered under system csv, called like the directory: "), "{told}");
        let told = GuessedSystem::Default.sentence("default");
        assert!(told.contains("as none was named") && told.contains("--system NAME"), "{told}");
    }
}
