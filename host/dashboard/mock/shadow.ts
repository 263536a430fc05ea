// The shadows of the simulated host: versions that run beside the active ones of two jobs.

import type { Shadow, ShadowStatus } from "../src/api/types.ts";
import { HOSTILE } from "./jobs.ts";
import { rfc3339 } from "./random.ts";
import type { SimJob } from "./sim-job.ts";
import { Refused } from "./world.ts";

/** Jobs whose shadow was dropped or promoted. */
const gone = new WeakSet<SimJob>();

const MINUTE_MS = 60_000;

function has(job: SimJob): boolean {
  return (job.def.name === "purchases" || job.def.name === HOSTILE) && !gone.has(job);
}

function view(job: SimJob, now: number): Shadow {
  const name = job.def.name;
  const active = job.deployments.find((d) => d.active) ?? job.deployments[0];
  const sink = job.def.sinks[0]?.name ?? name;
  const version = (active?.version ?? 1) + 1;
  const strange = job.def.name === HOSTILE ? `${name} \u202Egnp.exe` : "eu-west-4711";
  return {
    job: name,
    version,
    digest: "5".repeat(64),
    settings: { every: "2s" },
    beside: version - 1,
    running: true,
    began: rfc3339(now - 4 * MINUTE_MS),
    ended: null,
    why: null,
    until: rfc3339(now + 6 * MINUTE_MS),
    batches_max: 500,
    promote_if: "differing = 0 and dead_letters <= active",
    batches: 213,
    skipped: 4,
    forks: 2,
    faults: 1,
    last_fault: "batch 80211: the guest ran out of its time of `2s`",
    records: 1_284_211,
    alike: 1_220_004,
    differing: 1241,
    sinks: {
      [sink]: {
        alike: 1_220_004,
        differing: 1204,
        reordered: 3,
        only_active: 12,
        only_shadow: 9,
        columns: { "sum:cents": 1204, "sum:count": 17 },
        samples: [
          {
            of: "both",
            key: [strange, "2026-11-29T14"],
            columns: [
              { column: "sum:cents", active: "129900", shadow: "129901" },
              { column: "sum:count", active: null, shadow: "3" },
            ],
          },
          {
            of: "active",
            key: ["eu-west-12"],
            columns: [{ column: "sum:cents", active: "4000", shadow: null }],
          },
          {
            of: "shadow",
            key: ["eu-west-13"],
            columns: [{ column: "sum:cents", active: null, shadow: "4100" }],
          },
        ],
      },
    },
    dead_letters: {
      alike: 811,
      differing: 2,
      only_active: 0,
      only_shadow: 11,
      samples: [
        {
          of: "both",
          record: "3-918273",
          stage: name,
          key: null,
          active: "no quantity",
          shadow: "the quantity `x` is not a whole number",
        },
        {
          of: "shadow",
          record: "3-918299",
          stage: name,
          key: null,
          active: null,
          shadow: "the currency `XXX` is not known",
        },
      ],
    },
    counts: {
      broken: { active: 0, shadow: 2 },
      cpu_us: { active: 812_211, shadow: 790_102 },
      dead_letters: { active: 813, shadow: 824 },
      dropped: { active: 40_211, shadow: 40_211 },
      late: { active: 17, shadow: 17 },
      memory_bytes: { active: 3 << 20, shadow: 5 << 20 },
      skipped: { active: 0, shadow: 0 },
    },
    state_bytes: 1_400_211,
    recent: [
      { batch: 80_420, records: 6000, alike: 5700, differing: 6, dead_letters: { active: 4, shadow: 4 } },
    ],
  };
}

export function shadow(job: SimJob, now: number): Shadow {
  if (!has(job)) {
    const how = "`streamhost deploy FILE.wasm --shadow` starts one";
    throw new Refused(404, `job \`${job.def.name}\` has no shadow: ${how}`);
  }
  return view(job, now);
}

/** In a job's status. */
export function shadowStatus(job: SimJob, now: number): ShadowStatus | null {
  if (!has(job)) return null;
  const { version, running, batches, skipped, alike, differing, state_bytes, why } = view(job, now);
  return { version, running, batches, skipped, alike, differing, state_bytes, why };
}

export function dropShadow(job: SimJob, now: number): void {
  shadow(job, now);
  gone.add(job);
}
