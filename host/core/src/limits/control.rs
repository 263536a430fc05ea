//! The control API and its clients.

use std::time::Duration;

/// The largest HTTP request but for a component's upload.
pub const HTTP_BODY_BYTES_MAX: usize = 1 << 20;
/// Connections to the control API at once; for one more the one that has been without a request for
/// longest is closed.
pub const HTTP_CONNECTIONS_MAX: usize = 128;
/// Calls of the control API that read and are under way at once.
pub const HTTP_CALLS_MAX: usize = 32;
/// Calls of the control API that change something and are under way at once, most of which wait for
/// a job or a server.
pub const HTTP_CHANGES_MAX: usize = 32;
/// Components that are uploaded at once, each up to
/// [`COMPONENT_BYTES_MAX`](super::COMPONENT_BYTES_MAX).
pub const HTTP_UPLOADS_MAX: usize = 2;
/// Bytes of components that are on their way to the host, all uploads together. One that stalls
/// holds what it has sent.
pub const HTTP_UPLOADS_BYTES_MAX: usize = 256 << 20;
/// Requests a second of one client, by its token or its address, once its burst is over.
pub const HTTP_RATE_MAX: u32 = 50;
/// Requests of one client at once, before they come at [`HTTP_RATE_MAX`].
pub const HTTP_BURST_MAX: u32 = 300;
/// Clients whose requests are counted apart; all others count as one.
pub const HTTP_CLIENTS_MAX: usize = 10_000;
/// A client's time for a request's head, idle time before it included.
pub const HTTP_HEAD_TIME: Duration = Duration::from_secs(15);
/// A client's time for a request's body.
pub const HTTP_BODY_TIME: Duration = Duration::from_secs(120);
/// How long a client may refuse to take any of its answer.
pub const HTTP_WRITE_TIME: Duration = Duration::from_secs(30);
/// How long a call waits for its turn before it is told that the host is busy.
pub const HTTP_TURN_TIME: Duration = Duration::from_secs(10);
/// How long a stopping host waits for requests that are under way.
pub const HTTP_STOP_TIME: Duration = Duration::from_secs(10);
/// How long the command line waits for an answer; a deployment compiles, and may wait for servers.
pub const HTTP_ANSWER_TIME: Duration = Duration::from_secs(600);
/// An answer to a verb that only reads; longer than [`HTTP_TURN_TIME`], so that a busy host can say
/// so.
pub const HTTP_READ_TIME: Duration = Duration::from_secs(15);
/// How long a host that starts waits for its servers' first sign, to say who is away.
pub const REACH_TIME: Duration = Duration::from_secs(2);
/// A password, key or token that stands in a file or in the environment; a chain of certificates
/// fits.
pub const SECRET_BYTES_MAX: usize = 64 << 10;
/// The secret of a token in `token-file`.
pub const TOKEN_BYTES_MAX: usize = 4096;
/// The name of a token.
pub const TOKEN_NAME_BYTES_MAX: usize = 64;
/// Patterns of one list under `[allow]`.
pub const PATTERNS_MAX: usize = 1000;
/// Tokens in `token-file`.
pub const TOKENS_MAX: usize = 100;
/// Bytes of a file of the audit log, after which another is begun; the last line may go beyond.
pub const AUDIT_FILE_BYTES_MAX: u64 = 4 << 20;
/// Files of the audit log; the oldest goes when one more is begun.
pub const AUDIT_FILES_MAX: usize = 16;
/// Characters of a reason or of a setting's value in the audit log.
pub const AUDIT_TEXT_CHARS_MAX: usize = 300;
/// Settings that one entry of the audit log names; of further ones it tells how many there are.
pub const AUDIT_SETTINGS_MAX: usize = 100;
/// Entries of the audit log in one answer.
pub const AUDIT_PAGE_MAX: usize = 500;

// Or deployments could shut every other change out.
const _: () = assert!(HTTP_UPLOADS_MAX < HTTP_CHANGES_MAX);
// Or one upload could not end.
const _: () = assert!(super::COMPONENT_BYTES_MAX <= HTTP_UPLOADS_BYTES_MAX);
const _: () = assert!(HTTP_TURN_TIME.as_secs() < HTTP_READ_TIME.as_secs());
// An answer is a part of what one file holds.
const _: () = assert!(AUDIT_PAGE_MAX * AUDIT_TEXT_CHARS_MAX < AUDIT_FILE_BYTES_MAX as usize);
// What is written now and what came before it.
const _: () = assert!(AUDIT_FILES_MAX >= 2);
