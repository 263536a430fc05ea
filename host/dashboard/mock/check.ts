import type { Checked, Graph } from "../src/api/types.ts";
import { graph } from "./views.ts";
import type { World } from "./world.ts";

/** What the simulated check finds. The component's bytes may hold words that choose the outcome. */
export function check(world: World, body: Buffer, query: URLSearchParams): Checked {
  const text = body.toString("latin1");
  const name = query.get("name") ?? /job=([a-z0-9_-]+)/.exec(text)?.[1] ?? "clicks";
  const job = world.jobs.get(name) ?? null;
  const like = job ?? world.jobs.get("clicks");
  if (!like) throw new Error("the mock has no clicks");
  const wasi = text.includes("wasi");
  const incompatible = text.includes("schema") && query.get("reset-state") !== "true";
  const missing = job === null && query.get("create-tables") !== "true";
  const shape: Graph = graph(like, world.now());
  const changes: Checked["changes"] = job
    ? [
        {
          what: "component",
          name: "size",
          kind: "changed",
          before: "186 KiB",
          after: `${Math.ceil(body.length / 1024)} KiB`,
        },
        { what: "column", name: "clickinfo:referrer", kind: "added", before: null, after: "text" },
        {
          what: "setting",
          name: "every",
          kind: "changed",
          before: "10s",
          after:
            query
              .getAll("set")
              .find((s) => s.startsWith("every="))
              ?.slice(6) ?? "1s",
        },
        ...(incompatible
          ? [{ what: "stage", name: "visits", kind: "changed", before: "u64", after: "(u64, date)" } as const]
          : []),
      ]
    : [];
  return {
    job: name,
    digest: "9f2c".repeat(16),
    component_bytes: body.length,
    contract: "0.2",
    sdk: "rust 0.2.0",
    imports: [
      { name: "streamhost:job/log@0.2.0", allowed: true },
      ...(wasi ? [{ name: "wasi:sockets/tcp@0.2.6", allowed: false }] : []),
    ],
    graph: {
      ...shape,
      bottleneck: null,
      nodes: shape.nodes.map((n) => ({
        ...n,
        busy: null,
        lag: null,
        keys: null,
        bytes: null,
        waiting_for: null,
      })),
      edges: shape.edges.map((e) => ({ ...e, total: 0, per_second: null })),
    },
    sinks: like.def.sinks.map((s) => ({
      kind: s.kind,
      name: s.name,
      target: s.target,
      guarantee: s.guarantee,
      key: "id",
      columns: [
        { name: "clickinfo:studentid", type: "text" },
        { name: "clickinfo:url", type: "text" },
        { name: "iteminfo:quantity", type: "u64" },
        ...(job ? [{ name: "clickinfo:referrer", type: "text" }] : []),
      ],
      exists: !missing,
    })),
    errors: [
      ...(wasi
        ? [
            "The component imports wasi:sockets/tcp@0.2.6: a guest has no sockets. Remove the dependency that opens connections.",
          ]
        : []),
      ...(incompatible
        ? [
            "Stage `visits` keeps values of another shape (u64, now (u64, date)): add `.migrate_from(…)`, or deploy with reset-state.",
          ]
        : []),
      ...(missing ? ["hbase table `clicks` does not exist: create it, or say create-tables."] : []),
    ],
    warnings:
      job?.state === "paused"
        ? ["The job is paused: the version runs once the job is resumed."]
        : job
          ? ["`start` is ignored: the job goes on where it is."]
          : [],
    active: job
      ? { version: job.active.version, digest: job.active.digest, deployed_at: job.active.at }
      : null,
    changes,
    state: like.def.stages.length === 0 ? "none" : incompatible ? "needs-reset" : "kept",
    starts: job ? "where the job is" : "at the start of its topics (earliest)",
    creates: missing ? ["hbase table clicks"] : [],
  };
}
