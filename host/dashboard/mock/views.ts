// What the API says of a simulated job.

import type {
  Graph,
  GraphNode,
  JobStatus,
  JobSummary,
  PartitionTime,
  Setting,
  Settings,
  Stage,
  StatePage,
  Watermarks,
} from "../src/api/types.ts";
import { canaryStatus } from "./canary.ts";
import type { JobDef } from "./definition.ts";
import { shown } from "./letters.ts";
import { rfc3339 } from "./random.ts";
import { replayStatus } from "./replay.ts";
import { shadowStatus } from "./shadow.ts";
import type { SimJob } from "./sim-job.ts";

const runs = (job: SimJob) => job.state === "running" || job.state === "retrying";

function change(job: SimJob): number | null {
  if (!runs(job) || job.lagBefore.length < 2) return null;
  return ((job.lagBefore.at(-1) ?? 0) - (job.lagBefore[0] ?? 0)) / (job.lagBefore.length - 1);
}

export function summary(job: SimJob, recent: boolean): JobSummary {
  const { def } = job;
  const rate = (value: number) => (runs(job) ? Math.round(value * 10) / 10 : null);
  return {
    job: def.name,
    state: job.state,
    since: rfc3339(job.since),
    reason: job.reason,
    version: job.active.version,
    deployment: job.active.number,
    deployed_at: job.active.at,
    records_in: job.records,
    rows_out: job.rows,
    dead_letters: job.dead,
    late: job.late,
    records_per_second: rate(job.rates.records),
    rows_per_second: rate(job.rates.rows),
    dead_letters_per_second: rate(job.rates.dead),
    lag: def.sources[0]?.kind === "kafka" ? job.lag : null,
    lag_seconds: job.lag > 0 ? Math.round(job.lag / Math.max(1, def.arrivals(3000))) : 0,
    lag_change_per_second: change(job),
    sources: def.sources.map(({ kind, name, target }) => ({ kind, name, target })),
    sinks: def.sinks.map(({ kind, name, target }) => ({ kind, name, target })),
    cpu_cores: runs(job) ? (job.points.cpu_cores.at(-1) ?? null) : null,
    guest_memory_bytes: runs(job) ? (job.points.guest_memory_bytes.at(-1) ?? null) : null,
    steps_ms: runs(job)
      ? Object.fromEntries(
          Object.entries(job.points.steps_ms).map(([step, means]) => [step, means.at(-1) ?? 0]),
        )
      : null,
    ...(recent ? { recent: job.recent } : {}),
  };
}

export function status(job: SimJob, now: number): JobStatus {
  const { def } = job;
  const s = summary(job, false);
  const waits =
    job.state === "retrying" && job.reason ? { what: job.reason, since: rfc3339(job.since) } : null;
  return {
    job: def.name,
    state: job.state,
    version: job.active.version,
    digest: job.active.digest,
    deployment: job.active.number,
    records_in: job.records,
    rows_out: job.rows,
    dead_letters: job.dead,
    dropped: job.dropped,
    late: job.late,
    timeless: 0,
    batches: job.batch,
    lag: s.lag,
    last_error: job.state === "stopped" ? job.reason : job.lastError,
    waiting_for: waits,
    every_ms: def.everyMs,
    group: `streamhost.${def.name}`,
    dead_letter_topic: `${def.name}.dead-letters`,
    incarnation: 4_811_204_177,
    lanes: def.lanes,
    sources: def.sources.map((source) => ({
      kind: source.kind,
      name: source.name,
      place: source.target,
      reached: reached(job, source.name, source.partitions),
      event_times: {},
      jumps:
        def.name === "hashtags"
          ? { "0": { at: rfc3339(now - 90_000), from: rfc3339(now - 95_000), to: rfc3339(now + 3_600_000) } }
          : {},
    })),
    stages: stages(job, now).map(({ name, keys, bytes }) => ({ name, keys, bytes })),
    watermark: watermarks(job, now).watermark,
    sinks: def.sinks.map((sink) => ({
      kind: sink.kind,
      name: sink.name,
      place: sink.target,
      rows: Math.round(job.records * sink.share),
    })),
    parameters:
      def.name === "clicks"
        ? [
            { name: "min-quantity", type: "uint", default: "1", value: "3" },
            { name: "country", type: "text", default: "", value: "de" },
          ]
        : [],
    limits: {
      memory_bytes: 64 << 20,
      time_ms: 2000,
      batch_records: 100_000,
      batch_bytes: 8 << 20,
      host_memory: [
        { name: "instances", bytes: 256 << 20 },
        { name: "connectors", bytes: 144 << 20 },
      ],
    },
    since: s.since,
    reason: s.reason,
    last_error_at: job.lastErrorAt === null ? null : rfc3339(job.lastErrorAt),
    host: null,
    signed_by: job.active.signed_by ?? null,
    deployed_at: s.deployed_at,
    records_per_second: s.records_per_second,
    rows_per_second: s.rows_per_second,
    dead_letters_per_second: s.dead_letters_per_second,
    lag_seconds: s.lag_seconds,
    lag_change_per_second: s.lag_change_per_second,
    last_checkpoint_at: runs(job) ? rfc3339(now - 700) : rfc3339(job.since),
    probation:
      s.version > 1 && runs(job)
        ? { version: s.version - 1, batches: 12, until: rfc3339(now + 600_000) }
        : null,
    budgets:
      s.version > 1 && runs(job)
        ? [
            {
              budget: "max-dead-letters",
              most: "1% over 1m",
              usual: false,
              used: "12 dead letters of 18000 records (0.1 %) in 1m",
              over: false,
            },
          ]
        : [],
    over_budget: null,
    shadow: shadowStatus(job, now),
    canary: canaryStatus(job, now),
    replay: replayStatus(job, now),
    under_way: runs(job)
      ? {
          batch: job.batch + 1,
          records: 5200,
          step: "deliver",
          since: rfc3339(now - (job.def.slow ? 25_000 : 100)),
        }
      : null,
    cpu_cores: job.points.cpu_cores.at(-1) ?? null,
    guest_memory_bytes: runs(job) ? (job.points.guest_memory_bytes.at(-1) ?? null) : 0,
  };
}

