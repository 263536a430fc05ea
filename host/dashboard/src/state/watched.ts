import { signal } from "@preact/signals";
import { call, words } from "../api/client.ts";
import type {
  Batch,
  Batches,
  Graph,
  JobEvent,
  JobStatus,
  LogLine,
  Part,
  Points,
  Series,
  Stage,
  Watermarks,
} from "../api/types.ts";
import { append, type Line } from "../lib/log.ts";
import { appendBatches, appendPoints } from "../lib/series.ts";

/** What the stream brings while the past is not there yet. */
const EARLY_MAX = 1000;

/** All that is known of the job on the screen. What has a past is asked for once, then the stream appends. */
export class Watched {
  readonly status = signal<JobStatus | null>(null);
  readonly graph = signal<Graph | null>(null);
  readonly series = signal<Series | null>(null);
  readonly batches = signal<Batches | null>(null);
  readonly watermarks = signal<Watermarks | null>(null);
  readonly stages = signal<Stage[] | null>(null);
  readonly lines = signal<Line[] | null>(null);
  /** Why a part cannot be had, in the host's words. */
  readonly errors = signal<Partial<Record<Part, string>>>({});
  /** The host does not know the job (any more): its words. */
  readonly gone = signal<string | null>(null);
  private early: Points[] = [];
  private earlyBatches: Batch[] = [];
  private earlyLines: LogLine[] = [];

  constructor(
    readonly job: string,
    readonly parts: Part[],
  ) {}

  /** The same job for a page that shows other parts. What is known already stays on the screen. */
  with(parts: Part[]): Watched {
    const next = new Watched(this.job, parts);
    for (const part of ["status", "graph", "series", "batches", "watermarks", "stages", "lines"] as const) {
      (next[part] as { value: unknown }).value = this[part].value;
    }
    return next;
  }

  lastLine(): number {
    return this.lines.value?.at(-1)?.number ?? 0;
  }

  /** Asks for the past, which a lost connection may have left a gap in. */
  reload(restarted: boolean): void {
    this.gone.value = null;
    this.errors.value = {};
    if (restarted) this.lines.value = null;
    if (this.parts.includes("series")) {
      this.load<Series>("series", (series) => {
        const newer = this.series.value ? [this.series.value.points, ...this.early] : this.early;
        this.series.value = newer.reduce(appendPoints, series);
        this.early = [];
      });
    }
    if (this.parts.includes("batches")) {
      this.load<Batches>("batches", (batches) => {
        const newer = [...(this.batches.value?.batches ?? []), ...this.earlyBatches];
        this.batches.value = { ...batches, batches: appendBatches(batches.batches, newer, batches.kept_max) };
        this.earlyBatches = [];
      });
    }
    if (this.parts.includes("log")) {
      this.load<LogLine[]>("log", (lines) => {
        this.lines.value = append(append(this.lines.value ?? [], lines), this.earlyLines);
        this.earlyLines = [];
      });
    }
  }

  private load<T>(part: Part, done: (value: T) => void): void {
    const path = ["v1", "jobs", this.job, part === "log" ? "logs" : part];
    const query: [string, string][] = part === "log" ? [["after", String(this.lastLine())]] : [];
    call<T>(path, { query }).then(done, (error: unknown) => {
      this.errors.value = { ...this.errors.value, [part]: words(error) };
    });
  }

  event(event: JobEvent): void {
    this.gone.value = null;
    this.status.value = event.status;
    if (event.graph) this.graph.value = event.graph;
    if (event.watermarks) this.watermarks.value = event.watermarks;
    if (event.stages) this.stages.value = event.stages;
    if (event.points) {
      if (this.series.value) this.series.value = appendPoints(this.series.value, event.points);
      else this.early = [...this.early, event.points].slice(-EARLY_MAX);
    }
    if (event.batches) {
      const known = this.batches.value;
      if (known)
        this.batches.value = {
          ...known,
          batches: appendBatches(known.batches, event.batches, known.kept_max),
        };
      else this.earlyBatches = [...this.earlyBatches, ...event.batches].slice(-EARLY_MAX);
    }
  }

  log(lines: LogLine[]): void {
    if (this.lines.value) this.lines.value = append(this.lines.value, lines);
    else this.earlyLines = [...this.earlyLines, ...lines].slice(-EARLY_MAX);
  }

  isGone(message: string): void {
    this.gone.value = message;
  }
}
