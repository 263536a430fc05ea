// One stream of events for what is on the screen. It says at once when the host is gone, and opens
// again by itself. A page in the background closes its stream: browsers allow six for one host.

import { computed, effect, signal, untracked } from "@preact/signals";
import { CallError, type Query, words } from "../api/client.ts";
import { refused, token } from "../api/session.ts";
import { type Listener, open } from "../api/stream.ts";
import type { Hello, JobSummary, Lack, Part } from "../api/types.ts";
import { Watched } from "./watched.ts";

export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "lost"; since: number; why: string };

export const connection = signal<Connection>({ state: "connecting" });
export const jobs = signal<JobSummary[] | null>(null);
export const host = signal<Hello | null>(null);
/** Whether this host does not do something. An older one does not say what it lacks. */
export const lacks = (what: Lack) => host.value?.lacks?.includes(what) ?? false;
/** What is shown is from before the connection was lost. */
export const stale = computed(() => connection.value.state === "lost");

/** The host's clock, in milliseconds, once a second: ages do not depend on the reader's clock. */
const skew = signal(0);
const ticks = signal(Date.now());
export const now = computed(() => ticks.value + skew.value);
setInterval(() => {
  ticks.value = Date.now();
}, 1000);

export const watched = signal<Watched | null>(null);

/** Sets the job and the parts that the page shows. */
export function watch(job: string, parts: Part[]): void {
  untracked(() => {
    const current = watched.value;
    if (current?.job === job && parts.join() === current.parts.join()) return;
    watched.value = current?.job === job ? current.with(parts) : new Watched(job, parts);
  });
}

export function unwatch(): void {
  watched.value = null;
}

const BACKOFF_MS = [250, 500, 1000, 2000];
const HIDDEN_MS = 30_000;
const visible = signal(true);
let hiding: ReturnType<typeof setTimeout> | undefined;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      visible.value = false;
    }, HIDDEN_MS);
  } else visible.value = true;
});

let failures = 0;
const attempt = signal(0);
/** Opens the stream again now. */
export function retryNow(): void {
  failures = 0;
  attempt.value += 1;
}

function listener(of: Watched | null): Listener {
  return {
    hello(hello) {
      failures = 0;
      const restarted = host.value !== null && host.value.started !== hello.started;
      skew.value = Date.parse(hello.now) - Date.now();
      host.value = hello;
      refused.value = null;
      connection.value = { state: "live" };
      of?.reload(restarted);
    },
    jobs(next) {
      const before = new Map(jobs.value?.map((job) => [job.job, job.recent]));
      jobs.value = next.map((job) => {
        const recent = job.recent ?? before.get(job.job);
        return recent ? { ...job, recent } : job;
      });
    },
    job: (event) => of?.event(event),
    gone: (message) => of?.isGone(message),
    log: (lines) => of?.log(lines),
    ended(error) {
      if (error instanceof CallError && error.status === 401) return; // the login opens the next one
      if (connection.value.state !== "lost") {
        connection.value = { state: "lost", since: Date.now(), why: describe(error) };
      }
      const wait = BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)];
      failures += 1;
      setTimeout(() => {
        attempt.value += 1;
      }, wait);
    },
  };
}

function describe(error: unknown): string {
  if (error instanceof TypeError) return "The host does not answer. Is the daemon running?";
  return words(error);
}

function query(of: Watched | null): Query {
  if (!of) return [];
  const after: Query = of.parts.includes("log") ? [["log-after", String(of.lastLine())]] : [];
  return [["job", of.job], ...of.parts.map((part): [string, string] => ["with", part]), ...after];
}

/** Opens the stream for whatever is wanted, for as long as the page is there. */
export function start(): void {
  effect(() => {
    const of = watched.value;
    // Another token, another stream; none while a token is wanted and there is none.
    attempt.value;
    if (!visible.value || (token.value === "" && refused.peek() !== null)) return undefined;
    return open(
      untracked(() => query(of)),
      listener(of),
    );
  });
}
