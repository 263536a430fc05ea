// What was changed, as the simulated host noted it.

import type { AuditEntry, AuditPage } from "../src/api/types.ts";
import { rfc3339 } from "./random.ts";
import type { World } from "./world.ts";

const PLAIN: Omit<AuditEntry, "number" | "at"> = {
  who: "ci",
  role: "deploy",
  peer: "10.0.4.20",
  request: "19ad5e31c08-7",
  verb: "deploy",
  job: null,
  options: [],
  deployment: null,
  version: null,
  digest: null,
  signed_by: null,
  settings: [],
  outcome: "done",
  status: null,
  reason: null,
  took_ms: 812,
};

/** Every deployment, and some requests that were refused or whose end nobody knows. */
function entries(world: World): AuditEntry[] {
  const now = world.now();
  const deployments = [...world.jobs.values()].flatMap((job) =>
    job.deployments.map((d, i) => ({
      ...PLAIN,
      at: d.at,
      who: d.kind === "automatic-rollback" ? null : "ci",
      role: d.kind === "automatic-rollback" ? "host" : "deploy",
      peer: d.kind === "automatic-rollback" ? null : PLAIN.peer,
      request: d.kind === "automatic-rollback" ? null : PLAIN.request,
      verb: d.kind,
      job: job.def.name,
      options: d.reset ? ["reset-state"] : [],
      deployment: d.number,
      version: d.version,
      digest: d.digest,
      signed_by: d.signed_by ?? null,
      settings: Object.entries(d.settings)
        .map(([name, after]) => ({ name, before: job.deployments[i + 1]?.settings[name] ?? null, after }))
        .filter(({ before, after }) => before !== after),
      reason: d.reason,
    })),
  );
  const at = (minutes: number) => rfc3339(now - minutes * 60_000);
  const night = { ...PLAIN, who: "night-shift", role: "operate", peer: "10.0.4.31" };
  const others = [
    { ...night, at: at(3), verb: "pause", job: "sessions", deployment: 2, version: 2 },
    {
      ...night,
      at: at(41),
      verb: "retry",
      job: "clicks",
      options: ["letters=12", "again"],
      reason: "2 of 12 skipped",
    },
    {
      ...night,
      at: at(44),
      job: "clicks",
      outcome: "refused" as const,
      status: 403,
      took_ms: null,
      reason:
        "the token `night-shift` has the role `operate`, and this needs `deploy`: ask who runs the host for one that has it",
    },
    { ...PLAIN, at: at(95), job: "hashtags", outcome: "unknown" as const, took_ms: null },
    {
      ...PLAIN,
      at: at(190),
      job: "hashtags",
      options: ["create-tables"],
      outcome: "refused" as const,
      status: 422,
      reason: "table `hashtags-v2` has no column family `c`: create it, or say `--create-tables`",
    },
  ];
  const all = [...deployments, ...others].toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
  return all.map((entry, i) => ({ ...entry, number: i + 1 })).reverse();
}

export function auditPage(world: World, query: URLSearchParams): AuditPage {
  const [job, limit] = [query.get("job"), Number(query.get("limit") ?? 50)];
  const before = Number(query.get("before") ?? Number.POSITIVE_INFINITY);
  const found = entries(world).filter(
    (entry) => (job === null || entry.job === job) && entry.number < before,
  );
  const page = found.slice(0, limit);
  return { entries: page, next: found.length > limit ? (page.at(-1)?.number ?? null) : null };
}
