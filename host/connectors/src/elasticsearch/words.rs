//! What the server's answers mean: whose fault one is, and what is done about it.

use super::{ElasticsearchSettings, SERVER};
use crate::link::LinkError;
use serde_json::Value;
use streamhost_core::job::names;
use streamhost_core::limits;
use streamhost_engine::sink::SinkError;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may be done later; what was sent may have been done.
    Away(String),
    /// The server does not let the host in.
    Denied(String),
    /// It would be refused again, whatever the rows.
    Refused(String),
    /// There is no such index.
    NoIndex,
    /// The request or its answer is too long.
    TooLarge(String),
}

/// What became of one action of a bulk request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is there, or a newer one.
    Done,
    /// The server has no room for it right now.
    Busy(String),
    /// What is in it is refused, and would be again.
    Content(String),
    /// It is no matter of this one.
    Failed(Failure),
}

/// Characters of the server's own words that are shown.
const SHOWN_CHARS_MAX: usize = 400;

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Away(words) => Failure::Away(words),
            LinkError::Denied(words) => Failure::Denied(words),
            LinkError::Refused(words) => Failure::Refused(words),
        }
    }
}

impl Failure {
    /// As the error of a sink that writes this index.
    pub(super) fn error(self, settings: &ElasticsearchSettings, index: &str) -> SinkError {
        let (server, address) = (SERVER, settings.addresses());
        match self {
            Failure::Away(reason) | Failure::TooLarge(reason) => SinkError::Away {
                server,
                address,
                reason,
            },
            Failure::Denied(reason) => SinkError::Denied {
                server,
                address,
                reason,
            },
            Failure::Refused(reason) => SinkError::Refused {
                server,
                name: index.to_owned(),
                reason,
            },
            Failure::NoIndex => SinkError::TableMissing {
                server,
                what: "index",
                table: index.to_owned(),
                mend: "it was there when the job began; what was in it is gone. Deploy again \
                       with --create-tables to begin with an empty one"
                    .to_owned(),
            },
        }
    }
}

/// An error's type, and its words with those of its causes, as the server gives them.
fn said(error: &Value) -> (String, String) {
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    let kind = text(error, "type");
    let mut words = match error.as_str() {
        Some(words) => words.to_owned(), // some say no more
        None => text(error, "reason"),
    };
    let mut cause = &error["caused_by"];
    while cause.is_object() {
        let reason = text(cause, "reason");
        if !reason.is_empty() && !words.contains(&reason) {
            words = format!("{words}: {reason}");
        }
        cause = &cause["caused_by"];
    }
    // A parser shows where in its source it was, on a line of its own.
    let words: Vec<&str> = words.lines().map(str::trim).collect();
    let words = names::shown(&words.join(" "), SHOWN_CHARS_MAX);
    match kind.is_empty() {
        true => (kind, words),
        false => (kind.clone(), format!("{words} ({kind})")),
    }
}

/// What the answer to one action of a bulk request means; `error` is null where there is none.
pub(super) fn outcome(status: u16, error: &Value) -> Outcome {
    let (kind, words) = said(error);
    match status {
        200..=299 | 409 => Outcome::Done,
        404 if error.is_null() => Outcome::Done, // a delete of what is not there
        404 if kind == "index_not_found_exception" => Outcome::Failed(Failure::NoIndex),
        429 | 502..=504 => Outcome::Busy(words),
        400 if is_of_index(&kind, &words) => {
            Outcome::Failed(Failure::Refused(words + &mend(&kind, error)))
        }
        400 | 413 => Outcome::Content(words),
        401 | 403 if kind != "cluster_block_exception" => Outcome::Failed(Failure::Denied(words)),
        403 => Outcome::Failed(Failure::Refused(words + &mend(&kind, error))),
        _ => Outcome::Failed(Failure::Away(format!("status {status}: {words}"))),
    }
}

/// A refusal that has nothing to do with what is in a row.
fn is_of_index(kind: &str, words: &str) -> bool {
    let says = |part: &str| words.contains(part);
    ["index_closed_exception", "routing_missing_exception"].contains(&kind)
        || kind == "illegal_argument_exception"
            && (says("no write index") || says("op_type of create") || says("pipeline with id"))
}

/// What to do about a type of error, if that is known.
fn mend(kind: &str, error: &Value) -> String {
    let index = error["index"].as_str().unwrap_or("INDEX");
    match kind {
        "index_closed_exception" => format!(": POST /{index}/_open opens it"),
        "cluster_block_exception" => format!(
            ": PUT /{index}/_settings {{\"index.blocks.write\": null, \"index.blocks.read_only\": null}} \
             takes the block away"
        ),
        "routing_missing_exception" => {
            ": it wants a routing value for each row, and rows have none".to_owned()
        }
        _ => String::new(),
    }
}

