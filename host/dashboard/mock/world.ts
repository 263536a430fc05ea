// The simulated host: an hour of its past at once, then a tick a second.

import type { Deployed, HostInfo, JobState, LetterFull, LetterResults } from "../src/api/types.ts";
import { PLAIN } from "./definition.ts";
import { JOBS } from "./jobs.ts";
import { makeLetters } from "./letters.ts";
import { Random, rfc3339 } from "./random.ts";
import { SimJob } from "./sim-job.ts";

const HOUR_MS = 3_600_000;

/** A call that the host refuses. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface WorldOptions {
  seed?: number;
  now?: () => number;
  /** Seconds after the start at which a new version of `clicks` takes over; 0: never. */
  swapAfter?: number;
}

export class World {
  readonly jobs = new Map<string, SimJob>();
  readonly letters = new Map<string, LetterFull[]>();
  readonly random: Random;
  readonly started: number;
  readonly now: () => number;
  private readonly swapAfter: number;
  private last: number;

  constructor(options: WorldOptions = {}) {
    this.random = new Random(options.seed ?? 7);
    this.now = options.now ?? Date.now;
    this.swapAfter = options.swapAfter ?? 25;
    this.started = this.now() - 19 * HOUR_MS;
    const now = this.now();
    const begin = now - HOUR_MS;
    for (const def of JOBS) {
      const job = new SimJob(def, this.random, begin, now);
      this.jobs.set(def.name, job);
      this.letters.set(def.name, makeLetters(job, now));
    }
    for (let at = begin; at < now; at += 1000) for (const job of this.jobs.values()) job.tick(at);
    this.last = begin + Math.floor((now - 1 - begin) / 1000) * 1000;
    this.born = now;
  }

  private readonly born: number;
  private swapped = false;

  /** Brings all jobs up to now. */
  tick(): void {
    const now = this.now();
    for (let at = this.last + 1000; at <= now; at += 1000) {
      for (const job of this.jobs.values()) job.tick(at);
      this.last = at;
    }
    if (this.swapAfter > 0 && !this.swapped && now - this.born > this.swapAfter * 1000) {
      this.swapped = true;
      const clicks = this.jobs.get("clicks");
      if (clicks) this.activate(clicks, "deploy", {}, null);
    }
  }

  job(name: string): SimJob {
    const job = this.jobs.get(name);
    if (!job)
      throw new Refused(404, `there is no job \`${name}\`: \`streamhost list\` shows those there are`);
    return job;
  }

  private activate(
    job: SimJob,
    kind: "deploy" | "rollback",
    settings: Record<string, string>,
    version: number | null,
  ): Deployed {
    const newest = Math.max(...job.deployments.map((d) => d.version));
    const old = job.deployments.find((d) => d.version === version);
    for (const d of job.deployments) d.active = false;
    const digest = old?.digest ?? this.random.hex(64);
    const number = Math.max(...job.deployments.map((d) => d.number)) + 1;
    job.deployments.unshift({
      number,
      version: version ?? newest + 1,
      digest,
      at: rfc3339(this.now()),
      kind,
      reason: null,
      settings: old?.settings ?? settings,
      active: true,
      reset: false,
      replan: false,
      undeployed_at: null,
      component_bytes: old?.component_bytes ?? 191_000,
      sdk: "rust 0.2.0",
      signed_by: "release",
      canary: null,
    });
    job.log(
      this.now(),
      "INFO",
      `deployment ${number}: version ${job.active.version} (${digest.slice(0, 8)}) is active from the next batch; the pause was 231 ms`,
    );
    const paused = job.state === "paused";
    return {
      job: job.def.name,
      version: job.active.version,
      digest,
      deployment: number,
      changed: true,
      paused,
      warnings: [],
    };
  }

  deploy(name: string, settings: Record<string, string>): Deployed {
    let job = this.jobs.get(name);
    if (!job) {
      job = new SimJob(
        { ...PLAIN, ...JOBS.find((j) => j.name === "clicks"), name, versions: 1, letters: 0, before: 0 },
        this.random,
        this.now() - HOUR_MS,
        this.now(),
      );
      this.jobs.set(name, job);
      this.letters.set(name, []);
      return this.deployed(name);
    }
    const done = this.activate(job, "deploy", settings, null);
    return { ...done, warnings: ["`start` is ignored: the job goes on where it is."] };
  }

  /** What is told of a job's active version. */
  deployed(name: string): Deployed {
    const { version, digest, number } = this.job(name).active;
    return { job: name, version, digest, deployment: number, changed: true, paused: false, warnings: [] };
  }

  rollback(name: string, version: number | null): Deployed {
    const job = this.job(name);
    const before = job.deployments.filter((d) => d.version < job.active.version).map((d) => d.version);
    const target = version ?? Math.max(...before, 0);
    if (!job.deployments.some((d) => d.version === target)) {
      throw new Refused(
        409,
        `there is no version before ${job.active.version} to go back to: \`streamhost history ${name}\` shows those there are`,
      );
    }
    return this.activate(job, "rollback", {}, target);
  }

  change(name: string, to: JobState): SimJob {
    const job = this.job(name);
    if (to === "running" && job.def.name === "orders-enriched")
      job.set("retrying", job.def.reason, this.now());
    else if (to === "running" && job.def.name === "sensors") job.set("stopped", job.def.reason, this.now());
    else if (to === "running" && job.state === "finished") {
      throw new Refused(
        409,
        `\`${name}\` has given out its last windows: it begins anew with \`deploy --reset-state\``,
      );
    } else job.set(to, to === "paused" ? "a user paused it" : null, this.now());
    return job;
  }

