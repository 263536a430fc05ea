//! Every bound of the host in one place, and how they fit together. Units end the names.

use std::time::Duration;

/// Records in one call of the guest. From 100 on the call itself no longer counts; more only makes bisecting longer.
pub const CHUNK_RECORDS_MAX: usize = 4096;
/// Bytes of keys and values in one call of the guest; one longer record is a chunk of its own.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Records in one batch.
pub const BATCH_RECORDS_MAX: usize = 100_000;
/// Bytes of keys and values in one batch, unless `limits.batch-bytes` says otherwise. Twice as many took a third more memory
/// and no less time (the example `throughput`).
pub const BATCH_BYTES_DEFAULT: usize = 8 << 20;
/// The most that `limits.batch-bytes` may say.
pub const BATCH_BYTES_MAX: usize = 16 << 20;
/// Batches of a job that are under way at once: one is gathered and run, one waits, one is in the sinks.
pub const BATCHES_IN_FLIGHT_MAX: usize = 3;
/// Bytes that the Kafka client fetches ahead for one job.
pub const FETCH_AHEAD_BYTES_MAX: usize = 16 << 20;
/// The longest one may wait for records before looking at what else is to do.
pub const FETCH_WAIT: Duration = Duration::from_millis(50);

/// A guest's linear memory, unless `limits.memory` says otherwise.
pub const GUEST_MEMORY_BYTES_DEFAULT: usize = 64 << 20;
/// The most that `limits.memory` may say.
pub const GUEST_MEMORY_BYTES_MAX: usize = 1 << 30;
/// One call of the guest, unless `limits.time` says otherwise. Each half of a bisected chunk gets it anew.
pub const GUEST_TIME_DEFAULT: Duration = Duration::from_secs(2);
/// The most that `limits.time` may say.
pub const GUEST_TIME_MAX: Duration = Duration::from_secs(600);
/// How exactly a guest's time is kept.
pub const EPOCH: Duration = Duration::from_millis(10);
/// Bytes that one call may answer, all columns together.
pub const GUEST_OUTPUT_BYTES_MAX: usize = 120 << 20;
/// Records set aside in one batch because the guest broke on them (not by its `Err`). Beyond it the version is at fault.
pub const BROKEN_RECORDS_PER_BATCH_MAX: usize = 100;
/// How many of them one counts as that ran out of time, as it costs that much.
pub const BROKEN_BY_TIME_COST: usize = 10;
/// Bytes that a guest may answer for one batch, all its calls together: rows, what goes to keyed stages, accumulators.
/// All of it is in memory until the batch is planned, and its rows until they are delivered: of
/// [`BATCHES_IN_FLIGHT_MAX`] batches at most.
pub const BATCH_ANSWERS_BYTES_MAX: usize = 1 << 30;
/// Lines that a lane's guests may log for one batch.
pub const LOG_LINES_PER_BATCH_MAX: usize = 100;
/// Bytes of one logged line.
pub const LOG_LINE_BYTES_MAX: usize = 2048;
/// Bytes of a reason in a dead letter.
pub const REASON_BYTES_MAX: usize = 2048;
/// Lines kept of each job's log.
pub const LOG_LINES_KEPT_MAX: usize = 1000;

/// A component that is uploaded.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;
/// Jobs of one host.
pub const JOBS_MAX: usize = 64;
/// Sources and sinks of one job.
pub const PLACES_MAX: usize = 32;
/// Columns of one sink.
pub const COLUMNS_MAX: usize = 1000;
/// Names of undeployed jobs that are remembered; beyond them one is forgotten.
pub const UNDEPLOYED_MAX: usize = 1000;
/// Deployments that a job's history keeps; older ones are forgotten with their components.
pub const HISTORY_MAX: usize = 100;
/// Deployments that a job's history keeps beyond [`HISTORY_MAX`] because a batch under way may still name them. More are
/// refused until the batch is delivered.
pub const HISTORY_NEEDED_MAX: usize = 1000;