/// What an answer to a whole request means that is no success.
pub(super) fn failure(status: u16, body: &[u8], settings: &ElasticsearchSettings) -> Failure {
    let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let (kind, words) = said(&json["error"]);
    let words = match words.as_str() {
        "" => format!("it answers HTTP {status}"),
        words => format!("{words} (HTTP {status})"),
    };
    let section = &settings.section;
    match status {
        401 if settings.access.is_none() => Failure::Denied(format!(
            "it asks who the host is (HTTP 401): set `{section}.username` and `{section}.password`, \
             or `{section}.api-key`"
        )),
        401 => Failure::Denied(format!(
            "it does not take the user or key of `[{section}]`: {words}"
        )),
        403 => Failure::Denied(format!(
            "the user or key of `[{section}]` may not do that; it needs `view_index_metadata`, \
             `write` and, for --create-tables, `create_index` on its indices: {words}"
        )),
        404 if kind == "index_not_found_exception" => Failure::NoIndex,
        413 => Failure::TooLarge(format!(
            "it takes no request of {} bytes (HTTP 413): raise its http.max_content_length, or \
             client_max_body_size of the nginx before it",
            limits::ELASTICSEARCH_BULK_BYTES
        )),
        429 | 500..=599 => Failure::Away(words),
        400 if json.is_null() => Failure::Away(format!(
            "it does not take the request (HTTP 400): it may speak TLS; then set `{section}.tls = true`"
        )),
        404 if json.is_null() => Failure::Denied(format!(
            "nothing of Elasticsearch is there (HTTP 404): set `{section}.hosts` and, behind a \
             proxy, `{section}.path`"
        )),
        300..=399 => Failure::Denied(format!(
            "it sends the host elsewhere (HTTP {status}): name in `{section}.hosts` where that is"
        )),
        _ => Failure::Refused(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_says_what_became_of_an_action() {
        let error = |kind: &str, reason: &str| json!({"type": kind, "reason": reason});
        let cases = [
            (200, Value::Null, "done"),
            (201, Value::Null, "done"),
            (404, Value::Null, "done"),
            (
                409,
                error("version_conflict_engine_exception", "newer"),
                "done",
            ),
            (
                429,
                error("es_rejected_execution_exception", "queue"),
                "busy",
            ),
            (429, error("cluster_block_exception", "flood-stage"), "busy"),
            (
                503,
                error("unavailable_shards_exception", "primary"),
                "busy",
            ),
            (400, error("mapper_parsing_exception", "no number"), "row"),
            (400, error("strict_dynamic_mapping_exception", "[x]"), "row"),
            (400, error("document_parsing_exception", "[x]"), "row"),
            (
                400,
                error("illegal_argument_exception", "immense term"),
                "row",
            ),
            (
                400,
                error("illegal_argument_exception", "no write index is defined"),
                "stop",
            ),
            (
                400,
                error("illegal_argument_exception", "pipeline with id [p]"),
                "stop",
            ),
            (400, error("index_closed_exception", "closed"), "stop"),
            (400, error("routing_missing_exception", "routing"), "stop"),
            (403, error("cluster_block_exception", "FORBIDDEN/8"), "stop"),
            (403, error("security_exception", "unauthorized"), "denied"),
            (
                404,
                error("index_not_found_exception", "no such index"),
                "missing",
            ),
            (500, error("illegal_state_exception", "it closes"), "away"),
        ];
        for (status, error, want) in cases {
            let is = match outcome(status, &error) {
                Outcome::Done => "done",
                Outcome::Busy(_) => "busy",
                Outcome::Content(_) => "row",
                Outcome::Failed(Failure::Refused(_)) => "stop",
                Outcome::Failed(Failure::Denied(_)) => "denied",
                Outcome::Failed(Failure::NoIndex) => "missing",
                Outcome::Failed(Failure::Away(_)) => "away",
                Outcome::Failed(Failure::TooLarge(_)) => "large",
            };
            assert_eq!(is, want, "{status} {error}");
        }
    }

    #[test]
    fn an_answer_that_is_no_success_says_what_to_do() {
        let settings = ElasticsearchSettings::default();
        let known = ElasticsearchSettings {
            access: Some(super::super::Access::ApiKey(crate::secret::Secret::Env(
                "KEY".to_owned(),
            ))),
            ..ElasticsearchSettings::default()
        };
        let missing =
            br#"{"error":{"type":"index_not_found_exception","reason":"no"},"status":404}"#;
        let cases: [(u16, &[u8], &ElasticsearchSettings, &str); 10] = [
            (401, b"{}", &settings, "set `elasticsearch.username`"),
            (401, b"{}", &known, "does not take the user or key"),
            (403, b"{}", &known, "`view_index_metadata`"),
            (404, missing, &settings, "what was in it is gone"),
            (404, b"<html>", &settings, "`elasticsearch.path`"),
            (413, b"", &settings, "http.max_content_length"),
            (400, b"plain HTTP", &settings, "`elasticsearch.tls = true`"),
            (302, b"", &settings, "sends the host elsewhere"),
            (503, b"", &settings, "it answers HTTP 503"),
            (
                400,
                br#"{"error":"no handler"}"#,
                &settings,
                "no handler (HTTP 400)",
            ),
        ];
        for (status, body, settings, want) in cases {
            let words = failure(status, body, settings).error(settings, "clicks");
            assert!(words.to_string().contains(want), "{status}: {words}");
        }
    }

    #[test]
    fn the_causes_of_an_error_are_told_in_one_bounded_line() {
        let error = json!({"type": "mapper_parsing_exception", "reason": "failed to parse [n]",
            "caused_by": {"type": "input_coercion_exception", "reason": "out of range\n at [Source]"}});
        let Outcome::Content(words) = outcome(400, &error) else {
            panic!("it is no fault of the row")
        };
        assert_eq!(
            words,
            "failed to parse [n]: out of range at [Source] (mapper_parsing_exception)"
        );
        let long = json!({"type": "x", "reason": "\u{1b}".repeat(5000)});
        let Outcome::Content(words) = outcome(400, &long) else {
            panic!("it is no fault of the row")
        };
        assert!(words.len() < 4000 && !words.contains('\u{1b}'), "{words}");
    }
}
