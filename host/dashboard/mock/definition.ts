import type { GraphEdge, JobState, StageKind } from "../src/api/types.ts";

export interface SourceDef {
  kind: string;
  name: string;
  target: string;
  partitions: number;
}

export interface StageDef {
  name: string;
  kind: StageKind;
  description: string;
  inputs: string[];
  keys: number;
  keyBytes: number;
  keySchema: string;
  valueSchema: string;
  windowSeconds: number | null;
}

export interface SinkDef {
  kind: string;
  name: string;
  target: string;
  guarantee: "idempotent" | "exactly-once" | "at-least-once";
  /** Rows for each record that was read. */
  share: number;
}

export interface JobDef {
  name: string;
  sources: SourceDef[];
  stages: StageDef[];
  sinks: SinkDef[];
  edges: [string, string, GraphEdge["unit"], number][];
  state: JobState;
  /** Seconds in that state when the mock starts. */
  since: number;
  reason: string | null;
  lastError: [string, number] | null;
  everyMs: number;
  lanes: number;
  /** Records that arrive in a second, `t` seconds after the mock's hour began. */
  arrivals(t: number): number;
  /** Records that the job can do in a second. */
  capacity: number;
  /** Microseconds for a record: transform, stages, deliver. */
  cost: [number, number, number];
  deadShare: number;
  lateShare: number;
  dropShare: number;
  versions: number;
  memory: number;
  slow: { node: string; why: string } | null;
  holdsBack: { partition: number; seconds: number; why: string } | null;
  idle: number[];
  letters: number;
  /** Counts from before the hour that is simulated. */
  before: number;
}

/** What most jobs are like; a definition names what is different. */
export const PLAIN: JobDef = {
  name: "",
  sources: [],
  stages: [],
  sinks: [],
  edges: [],
  state: "running",
  since: 86_000,
  reason: null,
  lastError: null,
  everyMs: 1000,
  lanes: 2,
  arrivals: () => 0,
  capacity: 60_000,
  cost: [5, 0, 8],
  deadShare: 0,
  lateShare: 0,
  dropShare: 0,
  versions: 1,
  memory: 9 << 20,
  slow: null,
  holdsBack: null,
  idle: [],
  letters: 0,
  before: 0,
};
