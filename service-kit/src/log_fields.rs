//! The fields of a log line as people read them.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

/// What only traces need; a person sees the span's own name.
const OF_TRACES: &str = "otel.";

/// The namespace of attributes in traces; in a log line everything is AutoMAP's.
const NAMESPACE: &str = "automap.";

/// Writes `name=value` pairs: the message without its name, and nothing that only traces need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HumanFields;

impl<'writer> FormatFields<'writer> for HumanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut pairs = Pairs { writer, written: false, outcome: Ok(()) };
        fields.record(&mut pairs);
        pairs.outcome
    }
}

struct Pairs<'writer> {
    writer: Writer<'writer>,
    written: bool,
    outcome: fmt::Result,
}

impl Visit for Pairs<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.outcome.is_err() || field.name().starts_with(OF_TRACES) {
            return;
        }
        let space = if self.written { " " } else { "" };
        self.outcome = match field.name() {
            "message" => write!(self.writer, "{space}{value:?}"),
            name => write!(self.writer, "{space}{}={value:?}", name.strip_prefix(NAMESPACE).unwrap_or(name)),
        };
        self.written = true;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_line_has_the_message_first_and_no_names_of_traces() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(lines.clone())
            .with_ansi(false)
            .without_time()
            .fmt_fields(HumanFields)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!(
                "call",
                otel.kind = "server",
                role = %"walker",
                automap.rows = tracing::field::Empty
            );
            span.record("automap.rows", 90);
            span.in_scope(|| tracing::info!(code = "OK", "answered"));
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("call{role=walker rows=90}:"), "{text}");
        assert!(text.trim_end().ends_with("answered code=\"OK\""), "{text}");
    }
}
