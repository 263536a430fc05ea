//! The API's own description, in OpenAPI: `utoipa` makes it of the handlers and of what they
//! answer with. Here are the words that many of them share.

use super::reply::Body;
use super::{
    audit, check, deploy, events, handlers, hosts, letters, me, replay, retry, savepoint, shadow,
    state, views,
};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, ToSchema};

/// Why a request is not done, by its status.
const FAULTS: [(&str, &str); 12] = [
    ("400", "The request itself is wrong."),
    ("401", "The token is missing or wrong."),
    (
        "403",
        "The request came by way of a web page, or under another host's name.",
    ),
    ("404", "There is no such job or version."),
    ("408", "The body did not come in time."),
    ("409", "It does not fit the job's present state."),
    ("413", "The body is too large."),
    ("415", "The body is no component."),
    (
        "422",
        "What was asked cannot be; the words say how to mend it.",
    ),
    (
        "429",
        "This client asks too often; `Retry-After` says when to try again.",
    ),
    ("500", "The call broke inside the host."),
    (
        "503",
        "A server that is needed does not answer, or the host is busy; worth trying again.",
    ),
];

/// The document, as it is served.
pub(super) fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let document = Document::openapi().to_pretty_json();
        document.unwrap_or_else(|e| {
            tracing::error!("the API's description cannot be written: {e}");
            "{}".to_owned()
        })
    });
    &DOCUMENT
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "streamhost",
        version = "1",
        description = "The control API of a streamhost daemon. Every call returns when its outcome \
            is durable, and may be repeated, but for a deploy with `reset-state`, which resets again \
            each time, and a rollback without a version, which goes back by one more each time. A \
            method that a path does not take is answered with 405."
    ),
    paths(
        page,
        handlers::healthz,
        handlers::readyz,
        handlers::figures,
        handlers::openapi,
        handlers::list,
        hosts::hosts,
        hosts::drain,
        deploy::deploy,
        handlers::status,
        handlers::undeploy,
        handlers::history,
        handlers::rollback,
        handlers::pause,
        handlers::resume,
        handlers::logs,
        events::events,
        views::graph,
        views::series,
        views::batches,
        views::watermarks,
        views::stages,
        views::settings,
        views::host,
        me::me,
        letters::page,
        letters::letter,
        retry::retry,
        retry::drop,
        state::page,
        check::check,
        audit::audit,
        shadow::begin,
        shadow::look,
        shadow::forget,
        shadow::promote,
        replay::begin,
        replay::look,
        replay::stop,
        savepoint::savepoint,
        savepoint::restore,
        savepoint::check,
    ),
    components(schemas(Body)),
    security((), ("bearer" = [])),
    modifiers(&Shared)
)]
struct Document;

/// The dashboard. What it loads is beside it.
#[utoipa::path(
    get,
    path = "/",
    security(()),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"), OpenFaults),
)]
#[expect(dead_code, reason = "it is served by page.rs; this is its description")]
fn page() {}

/// Answers that operations refer to by their status, and the token.
struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (status, words) in FAULTS {
            components.responses.insert(status.to_owned(), fault(words));
        }
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("Wanted if the daemon has a token-file."));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
        // Which file a handler is in is nobody's affair.
        for item in document.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.delete];
            operations
                .into_iter()
                .flatten()
                .for_each(|one| one.tags = None);
        }
    }
}

fn fault(words: &str) -> RefOr<Response> {
    let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error")));
    let response = ResponseBuilder::new()
        .description(words)
        .content("application/json", error.build());
    response.build().into()
}

fn refused(statuses: &[&str]) -> BTreeMap<String, RefOr<Response>> {
    let named = |status: &&str| {
        let response = Ref::from_response_name(*status);
        ((*status).to_owned(), RefOr::Ref(response))
    };
    statuses.iter().map(named).collect()
}

/// Names sets of statuses that handlers share.
macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident: $statuses:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                refused(&$statuses)
            }
        }
    )*};
}

faults! {
    /// Of what needs no token.
    OpenFaults: ["403", "429"];
    /// Of all others.
    AllFaults: ["401", "403", "429"];
    /// Of what the host is asked for.
    BusyFaults: ["500", "503"];
    /// Of what is asked of one job.
    JobFaults: ["400", "401", "403", "404", "429", "500", "503"];
    /// Of what comes with a body.
    BodyFaults: ["408", "413"];
    /// Of what may not fit the job's state.
    ConflictFaults: ["409"];
    /// Of what may not be possible.
    RefusalFaults: ["422"];
    /// Of what comes with a component.
    ComponentFaults: ["400", "408", "409", "413", "415", "422"];
}

