// The control API's JSON, as API.md describes it. Times are RFC 3339, durations end in `_ms` or
// `_seconds`, sizes in `_bytes`, rates in `_per_second`. `null` means "not known now".

export type JobState = "running" | "paused" | "retrying" | "stopped" | "finished";

export interface Waiting {
  what: string;
  since: string;
}

export interface End {
  kind: string;
  name: string;
  target: string;
}

/** One job in a `jobs` event. */
export interface JobSummary {
  job: string;
  state: JobState;
  since: string | null;
  reason: string | null;
  version: number;
  deployment: number;
  deployed_at: string;
  records_in: number;
  rows_out: number;
  dead_letters: number;
  late: number;
  records_per_second: number | null;
  rows_per_second: number | null;
  dead_letters_per_second: number | null;
  lag: number | null;
  lag_seconds: number | null;
  lag_change_per_second: number | null;
  sources: End[];
  sinks: End[];
  cpu_cores: number | null;
  guest_memory_bytes: number | null;
  steps_ms: Record<string, number> | null;
  /** Records a second, one value a minute, an hour at most. In a connection's first event and when a minute ended. */
  recent?: (number | null)[];
}

export interface SourceStatus {
  kind: string;
  name: string;
  place: string;
  reached: Record<string, number>;
  event_times: Record<string, string>;
  jumps: Record<string, { at: string; from: string; to: string }>;
}

export interface SinkStatus {
  kind: string;
  name: string;
  place: string;
  rows: number;
}

export interface StageStatus {
  name: string;
  keys: number;
  bytes: number;
}

/** The oldest batch that is not durable yet. */
export interface UnderWay {
  batch: number;
  records: number;
  step: Step;
  since: string;
}

/** While a version that proves unfit is rolled back by the host. */
export interface Probation {
  /** The version that it would go back to. */
  version: number;
  /** Batches that are left of it. */
  batches: number;
  until: string;
}

/** What a version may have of something, and what there was of it in its time up to now. */
export interface Budget {
  /** The setting that says it. */
  budget: string;
  most: string;
  /** It is what a version on probation has where nothing is said. */
  usual: boolean;
  used: string;
  over: boolean;
}

/** A version that runs beside the active one, or did so last. */
export interface ShadowStatus {
  version: number;
  running: boolean;
  batches: number;
  skipped: number;
  alike: number;
  differing: number;
  state_bytes: number;
  why: string | null;
}

/** What one of two versions did, in durable batches. */
export interface CanarySide {
  records: number;
  rows: number;
  failed: number;
  broken: number;
  late: number;
  dropped: number;
  busy_us: number;
  ns_per_record: number | null;
}

/** A version that runs a part of the records. */
export interface CanaryStatus {
  version: number;
  digest: string;
  /** `5%` of the keys, or `partitions=0,1`. */
  share: string;
  since: string;
  /** Both versions run all records, and of each key what its own version made counts. */
  by_key: boolean;
  active: CanarySide;
  canary: CanarySide;
}

/** A canary as a deployment has it. */
export interface CanaryDeployed {
  version: number;
  digest: string;
  share: string;
}

export interface Pair {
  active: number;
  shadow: number;
}

export interface ShadowColumn {
  column: string;
  active: string | null;
  shadow: string | null;
}

export interface ShadowRow {
  /** `both`, `active` or `shadow`. */
  of: string;
  key: string[];
  columns: ShadowColumn[];
}

export interface ShadowSink {
  alike: number;
  differing: number;
  reordered: number;
  only_active: number;
  only_shadow: number;
  columns: Record<string, number>;
  samples: ShadowRow[];
}

export interface ShadowLetter {
  of: string;
  record: string | null;
  stage: string;
  key: string | null;
  active: string | null;
  shadow: string | null;
}

export interface ShadowBatch {
  batch: number;
  records: number;
  alike: number;
  differing: number;
  dead_letters: Pair;
}

/** `GET /v1/jobs/{job}/shadow`. */
export interface Shadow {
  job: string;
  version: number;
  digest: string;
  settings: Record<string, string>;
  beside: number;
  running: boolean;
  began: string;
  ended: string | null;
  why: string | null;
  until: string;
  batches_max: number | null;
  promote_if: string | null;
  batches: number;
  skipped: number;
  forks: number;
  faults: number;
  last_fault: string | null;
  records: number;
  alike: number;
  differing: number;
  sinks: Record<string, ShadowSink>;
  dead_letters: {
    alike: number;
    differing: number;
    only_active: number;
    only_shadow: number;
    samples: ShadowLetter[];
  };
  counts: Record<string, Pair>;
  state_bytes: number;
  recent: ShadowBatch[];
}

