// The canary of the simulated host: a version that runs a part of the records of one job.

import type { CanaryStatus } from "../src/api/types.ts";
import { rfc3339 } from "./random.ts";
import type { SimJob } from "./sim-job.ts";

/** What a job's canary runs; null: it was promoted or taken back. */
const shares = new WeakMap<SimJob, string | null>();

function share(job: SimJob): string | null {
  return shares.get(job) ?? (job.def.name === "clicks" && !shares.has(job) ? "5%" : null);
}

export function canaryStatus(job: SimJob, now: number): CanaryStatus | null {
  const part = share(job);
  if (part === null) return null;
  return {
    version: job.active.version + 1,
    digest: "c0ffee".padEnd(64, "0"),
    share: part,
    since: rfc3339(now - 240_000),
    by_key: false,
    active: {
      records: 184_210,
      rows: 180_100,
      failed: 71,
      broken: 0,
      late: 0,
      dropped: 4039,
      busy_us: 351_000,
      ns_per_record: 1905,
    },
    canary: {
      records: 9702,
      rows: 9480,
      failed: 9,
      broken: 1,
      late: 0,
      dropped: 213,
      busy_us: 20_500,
      ns_per_record: 2112,
    },
  };
}

/** Gives a job's canary another part, or ends it. Whether it has one. */
export function setShare(job: SimJob, part: string | null): boolean {
  if (share(job) === null) return false;
  shares.set(job, part);
  return true;
}
