// The replays of the simulated host: history of two jobs that is run beside them.

import type { Replay, ReplayStatus } from "../src/api/types.ts";
import { HOSTILE } from "./jobs.ts";
import { rfc3339 } from "./random.ts";
import type { SimJob } from "./sim-job.ts";
import { Refused } from "./world.ts";

/** Jobs whose replay was stopped. */
const stopped = new WeakSet<SimJob>();

const MINUTE_MS = 60_000;

function has(job: SimJob): boolean {
  return job.def.name === "purchases" || job.def.name === HOSTILE;
}

function view(job: SimJob, now: number): Replay {
  const name = job.def.name;
  const sink = job.def.sinks[0]?.name ?? name;
  const strange = name === HOSTILE ? `${name} \u202Egnp.exe` : "eu-west-4711";
  const runs = name === HOSTILE && !stopped.has(job);
  const offsets = 1_284_211;
  return {
    job: name,
    version: job.active.version,
    digest: "7".repeat(64),
    settings: { every: "2s" },
    running: runs,
    outcome: runs ? null : stopped.has(job) ? "stopped" : "done",
    why: stopped.has(job) ? "it was stopped" : null,
    phase: runs ? "running" : "ended",
    waiting_for: null,
    began: rfc3339(now - 4 * MINUTE_MS),
    ended: runs ? null : rfc3339(now - MINUTE_MS),
    savepoint: null,
    from: { clicks: { 0: 0 } },
    to: { clicks: { 0: offsets } },
    at: { clicks: { 0: runs ? 600_000 : offsets } },
    passed: runs ? 600_000 : offsets,
    offsets,
    rate: 20_000,
    writes: false,
    records: runs ? 600_000 : offsets,
    batches: 213,
    counts: { dead_letters: 813, skipped: 0, late: 17, dropped: 40_211, timeless: 0 },
    followed: 1210,
    delivered: {},
    differing: 51,
    sinks: {
      [sink]: {
        place: sink,
        alike: 1_242_004,
        differing: 31,
        missing: 12,
        extra: 8,
        overtaken: 4,
        mended: 0,
        unmended: 0,
        columns: { "sum:cents": 31 },
        samples: [
          {
            is: "differing",
            key: strange,
            columns: [{ column: "sum:cents", held: "129900", made: "129901" }],
          },
          { is: "missing", key: "eu-west-12", columns: [{ column: "sum:cents", held: null, made: "4000" }] },
          { is: "extra", key: "eu-west-13", columns: [{ column: "sum:cents", held: "4100", made: null }] },
        ],
      },
    },
    not_compared: [],
    extra_rows: "place",
    mended_at: null,
    warnings: [],
  };
}

export function replay(job: SimJob, now: number): Replay {
  if (!has(job)) {
    const how = `\`streamhost replay ${job.def.name} --diff\` starts one`;
    throw new Refused(404, `job \`${job.def.name}\` has no replay: ${how}`);
  }
  return view(job, now);
}

/** In a job's status. */
export function replayStatus(job: SimJob, now: number): ReplayStatus | null {
  if (!has(job)) return null;
  const { version, running, outcome, phase, passed, offsets, differing } = view(job, now);
  return { version, running, outcome, phase, passed, offsets, differing };
}

export function stopReplay(job: SimJob, now: number): Replay {
  replay(job, now);
  stopped.add(job);
  return view(job, now);
}
