import { useMemo } from "preact/hooks";
import { type JobStatus, type Points, type Series, STEPS } from "../api/types.ts";
import { type ChartProps, TimeChart } from "../charts/time-chart.tsx";
import { axis, bytes, compact, count, duration, rate } from "../lib/format.ts";
import { lastKnown, slice, WINDOW_SECONDS } from "../lib/series.ts";
import { now, stale } from "../state/live.ts";
import { param, setParams } from "../state/route.ts";
import type { Watched } from "../state/watched.ts";
import { Empty, Failure, Loading, Panel } from "../ui/panel.tsx";
import { Sparkline } from "../ui/sparkline.tsx";
import { GraphPanel } from "./graph.tsx";

export function OverviewTab({ of, status }: { of: Watched; status: JobStatus }) {
  return (
    <>
      <Figures status={status} series={of.series.value} />
      <GraphPanel graph={of.graph.value} job={of.job} />
      <Charts of={of} />
    </>
  );
}

interface Figure {
  label: string;
  value: string;
  note: string;
  history: (number | null)[] | undefined;
}

/** The job in six numbers, each with its last ten minutes. */
function Figures({ status, series }: { status: JobStatus; series: Series | null }) {
  const points = series?.points;
  const moves = !stale.value && (status.state === "running" || status.state === "retrying");
  const figures = [
    {
      label: "Records in",
      value: moves ? `${rate(status.records_per_second)}/s` : "–",
      note: `${compact(status.records_in)} in all`,
      history: points?.records_per_second,
    },
    {
      label: "Rows out",
      value: moves ? `${rate(status.rows_per_second)}/s` : "–",
      note: `${compact(status.rows_out)} in all`,
      history: points?.rows_per_second,
    },
    { label: "Lag", value: compact(status.lag), note: lagNote(status, moves), history: points?.lag },
    {
      label: "Latency, 99 %",
      value: moves && points ? duration(lastKnown(points.latency_p99_ms)) : "–",
      note: points && moves ? `half within ${duration(lastKnown(points.latency_p50_ms))}` : "record to sink",
      history: points?.latency_p99_ms,
    },
    {
      label: "Dead letters",
      value: count(status.dead_letters),
      note: `${compact(status.dropped)} filtered, ${compact(status.late)} late`,
      history: points?.dead_letters_per_second,
    },
    {
      label: "Guest memory",
      value: moves ? bytes(status.guest_memory_bytes) : "–",
      note: `${status.lanes} × ${bytes(status.limits.memory_bytes)} at most`,
      history: points?.guest_memory_bytes,
    },
  ].filter((figure) => figure.label !== "Guest memory" || status.guest_memory_bytes !== null);
  return (
    <ul class="figures">
      {figures.map((figure) => (
        <FigureBox key={figure.label} {...figure} />
      ))}
    </ul>
  );
}

const HISTORY_POINTS = 120;

function FigureBox({ label, value, note, history }: Figure) {
  const recent = history?.slice(-HISTORY_POINTS);
  return (
    <li class="figure">
      <span class="figure-label">{label}</span>
      <span class="figure-value">{value}</span>
      <span class="figure-note quiet">{note}</span>
      {recent && <Sparkline values={recent} label={`${label}, last ten minutes`} width={110} height={30} />}
    </li>
  );
}

function lagNote(status: JobStatus, moves: boolean): string {
  const { lag, lag_change_per_second: change = null, lag_seconds: seconds = null } = status;
  if (lag === null) return "the topics' ends are not known";
  if (lag === 0) return "at the ends of all partitions";
  if (moves && change !== null && change < -1) return `caught up in ${duration((lag / -change) * 1000)}`;
  if (moves && change !== null && change > Math.max(1, lag * 0.001)) return `rising by ${compact(change)}/s`;
  return seconds === null ? "records behind" : `${duration(seconds * 1000)} behind`;
}

/** The shortest range that is shown unless something else was dragged. */
const SHORTEST_SECONDS = 120;

const RANGES: [string, string, number][] = [
  ["5m", "5 min", 300],
  ["15m", "15 min", 900],
  ["", "1 h", WINDOW_SECONDS],
];

