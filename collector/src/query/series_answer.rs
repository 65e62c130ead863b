//! One series of an answer: its labels and samples.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Labels of a series.
pub(crate) type Labels = BTreeMap<String, String>;

/// What kind of value a series of an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `values`: samples over time.
    Matrix,
    /// `value`: one sample.
    Vector,
    /// Neither.
    Other,
}

/// Parses an element of `data.result` and hands each sample, unix seconds and value, to `sample`.
///
/// # Errors
/// It is no series; the sentence of the parser.
///
/// # Complexity
/// O(bytes), without copying samples.
pub(crate) fn parse(
    element: &[u8],
    mut sample: impl FnMut(f64, f64),
) -> Result<(Labels, Shape), serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_slice(element);
    let parsed = parser.deserialize_map(Series(&mut sample))?;
    parser.end()?;
    Ok(parsed)
}

struct Series<'s, F>(&'s mut F);

impl<'de, F: FnMut(f64, f64)> Visitor<'de> for Series<'_, F> {
    type Value = (Labels, Shape);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a series: an object with metric and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut labels = Labels::new();
        let mut shape = Shape::Other;
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "metric" => labels = map.next_value()?,
                "values" => {
                    map.next_value_seed(Samples(&mut *self.0))?;
                    shape = Shape::Matrix;
                }
                "value" => {
                    let Sample(time, value) = map.next_value()?;
                    (self.0)(time, value);
                    shape = Shape::Vector;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok((labels, shape))
    }
}

struct Samples<'s, F>(&'s mut F);

impl<'de, F: FnMut(f64, f64)> DeserializeSeed<'de> for Samples<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(f64, f64)> Visitor<'de> for Samples<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of samples [time, \"value\"]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut samples: A) -> Result<(), A::Error> {
        while let Some(Sample(time, value)) = samples.next_element()? {
            (self.0)(time, value);
        }
        Ok(())
    }
}

/// `[unix seconds, "value"]`.
struct Sample(f64, f64);

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (time, text) = <(f64, &str)>::deserialize(deserializer)?;
        // Rust reads NaN, +Inf and -Inf as Prometheus writes them.
        let value = text.parse().map_err(|_| D::Error::custom(format_args!("{text:?} is no number")))?;
        Ok(Self(time, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Samples = Vec<(f64, f64)>;

    fn read(text: &str) -> Result<(Labels, Shape, Samples), serde_json::Error> {
        let mut samples = Vec::new();
        let (labels, shape) = parse(text.as_bytes(), |time, value| samples.push((time, value)))?;
        Ok((labels, shape, samples))
    }

    #[test]
    fn samples_come_with_labels_and_special_values() {
        let (labels, shape, samples) =
            read(r#"{"metric":{"a":"x\ny"},"values":[[1.5,"0.1"],[2,"NaN"],[3,"+Inf"],[4,"1e-7"]]}"#)
                .unwrap();
        assert_eq!(labels, Labels::from([("a".into(), "x\ny".into())]));
        assert_eq!(shape, Shape::Matrix);
        assert_eq!(samples[0], (1.5, 0.1));
        assert!(samples[1].1.is_nan());
        assert_eq!(samples[2].1, f64::INFINITY);
        assert_eq!(samples[3].1, 1e-7);
    }

    #[test]
    fn vectors_and_strangers_are_told_from_matrices() {
        assert_eq!(read(r#"{"metric":{},"value":[1,"2"]}"#).unwrap().1, Shape::Vector);
        assert_eq!(read(r#"{"metric":{},"histograms":[[1,{"count":"2"}]]}"#).unwrap().1, Shape::Other);
        for wrong in
            [r#"{"metric":{},"values":[[1,2]]}"#, r#"{"metric":{},"values":[[1,"x"]]}"#, "[]", "{} {}"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
