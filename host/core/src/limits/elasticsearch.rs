//! Elasticsearch and OpenSearch sinks.

use super::BATCH_ANSWERS_BYTES_MAX;
use std::time::Duration;

/// A call to Elasticsearch, from its first byte to the last one of its answer.
pub const ELASTICSEARCH_CALL_TIME: Duration = Duration::from_secs(60);
/// What Elasticsearch is told to wait at most for a shard that is not there: less than the call, so that its own words come back.
pub const ELASTICSEARCH_SHARD_TIME: Duration = Duration::from_secs(30);
/// From the first host of a list that is tried to the last one, where none answers; the others are tried by the next call.
pub const ELASTICSEARCH_CONNECT_TIME: Duration = Duration::from_secs(15);
/// Hosts that `elasticsearch.hosts` may name.
pub const ELASTICSEARCH_HOSTS_MAX: usize = 16;
/// A name of an index, alias or data stream in Elasticsearch.
pub const ELASTICSEARCH_NAME_BYTES_MAX: usize = 255;
/// Key columns of an Elasticsearch sink.
pub const ELASTICSEARCH_KEYS_MAX: usize = 32;
/// A document's `_id` in Elasticsearch, which is the row's key as text.
pub const ELASTICSEARCH_ID_BYTES_MAX: usize = 512;
/// A row in Elasticsearch, as the JSON that it becomes.
pub const ELASTICSEARCH_ROW_BYTES_MAX: usize = 5 << 20;
/// The actions of one bulk request: more make it no faster.
pub const ELASTICSEARCH_BULK_ROWS_MAX: usize = 2000;
/// Bytes of one bulk request, unless its one row has more.
pub const ELASTICSEARCH_BULK_BYTES: usize = 5 << 20;
/// An answer of Elasticsearch; to a bulk request that would have a longer one, its halves are sent. A large mapping is the longest of the others.
pub const ELASTICSEARCH_ANSWER_BYTES_MAX: usize = 4 << 20;
/// Connections to Elasticsearch for one sink, unless the configuration says otherwise.
pub const ELASTICSEARCH_CONNECTIONS_DEFAULT: usize = 2;
/// The most that `elasticsearch.connections` may say.
pub const ELASTICSEARCH_CONNECTIONS_MAX: usize = 8;
/// What of a batch is in memory beside its rows: a bulk request and its answer for each connection.
pub const ELASTICSEARCH_SENDING_BYTES: usize = 76 << 20;
/// How often rows that Elasticsearch has no room for right now (429, 503) are sent again before the whole batch is.
pub const ELASTICSEARCH_TRIES_MAX: u32 = 6;
/// The wait before the second try, which doubles with each further one.
pub const ELASTICSEARCH_RETRY_WAIT: Duration = Duration::from_millis(100);
/// How long an index must remember deletes (`index.gc_deletes`) before rows are deleted in it: a request that was on its way for longer would bring such a row back.
pub const ELASTICSEARCH_GC_DELETES_MIN: Duration = Duration::from_secs(5 * 60);
/// Fields that differ from what a job gives and are named one by one.
pub const ELASTICSEARCH_FAULTS_SHOWN_MAX: usize = 20;

const _: () = assert!(
    ELASTICSEARCH_CONNECTIONS_MAX
        * (ELASTICSEARCH_BULK_BYTES + (1 << 19) + ELASTICSEARCH_ANSWER_BYTES_MAX)
        <= ELASTICSEARCH_SENDING_BYTES
        && ELASTICSEARCH_ROW_BYTES_MAX <= ELASTICSEARCH_BULK_BYTES
        && ELASTICSEARCH_ROW_BYTES_MAX <= BATCH_ANSWERS_BYTES_MAX
        && ELASTICSEARCH_SHARD_TIME.as_secs() < ELASTICSEARCH_CALL_TIME.as_secs()
        && ELASTICSEARCH_GC_DELETES_MIN.as_secs() > 2 * ELASTICSEARCH_CALL_TIME.as_secs()
);