function reached(job: SimJob, source: string, partitions: number): Record<string, number> {
  const of = Math.round((job.records / job.def.sources.length) * (source.length % 3 === 0 ? 1.02 : 0.98));
  return Object.fromEntries(
    Array.from({ length: partitions }, (_, p) => [String(p), Math.floor(of / partitions) + p * 17]),
  );
}

const BLANK = {
  connector: null,
  target: null,
  description: null,
  busy: null,
  waiting_for: null,
  partitions: null,
  lag: null,
  keys: null,
  bytes: null,
  guarantee: null,
};

export function graph(job: SimJob, now: number): Graph {
  const { def } = job;
  const running = job.state === "running";
  const busy = (share: number) => (running ? Math.min(0.99, Math.round(share * 100) / 100) : null);
  const perSecond = job.rates.records;
  const waits =
    job.state === "retrying" && job.reason ? { what: job.reason, since: rfc3339(job.since) } : null;
  const nodes: GraphNode[] = [
    ...def.sources.map(
      (s, i): GraphNode => ({
        ...BLANK,
        id: `source/${s.name}`,
        kind: "source",
        name: s.name,
        connector: s.kind,
        target: s.target,
        partitions: s.partitions,
        lag: s.kind === "kafka" ? Math.round(job.lag / (i === 0 ? 1 : 9)) : null,
      }),
    ),
    {
      ...BLANK,
      id: "transform",
      kind: "transform",
      name: "transform",
      description: `${def.lanes} lanes, version ${job.active.version}`,
      busy: busy((perSecond * def.cost[0]) / 1e6 / def.lanes),
    },
    ...stages(job, now).map(
      (s, i): GraphNode => ({
        ...BLANK,
        id: `stage/${s.name}`,
        kind: "stage",
        name: s.name,
        description: s.description,
        keys: s.keys,
        bytes: s.bytes,
        busy: busy((perSecond * def.cost[1]) / 1e6 / def.lanes / (i + 1)),
      }),
    ),
    ...def.sinks.map(
      (s, i): GraphNode => ({
        ...BLANK,
        id: `sink/${s.name}`,
        kind: "sink",
        name: s.name,
        connector: s.kind,
        target: s.target,
        guarantee: s.guarantee,
        waiting_for: i === 0 ? waits : null,
        busy:
          def.slow?.node === `sink/${s.name}` ? busy(0.97) : busy((perSecond * def.cost[2]) / 1e6 / (i + 1)),
      }),
    ),
    {
      ...BLANK,
      id: "dead-letters",
      kind: "dead-letters",
      name: `${def.name}.dead-letters`,
      connector: "kafka",
      target: `${def.name}.dead-letters`,
    },
  ];
  const edges = def.edges.map(([from, to, unit, share]) => ({
    from,
    to,
    unit,
    total: unit === "dead-letters" ? job.dead : Math.round(job.records * share),
    per_second: Math.round((unit === "dead-letters" ? job.rates.dead : perSecond * share) * 10) / 10,
  }));
  return { nodes, edges, bottleneck: running ? def.slow : null };
}

export function stages(job: SimJob, now: number): Stage[] {
  const marks = job.def.stages.length > 0 ? watermark(job, now) : null;
  return job.def.stages.map((s) => {
    const keys = Math.round(s.keys * (1 + Math.sin(now / 60_000) * 0.02));
    const fired =
      marks && s.windowSeconds ? Math.floor(marks / (s.windowSeconds * 1000)) * s.windowSeconds * 1000 : null;
    return {
      name: s.name,
      kind: s.kind,
      description: s.description,
      inputs: s.inputs,
      keys,
      bytes: keys * s.keyBytes,
      results: Math.round(job.records * 0.02),
      late: s.kind === "window" || s.kind === "join" ? job.late : 0,
      dead_letters: 0,
      watermark: marks === null ? null : rfc3339(marks),
      last_fired: fired === null ? null : rfc3339(fired),
      open_windows: s.kind === "window" ? 6 : null,
      key_schema: s.keySchema,
      value_schema: s.valueSchema,
    };
  });
}