/// First and longest wait before something that is away is tried again; it doubles in between.
pub const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A call to HBase's gateway. It was seen to block 18 s while HBase restarts behind it.
pub const HBASE_CALL_TIME: Duration = Duration::from_secs(30);
/// Connecting to anything.
pub const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Rows in one call to HBase's gateway; below 1000 the call itself costs.
pub const HBASE_CALL_ROWS_MAX: usize = 2000;
/// Bytes in one call to HBase's gateway; a framed gateway refuses frames over 2 MB by default.
pub const HBASE_CALL_BYTES_MAX: usize = 1 << 20;
/// Connections to HBase's gateway for one sink, unless the configuration says otherwise.
pub const HBASE_CONNECTIONS_DEFAULT: usize = 2;
/// A message to a framed gateway (`hbase.regionserver.thrift.framed.max_frame_size_in_mb`).
pub const HBASE_FRAME_BYTES_MAX: usize = 2 << 20;
/// An answer of a framed gateway; what is longer is no answer. The longest is the list of all tables.
pub const HBASE_ANSWER_BYTES_MAX: usize = 16 << 20;
/// A row key in HBase.
pub const HBASE_KEY_BYTES_MAX: usize = 32_767;
/// A cell in HBase (`hbase.client.keyvalue.maxsize`).
pub const HBASE_CELL_BYTES_MAX: usize = 10 << 20;
/// A Kafka record's value (the broker's `message.max.bytes`, less what surrounds it).
pub const KAFKA_VALUE_BYTES_MAX: usize = 1_000_000;
/// A Kafka delivery: as long as a batch may wait for its acknowledgements before the client gives up.
pub const KAFKA_DELIVERY_TIME: Duration = Duration::from_secs(120);

/// The largest HTTP request but for a component's upload.
pub const HTTP_BODY_BYTES_MAX: usize = 1 << 20;

/// Connections to the embedded broker, a thread each; more are refused.
pub const BROKER_CONNECTIONS_MAX: usize = 256;
/// A connection to the embedded broker that says nothing for so long, or does not take its answer, is closed.
pub const BROKER_IDLE_TIME: Duration = Duration::from_secs(600);
/// One request to the embedded broker.
pub const BROKER_REQUEST_BYTES_MAX: usize = 32 << 20;
/// A request to the embedded broker up to this size is always received, one on each connection.
pub const BROKER_SMALL_REQUEST_BYTES_MAX: usize = 1 << 20;
/// Bytes of all larger requests that are under way; beyond them a connection that brings one more is closed.
pub const BROKER_LARGE_REQUESTS_BYTES_MAX: usize = 256 << 20;
/// Array elements and tagged fields in one request, so that few bytes cannot claim much memory.
pub const BROKER_REQUEST_ITEMS_MAX: usize = 100_000;
/// One record batch in the embedded broker, dead letters among them.
pub const BROKER_BATCH_BYTES_MAX: usize = 15 << 20;
/// Records in one answer of the embedded broker, whatever the client allows.
pub const BROKER_FETCH_BYTES_MAX: usize = 16 << 20;
/// How long the embedded broker holds a fetch that finds nothing, whatever the client allows.
pub const BROKER_FETCH_WAIT_MAX: Duration = Duration::from_secs(60);
/// Topics of the embedded broker.
pub const BROKER_TOPICS_MAX: usize = 1000;
/// Partitions of one topic of the embedded broker.
pub const BROKER_TOPIC_PARTITIONS_MAX: u32 = 1000;
/// Partitions of all topics of the embedded broker.
pub const BROKER_PARTITIONS_MAX: u32 = 10_000;
/// Partitions of a topic that is created by its first use.
pub const BROKER_PARTITIONS_DEFAULT: u32 = 4;
/// How long the embedded broker keeps a record, unless the topic says otherwise.
pub const BROKER_RETENTION_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes of records that the embedded broker keeps in a partition, unless the topic says otherwise.
pub const BROKER_RETENTION_BYTES_DEFAULT: u64 = 1 << 30;
/// Batches that retention or a deletion removes in one write.
pub const BROKER_SWEEP_BATCHES_MAX: usize = 1000;
/// Producers whose sequence numbers a partition remembers; the longest silent one is forgotten first.
pub const BROKER_PRODUCERS_PER_PARTITION_MAX: usize = 1000;
/// Consumer groups with members.
pub const BROKER_GROUPS_MAX: usize = 1000;
/// Members of one consumer group.
pub const BROKER_GROUP_MEMBERS_MAX: usize = 250;
/// Session timeouts that a group's member may ask for. Shorter than Kafka's least of 6 s, for quick trials.
pub const BROKER_SESSION_TIME: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(1800));
/// How long an empty group waits for more members before its first assignment (Kafka: 3 s).
pub const BROKER_FIRST_JOIN_WAIT: Duration = Duration::from_millis(200);
/// Bytes of the metadata string beside a committed offset.
pub const BROKER_OFFSET_METADATA_BYTES_MAX: usize = 4096;
/// Transactional ids.
pub const BROKER_TRANSACTIONAL_IDS_MAX: usize = 10_000;
/// Partitions, and likewise offsets, in one transaction.
pub const BROKER_TRANSACTION_ITEMS_MAX: usize = 10_000;
/// The longest transaction timeout that a producer may ask for.
pub const BROKER_TRANSACTION_TIME_MAX: Duration = Duration::from_secs(900);
/// How often the embedded broker looks for silent members, overdue transactions and old records.
pub const BROKER_CARE_PERIOD: Duration = Duration::from_millis(200);
/// How much of the embedded broker's work a power loss may take, at most about.
pub const BROKER_SYNC_PERIOD: Duration = Duration::from_secs(1);
/// How often the embedded broker applies retention.
pub const BROKER_RETENTION_PERIOD: Duration = Duration::from_secs(10);

