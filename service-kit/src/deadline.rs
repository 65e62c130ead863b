//! The deadline of a call, passed on over every hop.
//!
//! A server puts it around the handler ([`within`]), a client puts what is left of it on each call it makes, and a task
//! that goes on with the work of a call takes it along ([`carry`]).

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

/// The header of gRPC.
const HEADER: &str = "grpc-timeout";

/// Most digits that the header may have.
const MOST_DIGITS: usize = 8;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// The deadline of the call that this task works for.
pub fn current() -> Option<Instant> {
    DEADLINE.try_with(|deadline| *deadline).ok()
}

/// Runs `work` for a call that must end by `deadline`.
pub async fn within<F: Future>(deadline: Instant, work: F) -> F::Output {
    DEADLINE.scope(deadline, work).await
}

/// Takes the deadline of this task along into `work`, which another task will run.
pub fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let deadline = current();
    async move {
        match deadline {
            Some(deadline) => within(deadline, work).await,
            None => work.await,
        }
    }
}

/// When this share of what is left of this task's deadline is over, where it has one: the rest stays for what follows.
pub fn share(share: f64) -> Option<Instant> {
    let (until, now) = (current()?, Instant::now());
    Some(now + until.saturating_duration_since(now).mul_f64(share))
}

/// The time that a caller allows; `None` when it does not say or what it says makes no sense.
pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit())
    {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Puts what is left of this task's deadline on a call, unless the call has a shorter one of its own.
pub(crate) fn to_headers(headers: &mut HeaderMap) {
    let Some(deadline) = current() else { return };
    let left = deadline.saturating_duration_since(Instant::now());
    if from_headers(headers).is_some_and(|own| own <= left) {
        return;
    }
    // Whole milliseconds fill eight digits after a day; what takes longer is told in seconds.
    let millis = left.as_millis();
    let text = if millis < 100_000_000 { format!("{millis}m") } else { format!("{}S", left.as_secs()) };
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(HEADER, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(HEADER), HeaderValue::from_static(text))])
    }

    #[test]
    fn every_unit_is_read_and_nonsense_is_no_deadline() {
        for (text, expected) in [
            ("2H", Some(Duration::from_secs(7200))),
            ("3M", Some(Duration::from_secs(180))),
            ("4S", Some(Duration::from_secs(4))),
            ("50m", Some(Duration::from_millis(50))),
            ("6u", Some(Duration::from_micros(6))),
            ("7n", Some(Duration::from_nanos(7))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("100000000m", None),
            ("m", None),
            ("", None),
            ("-5m", None),
            ("5", None),
            ("5x", None),
        ] {
            assert_eq!(from_headers(&header(text)), expected, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_is_one_of_what_is_left() {
        let deadline = Instant::now() + Duration::from_secs(10);
        within(deadline, async {
            tokio::time::advance(Duration::from_secs(2)).await;
            assert_eq!(share(0.25), Some(deadline - Duration::from_secs(6)));
            tokio::time::advance(Duration::from_secs(20)).await;
            assert_eq!(share(0.25), Some(Instant::now()), "nothing is left");
        })
        .await;
        assert_eq!(share(0.25), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_goes_on_and_a_shorter_one_stays() {
        let deadline = Instant::now() + Duration::from_millis(500);
        within(deadline, async {
            tokio::time::advance(Duration::from_millis(200)).await;
            let mut headers = HeaderMap::new();
            to_headers(&mut headers);
            assert_eq!(from_headers(&headers), Some(Duration::from_millis(300)));
            let mut shorter = header("20m");
            to_headers(&mut shorter);
            assert_eq!(from_headers(&shorter), Some(Duration::from_millis(20)));
            let carried = tokio::spawn(carry(async { current() }));
            assert_eq!(carried.await.unwrap(), Some(deadline));
            assert_eq!(tokio::spawn(async { current() }).await.unwrap(), None);
        })
        .await;
        assert_eq!(current(), None);
    }
}
