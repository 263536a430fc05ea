import { useMemo } from "preact/hooks";
import { type Batch, type Batches, STEPS, type Step } from "../api/types.ts";
import { BatchBars } from "../charts/batch-bars.tsx";
import { Gantt } from "../charts/gantt.tsx";
import { bytes, count, duration } from "../lib/format.ts";
import { span, work } from "../lib/series.ts";
import { href, param, setParams } from "../state/route.ts";
import type { Watched } from "../state/watched.ts";
import { Icon } from "../ui/icon.tsx";
import { Empty, Facts, Failure, Loading, Panel } from "../ui/panel.tsx";
import { type Column, DataTable } from "../ui/table.tsx";
import { At, Said } from "../ui/text.tsx";

export const STEP_MEANING: Record<Step, string> = {
  gather: "records are collected until the batch closes, by time, count or bytes",
  queue: "the closed batch waits for the one before it",
  transform: "the guest's function runs on the records",
  stages: "keyed stages: shuffle, merge, windows, joins",
  intent: "what the batch will do is made durable",
  deliver: "sinks and dead letters, until all have acknowledged",
  checkpoint: "offsets, counts and state are made durable",
};

export function BatchesTab({ of }: { of: Watched }) {
  const all = of.batches.value;
  const error = of.errors.value.batches;
  if (error !== undefined) return <Failure text={error} again={() => of.reload(false)} />;
  if (!all) return <Loading what="the batches" again={() => of.reload(false)} />;
  if (all.batches.length === 0)
    return <Empty title="No batch yet">The first one comes with the first record.</Empty>;
  return <Shown all={all} job={of.job} />;
}

function Shown({ all, job }: { all: Batches; job: string }) {
  const chosen = Number(param("batch"));
  const found = all.batches.find((batch) => batch.number === chosen);
  const selected = found ?? all.batches.at(-1);
  const gathering = param("gather") === "1";
  const steps = STEPS.filter((step) => step !== "gather" || gathering);
  const choose = (number: number | null) => setParams({ batch: number === null ? null : String(number) });
  const toggle = (
    <button
      type="button"
      aria-pressed={gathering}
      onClick={() => setParams({ gather: gathering ? null : "1" })}
    >
      With gathering
    </button>
  );
  return (
    <>
      <Panel
        title="Time by step"
        note={`the last ${all.batches.length} batches, newest at the right`}
        actions={toggle}
      >
        <Summary all={all} />
        <BatchBars
          batches={all.batches}
          steps={steps}
          everyMs={all.every_ms}
          selected={selected?.number ?? -1}
          choose={choose}
        />
        <StepLegend steps={steps} everyMs={all.every_ms} />
      </Panel>
      {selected && <Detail batch={selected} all={all.batches} follows={!found} choose={choose} job={job} />}
      <Panel title="Newest batches" flush>
        <Table batches={all.batches} choose={choose} selected={selected?.number ?? -1} />
      </Panel>
    </>
  );
}

function quantile(values: number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}

function Summary({ all }: { all: Batches }) {
  const times = all.batches.map(work);
  const slow = all.every_ms > 0 ? times.filter((time) => time > all.every_ms).length : 0;
  const records = all.batches.reduce((sum, batch) => sum + batch.records, 0);
  const facts: [string, string][] = [
    ["Work, half within", duration(quantile(times, 0.5))],
    ["Work, 99 % within", duration(quantile(times, 0.99))],
    ["Records a batch", count(records / all.batches.length)],
    ["Interval", all.every_ms === 0 ? "none: as soon as it can" : duration(all.every_ms)],
  ];
  if (all.every_ms > 0) facts.push(["Longer than the interval", `${slow} of ${all.batches.length}`]);
  return <Facts facts={facts} />;
}

function StepLegend({ steps, everyMs }: { steps: Step[]; everyMs: number }) {
  return (
    <ul class="step-legend">
      {steps.map((step) => (
        <li key={step}>
          <span class={`swatch bg-step-${step}`} /> <b>{step}</b>{" "}
          <span class="quiet">{STEP_MEANING[step]}</span>
        </li>
      ))}
      {everyMs > 0 && (
        <li>
          <span class="swatch interval-swatch" /> <b>interval</b>{" "}
          <span class="quiet">{duration(everyMs)}: batches that take longer fall behind</span>
        </li>
      )}
    </ul>
  );
}