const _: () = assert!(CHUNK_RECORDS_MAX <= BATCH_RECORDS_MAX && CHUNK_BYTES_MAX <= BATCH_BYTES_DEFAULT);
const _: () = assert!(BATCH_BYTES_DEFAULT <= BATCH_BYTES_MAX);
const _: () =
    assert!(UNHEARD_TIME.as_millis() > 4 * FETCH_WAIT.as_millis() && UNHEARD_TIME.as_secs() < IDLE_TIME.as_secs());
const _: () = assert!(GUEST_MEMORY_BYTES_DEFAULT >= 16 * CHUNK_BYTES_MAX); // a chunk, its answer, and room to work
const _: () = assert!(GUEST_MEMORY_BYTES_DEFAULT <= GUEST_MEMORY_BYTES_MAX);

/// The least that `limits.memory` may say: a guest with its stack, one chunk and its answer.
pub const GUEST_MEMORY_BYTES_MIN: usize = 4 << 20;
/// The longest interval of batches that a job may ask for.
pub const EVERY_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The most worker threads that `lanes` in `streamhost.toml` may ask for.
pub const LANES_MAX: usize = 64;
/// The most that `connections` in `streamhost.toml` may say.
pub const HBASE_CONNECTIONS_MAX: usize = 64;
/// Characters of a name from data that an error repeats.
pub const NAME_SHOWN_CHARS_MAX: usize = 100;
/// Characters of one fault of a job; it may repeat what a component says, of whatever length.
pub const FAULT_SHOWN_CHARS_MAX: usize = 1000;
/// Faults of one job that are told.
pub const FAULTS_SHOWN_MAX: usize = 100;
/// The name of a column: HBase's `family:qualifier`, or a field.
pub const COLUMN_NAME_BYTES_MAX: usize = 1024;

/// Connections to the control API at once; for one more the one that has been without a request for longest is closed.
pub const HTTP_CONNECTIONS_MAX: usize = 128;
/// Calls of the control API that read and are under way at once.
pub const HTTP_CALLS_MAX: usize = 32;
/// Calls of the control API that change something and are under way at once, most of which wait for a job or a server.
pub const HTTP_CHANGES_MAX: usize = 32;
/// Components that are uploaded at once, each up to [`COMPONENT_BYTES_MAX`].
pub const HTTP_UPLOADS_MAX: usize = 2;
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
/// An answer to a verb that only reads; longer than [`HTTP_TURN_TIME`], so that a busy host can say so.
pub const HTTP_READ_TIME: Duration = Duration::from_secs(15);
/// A token's length in `token-file`.
pub const TOKEN_BYTES_MAX: usize = 4096;