  undeploy(name: string): void {
    this.job(name);
    this.jobs.delete(name);
    this.letters.delete(name);
  }

  letter(name: string, id: string): LetterFull {
    this.job(name);
    const letter = this.letters.get(name)?.find((l) => l.id === id);
    if (!letter)
      throw new Refused(
        404,
        `there is no dead letter \`${id}\` in ${name}.dead-letters: its topic may have let it go`,
      );
    return letter;
  }

  /** Every third letter is refused again, so that all outcomes are seen. */
  act(name: string, what: "retry" | "drop", ids: string[], again: boolean): LetterResults {
    const at = rfc3339(this.now());
    const version = this.job(name).active.version;
    const results = ids.map((id, i): LetterResults["results"][number] => {
      const letter = this.letter(name, id);
      if (letter.status === "dropped" || (letter.status === "retried" && what === "retry" && !again)) {
        return { id, outcome: "skipped", rows: 0, reason: `it was ${letter.status} before` };
      }
      letter.status = what === "drop" ? "dropped" : "retried";
      if (what === "drop") return { id, outcome: "dropped", rows: 0, reason: null };
      const refused = i % 3 === 2;
      letter.retried = {
        at,
        version,
        outcome: refused ? "dead-letter" : "delivered",
        rows: refused ? 0 : 1,
        reason: refused ? letter.reason : null,
      };
      return {
        id,
        outcome: letter.retried.outcome,
        rows: letter.retried.rows,
        reason: letter.retried.reason,
      };
    });
    const skipped = results.filter((r) => r.outcome === "skipped").length;
    return { done: results.length - skipped, skipped, results };
  }

  host(token: boolean): HostInfo {
    const running = [...this.jobs.values()].filter((j) => j.state === "running");
    const guests = running.reduce((sum, j) => sum + (j.points.cpu_cores.at(-1) ?? 0), 0);
    const memory = running.reduce((sum, j) => sum + (j.points.guest_memory_bytes.at(-1) ?? 0), 0);
    const away = this.jobs.get("orders-enriched");
    return {
      name: "stream-1",
      version: "0.2.0",
      commit: "9d19db9f3c1a",
      engine: "wasmtime 36.0.2",
      started: rfc3339(this.started),
      now: rfc3339(this.now()),
      cpu: { cores: 8, used: guests * 2.1 + 0.2, guests },
      memory: {
        used_bytes: memory + (310 << 20),
        bound_bytes: 8 * 1024 ** 3,
        jobs_bytes: 3.3 * 1024 ** 3,
        own_bytes: 2596 * 1024 ** 2,
        guests_bytes: memory,
        state_bytes: 61 << 20,
      },
      disk: {
        path: "/var/lib/streamhost",
        used_bytes: 4.1 * 1024 ** 3,
        free_bytes: 21 * 1024 ** 3,
        total_bytes: 200 * 1024 ** 3,
      },
      cluster: [
        {
          host: "stream-1",
          address: "https://stream-1:7070",
          version: "0.2.0",
          lives: true,
          leads: true,
          draining: false,
          jobs: [...this.jobs.keys()],
        },
        {
          host: "stream-2",
          address: "https://stream-2:7070",
          version: "0.2.0",
          lives: true,
          leads: false,
          draining: true,
          jobs: [],
        },
        {
          host: "stream-3",
          address: "https://stream-3:7070",
          version: "0.2.0",
          lives: false,
          leads: false,
          draining: false,
          jobs: [],
        },
      ],
      servers: [
        {
          name: "kafka",
          address: "kafka-1:9092, kafka-2:9092",
          state: "ok",
          what: "3 brokers, Kafka 4.1",
          since: rfc3339(this.started),
          round_trip_ms: 3.1,
        },
        {
          name: "hbase",
          address: "hbase-thrift:9090",
          state: "ok",
          what: null,
          since: rfc3339(this.started),
          round_trip_ms: 4.8,
        },
        {
          name: "hbase",
          address: "10.0.4.11:9090",
          state: "away",
          what: "connection refused (os error 111)",
          since: rfc3339(away?.since ?? 0),
          round_trip_ms: null,
        },
      ],
      limits: [
        { name: "JOBS_MAX", value: 64, used: this.jobs.size, unit: "count", meaning: "jobs of one host" },
        {
          name: "COMPONENT_BYTES_MAX",
          value: 64 << 20,
          used: null,
          unit: "bytes",
          meaning: "a component that is uploaded",
        },
        {
          name: "GUEST_MEMORY_BYTES_DEFAULT",
          value: 64 << 20,
          used: null,
          unit: "bytes",
          meaning: "a guest's memory, unless limits.memory says otherwise",
        },
        {
          name: "GUEST_TIME_DEFAULT",
          value: 2000,
          used: null,
          unit: "ms",
          meaning: "one call of the guest, unless limits.time says otherwise",
        },
        {
          name: "BATCH_RECORDS_MAX",
          value: 100_000,
          used: null,
          unit: "count",
          meaning: "records in one batch",
        },
        {
          name: "STATE_CACHE_BYTES",
          value: 64 << 20,
          used: 61 << 20,
          unit: "bytes",
          meaning: "entries that a job's keyed state holds in memory",
        },
        { name: "EVENT_STREAMS_MAX", value: 64, used: 3, unit: "count", meaning: "open streams of events" },
      ],
      token,
    };
  }
}
