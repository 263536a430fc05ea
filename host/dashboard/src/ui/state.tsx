import type { JobState } from "../api/types.ts";
import { connection, stale } from "../state/live.ts";
import { Icon } from "./icon.tsx";

export const STATES: JobState[] = ["stopped", "retrying", "running", "paused", "finished"];

/** A state by icon, word and colour. While the host does not answer nothing is known, and nothing is green. */
export function StatePill({ state, large = false }: { state: JobState; large?: boolean }) {
  const size = large ? "pill large" : "pill";
  if (stale.value) {
    return (
      <span class={`${size} tone-unknown`}>
        <Icon name="unknown" size={14} /> unknown<span class="pill-was"> · was {state}</span>
      </span>
    );
  }
  return (
    <span class={`${size} tone-${state}`}>
      <Icon name={state} size={14} /> {state}
    </span>
  );
}

/** The sentence of the connection, for the header. */
export function connectionWords(): string {
  const state = connection.value.state;
  return state === "live" ? "Live" : state === "lost" ? "No connection" : "Connecting";
}