const _: () =
    assert!(GUEST_MEMORY_BYTES_MIN >= 4 * CHUNK_BYTES_MAX && GUEST_MEMORY_BYTES_MIN <= GUEST_MEMORY_BYTES_DEFAULT);
const _: () = assert!(HTTP_UPLOADS_MAX < HTTP_CHANGES_MAX); // or deployments could shut every other change out
const _: () = assert!(HTTP_TURN_TIME.as_secs() < HTTP_READ_TIME.as_secs());
const _: () =
    assert!(BROKER_BATCH_BYTES_MAX <= BROKER_FETCH_BYTES_MAX && BROKER_BATCH_BYTES_MAX <= BROKER_REQUEST_BYTES_MAX);
const _: () = assert!(BROKER_REQUEST_BYTES_MAX <= BROKER_LARGE_REQUESTS_BYTES_MAX); // or one could never come
const _: () = assert!(KAFKA_VALUE_BYTES_MAX < BROKER_BATCH_BYTES_MAX); // the largest record fits with what surrounds it

/// A sink that is at one batch for longer is shown as waited for, though no call has failed yet.
pub const SLOW_DELIVERY_TIME: Duration = Duration::from_secs(15);
/// How long a drain waits for what is away.
pub const DRAIN_TIME: Duration = Duration::from_secs(10);
/// How long a job that is to stop soon may still be in a call to one of its sinks, before that is cut.
pub const STOP_TIME: Duration = Duration::from_secs(5);
/// How long `resume` waits to hear how the job goes.
pub const FIRST_WORD_TIME: Duration = Duration::from_secs(2);
/// How often it is looked whether a job has stopped, or has said how it goes.
pub const LOOK_TIME: Duration = Duration::from_millis(10);
/// How long a source may not have answered before nothing is known of its partitions: the watermark does not go on then
/// as if they had been silent.
pub const UNHEARD_TIME: Duration = Duration::from_secs(1);
/// How long a checkpoint waits for the next plan, to be written with it. A job that has more than one batch in this time
/// pays one sync a batch.
pub const CHECKPOINT_WAIT: Duration = Duration::from_millis(5);
/// How old a plan may be for a missing marker to mean that its batch was not delivered. Brokers forget a marker some days
/// after it was written (`offsets.retention.minutes`, a week unless it was changed).
pub const MARKER_TIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How often the topics are asked for new partitions.
pub const PARTITIONS_TIME: Duration = Duration::from_secs(30);
/// How often the lag is worked out.
pub const LAG_TIME: Duration = Duration::from_millis(250);
/// Batches after a deployment in which a version that proves unfit is rolled back by the host.
pub const ROLLBACK_BATCHES_MAX: u64 = 100;

