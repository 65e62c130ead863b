//! A message as Slack's incoming webhooks take it, and what understands the same.

use serde_json::{Value, json};

use super::message::Message;

/// Longest text of a block, characters.
const MAX_TEXT: usize = 2900;
/// Longest header, characters.
const MAX_HEADER: usize = 140;

/// The body: a text for notifications, and blocks.
pub(super) fn body(message: &Message) -> Value {
    let heading = match &message.root_cause {
        Some(service) => format!("{}: {service} is the likely root cause", message.system),
        None => format!("{}: no root cause is named", message.system),
    };
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": cut(&heading, MAX_HEADER), "emoji": false}}),
        section(&escaped(&message.verdict)),
    ];
    if !message.causes.is_empty() {
        let lines: Vec<String> = message
            .causes
            .iter()
            .map(|cause| {
                format!(
                    "{}. *{}*: {}; {}",
                    cause.rank,
                    escaped(&cause.service),
                    escaped(&cause.evidence),
                    escaped(&cause.path)
                )
            })
            .collect();
        blocks.push(section(&lines.join("\n")));
    }
    blocks.extend(message.similar.first().map(|past| section(&escaped(&past.sentence))));
    let mut context = vec![format!("alert on {}", escaped(&message.front_end))];
    context.extend(message.began.as_ref().map(|began| format!("began {began}")));
    let others = message.alerts.len() as u64 + message.alerts_left_out;
    if others > 1 {
        context.push(format!("{others} alerts"));
    }
    context.extend(message.url.as_ref().map(|url| format!("<{url}|open the diagnosis>")));
    blocks.push(json!({
        "type": "context",
        "elements": [{"type": "mrkdwn", "text": cut(&context.join(" · "), MAX_TEXT)}],
    }));
    json!({"text": escaped(&cut(&message.verdict, MAX_TEXT)), "blocks": blocks})
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": cut(text, MAX_TEXT)}})
}

/// As Slack wants it: nothing in a name may mention people or make a link.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// At most so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_mention_anybody_and_texts_stay_within_the_limits() {
        let mut message = Message::example();
        message.causes[0].service = "<!channel> & co".into();
        message.verdict = "é".repeat(5000);
        let body = body(&message);
        let text = body.to_string();
        assert!(text.contains("&lt;!channel&gt; &amp; co") && !text.contains("<!channel>"), "{text}");
        for block in body["blocks"].as_array().unwrap() {
            let told = block["text"]["text"].as_str().unwrap_or_default();
            assert!(told.chars().count() <= 3000);
        }
        assert!(text.contains("<https://automap.example.org/diagnoses/alert-0123|open the diagnosis>"));
        assert_eq!(body["blocks"][0]["text"]["text"], "shop: cart is the likely root cause");
        assert_eq!(
            body["blocks"][3]["text"]["text"],
            "87 % similar to incident inc-1, confirmed root cause cart (cpu)"
        );
    }
}
