//! Brokers that were started a moment ago, or just took something over, answer for some seconds that
//! they cannot yet. That passes by itself, so it is waited for.

use super::Fault;
use rdkafka::TopicPartitionList;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use std::time::Duration;
use streamhost_core::{clock, limits};

/// Between two calls.
const RETRY: Duration = Duration::from_millis(200);

/// Asks again while the brokers answer that they are not ready, for [`limits::KAFKA_SETTLE_TIME`] at
/// most: then the last answer counts.
pub(crate) fn settled(
    ask: impl FnMut() -> Result<TopicPartitionList, KafkaError>,
) -> Result<TopicPartitionList, KafkaError> {
    again_while(not_ready, limits::KAFKA_SETTLE_TIME, ask, |code| {
        tracing::info!(%code, "Kafka's brokers are not ready yet; they are asked again");
    })
}

/// Asks again while the brokers do not list what is asked about, for [`limits::KAFKA_TOPIC_TIME`]: a
/// topic that was made a moment ago is not known to all of them yet.
pub(crate) fn listed<T>(
    topic: &str,
    ask: impl FnMut() -> Result<T, (Fault, String)>,
) -> Result<T, (Fault, String)> {
    let is_missing =
        |answer: &Result<_, _>| matches!(answer, Err((Fault::Missing, _))).then_some(());
    again_while(is_missing, limits::KAFKA_TOPIC_TIME, ask, |()| {
        let seconds = limits::KAFKA_TOPIC_TIME.as_secs();
        tracing::info!(
            "Kafka's brokers list no topic `{topic}`; they are asked again for {seconds} s, as one may be new"
        );
    })
}

/// Asks again while `passes` finds in the answer what passes by itself, which is said once, for so
/// long at most: then the last answer counts.
fn again_while<A, P>(
    passes: impl Fn(&A) -> Option<P>,
    time: Duration,
    mut ask: impl FnMut() -> A,
    say: impl Fn(P),
) -> A {
    let began = clock::monotonic();
    let mut said = false;
    loop {
        let answer = ask();
        let Some(what) = passes(&answer) else {
            return answer;
        };
        if clock::since(began) > time {
            return answer;
        }
        if !std::mem::replace(&mut said, true) {
            say(what);
        }
        std::thread::sleep(RETRY);
    }
}

/// The code that says so, of the whole answer or of a partition in it.
fn not_ready(answer: &Result<TopicPartitionList, KafkaError>) -> Option<Code> {
    match answer {
        Err(error) => error.rdkafka_error_code().filter(|code| passes(*code)),
        Ok(list) => list
            .elements()
            .iter()
            .filter_map(|element| element.error().err()?.rdkafka_error_code())
            .find(|code| passes(*code)),
    }
}

fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_new_is_waited_for_and_nothing_else_is() {
        let mut asked = 0;
        let count = listed("t", || {
            asked += 1;
            match asked {
                3 => Ok(asked),
                _ => Err((Fault::Missing, String::new())),
            }
        });
        assert_eq!(count, Ok(3));
        let mut asked = 0;
        let denied = listed("t", || {
            asked += 1;
            Err::<(), _>((Fault::Denied, String::new()))
        });
        assert!(denied.is_err() && asked == 1);
    }

    #[test]
    fn what_passes_by_itself_is_asked_again_and_nothing_else() {
        let cases = [
            (Code::NotCoordinator, 3),
            (Code::CoordinatorLoadInProgress, 3),
            (Code::GroupAuthorizationFailed, 1),
            (Code::OperationTimedOut, 1),
        ];
        for (code, calls) in cases {
            let mut asked = 0;
            let answer = settled(|| {
                asked += 1;
                match asked {
                    3 => Ok(TopicPartitionList::new()),
                    _ => Err(KafkaError::OffsetFetch(code)),
                }
            });
            assert_eq!((asked, answer.is_ok()), (calls, calls == 3), "{code}");
        }
    }
}