/// Connections to the embedded table store. Beyond them the one that has been idle longest is closed.
pub const TABLES_CONNECTIONS_MAX: usize = 256;
/// One call to the embedded table store.
pub const TABLES_CALL_BYTES_MAX: usize = 16 << 20;
/// Items of one list or map in a call; room for them is made before they are read.
pub const TABLES_LIST_ITEMS_MAX: usize = 1 << 18;
/// Items of all lists and maps in a call, those within others included: some 60 MB once they are read.
pub const TABLES_CALL_ITEMS_MAX: usize = 1 << 20;
/// How long a call may take to arrive, from its first byte on, and an answer to be taken.
pub const TABLES_CALL_TIME: Duration = Duration::from_secs(60);
/// A connection without a call is closed after this.
pub const TABLES_IDLE_TIME: Duration = Duration::from_secs(3600);
/// Bytes of one answer of the embedded table store. A scanner's answer ends early; others are refused.
pub const TABLES_ANSWER_BYTES_MAX: usize = 32 << 20;
/// Bytes after which a scanner's answer ends, though more rows were asked for: clients take 16 MB at most.
pub const TABLES_SCAN_BYTES: usize = 8 << 20;
/// Scanners that are open at once.
pub const TABLES_SCANNERS_MAX: usize = 1000;
/// A scanner that is not used for this long is closed.
pub const TABLES_SCANNER_IDLE_TIME: Duration = Duration::from_secs(600);
/// Tables of the embedded store.
pub const TABLES_MAX: usize = 256;
/// Families of one table.
pub const TABLE_FAMILIES_MAX: usize = 64;
/// The name of a table or family.
pub const TABLE_NAME_BYTES_MAX: usize = 200;
/// A key of the embedded store: row, family, qualifier and what surrounds them.
pub const TABLE_KEY_BYTES_MAX: usize = 65_000;
/// One put in so many, drawn by its hash, removes the old versions of its column.
pub const TABLE_TRIM_PUTS: u64 = 8;
/// Columns of one table of which it is remembered what was removed, so that it is not looked for again.
pub const TABLE_TRIMMED_COLUMNS_MAX: usize = 1000;
/// Cells that one delete looks at, to remove from the disk those it hides; the others are hidden all the same.
pub const TABLE_ERASED_CELLS_MAX: usize = 10_000;
/// Cells that one call removes from the disk because they are hidden or beyond what is kept.
pub const TABLE_CALL_ERASED_CELLS_MAX: usize = 100_000;

const _: () = assert!(HBASE_CALL_BYTES_MAX <= TABLES_CALL_BYTES_MAX && HBASE_CELL_BYTES_MAX < TABLES_CALL_BYTES_MAX);
const _: () = assert!(TABLES_SCAN_BYTES <= TABLES_ANSWER_BYTES_MAX && HBASE_KEY_BYTES_MAX < TABLE_KEY_BYTES_MAX);

/// Messages in one read of the Kafka client's queue; a full batch is overshot by at most one read.
pub const KAFKA_READ_RECORDS_MAX: usize = 1000;
/// Bytes that one read of the Kafka client's queue is meant to have, by the size of the messages before.
pub const KAFKA_READ_BYTES: usize = 1 << 20;
/// Bytes of one answer to a Kafka fetch, and of one partition in it.
pub const KAFKA_FETCH_BYTES_MAX: (usize, usize) = (16 << 20, 4 << 20);
/// How long Kafka's brokers may all be away before a delivery that waits for them says so. A batch that was half
/// written may be there twice then, in a plain sink; a restarting broker takes less.
pub const KAFKA_AWAY_TIME: Duration = Duration::from_secs(20);
/// Fencing a transactional sink's former owner, whose open transaction the brokers must end first.
pub const KAFKA_FENCE_TIME: Duration = Duration::from_secs(30);
/// How long the end of a partition may lie before the end of a batch that is run again. After a broker's failure the
/// new leader's end catches up in seconds; beyond this the records are gone.
pub const KAFKA_SHORT_TIME: Duration = Duration::from_secs(30);
/// Closing a Kafka client before the rest of it goes on in the background.
pub const KAFKA_CLOSE_TIME: Duration = Duration::from_secs(2);
/// Records and bytes that wait in a Kafka producer.
pub const KAFKA_SEND_QUEUE_MAX: (usize, usize) = (100_000, 32 << 20);
/// A record's key in a Kafka sink.
pub const KAFKA_KEY_BYTES_MAX: usize = 32_767;
/// How much longer a cell may become as JSON: a control character takes six.
pub const JSON_GROWTH_MAX: usize = 6;
/// What surrounds a cell as JSON, rounded up: quotes, a colon, a comma.
pub const JSON_AROUND_BYTES: usize = 10;
/// A dead letter, in a topic that the host creates (its `max.message.bytes`). What a source's topic took should fit.
pub const KAFKA_LETTER_BYTES_MAX: usize = 15 << 20;