/** A replay in its job's status. */
export interface ReplayStatus {
  version: number;
  running: boolean;
  /** `done`, `failed` or `stopped`. */
  outcome: string | null;
  phase: string;
  passed: number;
  offsets: number;
  differing: number;
}

export interface ReplayRow {
  /** `missing`, `differing` or `extra`. */
  is: string;
  key: string;
  columns: { column: string; held: string | null; made: string | null }[];
}

export interface ReplaySink {
  place: string;
  alike: number;
  differing: number;
  missing: number;
  extra: number;
  overtaken: number;
  mended: number;
  unmended: number;
  columns: Record<string, number>;
  samples: ReplayRow[];
}

/** `GET /v1/jobs/{job}/replay`. */
export interface Replay {
  job: string;
  version: number;
  digest: string;
  settings: Record<string, string>;
  running: boolean;
  outcome: string | null;
  why: string | null;
  /** `running`, `following`, `comparing`, `writing` or `ended`. */
  phase: string;
  waiting_for: string | null;
  began: string;
  ended: string | null;
  /** The savepoint that it begins from. */
  savepoint: { batch: number; taken: string } | null;
  from: Record<string, Record<string, number>>;
  to: Record<string, Record<string, number>>;
  at: Record<string, Record<string, number>>;
  passed: number;
  offsets: number;
  rate: number | null;
  writes: boolean;
  records: number;
  batches: number;
  counts: Record<string, number>;
  followed: number;
  delivered: Record<string, number>;
  differing: number;
  sinks: Record<string, ReplaySink>;
  not_compared: string[];
  /** `place`, `active` or `none`. */
  extra_rows: string;
  mended_at: string | null;
  warnings: string[];
}

/** `GET /v1/jobs/{job}`. The fields behind `limits` are new, and optional as an older host does not have them. */
export interface JobStatus {
  job: string;
  state: JobState;
  version: number;
  digest: string;
  deployment: number;
  records_in: number;
  rows_out: number;
  dead_letters: number;
  dropped: number;
  late: number;
  timeless: number;
  batches: number;
  lag: number | null;
  last_error: string | null;
  waiting_for: Waiting | null;
  every_ms: number;
  group: string;
  dead_letter_topic: string;
  incarnation: number;
  lanes: number;
  sources: SourceStatus[];
  stages: StageStatus[];
  watermark: string | null;
  sinks: SinkStatus[];
  /** Values that the job asks for, set by `--set param.NAME=…`. */
  parameters: Parameter[];
  limits: {
    memory_bytes: number;
    time_ms: number;
    batch_records: number;
    batch_bytes: number;
    host_memory: { name: string; bytes: number }[];
  };
  since?: string | null;
  reason?: string | null;
  last_error_at?: string | null;
  deployed_at?: string;
  /** The host of the cluster that runs it; null where the host is by itself. */
  host?: string | null;
  /** The trusted key that has signed its component; null where the host asked for no signature. */
  signed_by?: string | null;
  records_per_second?: number | null;
  rows_per_second?: number | null;
  dead_letters_per_second?: number | null;
  lag_seconds?: number | null;
  lag_change_per_second?: number | null;
  last_checkpoint_at?: string | null;
  under_way?: UnderWay | null;
  probation?: Probation | null;
  budgets?: Budget[];
  over_budget?: string | null;
  shadow?: ShadowStatus | null;
  canary?: CanaryStatus | null;
  replay?: ReplayStatus | null;
  cpu_cores?: number | null;
  guest_memory_bytes?: number | null;
}

export type NodeKind = "source" | "transform" | "stage" | "sink" | "dead-letters";

export interface GraphNode {
  id: string;
  kind: NodeKind;
  name: string;
  connector: string | null;
  target: string | null;
  description: string | null;
  /** Share of the last ten seconds in which it worked, 0 to 1. */
  busy: number | null;
  waiting_for: Waiting | null;
  partitions: number | null;
  lag: number | null;
  keys: number | null;
  bytes: number | null;
  guarantee: "idempotent" | "exactly-once" | "at-least-once" | null;
}