function Charts({ of }: { of: Watched }) {
  const series = of.series.value;
  const error = of.errors.value.series;
  const [from, to] = interval(series);
  const points = useMemo(() => series && slice(series.points, from - 60, to + 60), [series, from, to]);
  const zoomed = param("from") !== "";
  const range = param("range");
  const note = series ? `a point every ${series.step_seconds} s; drag to zoom` : undefined;
  const buttons = (
    <fieldset class="segments">
      <legend class="sr-only">Time shown</legend>
      {RANGES.map(([id, label]) => (
        <button
          key={label}
          type="button"
          aria-pressed={!zoomed && range === id}
          onClick={() => setParams({ range: id, from: null, to: null })}
        >
          {label}
        </button>
      ))}
      {zoomed && (
        <button type="button" aria-pressed="true" onClick={() => setParams({ from: null, to: null })}>
          Zoomed, reset
        </button>
      )}
    </fieldset>
  );
  return (
    <Panel title="The last hour" note={note} actions={buttons}>
      {error !== undefined ? (
        <Failure text={error} again={() => of.reload(false)} />
      ) : !series || !points ? (
        <Loading what="the last hour" again={() => of.reload(false)} />
      ) : series.points.times.length === 0 ? (
        <Empty title="No points yet">
          The first one comes within {series.step_seconds} s of the first batch.
        </Empty>
      ) : (
        <Grid series={series} points={points} from={from} to={to} />
      )}
    </Panel>
  );
}

/** What is shown, in seconds: what was dragged, else a range up to now. */
function interval(series: Series | null): [number, number] {
  const [from, to] = [Number(param("from")), Number(param("to"))];
  if (from > 0 && to > from) return [from, to];
  const step = series?.step_seconds ?? 5;
  const end = Math.floor(now.value / 1000 / step) * step;
  const length = RANGES.find(([id]) => id === param("range"))?.[2] ?? WINDOW_SECONDS;
  // A host that has just started has little to show: what there is fills the chart.
  const known = end - (series?.points.times[0] ?? 0) + step;
  return [end - Math.min(length, Math.max(known, SHORTEST_SECONDS)), end];
}

function axisTime(ms: number): string {
  return ms === 0 ? "0" : duration(ms);
}

type Shape = Pick<ChartProps, "title" | "unit" | "lines" | "format"> &
  Partial<Pick<ChartProps, "stacked" | "short" | "limit" | "binary" | "least">>;

function shapes(p: Points, series: Series): Shape[] {
  const worked = STEPS.filter(
    (step) => step !== "gather" && p.steps_ms[step].some((ms) => ms !== null && ms > 0),
  );
  const memory = series.limits.memory_bytes * series.limits.lanes;
  return [
    {
      title: "Throughput",
      unit: "per second",
      format: rate,
      lines: [
        { label: "records in", color: "c1", values: p.records_per_second },
        { label: "rows out", color: "c2", values: p.rows_per_second, thin: true },
      ],
    },
    {
      title: "Lag",
      unit: "records",
      format: count,
      least: 10,
      lines: [{ label: "behind the ends", color: "c3", values: p.lag }],
    },
    {
      title: "End-to-end latency",
      unit: "record's time to sink",
      format: duration,
      short: axisTime,
      lines: [
        { label: "50 %", color: "c1", values: p.latency_p50_ms },
        { label: "99 %", color: "c3", values: p.latency_p99_ms, thin: true },
      ],
    },
    {
      title: "Batch time by step",
      unit: "mean, without gathering",
      format: duration,
      short: axisTime,
      stacked: true,
      lines: worked.map((step) => ({
        label: step,
        color: `step-${step}`,
        values: p.steps_ms[step],
      })),
    },
    {
      title: "Dead letters and late records",
      unit: "per second",
      format: rate,
      lines: [
        { label: "dead letters", color: "bad", values: p.dead_letters_per_second },
        { label: "late", color: "c3", values: p.late_per_second, thin: true },
      ],
    },
    {
      title: "Guest memory",
      unit: "all lanes",
      format: bytes,
      short: (value) => (value === 0 ? "0" : bytes(value)),
      binary: true,
      limit: { value: memory, label: "limit" },
      lines: [{ label: "memory", color: "c2", values: p.guest_memory_bytes }],
    },
    {
      title: "CPU",
      unit: "cores of this job",
      least: 0.1,
      format: (value) => (value === null ? "–" : value.toFixed(2)),
      short: axis,
      lines: [{ label: "cores", color: "c1", values: p.cpu_cores }],
    },
  ];
}

/** Not every host measures all of it: a chart without a value would be a riddle. */
function isMeasured(shape: Shape): boolean {
  const latency = shape.title.includes("latency") || shape.title.includes("Lag");
  return latency || shape.lines.some((line) => line.values.some((value) => value !== null));
}

function Grid({ series, points, from, to }: { series: Series; points: Points; from: number; to: number }) {
  const charts = useMemo(() => shapes(points, series).filter(isMeasured), [points, series]);
  const marks = useMemo(
    () => series.deployments.map((d) => ({ at: Date.parse(d.at) / 1000, label: `v${d.version}` })),
    [series],
  );
  const zoom = (a: number, b: number) =>
    setParams({ from: a.toFixed(0), to: b.toFixed(0), range: null }, true);
  return (
    <div class="charts">
      {charts.map((chart) => (
        <TimeChart
          key={chart.title}
          {...chart}
          times={points.times}
          marks={marks}
          from={from}
          to={to}
          step={series.step_seconds}
          zoom={zoom}
        />
      ))}
    </div>
  );
}
