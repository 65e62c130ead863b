//! A template of a webhook's body.

use std::{fs, path::Path};

use automap_proto::invalid::Invalid;
use minijinja::{AutoEscape, Environment, value::Serde};

use super::message::Message;

const NAME: &str = "template-file";
/// Largest template, bytes.
const MAX_BYTES: usize = 1 << 20;

/// A template, read and tried.
#[derive(Debug)]
pub(super) struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// Reads a template and tries it on an example.
    ///
    /// # Errors
    /// It cannot be read or rendered, or what it makes is no JSON where the content type says so.
    pub(super) fn read(file: &Path, content_type: &str) -> Result<Self, Invalid> {
        let about =
            |problem: &dyn std::fmt::Display| Invalid::new(NAME, format!("{} {problem}", file.display()));
        let text =
            fs::read_to_string(file).map_err(|error| about(&format_args!("cannot be read: {error}")))?;
        if text.len() > MAX_BYTES {
            return Err(about(&format_args!("has more than {MAX_BYTES} bytes")));
        }
        Self::new(text, is_json(content_type)).map_err(|problem| about(&problem))
    }

    fn new(text: String, json: bool) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(move |_| if json { AutoEscape::Json } else { AutoEscape::None });
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        let wrong = |error: minijinja::Error| format!("cannot be used: {error:#}");
        environment.add_template_owned(NAME, text).map_err(wrong)?;
        let template = Self { environment };
        for message in [Message::example(), Message::default()] {
            let body = template.render(&message).map_err(wrong)?;
            if json && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&body) {
                return Err(format!("does not make JSON: {error}; it made {body}"));
            }
        }
        Ok(template)
    }

    /// The body for a message.
    ///
    /// # Errors
    /// The template asks of this message what it does not have.
    pub(super) fn render(&self, message: &Message) -> Result<String, minijinja::Error> {
        self.environment.get_template(NAME)?.render(Serde(message))
    }
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_as_json_where_the_body_is_json() {
        let template = Template::new(
            r#"{"text": {{ verdict }}, "who": [{% for cause in causes %}{{ cause.service }}{% if not loop.last %},{% endif %}{% endfor %}]}"#.into(),
            true,
        )
        .unwrap();
        let message = Message { verdict: "say \"hi\"\n</script>".into(), ..Message::example() };
        let body: serde_json::Value = serde_json::from_str(&template.render(&message).unwrap()).unwrap();
        assert_eq!(body["text"], "say \"hi\"\n</script>");
        assert_eq!(body["who"][0], message.causes[0].service.as_str());
        let plain = Template::new("{{ system }}: {{ verdict }}".into(), false).unwrap();
        assert_eq!(plain.render(&message).unwrap(), "shop: say \"hi\"\n</script>");
    }

    #[test]
    fn a_template_that_cannot_work_is_refused_before_it_is_needed() {
        let refused = |text: &str| Template::new(text.into(), true).unwrap_err();
        assert!(refused("{% for %}").contains("cannot be used"));
        assert!(refused(r#"{"x": {{ verdit }}}"#).contains("cannot be used"));
        assert!(refused("{\"x\": \"{{ verdict }}\"}").contains("does not make JSON"));
        assert!(is_json("application/json; charset=utf-8") && is_json("application/vnd.x+json"));
        assert!(!is_json("text/plain"));
    }
}
