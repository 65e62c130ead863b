//! Service profiles and the class that follows from them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{frame::check_name, invalid::Invalid, metric::METRIC_COUNT, v1};

/// The class of a service: which kind of metric dominates its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ServiceClass {
    /// Latency dominates.
    #[serde(rename = "R")]
    Representational,
    /// CPU dominates.
    #[serde(rename = "C")]
    Computing,
    /// Throughput or congestion dominates.
    #[serde(rename = "N")]
    Networking,
    /// I/O dominates.
    #[serde(rename = "S")]
    Storage,
    /// Memory dominates, availability does strictly, or nothing does.
    #[serde(rename = "E")]
    Environmental,
}

impl ServiceClass {
    /// All classes, in the order of arrays of five.
    pub const ALL: [Self; 5] =
        [Self::Representational, Self::Computing, Self::Networking, Self::Storage, Self::Environmental];

    /// Position in arrays of five, 0..4.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The letter that the paper uses.
    pub const fn letter(self) -> char {
        match self {
            Self::Representational => 'R',
            Self::Computing => 'C',
            Self::Networking => 'N',
            Self::Storage => 'S',
            Self::Environmental => 'E',
        }
    }

    /// Decodes a wire value; `Ok(None)` for unspecified.
    ///
    /// # Errors
    /// The value is unknown.
    pub fn from_wire(field: &str, value: i32) -> Result<Option<Self>, Invalid> {
        match usize::try_from(value) {
            Ok(0) => Ok(None),
            Ok(number) if number <= Self::ALL.len() => Ok(Some(Self::ALL[number - 1])),
            _ => Err(Invalid::new(field, format!("{value} is no service class; send 1 to 5"))),
        }
    }

    /// The wire value.
    pub const fn to_wire(self) -> v1::ServiceClass {
        match self {
            Self::Representational => v1::ServiceClass::Representational,
            Self::Computing => v1::ServiceClass::Computing,
            Self::Networking => v1::ServiceClass::Networking,
            Self::Storage => v1::ServiceClass::Storage,
            Self::Environmental => v1::ServiceClass::Environmental,
        }
    }
}

/// The profile p_i of a service: the mean of its out-edges' weights, with the class that dominates it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceProfile {
    /// Name of the service.
    pub service: String,
    /// p_ik in the order of the metric types, each 0..1.
    pub weights: [f64; METRIC_COUNT],
    /// The dominating class.
    pub class: ServiceClass,
}

impl TryFrom<&v1::ServiceProfile> for ServiceProfile {
    type Error = Invalid;

    fn try_from(wire: &v1::ServiceProfile) -> Result<Self, Invalid> {
        check_name("profile.service", &wire.service)?;
        let weights = <[f64; METRIC_COUNT]>::try_from(wire.weights.as_slice())
            .ok()
            .filter(|weights| weights.iter().all(|weight| (0.0..=1.0).contains(weight)))
            .ok_or_else(|| Invalid::new("profile.weights", "must be seven numbers between 0 and 1"))?;
        let class = ServiceClass::from_wire("profile.service_class", wire.service_class)?
            .ok_or_else(|| Invalid::missing("profile.service_class"))?;
        Ok(Self { service: wire.service.clone(), weights, class })
    }
}

impl From<&ServiceProfile> for v1::ServiceProfile {
    fn from(profile: &ServiceProfile) -> Self {
        Self {
            service: profile.service.clone(),
            weights: profile.weights.to_vec(),
            service_class: profile.class.to_wire().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_survive_the_wire_and_bad_ones_are_refused() {
        for class in ServiceClass::ALL {
            let profile = ServiceProfile { service: "a".into(), weights: [0.1; 7], class };
            assert_eq!(ServiceProfile::try_from(&v1::ServiceProfile::from(&profile)), Ok(profile));
        }
        let bad = v1::ServiceProfile { service: "a".into(), weights: vec![f64::NAN; 7], service_class: 1 };
        assert_eq!(ServiceProfile::try_from(&bad).unwrap_err().field(), "profile.weights");
        let bad = v1::ServiceProfile { service: "a".into(), weights: vec![0.0; 7], service_class: 6 };
        assert_eq!(ServiceProfile::try_from(&bad).unwrap_err().field(), "profile.service_class");
    }
}