export interface GraphEdge {
  from: string;
  to: string;
  unit: "records" | "rows" | "results" | "late" | "dead-letters";
  /** None where the host does not count what flows here. */
  total: number | null;
  per_second: number | null;
}

export interface Graph {
  nodes: GraphNode[];
  edges: GraphEdge[];
  bottleneck: { node: string; why: string } | null;
}

export const STEPS = ["gather", "queue", "transform", "stages", "intent", "deliver", "checkpoint"] as const;
export type Step = (typeof STEPS)[number];

type Column = (number | null)[];

/** Columns of one length; `times` are seconds since 1970, ascending. */
export interface Points {
  times: number[];
  records_per_second: Column;
  rows_per_second: Column;
  dead_letters_per_second: Column;
  late_per_second: Column;
  lag: Column;
  latency_p50_ms: Column;
  latency_p99_ms: Column;
  steps_ms: Record<Step, Column>;
  cpu_cores: Column;
  guest_memory_bytes: Column;
}

export interface Series {
  step_seconds: number;
  points: Points;
  deployments: { at: string; number: number; version: number }[];
  limits: { memory_bytes: number; lanes: number };
}

export interface BatchStep {
  step: Step;
  /** Milliseconds after the batch began. */
  at_ms: number;
  ms: number;
}

export interface Batch {
  number: number;
  version: number;
  deployment: number;
  began: string;
  records: number;
  bytes: number;
  rows: number;
  dropped: number;
  late: number;
  dead_letters: number;
  retries: number;
  steps: BatchStep[];
  sinks: { sink: string; rows: number; ms: number }[];
}

export interface Batches {
  every_ms: number;
  kept_max: number;
  batches: Batch[];
}

export interface PartitionTime {
  source: string;
  partition: number;
  event_time: string | null;
  idle: boolean;
  last_record_at: string | null;
  committed: number;
  end: number | null;
  lag: number | null;
  holds_back: boolean;
}

export interface Watermarks {
  watermark: string | null;
  idle_after_ms: number;
  explanation: string | null;
  partitions: PartitionTime[];
}

export type StageKind = "window" | "session" | "running" | "each-batch" | "join" | "lookup" | "process";

export interface Stage {
  name: string;
  kind: StageKind;
  description: string;
  inputs: string[];
  keys: number;
  bytes: number;
  results: number | null;
  late: number | null;
  dead_letters: number | null;
  watermark: string | null;
  last_fired: string | null;
  open_windows: number | null;
  key_schema: string;
  value_schema: string;
}

/** Bytes as they can be shown: text where they are UTF-8, else base64. */
export interface Shown {
  text: string | null;
  base64: string | null;
  bytes: number;
  truncated: boolean;
}

export interface StateEntry {
  key: Shown;
  window: { start: string; end: string } | null;
  value: Shown;
  expires: string | null;
}

export interface StatePage {
  stage: string;
  batch: number;
  entries: StateEntry[];
  next: string | null;
}

export interface Parameter {
  name: string;
  type: string;
  default: string;
  value: string;
}

export interface Deployment {
  number: number;
  version: number;
  digest: string;
  at: string;
  kind: "deploy" | "rollback" | "automatic-rollback" | "canary";
  reason: string | null;
  settings: Record<string, string>;
  active: boolean;
  reset: boolean;
  /** It gave up what was planned, and ran its records anew. */
  replan: boolean;
  undeployed_at: string | null;
  component_bytes?: number | null;
  sdk?: string | null;
  /** The trusted key that has signed its component; null where the host asked for no signature. */
  signed_by?: string | null;
  /** The version that runs a part of the records with it. */
  canary?: CanaryDeployed | null;
}

export interface Deployed {
  job: string;
  version: number;
  digest: string;
  deployment: number;
  changed: boolean;
  paused: boolean;
  warnings: string[];
}

export type LetterStatus = "new" | "retried" | "dropped";

export interface Letter {
  id: string;
  at: string;
  status: LetterStatus;
  version: number;
  batch: number;
  stage: string | null;
  sink: string | null;
  source: { topic: string; partition: number; offset: number; time: string } | null;
  reason: string;
  key: Shown;
  value: Shown;
  retried: Retried | null;
}

export interface Retried {
  at: string;
  version: number;
  outcome: "delivered" | "dropped" | "dead-letter";
  rows: number;
  reason: string | null;
}

export interface LetterPage {
  topic: string;
  letters: Letter[];
  next: string | null;
  scanned: number;
  reasons: { reason: string; count: number }[];
  stages: { stage: string; count: number }[];
}

