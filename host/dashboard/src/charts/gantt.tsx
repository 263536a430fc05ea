import type { Batch } from "../api/types.ts";
import { count, duration } from "../lib/format.ts";
import { span } from "../lib/series.ts";
import { clockMs } from "../lib/time.ts";
import { where } from "../state/prefs.ts";

interface GanttProps {
  batches: Batch[];
  selected: number;
  choose(number: number): void;
}

/** Batches on one axis of time, step by step: what overlaps, and what waits for what. */
export function Gantt({ batches, selected, choose }: GanttProps) {
  const begin = Math.min(...batches.map((batch) => Date.parse(batch.began)));
  const end = Math.max(...batches.map((batch) => Date.parse(batch.began) + span(batch)));
  const total = Math.max(1, end - begin);
  const share = (ms: number) => `${((ms / total) * 100).toFixed(3)}%`;
  return (
    <div class="gantt">
      {batches.map((batch) => (
        <div key={batch.number} class={batch.number === selected ? "gantt-row chosen" : "gantt-row"}>
          <button
            type="button"
            class="link"
            aria-pressed={batch.number === selected}
            onClick={() => choose(batch.number)}
          >
            {count(batch.number)}
          </button>
          <div class="gantt-track">
            {batch.steps.map((step) => (
              <span
                key={`${step.step} ${step.at_ms}`}
                class={`gantt-step bg-step-${step.step}`}
                style={{ left: share(Date.parse(batch.began) - begin + step.at_ms), width: share(step.ms) }}
                title={`${step.step} ${duration(step.ms)}`}
              />
            ))}
          </div>
          <span class="gantt-words">
            {batch.number === selected ? (
              batch.steps.map((step) => (
                <span key={`${step.step} ${step.at_ms}`} class="gantt-part">
                  <span class={`swatch bg-step-${step.step}`} /> {step.step} <b>{duration(step.ms)}</b>
                </span>
              ))
            ) : (
              <span class="sr-only">
                {batch.steps.map((step) => `${step.step} ${duration(step.ms)}`).join(", ")}
              </span>
            )}
          </span>
        </div>
      ))}
      <p class="gantt-axis quiet">
        <span>{clockMs(begin, where.value.id)}</span>
        <span>{duration(total)} in all</span>
        <span>{clockMs(end, where.value.id)}</span>
      </p>
    </div>
  );
}
