//! How much testing one behaviour graph may take.

use std::{fmt, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{invalid::Invalid, v1};

/// Longest budget in seconds: a day.
const MOST_SECONDS: f64 = 86_400.0;

/// How much testing one behaviour graph may take. Beyond it pairs keep their edges untested.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum TestBudget {
    /// As much as it takes.
    #[default]
    Unlimited,
    /// So many conditional independence tests: the same graph on every machine.
    Tests(u64),
    /// So much time on the clock: the graph depends on the machine.
    Time(Duration),
}

impl TestBudget {
    /// Decodes a message; none means no limit.
    ///
    /// # Errors
    /// The time is none, or both are given.
    pub fn from_wire(field: &str, wire: Option<&v1::TestBudget>) -> Result<Self, Invalid> {
        use v1::test_budget::Limit;
        match wire.and_then(|budget| budget.limit) {
            None => Ok(Self::Unlimited),
            Some(Limit::Tests(0)) => {
                Err(Invalid::new(format!("{field}.tests"), "are 0; leave the budget out for none"))
            }
            Some(Limit::Tests(tests)) => Ok(Self::Tests(tests)),
            Some(Limit::Seconds(seconds)) => Self::seconds(seconds).ok_or_else(|| {
                Invalid::new(format!("{field}.seconds"), format!("are {seconds}; give 0.001 to 86400"))
            }),
        }
    }

    /// The wire value.
    pub fn to_wire(self) -> Option<v1::TestBudget> {
        use v1::test_budget::Limit;
        let limit = match self {
            Self::Unlimited => return None,
            Self::Tests(tests) => Limit::Tests(tests),
            Self::Time(time) => Limit::Seconds(time.as_secs_f64()),
        };
        Some(v1::TestBudget { limit: Some(limit) })
    }

    fn seconds(seconds: f64) -> Option<Self> {
        (0.001..=MOST_SECONDS).contains(&seconds).then(|| Self::Time(Duration::from_secs_f64(seconds)))
    }
}

impl fmt::Display for TestBudget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => formatter.pad("none"),
            Self::Tests(tests) => write!(formatter, "{tests}"),
            Self::Time(time) => write!(formatter, "{}s", time.as_secs_f64()),
        }
    }
}

impl From<TestBudget> for String {
    fn from(budget: TestBudget) -> Self {
        budget.to_string()
    }
}

impl TryFrom<String> for TestBudget {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl FromStr for TestBudget {
    type Err = Invalid;

    /// `none`, a number of tests such as 250000000, 250M or 2G, or a time such as 30s.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "none" {
            return Ok(Self::Unlimited);
        }
        let parsed = match text.strip_suffix('s') {
            Some(seconds) => seconds.parse().ok().and_then(Self::seconds),
            None => tests(text).map(Self::Tests),
        };
        parsed.ok_or_else(|| {
            Invalid::new(
                "budget",
                format!("{text} is no budget; use none, a number of tests such as 250M or 2G, or a time such as 30s"),
            )
        })
    }
}

fn tests(text: &str) -> Option<u64> {
    let (number, scale) = match text.strip_suffix(['k', 'M', 'G']) {
        None => (text, 1),
        Some(number) if text.ends_with('k') => (number, 1_000),
        Some(number) if text.ends_with('M') => (number, 1_000_000),
        Some(number) => (number, 1_000_000_000),
    };
    number.parse::<u64>().ok()?.checked_mul(scale).filter(|tests| *tests > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_written_as_they_are_read_and_survive_the_wire() {
        for (text, budget) in [
            ("none", TestBudget::Unlimited),
            ("1000", TestBudget::Tests(1000)),
            ("30s", TestBudget::Time(Duration::from_secs(30))),
            ("0.5s", TestBudget::Time(Duration::from_millis(500))),
        ] {
            assert_eq!(text.parse(), Ok(budget));
            assert_eq!(budget.to_string(), text);
            assert_eq!(TestBudget::from_wire("budget", budget.to_wire().as_ref()), Ok(budget));
        }
        assert_eq!("250M".parse(), Ok(TestBudget::Tests(250_000_000)));
        assert_eq!("2G".parse(), Ok(TestBudget::Tests(2_000_000_000)));
        for wrong in ["", "0", "-1", "s", "0s", "NaNs", "infs", "99999999999G", "1.5M", "ten"] {
            assert!(wrong.parse::<TestBudget>().is_err(), "{wrong}");
        }
        use v1::test_budget::Limit;
        for (limit, field) in
            [(Limit::Tests(0), "budget.tests"), (Limit::Seconds(f64::NAN), "budget.seconds")]
        {
            let wire = v1::TestBudget { limit: Some(limit) };
            assert_eq!(TestBudget::from_wire("budget", Some(&wire)).unwrap_err().field(), field);
        }
    }
}