export interface LetterFull extends Letter {
  left_out: boolean;
  headers: { name: string; value: Shown }[];
}

export interface LetterResults {
  done: number;
  skipped: number;
  results: {
    id: string;
    outcome: "delivered" | "dropped" | "dead-letter" | "skipped";
    rows: number;
    reason: string | null;
  }[];
}

export interface Setting {
  key: string;
  value: string;
  from: "deploy" | "job" | "host" | "default";
  default: string | null;
  meaning: string;
  unit: string | null;
}

export interface Settings {
  deployment: number;
  settings: Setting[];
}

export interface SinkDescription extends End {
  guarantee: GraphNode["guarantee"];
  key: string | null;
  columns: { name: string; type: string }[];
  exists: boolean | null;
}

export interface Change {
  what: "source" | "stage" | "sink" | "column" | "setting" | "component" | "limit";
  name: string;
  kind: "added" | "removed" | "changed";
  before: string | null;
  after: string | null;
}

export interface Checked {
  job: string;
  digest: string;
  component_bytes: number;
  contract: string;
  sdk: string | null;
  imports: { name: string; allowed: boolean }[];
  graph: Graph;
  sinks: SinkDescription[];
  errors: string[];
  warnings: string[];
  active: { version: number; digest: string; deployed_at: string } | null;
  changes: Change[];
  state: "none" | "kept" | "migrated" | "needs-reset";
  starts: string;
  creates: string[];
}

export interface LogLine {
  number: number;
  version?: number | null;
  line: string;
}

export interface ServerState {
  name: string;
  address: string;
  state: "ok" | "away" | "unknown";
  what: string | null;
  since: string | null;
  round_trip_ms: number | null;
}

/** A host of a cluster. */
export interface HostStatus {
  host: string;
  address: string;
  version: string;
  lives: boolean;
  leads: boolean;
  draining: boolean;
  jobs: string[];
}

export interface HostInfo {
  name: string;
  version: string;
  commit: string | null;
  engine: string;
  started: string;
  now: string;
  cpu: { cores: number; used: number; guests: number };
  memory: {
    used_bytes: number;
    bound_bytes: number;
    jobs_bytes: number;
    own_bytes: number;
    guests_bytes: number | null;
    state_bytes: number;
  };
  disk: { path: string; used_bytes: number | null; free_bytes: number; total_bytes: number };
  servers: ServerState[];
  /** The hosts that it shares its jobs with; null where it is by itself. */
  cluster?: HostStatus[] | null;
  limits: { name: string; value: number; used: number | null; unit: string; meaning: string }[];
  token: boolean;
}

/** A change that was asked for, or that the host made by itself. */
export interface AuditEntry {
  /** Rises with each entry. */
  number: number;
  at: string;
  /** The token's name; null where the host wants none, and of what it does by itself. */
  who: string | null;
  /** The token's role, or `host`: it did it by itself. */
  role: string | null;
  peer: string | null;
  request: string | null;
  verb: string;
  job: string | null;
  options: string[];
  deployment: number | null;
  version: number | null;
  digest: string | null;
  /** The trusted key that has signed its component. */
  signed_by: string | null;
  /** Those that are others than before. */
  settings: { name: string; before: string | null; after: string | null }[];
  outcome: "under-way" | "done" | "refused" | "failed" | "unknown";
  status: number | null;
  reason: string | null;
  took_ms: number | null;
}

export interface AuditPage {
  entries: AuditEntry[];
  /** `before` of the next page. */
  next: number | null;
}

export const PARTS = ["graph", "series", "batches", "watermarks", "stages", "log"] as const;
export type Part = (typeof PARTS)[number];

/** A `job` event: the parts that were asked for. `points` and `batches` are those since the last event. */
export interface JobEvent {
  status: JobStatus;
  graph?: Graph;
  points?: Points;
  batches?: Batch[];
  watermarks?: Watermarks;
  stages?: Stage[];
}

export interface Hello {
  started: string;
  host: string;
  version: string;
  now: string;
  beat_ms: number;
  /** What this host does not do; the page does not offer it. */
  lacks: Lack[];
}

export type Lack = "host" | "letters-retry" | "state";

/** What a token may do; each may do what those before it may. */
export type Role = "read" | "operate" | "deploy";

export interface Me {
  /** The token's; null where the host wants none. */
  name: string | null;
  role: Role;
}
