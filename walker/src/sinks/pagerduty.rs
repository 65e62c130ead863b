//! A message as PagerDuty's Events API v2 takes it, and what understands the same.

use serde_json::{Value, json};

use super::{config::Severity, message::Message, slack::cut};

/// Longest summary, characters.
const MAX_SUMMARY: usize = 1000;

/// The event: one per incident, however often it is told.
pub(super) fn body(message: &Message, routing_key: &str, severity: Severity) -> Value {
    let severity = if message.root_cause.is_some() { severity } else { Severity::Info };
    let links: Vec<Value> = message
        .url
        .iter()
        .map(|url| json!({"href": url, "text": "The diagnosis"}))
        .chain(
            message
                .alerts
                .iter()
                .filter(|alert| alert.generator_url.starts_with("http"))
                .take(5)
                .map(|alert| json!({"href": alert.generator_url, "text": alert.name})),
        )
        .collect();
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": message.dedup_key,
        "client": "AutoMAP",
        "links": links,
        "payload": {
            "summary": cut(&message.verdict, MAX_SUMMARY),
            "source": message.front_end,
            "severity": severity,
            "component": message.root_cause,
            "group": message.system,
            "class": message.metric,
            "custom_details": message,
        },
    });
    if let Some(url) = &message.url {
        event["client_url"] = json!(url);
    }
    if let Some(began) = &message.began {
        event["payload"]["timestamp"] = json!(began);
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_has_one_key_and_without_a_root_cause_it_is_information() {
        let message = Message::example();
        let event = body(&message, "key", Severity::Critical);
        assert_eq!(event["dedup_key"], message.dedup_key.as_str());
        assert_eq!(
            (&event["event_action"], &event["payload"]["severity"]),
            (&json!("trigger"), &json!("critical"))
        );
        assert_eq!(event["payload"]["custom_details"]["causes"][0]["service"], "cart");
        assert_eq!(event["links"].as_array().unwrap().len(), 2);
        let nothing = Message { root_cause: None, ..Message::example() };
        assert_eq!(body(&nothing, "key", Severity::Critical)["payload"]["severity"], "info");
    }
}