const _: () = assert!(KAFKA_LETTER_BYTES_MAX <= BROKER_BATCH_BYTES_MAX); // or `dev` could not keep them
const _: () = assert!(KAFKA_FETCH_BYTES_MAX.1 <= KAFKA_FETCH_BYTES_MAX.0);
const _: () = assert!(KAFKA_FETCH_BYTES_MAX.0 <= FETCH_AHEAD_BYTES_MAX);
const _: () = assert!(KAFKA_READ_BYTES <= BATCH_BYTES_MAX && KAFKA_READ_RECORDS_MAX <= BATCH_RECORDS_MAX);

/// Bytes of entries that a job's keyed state holds in memory, what surrounds them included. The block cache below it is
/// [`STORE_CACHE_BYTES`]; what is not durable yet comes on top, and is bounded by what batches under way change.
pub const STATE_CACHE_BYTES: usize = 64 << 20;
/// What an entry costs in that cache beside its key and value: its slot in a table that is half full, and the allocator.
pub const STATE_CACHE_ENTRY_BYTES: usize = 96;
/// A key in a stage's state. The store takes 65,535 bytes with the job's name and the stage's number before it.
pub const STATE_KEY_BYTES_MAX: usize = 65_000;
/// Entries that one read of a range of state takes from the store.
pub const STATE_PORTION_ENTRIES_MAX: usize = 4096;
/// Entries that one write of a sweep removes; other writes wait for it.
pub const STATE_SWEEP_ENTRIES_MAX: usize = 4096;
/// Bytes of them; the last entry may go beyond.
pub const STATE_PORTION_BYTES_MAX: usize = 8 << 20;
/// Entries that are migrated at once.
pub const STATE_MIGRATE_ENTRIES_MAX: usize = 1000;
/// Bytes of them; the last entry may go beyond.
pub const STATE_MIGRATE_BYTES_MAX: usize = 16 << 20;
/// Ranges without entries that are remembered for each kind of entry of a stage.
pub const STATE_GAPS_MAX: usize = 16;
/// A memtable of the state, as the embedded store counts it (about half of what it takes); then it goes to the disk. Up
/// to five of them are in memory while the disk is slower than the job.
pub const STATE_MEMTABLE_BYTES: u64 = 16 << 20;
/// A block of the state on disk, and so what reading one entry costs.
pub const STATE_BLOCK_BYTES: u32 = 4 << 10;
/// Blocks of the embedded store that are kept in memory, of all jobs together.
pub const STORE_CACHE_BYTES: u64 = 64 << 20;

const _: () = assert!(STATE_KEY_BYTES_MAX + 64 + 1 + 8 <= u16::MAX as usize); // the longest name of a job, a NUL, a number

/// Keyed stages of one job.
pub const STAGES_MAX: usize = 32;
/// How often others may be said to feed one keyed stage; each chain that ends in it counts.
pub const STAGE_INPUTS_MAX: usize = 1000;
/// What a stage says of the shape of its keys or values.
pub const STAGE_SHAPE_BYTES_MAX: usize = 16 << 10;
/// Panes of one hopping window, all of which are merged when it ends.
pub const WINDOW_PANES_MAX: i64 = 10_000;
/// The longest window, gap, lateness, distance of a join's partners, or time until a silent key is forgotten.
pub const STAGE_TIME_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Records a second of a rate generator.
pub const RATE_MAX: u32 = 1_000_000;
/// How long a partition of a timed source may be silent at its end before it no longer holds the watermark back.
pub const IDLE_TIME: Duration = Duration::from_secs(30);
/// A path of a file source, or the name of any other source's place.
pub const PLACE_BYTES_MAX: usize = 4096;
/// A line of a socket or file. A longer one becomes several records of this length, the last one shorter.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// Bytes that are read at once where lines are looked for.
pub const LINES_READ_BYTES: usize = 64 << 10;
/// Bytes that lines take while they wait for a job's next fetch from its socket; beyond them the socket is not read.
pub const SOCKET_AHEAD_BYTES_MAX: usize = 4 << 20;
/// After how long a silence the peer of a socket source is asked whether it is there, how often it is asked again, and
/// how many times in vain before the connection counts as broken.
pub const SOCKET_KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(10), 3);
/// Files of one folder that a job reads.
pub const FILES_MAX: usize = 10_000;
/// Files that one source holds open at once.
pub const FILES_OPEN_MAX: usize = 16;
/// How often a followed file or folder is looked at for more.
pub const FILE_LOOK_TIME: Duration = Duration::from_millis(500);
/// Bytes that are taken of one followed file before it is the next one's turn.
pub const FILE_TURN_BYTES: i64 = 1 << 20;
/// How long one of a job's sources may keep the others waiting while it waits itself; all of them together no longer than
/// [`FETCH_WAIT`]. All topics count as one.
pub const MIXED_WAIT: Duration = Duration::from_millis(5);

