//! The steps of the walks as a file: one JSON object per line.

use automap_proto::v1;
use serde::Serialize;

/// One step.
#[derive(Debug, Serialize)]
struct StepLine<'a> {
    /// Counted from 1.
    walk: u32,
    /// Counted from 1 within its walk.
    step: usize,
    from: &'a str,
    to: &'a str,
    r#move: &'static str,
    /// Chance of the step from where it began.
    probability: f64,
}

/// The lines of all steps, in order.
///
/// # Errors
/// The messages do not hold what they must: a walker of another kind answered.
pub fn render(messages: &[v1::WalkSteps]) -> anyhow::Result<String> {
    let mut text = String::new();
    let (mut walk, mut step) = (0, 0);
    for steps in messages {
        let name = |indices: &[u32], place: usize| {
            let index = usize::try_from(*indices.get(place)?).ok()?;
            steps.services.get(index).map(String::as_str)
        };
        for (place, &of_walk) in steps.walk.iter().enumerate() {
            step = if of_walk == walk { step + 1 } else { 1 };
            walk = of_walk;
            let line = || {
                Some(StepLine {
                    walk,
                    step,
                    from: name(&steps.from, place)?,
                    to: name(&steps.to, place)?,
                    r#move: move_name(*steps.r#move.get(place)?)?,
                    probability: *steps.probability.get(place)?,
                })
            };
            let line = line().ok_or_else(|| anyhow::anyhow!("step {step} of walk {walk} is not whole"))?;
            text += &serde_json::to_string(&line)?;
            text.push('\n');
        }
    }
    Ok(text)
}

fn move_name(wire: i32) -> Option<&'static str> {
    match v1::WalkMove::try_from(wire).ok()? {
        v1::WalkMove::Edge => Some("edge"),
        v1::WalkMove::Jump => Some("jump"),
        v1::WalkMove::Teleport => Some("teleport"),
        v1::WalkMove::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> v1::WalkSteps {
        v1::WalkSteps {
            services: vec!["web".into(), "c\"art".into()],
            walk: vec![1, 1, 2],
            from: vec![0, 1, 0],
            to: vec![1, 0, 1],
            r#move: [v1::WalkMove::Edge, v1::WalkMove::Jump, v1::WalkMove::Teleport].map(i32::from).to_vec(),
            probability: vec![0.5, 0.01, 0.25],
        }
    }

    #[test]
    fn every_step_is_a_line_and_steps_are_counted_within_their_walk_across_messages() {
        let second = v1::WalkSteps { walk: vec![2, 3, 3], ..steps() };
        let text = render(&[steps(), second]).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            r#"{"walk":1,"step":1,"from":"web","to":"c\"art","move":"edge","probability":0.5}"#
        );
        assert!(lines[1].contains("\"step\":2") && lines[1].contains("jump"), "{text}");
        assert!(lines[3].contains(r#""walk":2,"step":2"#) && lines[4].contains(r#""walk":3,"step":1"#));
        assert!(render(&[]).unwrap().is_empty());
    }

    #[test]
    fn steps_that_are_not_whole_are_refused() {
        for broken in [
            v1::WalkSteps { to: vec![], ..steps() },
            v1::WalkSteps { from: vec![9; 3], ..steps() },
            v1::WalkSteps { r#move: vec![0; 3], ..steps() },
        ] {
            assert!(render(&[broken]).unwrap_err().to_string().contains("walk 1 is not whole"));
        }
    }
}
