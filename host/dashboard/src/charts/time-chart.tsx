import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { axis } from "../lib/format.ts";
import { stack, withGaps } from "../lib/series.ts";
import { clock, minute } from "../lib/time.ts";
import { dark, where } from "../state/prefs.ts";
import { Icon } from "../ui/icon.tsx";
import { useWidth } from "../ui/use.ts";
import { color, faint } from "./colors.ts";

export interface Line {
  label: string;
  color: string;
  values: (number | null)[];
  /** Drawn thin, so that two lines differ by more than colour. */
  thin?: boolean;
}

export interface ChartProps {
  title: string;
  unit: string;
  times: number[];
  lines: Line[];
  /** Areas that stand on one another. */
  stacked?: boolean;
  format(value: number | null): string;
  /** On the axis, where `format` is too long. */
  short?(value: number): string;
  /** Steps of the axis are powers of two. */
  binary?: boolean;
  /** A level that is not to be passed. */
  /** The axis shows this much at least. */
  least?: number;
  limit?: { value: number; label: string } | undefined;
  marks: { at: number; label: string }[];
  from: number;
  to: number;
  step: number;
  zoom(from: number, to: number): void;
}

const HEIGHT = 168;
const SYNC = "job";

/** A chart over time. Its values can be read with the pointer, with the arrow keys, and as a table. */
export function TimeChart(props: ChartProps) {
  const [ref, width] = useWidth();
  const [at, setAt] = useState<number | null>(null);
  const [asTable, setAsTable] = useState(false);
  const id = useId();
  const shown = at !== null && at < props.times.length ? at : null;
  return (
    <figure class="chart" aria-labelledby={id}>
      <figcaption>
        <h3 id={id}>
          {props.title} <span class="quiet">{props.unit}</span>
        </h3>
        <button type="button" class="small" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          <Icon name="table" size={14} />
          <span class="sr-only">{props.title} as a table</span>
        </button>
      </figcaption>
      <Legend {...props} at={shown} />
      {asTable ? (
        <ChartTable {...props} />
      ) : (
        <div class="chart-box" ref={ref}>
          {width > 0 && <Plot {...props} width={width} at={setAt} />}
        </div>
      )}
    </figure>
  );
}

function Legend({ lines, times, format, at }: ChartProps & { at: number | null }) {
  const index = at ?? times.length - 1;
  const time = times[index];
  return (
    <p class="legend" aria-live={at === null ? "off" : "polite"}>
      {lines.map((line) => (
        <span key={line.label} class="legend-item">
          <span class={`swatch bg-${line.color}${line.thin ? " thin" : ""}`} />
          {line.label} <b>{format(line.values[index] ?? null)}</b>
        </span>
      ))}
      <span class="legend-time quiet">
        {at === null || time === undefined ? "now" : `at ${clock(time * 1000, where.value.id)}`}
      </span>
    </p>
  );
}

const TABLE_ROWS = 60;

