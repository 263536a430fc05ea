// One simulated job: a second at a time, records arrive and batches pass.

import {
  type Batch,
  type Deployment,
  type JobState,
  type Points,
  type Series,
  STEPS,
  type Step,
} from "../src/api/types.ts";
import type { JobDef } from "./definition.ts";
import { type Random, rfc3339 } from "./random.ts";

export const STEP_SECONDS = 5;
const HOUR = 3600;
const BATCHES_MAX = 300;
const LINES_MAX = 1000;

interface Sums {
  records: number;
  rows: number;
  dead: number;
  late: number;
  steps: Record<Step, number>;
  batches: number;
}

function noSums(): Sums {
  return {
    records: 0,
    rows: 0,
    dead: 0,
    late: 0,
    batches: 0,
    steps: Object.fromEntries(STEPS.map((s) => [s, 0])) as Record<Step, number>,
  };
}

export function noPoints(): Points {
  return {
    times: [],
    records_per_second: [],
    rows_per_second: [],
    dead_letters_per_second: [],
    late_per_second: [],
    lag: [],
    latency_p50_ms: [],
    latency_p99_ms: [],
    steps_ms: Object.fromEntries(STEPS.map((s) => [s, []])) as unknown as Points["steps_ms"],
    cpu_cores: [],
    guest_memory_bytes: [],
  };
}

export class SimJob {
  state: JobState;
  since: number;
  reason: string | null;
  lastError: string | null;
  lastErrorAt: number | null;
  lag = 0;
  lagBefore: number[] = [];
  records: number;
  rows = 0;
  dead: number;
  dropped: number;
  late = 0;
  batch: number;
  rates = { records: 0, rows: 0, dead: 0, late: 0 };
  waitMs = 0;
  deployments: Deployment[] = [];
  batches: Batch[] = [];
  points = noPoints();
  recent: (number | null)[] = [];
  lines: { number: number; version: number; line: string }[] = [];
  private line = 0;
  private sums = noSums();
  private minute = { records: 0, seconds: 0 };
  private carried = 0;

  constructor(
    readonly def: JobDef,
    readonly random: Random,
    /** When the simulated hour began. */
    private readonly begin: number,
    now: number,
  ) {
    this.state = def.state;
    this.since = now - def.since * 1000;
    this.reason = def.reason;
    this.lastError = def.lastError?.[0] ?? null;
    this.lastErrorAt = def.lastError ? now - def.lastError[1] * 1000 : null;
    this.records = def.before;
    this.rows = Math.round(def.before * def.sinks.reduce((sum, sink) => sum + sink.share, 0));
    this.dead = Math.max(def.letters, Math.round(def.before * def.deadShare * 0.01));
    this.dropped = Math.round(def.before * def.dropShare);
    this.batch = Math.round(def.before / 20_000) + 1;
    this.deployments = history(def, random, now);
    this.logHistory(now);
  }

  get active(): Deployment {
    return this.deployments.find((d) => d.active) ?? (this.deployments[0] as Deployment);
  }

  log(at: number, level: string, text: string): void {
    this.line += 1;
    this.lines.push({
      number: this.line,
      version: this.active.version,
      line: `${rfc3339(at)} ${level.padEnd(5)} ${text}`,
    });
    if (this.lines.length > LINES_MAX) this.lines.shift();
  }

  private logHistory(now: number): void {
    for (const d of this.deployments.toReversed()) {
      const at = Date.parse(d.at);
      this.log(
        at,
        "INFO",
        `deployment ${d.number}: version ${d.version} (${d.digest.slice(0, 8)}) is active from the next batch`,
      );
      if (d.reason) this.log(at + 3, "ERROR", d.reason);
    }
    for (let i = 0; i < 140; i += 1) {
      const at = now - (140 - i) * 24_000;
      if (at > this.since && this.state !== "running" && this.state !== "retrying") break;
      const texts: [string, string][] = [
        [
          "INFO",
          `checkpoint of batch ${this.batch - (140 - i) * 20}: ${this.random.whole(18000, 22000)} records in ${this.random.whole(180, 260)} ms`,
        ],
        ["DEBUG", `guest: cache of user agents has ${this.random.whole(400, 900)} entries`],
        [
          "WARN",
          `guest: no quantity in "${this.random.pick(["7,ann,http://example.org/", "8,,", "\u001b[2Jx,y", "<b>1</b>,2"])}"`,
        ],
      ];
      const [level, text] = this.random.pick(texts);
      this.log(at, level, text);
    }
    if (this.reason && this.state !== "paused")
      this.log(this.since, this.state === "stopped" ? "ERROR" : "WARN", this.reason);
  }