const _: () = assert!(LINE_BYTES_MAX <= CHUNK_BYTES_MAX && LINES_READ_BYTES <= LINE_BYTES_MAX);
const _: () = assert!(MIXED_WAIT.as_millis() * 2 <= FETCH_WAIT.as_millis()); // or the first would take all of it

/// Groups or pairs of a keyed stage that are asked of the guest's lanes at once.
pub const KEYED_PORTION_GROUPS_MAX: usize = 1 << 16;
/// Bytes of them: keys, accumulators and partials, or both sides.
pub const KEYED_PORTION_BYTES_MAX: usize = 32 << 20;
/// Entries of a stage's state that are read at once.
pub const KEYED_SCAN_ENTRIES_MAX: usize = 512;
/// Bytes of them; the last entry may go beyond.
pub const KEYED_SCAN_BYTES_MAX: usize = 4 << 20;
/// What is to be merged for one key in one batch. A guest could not hold it anyway.
pub const GROUP_BYTES_MAX: usize = 1 << 30;
/// Bytes that the dead letter of a larger group shows of it.
pub const GROUP_SHOWN_BYTES_MAX: usize = 1 << 20;
/// Pairs that a join may make in one batch, as they are held in memory until their batch is planned.
pub const JOIN_PAIRS_PER_BATCH_MAX: u64 = 1_000_000;
/// Early results that a stage of windows may give in one batch: each is merged from all panes of its window.
pub const EARLY_WINDOWS_PER_BATCH_MAX: usize = 1_000_000;
/// Hops of a window with early results: a record changes as many windows, each of which is merged anew.
pub const EARLY_WINDOW_HOPS_MAX: i64 = 60;
/// The timer of a silent key stands at a multiple of this part of the time that it is kept: finer steps make smaller
/// portions of what is forgotten at once, and wake the job more often.
pub const EXPIRY_STEPS: u64 = 16;
/// How far apart these multiples are, in milliseconds, at least.
pub const EXPIRY_STEP_MS_MIN: i64 = 1000;
/// Keys whose timer is due that one batch looks at; the next batch goes on.
pub const EXPIRY_KEYS_PER_BATCH_MAX: usize = 50_000;
/// Bytes of their entries; the last one may go beyond.
pub const EXPIRY_BYTES_PER_BATCH_MAX: usize = 32 << 20;

const _: () = assert!(KEYED_PORTION_BYTES_MAX + GROUP_BYTES_MAX < u32::MAX as usize); // as a column counts bytes in 32 bits

/// Groups or pairs in one call of the guest. As with records, more would only make bisecting longer.
pub const KEYED_CALL_GROUPS_MAX: usize = 4096;
/// Bytes of groups or pairs in one call of the guest; one larger group is a call of its own.
pub const KEYED_CALL_BYTES_MAX: usize = 1 << 20;
/// A key of a keyed stage. State keeps it with what surrounds it, and where order matters each byte may take two.
pub const KEYED_KEY_BYTES_MAX: usize = 32_000;

const _: () = assert!(KEYED_CALL_BYTES_MAX <= CHUNK_BYTES_MAX && GUEST_OUTPUT_BYTES_MAX <= BATCH_ANSWERS_BYTES_MAX);
const _: () = assert!(BATCH_ANSWERS_BYTES_MAX < u32::MAX as usize); // or a column of them could not be counted
const _: () = assert!(2 * KEYED_KEY_BYTES_MAX + 100 <= STATE_KEY_BYTES_MAX);
