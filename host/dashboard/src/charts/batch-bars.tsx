import type { Batch, Step } from "../api/types.ts";
import { count, duration } from "../lib/format.ts";
import { clock } from "../lib/time.ts";
import { where } from "../state/prefs.ts";
import { useWidth } from "../ui/use.ts";

const HEIGHT = 190;
const LEFT = 56;
const TOP = 8;
const BOTTOM = 22;
const BAR_MIN = 4;
/** Where times stand below the bars. */
const LABELS: [string, number][] = [
  ["start", 0],
  ["middle", 0.5],
  ["end", 1],
];

interface BarsProps {
  batches: Batch[];
  steps: Step[];
  everyMs: number;
  selected: number;
  choose(number: number): void;
}

/** One bar a batch, its steps on one another. One path a step: some hundred bars are seven elements. */
export function BatchBars(props: BarsProps) {
  const [ref, width] = useWidth();
  const fits = Math.max(10, Math.floor((width - LEFT) / BAR_MIN));
  const shown = props.batches.slice(-fits);
  return (
    <div class="bars" ref={ref}>
      {width > 0 && <Bars {...props} batches={shown} width={width} />}
    </div>
  );
}

function Bars({ batches, steps, everyMs, selected, choose, width }: BarsProps & { width: number }) {
  const slot = (width - LEFT) / batches.length;
  const bar = Math.max(1, Math.min(18, slot - 1));
  const times = batches.map((batch) => steps.map((step) => stepTime(batch, step)));
  const largest = Math.max(1, ...times.map((list) => list.reduce((a, b) => a + b, 0)));
  const top = everyMs > 0 && everyMs < largest * 3 ? Math.max(largest, everyMs * 1.08) : largest;
  const scale = (HEIGHT - TOP - BOTTOM) / top;
  const base = HEIGHT - BOTTOM;
  const x = (i: number) => LEFT + i * slot + (slot - bar) / 2;
  const paths = steps.map((_, s) =>
    times
      .map((list, i) => {
        const below = list.slice(0, s).reduce((a, b) => a + b, 0);
        const height = (list[s] ?? 0) * scale;
        const y = base - below * scale - height;
        return height < 0.2
          ? ""
          : `M${x(i).toFixed(1)} ${y.toFixed(1)}h${bar.toFixed(1)}v${height.toFixed(1)}h-${bar.toFixed(1)}z`;
      })
      .join(""),
  );
  const at = batches.findIndex((batch) => batch.number === selected);
  const pick = (i: number) => {
    const batch = batches[Math.max(0, Math.min(batches.length - 1, i))];
    if (batch) choose(batch.number);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const moves: Record<string, number> = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      Home: 0,
      End: batches.length - 1,
    };
    const next = moves[event.key];
    if (next === undefined) return;
    event.preventDefault();
    pick(next);
  };
  const onClick = (event: MouseEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    pick(Math.floor((event.clientX - box.left - LEFT) / slot));
  };
  const labelAt = (anchor: string, i: number) => (
    <text key={anchor} x={x(i) + bar / 2} y={HEIGHT - 5} text-anchor={anchor}>
      {clock(Date.parse(batches[i]?.began ?? ""), where.value.id)}
    </text>
  );
  const chosen = batches[at];
  return (
    <div
      class="bars-box"
      role="slider"
      tabIndex={0}
      aria-label="Batch"
      aria-valuemin={batches[0]?.number ?? 0}
      aria-valuemax={batches.at(-1)?.number ?? 0}
      aria-valuenow={selected}
      aria-valuetext={chosen ? words(chosen, steps) : "none"}
      onKeyDown={onKeyDown}
      onClick={onClick}
    >
      <svg width={width} height={HEIGHT} aria-hidden="true" focusable="false">
        {[0, 0.5, 1].map((share) => (
          <g key={share}>
            <path class="grid" d={`M${LEFT} ${Math.round(base - share * top * scale) + 0.5}H${width}`} />
            <text x={LEFT - 8} y={base - share * top * scale + 4} text-anchor="end">
              {share === 0 ? "0" : duration(top * share)}
            </text>
          </g>
        ))}
        {at >= 0 && (
          <rect
            class="bar-chosen"
            x={LEFT + at * slot}
            y={TOP - 4}
            width={Math.max(slot, 3)}
            height={base - TOP + 4}
          />
        )}
        {steps.map((step, s) => (
          <path key={step} class={`fill-step-${step}`} d={paths[s]} />
        ))}
        {everyMs > 0 && everyMs <= top && (
          <path class="interval" d={`M${LEFT} ${base - everyMs * scale}H${width}`} />
        )}
        {LABELS.map(([anchor, share]) => labelAt(anchor, Math.floor((batches.length - 1) * share)))}
      </svg>
    </div>
  );
}

export function stepTime(batch: Batch, step: Step): number {
  return batch.steps.reduce((sum, s) => (s.step === step ? sum + s.ms : sum), 0);
}

function words(batch: Batch, steps: Step[]): string {
  const parts = steps.map((step) => `${step} ${duration(stepTime(batch, step))}`);
  return `${batch.number}, ${count(batch.records)} records: ${parts.join(", ")}`;
}