  set(state: JobState, reason: string | null, now: number): void {
    this.state = state;
    this.reason = reason;
    this.since = now;
    this.log(now, "INFO", reason ? `${state}: ${reason}` : `the job is ${state}`);
  }

  /** One second, which ends at `now`. */
  tick(now: number): void {
    const { def } = this;
    const arrived =
      this.state === "finished"
        ? 0
        : Math.round(this.random.near(def.arrivals((now - this.begin) / 1000), 0.05));
    const wasRunning = now < this.since ? def.state !== "finished" : this.state === "running";
    const done = wasRunning
      ? Math.min(this.lag + arrived, Math.round(this.random.near(def.capacity, 0.04)))
      : 0;
    this.lag += arrived - done;
    this.lagBefore = [...this.lagBefore, this.lag].slice(-11);
    this.carried += done;
    const every = Math.max(1, Math.round(def.everyMs / 1000));
    const due = Math.floor(now / 1000) % every === 0;
    if (due && this.carried > 0) {
      this.pass(now, this.carried);
      this.carried = 0;
    } else if (!wasRunning) this.rates = { records: 0, rows: 0, dead: 0, late: 0 };
    this.minute.records += done;
    this.minute.seconds += 1;
    if (this.minute.seconds === 60) {
      this.recent = [...this.recent, wasRunning || done > 0 ? this.minute.records / 60 : 0].slice(-60);
      this.minute = { records: 0, seconds: 0 };
    }
    if (Math.floor(now / 1000) % STEP_SECONDS === 0) this.point(now, wasRunning);
  }

  /** One batch that was made durable at `now`. */
  private pass(now: number, records: number): void {
    const { def, random } = this;
    const share = def.sinks.reduce((sum, sink) => sum + sink.share, 0);
    const dead =
      records * def.deadShare > 1
        ? Math.round(random.near(records * def.deadShare, 0.5))
        : Number(random.next() < records * def.deadShare);
    const late = Math.round(records * def.lateShare);
    const dropped = Math.round(records * def.dropShare);
    const rows = Math.round(records * share);
    const seconds = Math.max(1, def.everyMs / 1000);
    this.records += records;
    this.rows += rows;
    this.dead += dead;
    this.late += late;
    this.dropped += dropped;
    this.rates = {
      records: records / seconds,
      rows: rows / seconds,
      dead: dead / seconds,
      late: late / seconds,
    };
    const steps = this.steps(records);
    const total = steps.reduce((end, s) => Math.max(end, s.at_ms + s.ms), 0);
    this.batch += 1;
    this.batches.push({
      number: this.batch,
      version: this.active.version,
      deployment: this.active.number,
      began: rfc3339(now - total),
      records,
      bytes: records * 112,
      rows,
      dropped,
      late,
      dead_letters: dead,
      retries: random.next() < 0.004 ? 1 : 0,
      steps,
      sinks: def.sinks.map((sink, i) => ({
        sink: sink.name,
        rows: Math.round(records * sink.share),
        ms: Math.round(
          (steps.find((s) => s.step === "deliver")?.ms ?? 0) * (i === 0 ? 1 : random.between(0.2, 0.8)),
        ),
      })),
    });
    if (this.batches.length > BATCHES_MAX) this.batches.shift();
    this.sums.records += records;
    this.sums.rows += rows;
    this.sums.dead += dead;
    this.sums.late += late;
    this.sums.batches += 1;
    for (const s of steps) this.sums.steps[s.step] += s.ms;
    if (dead > 0 && random.next() < 0.2)
      this.log(now, "WARN", `batch ${this.batch}: ${dead} records went to the dead letters`);
    else if (random.next() < 0.05)
      this.log(
        now,
        "INFO",
        `checkpoint of batch ${this.batch}: ${records} records in ${Math.round(total)} ms`,
      );
  }

  private steps(records: number): Batch["steps"] {
    const { def, random } = this;
    const [transform, stages, deliver] = def.cost;
    const spike = random.next() < 0.012 ? random.between(1.5, 3.5) : 1;
    const over = def.slow ? random.between(120, 260) : 0;
    this.waitMs = over;
    const times: [Step, number][] = [
      ["gather", def.everyMs === 0 ? random.between(2, 30) : random.near(def.everyMs, 0.02)],
      ["queue", over],
      ["transform", random.near((records * transform) / 1000 / def.lanes, 0.15) + 0.8],
      ["stages", stages > 0 ? random.near((records * stages) / 1000 / def.lanes, 0.2) + 0.5 : 0],
      ["intent", random.between(1.5, 5)],
      ["deliver", random.near((records * deliver) / 1000, 0.2) * spike + 1],
      ["checkpoint", random.between(1, 4)],
    ];
    let at = 0;
    return times
      .filter(([, ms]) => ms > 0)
      .map(([step, ms]) => {
        const made = { step, at_ms: round(at), ms: round(ms) };
        at += ms;
        return made;
      });
  }