interface DetailProps {
  batch: Batch;
  all: Batch[];
  follows: boolean;
  choose(number: number | null): void;
  job: string;
}

const AROUND = 3;

function Detail({ batch, all, follows, choose, job }: DetailProps) {
  const at = all.indexOf(batch);
  const near = all.slice(Math.max(0, at - AROUND), at + AROUND + 1);
  const [before, after] = [all[at - 1], all[at + 1]];
  const buttons = (
    <>
      <button type="button" disabled={!before} onClick={() => before && choose(before.number)}>
        <Icon name="back" /> <span class="sr-only">Batch before</span>
      </button>
      <button type="button" disabled={!after} onClick={() => after && choose(after.number)}>
        <Icon name="next" /> <span class="sr-only">Batch after</span>
      </button>
      <button type="button" aria-pressed={follows} onClick={() => choose(follows ? batch.number : null)}>
        Follow the newest
      </button>
    </>
  );
  return (
    <Panel
      title={`Batch ${count(batch.number)}`}
      note={
        <>
          began <At at={batch.began} exact />
        </>
      }
      actions={buttons}
    >
      <Facts
        facts={[
          ["Records", `${count(batch.records)}, ${bytes(batch.bytes)}`],
          ["Rows", count(batch.rows)],
          ["Filtered", count(batch.dropped)],
          ["Late", count(batch.late)],
          [
            "Dead letters",
            batch.dead_letters === 0 ? (
              "0"
            ) : (
              <a href={href(["jobs", job, "dead-letters"])}>{count(batch.dead_letters)}</a>
            ),
          ],
          ["Version", `v${batch.version}, deployment ${batch.deployment}`],
          ["Retries", count(batch.retries)],
          ["Begin to checkpoint", duration(span(batch))],
        ]}
      />
      <Gantt batches={near} selected={batch.number} choose={choose} />
      {batch.sinks.length > 1 && (
        <p class="sink-times">
          <span class="quiet">Sinks, side by side: </span>
          {batch.sinks.map((sink) => (
            <span key={sink.sink}>
              <Said text={sink.sink} /> {count(sink.rows)} rows in {duration(sink.ms)}
            </span>
          ))}
        </p>
      )}
    </Panel>
  );
}

const ROWS_MAX = 25;

interface TableProps {
  batches: Batch[];
  choose(number: number): void;
  selected: number;
}

function Table({ batches, choose, selected }: TableProps) {
  const rows = batches.slice(-ROWS_MAX).toReversed();
  // biome-ignore lint/correctness/useExhaustiveDependencies: `choose` does the same each time
  const columns = useMemo((): Column<Batch>[] => {
    const plain: [string, string, (b: Batch) => number][] = [
      ["records", "Records", (b) => b.records],
      ["rows", "Rows", (b) => b.rows],
      ["letters", "Dead letters", (b) => b.dead_letters],
    ];
    const times: [string, string, (b: Batch) => number][] = [
      ["transform", "Transform", (b) => stepMs(b, "transform")],
      ["stages", "Stages", (b) => stepMs(b, "stages")],
      ["deliver", "Deliver", (b) => stepMs(b, "deliver")],
      ["work", "Work", work],
    ];
    return [
      {
        id: "number",
        label: "Batch",
        sort: (b) => b.number,
        cell: (b) => (
          <button type="button" class="link" onClick={() => choose(b.number)}>
            {count(b.number)}
          </button>
        ),
      },
      { id: "began", label: "Began", cell: (b) => <At at={b.began} exact /> },
      { id: "version", label: "Version", number: true, cell: (b) => `v${b.version}` },
      ...plain.map(
        ([id, label, value]): Column<Batch> => ({
          id,
          label,
          number: true,
          sort: value,
          cell: (b) => count(value(b)),
        }),
      ),
      ...times.map(
        ([id, label, value]): Column<Batch> => ({
          id,
          label,
          number: true,
          sort: value,
          cell: (b) => duration(value(b)),
        }),
      ),
    ];
  }, []);
  return (
    <DataTable
      caption={`The newest ${rows.length} batches`}
      rows={rows}
      columns={columns}
      id={(b) => String(b.number)}
      rowClass={(b) => (b.number === selected ? "chosen" : "")}
      sortParam="sort"
    />
  );
}

function stepMs(batch: Batch, step: Step): number {
  return batch.steps.reduce((sum, s) => (s.step === step ? sum + s.ms : sum), 0);
}