function ChartTable({ title, times, lines, format }: ChartProps) {
  const every = Math.max(1, Math.ceil(times.length / TABLE_ROWS));
  const rows = times.map((_, i) => i).filter((i) => (times.length - 1 - i) % every === 0);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="chart-table" tabIndex={0} aria-label={`${title}, table`}>
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {lines.map((line) => (
              <th key={line.label} scope="col" class="number">
                {line.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.toReversed().map((i) => (
            <tr key={times[i]}>
              <th scope="row">{clock((times[i] ?? 0) * 1000, where.value.id)}</th>
              {lines.map((line) => (
                <td key={line.label} class="number">
                  {format(line.values[i] ?? null)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface PlotProps extends ChartProps {
  width: number;
  at(index: number | null): void;
}

function Plot(props: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const live = useRef(props);
  live.current = props;
  const { times, lines, stacked, step, width, from, to } = props;
  const data = useMemo(() => {
    const columns = lines.map((line) => line.values);
    const drawn = stacked ? stack(columns).toReversed() : columns;
    return withGaps(times, drawn, step) as uPlot.AlignedData;
  }, [times, lines, stacked, step]);
  const shape = `${dark.value} ${where.value.id} ${lines.map((line) => line.label).join()}`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the shape stands for all that needs a new plot
  useEffect(() => {
    if (!box.current) return undefined;
    const made = new uPlot(options(live), data, box.current);
    plot.current = made;
    return () => {
      plot.current = null;
      made.destroy();
    };
  }, [shape]);
  useEffect(() => {
    plot.current?.setSize({ width, height: HEIGHT });
  }, [width]);
  useEffect(() => {
    plot.current?.batch(() => {
      plot.current?.setData(data, false);
      plot.current?.setScale("x", { min: from, max: to });
    });
  }, [data, from, to]);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for inputs
    <div
      ref={box}
      role="group"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys read the values
      tabIndex={0}
      aria-label={`${props.title}: left and right arrow keys read the values`}
      onKeyDown={(event) => readByKey(event, plot.current, props)}
      onBlur={() => props.at(null)}
    />
  );
}

function readByKey(event: KeyboardEvent, plot: uPlot | null, { times, at, from, to }: PlotProps) {
  const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12 };
  const move = steps[event.key];
  const inside = times.map((time, i) => ({ time, i })).filter(({ time }) => time >= from && time <= to);
  const [first, last] = [inside[0], inside.at(-1)];
  if (!plot || !first || !last) return;
  if (event.key === "Escape") return plot.setCursor({ left: -10, top: -10 });
  if (move === undefined) return;
  event.preventDefault();
  const present =
    plot.cursor.left !== undefined && plot.cursor.left >= 0 ? nearest(times, plot) : last.i - move;
  const index = Math.min(last.i, Math.max(first.i, present + move));
  plot.setCursor({ left: plot.valToPos(times[index] ?? 0, "x"), top: 10 });
  at(index);
}

function nearest(times: number[], plot: uPlot): number {
  const wanted = plot.posToVal(plot.cursor.left ?? 0, "x");
  let best = 0;
  times.forEach((time, i) => {
    if (Math.abs(time - wanted) < Math.abs((times[best] ?? 0) - wanted)) best = i;
  });
  return best;
}

const POWERS = Array.from({ length: 40 }, (_, i) => 2 ** i);

type Live = { current: PlotProps };

function options(live: Live): uPlot.Options {
  const { width, lines, stacked, from, to } = live.current;
  const order = stacked ? lines.toReversed() : lines;
  const quiet = color("ink-2");
  const grid = { stroke: color("grid"), width: 1 };
  const ticks = { show: false };
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    padding: [10, 6, 0, 0],
    cursor: {
      sync: { key: SYNC },
      y: false,
      points: { size: 7 },
      drag: { x: true, y: false, setScale: false },
    },
    scales: { x: { time: true, min: from, max: to }, y: { range: (_, __, max) => yRange(live, max) } },
    axes: [
      {
        stroke: quiet,
        grid: { show: false },
        ticks,
        font,
        size: 24,
        gap: 4,
        space: 70,
        values: (_, splits) => splits.map(label),
      },
      {
        stroke: quiet,
        grid,
        ticks,
        font,
        size: 52,
        gap: 6,
        space: 34,
        values: (_, splits) => splits.map(live.current.short ?? axis),
        ...(live.current.binary ? { incrs: POWERS } : {}),
      },
    ],
    series: [
      {},
      ...order.map((line) => ({
        label: line.label,
        stroke: color(line.color),
        fill: stacked ? color(line.color) : lines.length === 1 ? faint(line.color, 0.12) : "transparent",
        width: stacked ? 0 : line.thin ? 1 : 2,
        points: { show: false },
      })),
    ],
    hooks: {
      draw: [(plot) => drawMarks(plot, live.current)],
      setCursor: [(plot) => live.current.at(pointed(plot, live.current))],
      setSelect: [(plot) => select(plot, live.current)],
    },
  };
}

/** The index in the chart's own times of what the cursor is at: the plot's data has gaps put in. */
function pointed(plot: uPlot, { times }: PlotProps): number | null {
  if (plot.cursor.left === undefined || plot.cursor.left < 0 || times.length === 0) return null;
  return nearest(times, plot);
}

function label(seconds: number): string {
  return seconds % 60 === 0 ? minute(seconds * 1000, where.value.id) : clock(seconds * 1000, where.value.id);
}

/** From zero to a little above the largest; a limit only counts when it is near. */
function yRange(live: Live, max: number | null): uPlot.Range.MinMax {
  const { limit, least = 1 } = live.current;
  const top = max !== null && Number.isFinite(max) && max > 0 ? Math.max(max * 1.12, least) : least;
  return [0, limit && limit.value < top * 4 ? Math.max(top, limit.value * 1.12) : top];
}

function select(plot: uPlot, { zoom }: PlotProps) {
  const { left, width } = plot.select;
  if (width < 6) return;
  zoom(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
}

function drawMarks(plot: uPlot, { marks, limit, from, to }: PlotProps) {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, 0, width, top + height);
  ctx.clip();
  ctx.font = `${11 * ratio}px ${getComputedStyle(document.body).fontFamily}`;
  ctx.lineWidth = ratio;
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.fillStyle = color("ink-2");
  ctx.strokeStyle = color("mark");
  for (const mark of marks) {
    if (mark.at < from || mark.at > to) continue;
    const x = Math.round(plot.valToPos(mark.at, "x", true));
    line(ctx, x, top, x, top + height);
    ctx.fillText(mark.label, x + 4 * ratio, top + 10 * ratio);
  }
  if (limit) {
    const y = Math.round(plot.valToPos(limit.value, "y", true));
    ctx.strokeStyle = color("bad");
    if (y >= top) {
      line(ctx, left, y, left + width, y);
      ctx.fillText(limit.label, left + 4 * ratio, y + 13 * ratio);
    }
  }
  ctx.restore();
}

function line(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number) {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}