  private point(now: number, running: boolean): void {
    const { points: p, sums, def, random } = this;
    const each = (value: number) => (running ? round(value / STEP_SECONDS) : 0);
    const mean = (step: Step) => (sums.batches > 0 ? round(sums.steps[step] / sums.batches) : null);
    const work = STEPS.reduce((sum, step) => sum + (mean(step) ?? 0), 0);
    const behind = this.lag > def.capacity ? (this.lag / def.capacity) * 1000 : 0;
    p.times.push(Math.floor(now / 1000));
    p.records_per_second.push(each(sums.records));
    p.rows_per_second.push(each(sums.rows));
    p.dead_letters_per_second.push(each(sums.dead));
    p.late_per_second.push(each(sums.late));
    p.lag.push(this.lag);
    p.latency_p50_ms.push(sums.batches > 0 ? round(work - def.everyMs / 2 + behind) : null);
    p.latency_p99_ms.push(sums.batches > 0 ? round(random.near(work * 1.35 + 20, 0.1) + behind) : null);
    for (const step of STEPS) p.steps_ms[step].push(mean(step));
    p.cpu_cores.push(
      running
        ? round(random.near((sums.records / STEP_SECONDS) * (def.cost[0] + def.cost[1]) * 1e-6 + 0.02, 0.08))
        : 0,
    );
    p.guest_memory_bytes.push(running ? Math.round(random.near(def.memory * def.lanes, 0.03)) : 0);
    if (p.times.length > HOUR / STEP_SECONDS + 1) for (const column of columns(p)) column.shift();
    this.sums = noSums();
  }

  series(): Series {
    const made = this.deployments.map((d) => ({ at: d.at, number: d.number, version: d.version }));
    return {
      step_seconds: STEP_SECONDS,
      points: this.points,
      deployments: made.filter((d) => Date.parse(d.at) / 1000 > (this.points.times[0] ?? 0)).toReversed(),
      limits: { memory_bytes: 64 << 20, lanes: this.def.lanes },
    };
  }

  /** The points after a time in seconds. */
  pointsAfter(time: number): Points {
    const from = this.points.times.findIndex((t) => t > time);
    if (from < 0) return noPoints();
    const cut = structuredClone(this.points);
    for (const column of columns(cut)) column.splice(0, from);
    return cut;
  }
}

function columns(p: Points): unknown[][] {
  const plain = Object.values(p).filter((value): value is (number | null)[] => Array.isArray(value));
  return [...plain, ...Object.values(p.steps_ms)];
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function history(def: JobDef, random: Random, now: number): Deployment[] {
  const list: Deployment[] = [];
  for (let version = 1; version <= def.versions; version += 1) {
    const last = version === def.versions;
    const age = last ? Math.min(1500 + def.versions * 10, 3000) : (def.versions - version) * 93_000 + 5200;
    list.unshift({
      number: list.length + 1,
      version,
      digest: random.hex(64),
      at: rfc3339(now - age * 1000),
      kind: "deploy",
      reason: null,
      settings: {
        ...(version > 1 ? { every: `${def.everyMs / 1000}s` } : {}),
        ...(version > 4 ? { "limits.batch-records": "50000" } : {}),
        ...(version === 2 ? { start: "latest" } : {}),
      },
      active: last,
      reset: version === 3,
      replan: version === 5,
      undeployed_at: null,
      component_bytes: random.whole(96_000, 290_000),
      sdk: version > 5 ? "rust 0.2.0" : "rust 0.1.0",
      signed_by: version > 5 ? "release" : null,
      canary: null,
    });
    if (version === 6) {
      const back = list.find((d) => d.version === 5) as Deployment;
      list.unshift({
        ...back,
        number: list.length + 1,
        at: rfc3339(now - age * 1000 + 41_000),
        kind: "automatic-rollback",
        reason:
          "version 6 broke on 104 records of batch 61,204, more than the 100 that one batch may cost, 3 batches after its deployment; version 5 is active again",
        active: false,
      });
    }
  }
  return list;
}