/// The job's name, in the path.
#[derive(IntoParams)]
#[into_params(names("job"), parameter_in = Path)]
pub(super) struct JobPath(
    /// The job's name.
    #[expect(dead_code, reason = "it stands for what JobName takes from the path")]
    String,
);

/// A component, as it is sent.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(
    dead_code,
    reason = "it stands for the body, which is taken as it comes"
)]
pub(super) struct ComponentBytes(Vec<u8>);

/// A savepoint, as it is sent.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(
    dead_code,
    reason = "it stands for a body, which is sent and taken in parts"
)]
pub(super) struct SavepointBytes(Vec<u8>);

/// What is asked of a shadow, in its query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "kebab-case")]
#[expect(
    dead_code,
    reason = "it describes what `shadow_request` reads by itself, with words of its own"
)]
pub(super) struct ShadowQuery {
    /// The job's name; the component's own without it.
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    name: Option<String>,
    /// How long it runs at most, such as `10m`.
    r#for: Option<String>,
    /// How many batches it runs at most.
    #[param(minimum = 1)]
    batches: Option<u64>,
    /// It becomes active by itself at its end, if this is so then: such as
    /// `differing = 0 and dead_letters <= active`.
    promote_if: Option<String>,
    /// The settings of the active version do not stay.
    reset_settings: Option<bool>,
    /// A setting, `KEY=VALUE`; as often as needed.
    set: Option<Vec<String>>,
}

/// What is asked of a replay, in its query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "kebab-case")]
#[expect(
    dead_code,
    reason = "it describes what `replay_request` reads by itself, with words of its own"
)]
pub(super) struct ReplayQuery {
    /// Where it begins: `earliest`, a time in RFC 3339, or offsets such as `0=100,1=250`, of several
    /// sources `orders:0=100,prices:0=7`; `earliest` without it. Not with `state`.
    from: Option<String>,
    /// Where it ends: a time or offsets, or `now`, which is where the job is, and is so without it.
    to: Option<String>,
    /// The version that is run, where no component is sent; the active one without it.
    #[param(minimum = 1)]
    version: Option<u64>,
    /// So many records a second at most.
    #[param(minimum = 1, maximum = 10_000_000)]
    rate: Option<u64>,
    /// A sink whose rows go to another place, `NAME=OTHER`; as often as needed.
    sink: Option<Vec<String>>,
    /// The other sinks' places are held against what is made.
    diff: Option<bool>,
    /// What differs there is written.
    write: Option<bool>,
    /// With `write`: what is there and was not made is deleted.
    delete_extra: Option<bool>,
    /// Keyed stages may begin with an empty state, though records before `from` are left out.
    empty_state: Option<bool>,
    /// The body is a savepoint of the job: it begins from its positions and its state.
    state: Option<bool>,
    /// With `state`: the first bytes of the body, so many, are a component, and the savepoint follows.
    #[param(minimum = 1)]
    component_bytes: Option<u64>,
    /// Create other places that are missing.
    create_tables: Option<bool>,
    /// The settings of the version do not stay.
    reset_settings: Option<bool>,
    /// A setting, `KEY=VALUE`; as often as needed.
    set: Option<Vec<String>>,
}

/// What a canary runs from now on.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "kebab-case")]
#[expect(
    dead_code,
    reason = "it describes what `promote` reads by itself, with words of its own"
)]
pub(super) struct PromoteQuery {
    /// A part of the records: `50%` of the keys, or `partitions=0,1`; all of them without it.
    to: Option<String>,
}

/// The settings of a deploy, in its query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "kebab-case")]
#[expect(
    dead_code,
    reason = "it describes what `deploy_request` reads by itself, with words of its own"
)]
pub(super) struct DeployQuery {
    /// The job's name; the component's own without it.
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    name: Option<String>,
    /// Create tables and topics that are missing.
    create_tables: Option<bool>,
    /// Forget state, counts and positions, and read again from `start`: rows are written and dead
    /// letters sent again.
    reset_state: Option<bool>,
    /// Give up what is planned and not written to the end, and have this version run its records:
    /// rows of the version before stay where sinks have them already.
    replan: Option<bool>,
    /// Have it run this part of the records alone, and the active version the rest: `5%` of the
    /// keys, or `partitions=0,1`.
    canary: Option<String>,
    /// The settings of before do not stay.
    reset_settings: Option<bool>,
    /// A setting, `KEY=VALUE`; as often as needed. Those of before stay; `KEY=` takes one back.
    set: Option<Vec<String>>,
}