function watermark(job: SimJob, now: number): number {
  const end = job.state === "running" ? now : Math.min(now, job.since);
  return end - (job.def.holdsBack?.seconds ?? 2) * 1000;
}

export function watermarks(job: SimJob, now: number): Watermarks {
  const { def } = job;
  const held = job.state === "running" ? def.holdsBack : null;
  const timed = def.stages.some((stage) => stage.windowSeconds !== null);
  const end = job.state === "running" ? now : Math.min(now, job.since);
  const partitions = def.sources.flatMap((source, s) =>
    Array.from({ length: source.partitions }, (_, p): PartitionTime => {
      const holds = s === 0 && held?.partition === p;
      const idle = s === 0 && def.idle.includes(p);
      const behind = holds ? held.seconds * 1000 : idle ? 340_000 + p * 1000 : 1200 + ((p * 7919) % 2600);
      const committed = Math.floor(job.records / def.sources.length / source.partitions) + p * 17;
      const lag =
        source.kind === "kafka" ? Math.round(job.lag / source.partitions / def.sources.length) : null;
      return {
        source: source.name,
        partition: p,
        event_time: timed && job.records > 0 ? rfc3339(end - behind) : null,
        idle,
        last_record_at: rfc3339(end - (idle ? behind : 300)),
        committed,
        end: lag === null ? null : committed + lag,
        lag,
        holds_back: Boolean(holds),
      };
    }),
  );
  return {
    watermark: timed ? rfc3339(watermark(job, now)) : null,
    idle_after_ms: 30_000,
    explanation: held ? held.why : null,
    partitions,
  };
}

export function settings(job: SimJob): Settings {
  const { def } = job;
  const set = job.active.settings;
  const of = (
    key: string,
    value: string,
    fallback: string | null,
    meaning: string,
    from: Setting["from"] = "default",
    unit: string | null = null,
  ): Setting => ({
    key,
    value: set[key] ?? value,
    from: key in set ? "deploy" : from,
    default: fallback,
    meaning,
    unit,
  });
  return {
    deployment: job.active.number,
    settings: [
      of(
        "every",
        def.everyMs === 0 ? "0" : `${def.everyMs / 1000}s`,
        "0",
        "how often a batch closes; 0: as soon as the pipeline is free",
        "job",
      ),
      ...def.sources.map((s) => of(`source.${s.name}`, s.target, null, "what this source reads", "job")),
      ...def.sinks.map((s) => of(`sink.${s.name}`, s.target, null, "what this sink writes", "job")),
      of("start", "earliest", "earliest", "where a new job begins to read"),
      of("until", "–", null, "`end`: read to the ends that the topics have now, then the job is finished"),
      of("idle", "30s", "30s", "how long a silent partition holds windows back; 0: always"),
      of("on-error", "dead-letter", "dead-letter", "what happens to a record that is refused"),
      of("dead-letters", `${def.name}.dead-letters`, null, "the topic of dead letters"),
      of("group", `streamhost.${def.name}`, null, "the consumer group that shows progress to monitors"),
      of("limits.memory", "64MiB", "64MiB", "memory of one guest instance", "host"),
      of("limits.time", "2s", "2s", "one call of the guest"),
      of("limits.batch-records", "100000", "100000", "records of one batch"),
      of("limits.batch-bytes", "8MiB", "8MiB", "bytes of keys and values of one batch"),
    ],
  };
}

const WORDS = [
  "rust",
  "kafka",
  "wasm",
  "hbase",
  "streams",
  "<script>alert(1)</script>",
  "ünïcode",
  "日本語",
  "a\u202eb",
  "tag with spaces",
];

/** Entries of a stage, a page at a time; `after` is the number of the first one. */
export function state(
  job: SimJob,
  def: JobDef["stages"][number],
  query: URLSearchParams,
  now: number,
): StatePage {
  const prefix = query.get("key") ?? query.get("prefix") ?? "";
  const all = Array.from(
    { length: Math.min(def.keys, 230) },
    (_, i) => `${WORDS[i % WORDS.length]}${i < WORDS.length ? "" : `-${i}`}`,
  ).sort();
  const found = all.filter((key) => key.startsWith(prefix));
  const from = Number(query.get("after") ?? 0);
  const limit = Number(query.get("limit") ?? 50);
  const size = (def.windowSeconds ?? 0) * 1000;
  const start = size > 0 ? Math.floor(now / size) * size : 0;
  return {
    stage: def.name,
    batch: job.batch,
    entries: found.slice(from, from + limit).map((key, i) => ({
      key: shown(key),
      window: size > 0 ? { start: rfc3339(start), end: rfc3339(start + size) } : null,
      value:
        def.valueSchema === "u64"
          ? shown(String(1000 - i * 3))
          : shown(`{"count":${i},"first":"${key}","tags":["x","y"],"big":12345678901234567890}`),
      expires: def.windowSeconds ? rfc3339(start + size + 30_000) : null,
    })),
    next: from + limit < found.length ? String(from + limit) : null,
  };
}
