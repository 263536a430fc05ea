import type { IncomingMessage, ServerResponse } from "node:http";
import type { JobEvent, Part } from "../src/api/types.ts";
import { rfc3339 } from "./random.ts";
import type { Faults } from "./server.ts";
import type { SimJob } from "./sim-job.ts";
import { graph, stages, status, summary, watermarks } from "./views.ts";
import type { World } from "./world.ts";

const EVERY_MS = 1000;
const BEAT_MS = 2000;

/** `GET /v1/events`: hello, then what has changed, once a second. */
export function stream(
  world: World,
  faults: Faults,
  query: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const name = query.get("job");
  const parts = new Set(query.getAll("with") as Part[]);
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  const say = (event: string, data: unknown) =>
    response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  say("hello", {
    host: "stream-1",
    version: "0.2.0",
    started: rfc3339(world.started),
    now: rfc3339(world.now()),
    beat_ms: BEAT_MS,
    lacks: [],
  });
  const seen = { minutes: -1, point: 0, batch: 0, line: Number(query.get("log-after") ?? 0) };
  const first = name === null ? undefined : world.jobs.get(name);
  if (first) {
    seen.point = first.points.times.at(-1) ?? 0;
    seen.batch = first.batch;
  }
  const turn = () => {
    if (faults.frozen) return;
    world.tick();
    const jobs = [...world.jobs.values()];
    const minutes = Math.floor(world.now() / 60_000);
    say(
      "jobs",
      jobs.map((job) => summary(job, minutes !== seen.minutes)),
    );
    seen.minutes = minutes;
    if (name === null) return;
    const job = world.jobs.get(name);
    if (!job)
      return void say("gone", {
        error: `there is no job \`${name}\`: \`streamhost list\` shows those there are`,
      });
    say("job", details(world, job, parts, seen));
    const lines = job.lines.filter((line) => line.number > seen.line);
    if (parts.has("log") && lines.length > 0) {
      say("log", lines);
      seen.line = lines.at(-1)?.number ?? seen.line;
    }
  };
  turn();
  const timer = setInterval(turn, EVERY_MS);
  faults.streams += 1;
  request.on("close", () => {
    clearInterval(timer);
    faults.streams -= 1;
  });
}

function details(
  world: World,
  job: SimJob,
  parts: Set<Part>,
  seen: { point: number; batch: number },
): JobEvent {
  const now = world.now();
  const event: JobEvent = { status: status(job, now) };
  if (parts.has("graph")) event.graph = graph(job, now);
  if (parts.has("watermarks")) event.watermarks = watermarks(job, now);
  if (parts.has("stages")) event.stages = stages(job, now);
  if (parts.has("series")) {
    const points = job.pointsAfter(seen.point);
    if (points.times.length > 0) event.points = points;
    seen.point = points.times.at(-1) ?? seen.point;
  }
  if (parts.has("batches")) {
    const fresh = job.batches.filter((batch) => batch.number > seen.batch);
    if (fresh.length > 0) event.batches = fresh;
    seen.batch = fresh.at(-1)?.number ?? seen.batch;
  }
  return event;
}
