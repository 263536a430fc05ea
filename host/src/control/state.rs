//! Look-ups of keyed state.

use super::App;
use super::handlers::{Answer, call};
use super::openapi::{ConflictFaults, JobFaults, JobPath, RefusalFaults};
use super::reply::Fault;
use super::requests::{pairs, unknown};
use super::shown::Shown;
use crate::api::{AskedKey, AskedKeys, StateAsk, StateView};
use axum::Json;
use axum::extract::{RawPathParams, RawQuery, State};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;
use std::sync::Arc;
use streamhost_core::keyed::look::{Kept, PageStart};
use streamhost_core::state::shape::{key_text, value_json};
use streamhost_core::{clock, limits};
use utoipa::ToSchema;

/// A page of a stage's entries.
#[derive(Serialize, ToSchema)]
#[schema(as = StatePage)]
pub(super) struct Page {
    stage: String,
    batch: u64,
    entries: Vec<Entry>,
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StateEntry)]
struct Entry {
    key: Shown,
    window: Option<Window>,
    value: Shown,
    expires: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StateWindow)]
struct Window {
    start: String,
    end: String,
}

/// A page of what a keyed stage keeps, as of the newest checkpoint.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/state/{stage}",
    operation_id = "state",
    params(
        JobPath,
        ("stage" = String, Path, description = "The stage's name."),
        ("key" = Option<String>, Query, description = "This key alone: text as it is, numbers in decimal, several parts as a JSON list."),
        ("prefix" = Option<String>, Query, description = "Keys that begin so."),
        ("key-base64" = Option<String>, Query, description = "This key, in the bytes of the SDK."),
        ("prefix-base64" = Option<String>, Query, description = "The same of how keys begin."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 500, description = "How many at most; 50."),
        ("after" = Option<String>, Query, description = "Where a page begins: `next` of the one before."),
    ),
    responses((status = 200, description = "Its entries.", body = Page), JobFaults, ConflictFaults, RefusalFaults),
)]
pub(super) async fn page(
    State(app): State<Arc<App>>,
    params: RawPathParams,
    RawQuery(query): RawQuery,
) -> Answer<Page> {
    let param = |wanted| {
        let found = params.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let (job, ask) = (param("job"), read(param("stage"), query.as_deref())?);
    let view = call(&app, move |jobs| jobs.look(&job, &ask)).await??;
    Ok(Json(Page::of(&view)))
}

fn read(stage: String, query: Option<&str>) -> Result<StateAsk, Fault> {
    let mut ask = StateAsk {
        stage,
        keys: AskedKeys::All,
        start: PageStart::default(),
        most: 50,
    };
    for (key, value) in pairs(query)? {
        let bytes = |value: &str| {
            let decoded = STANDARD.decode(value);
            decoded.map_err(|_| Fault::bad(format!("`{key}` must be base64, escaped for a URL")))
        };
        let keys = match &*key {
            "key" => AskedKeys::Key(AskedKey::Text(value)),
            "prefix" => AskedKeys::Prefix(AskedKey::Text(value)),
            "key-base64" => AskedKeys::Key(AskedKey::Bytes(bytes(&value)?)),
            "prefix-base64" => AskedKeys::Prefix(AskedKey::Bytes(bytes(&value)?)),
            "limit" => {
                let limit = value.parse::<usize>().ok().filter(|limit| *limit > 0);
                let limit = limit.ok_or_else(|| Fault::bad("`limit` must be a number above 0"))?;
                ask.most = limit.min(limits::STATE_PAGE_MAX);
                continue;
            }
            "after" => {
                ask.start = start(&value).ok_or_else(|| {
                    Fault::bad("`after` is no place in this state: take it from `next`")
                })?;
                continue;
            }
            _ => {
                let known = [
                    "key",
                    "prefix",
                    "key-base64",
                    "prefix-base64",
                    "limit",
                    "after",
                ];
                return Err(unknown(&key, &known));
            }
        };
        if ask.keys != AskedKeys::All {
            return Err(Fault::bad(
                "give one of `key`, `prefix`, `key-base64` and `prefix-base64`",
            ));
        }
        ask.keys = keys;
    }
    Ok(ask)
}

/// A place in the state, as `next` says it.
fn next(start: &PageStart) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(&start.from), start.skip)
}

fn start(text: &str) -> Option<PageStart> {
    let (from, skip) = text.split_once('.')?;
    Some(PageStart {
        from: URL_SAFE_NO_PAD.decode(from).ok()?,
        skip: skip.parse().ok()?,
    })
}

impl Page {
    fn of(view: &StateView) -> Page {
        Page {
            stage: view.stage.name.clone(),
            batch: view.batch,
            entries: (view.page.entries.iter())
                .map(|kept| Entry::of(view, kept))
                .collect(),
            next: view.page.next.as_ref().map(next),
        }
    }
}

impl Entry {
    fn of(view: &StateView, kept: &Kept) -> Entry {
        let most = limits::STATE_SHOWN_BYTES;
        let key = match key_text(&view.stage.key_shape, &kept.key) {
            Some(text) if text.len() <= most => Shown::text(text, kept.key.len(), false),
            _ => Shown::of(Some(&kept.key), most),
        };
        Entry {
            key,
            window: kept.window_ms.map(|(start_ms, end_ms)| Window {
                start: clock::rfc3339(start_ms),
                end: clock::rfc3339(end_ms),
            }),
            value: value(view, kept, most),
            expires: kept.expires_ms.map(clock::rfc3339),
        }
    }
}

/// The value as JSON; of a join with its side and time.
fn value(view: &StateView, kept: &Kept, most: usize) -> Shown {
    let is_other = kept
        .joined
        .map_or(!view.stage.other_shape.is_empty(), |of| of.right);
    let shape = match is_other {
        true => &view.stage.other_shape,
        false => &view.value_shape,
    };
    let Some(json) = value_json(shape, &kept.value, most) else {
        return Shown::of(Some(&kept.value), most);
    };
    let text = match kept.joined {
        Some(joined) => {
            let side = if joined.right { "right" } else { "left" };
            let time = clock::rfc3339(joined.time_ms);
            let end = if json.truncated { "" } else { "}" };
            let item = json.text;
            format!("{{\"side\":\"{side}\",\"time\":\"{time}\",\"item\":{item}{end}")
        }
        None => json.text,
    };
    Shown::text(text, kept.value.len(), json.truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back() {
        let place = PageStart {
            from: vec![1, 0, 0xff],
            skip: 3,
        };
        assert_eq!(start(&next(&place)), Some(place));
        for text in ["", "x", "AQ", "AQ.x", "!.0"] {
            assert_eq!(start(text), None, "{text}");
        }
    }
}
