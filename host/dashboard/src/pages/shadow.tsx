import { useState } from "preact/hooks";
import { call } from "../api/client.ts";
import type { Deployed, JobStatus, Shadow, ShadowLetter, ShadowRow } from "../api/types.ts";
import { bytes, count } from "../lib/format.ts";
import { plural } from "../lib/text.ts";
import { say } from "../state/notices.ts";
import { Confirm } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Empty, Facts, Failure, Loading, Note, Panel } from "../ui/panel.tsx";
import { RoleButton, RoleNote } from "../ui/role.tsx";
import { type Column, DataTable } from "../ui/table.tsx";
import { At, Said, Words } from "../ui/text.tsx";
import { useResource } from "../ui/use.ts";

const EVERY_MS = 2000;

/** How a version that runs beside the active one differs from it. */
export function ShadowTab({ status }: { status: JobStatus }) {
  if (!status.shadow) {
    return (
      <Empty title="This job has no shadow">
        <p>
          <code>streamhost deploy FILE.wasm --shadow</code> runs a new version beside the active one, on the
          same batches, and writes nothing of it: here you see each row that it would change.
        </p>
      </Empty>
    );
  }
  return <Compared job={status.job} running={status.shadow.running} />;
}

function Compared({ job, running }: { job: string; running: boolean }) {
  const found = useResource(
    `shadow ${job} ${running}`,
    (signal) => call<Shadow>(["v1", "jobs", job, "shadow"], { signal }),
    EVERY_MS,
  );
  const of = found.value;
  if (found.error !== null) return <Failure text={found.error} again={found.again} />;
  if (of === null) return <Loading what="the comparison" again={found.again} />;
  return (
    <>
      <Verdict of={of} />
      <Panel
        title={`Version ${of.version} beside version ${of.beside}`}
        note={of.running ? "it runs, and nothing of it is written" : "it has ended"}
        actions={<Actions of={of} />}
      >
        <Facts facts={facts(of)} />
      </Panel>
      <Sums of={of} />
      <Rows of={of} />
      <Letters letters={of.dead_letters.samples} />
    </>
  );
}

function Verdict({ of }: { of: Shadow }) {
  if (!of.running && of.why) {
    return (
      <Note tone="info" icon="finished">
        <b>The shadow has ended.</b> <Words text={of.why} />
      </Note>
    );
  }
  if (of.batches === 0) {
    return (
      <Note tone="idle" icon="unknown">
        It begins with the next batch.
      </Note>
    );
  }
  if (of.differing === 0) {
    return (
      <Note tone="good" icon="finished">
        <b>No difference so far</b> in {plural(of.batches, "batch", "batches")}.
      </Note>
    );
  }
  return (
    <Note tone="warn" icon="warn">
      <b>{count(of.differing)} rows and dead letters differ</b>, {count(of.alike)} rows are alike.
    </Note>
  );
}

function facts(of: Shadow): [string, preact.ComponentChildren][] {
  const all: [string, preact.ComponentChildren][] = [
    ["Batches", count(of.batches) + (of.batches_max === null ? "" : ` of ${count(of.batches_max)}`)],
    ["Records", count(of.records)],
    ["Left out", plural(of.skipped, "batch", "batches")],
    ["Begun", plural(of.forks, "time")],
    ["Broke on", plural(of.faults, "batch", "batches")],
    ["Own state", bytes(of.state_bytes)],
    ["Since", <At key="began" at={of.began} />],
    of.ended === null
      ? ["Until", <At key="until" at={of.until} />]
      : ["Ended", <At key="ended" at={of.ended} />],
  ];
  if (of.promote_if !== null) {
    all.push(["Becomes active if", <code key="if">{of.promote_if}</code>]);
  }
  if (of.last_fault !== null) all.push(["Broke last on", <Words key="fault" text={of.last_fault} />]);
  return all;
}

function Actions({ of }: { of: Shadow }) {
  const [ask, setAsk] = useState<"promote" | "drop" | null>(null);
  const close = () => setAsk(null);
  const { job } = of;
  const promote = async () => {
    const done = await call<Deployed>(["v1", "jobs", job, "promote"], { method: "POST" });
    say("good", `${job} has version ${done.version} active.`, done.warnings);
  };
  const drop = async () => {
    await call<null>(["v1", "jobs", job, "shadow"], { method: "DELETE" });
    say("good", `The shadow of ${job} is gone.`);
  };
  return (
    <>
      <RoleButton needs="deploy" class="primary" onClick={() => setAsk("promote")}>
        <Icon name="up" /> Promote
      </RoleButton>
      <RoleButton needs="deploy" class="danger-text" onClick={() => setAsk("drop")}>
        <Icon name="trash" /> Drop
      </RoleButton>
      <RoleNote needs="deploy" />
      {ask === "promote" && (
        <Confirm title="Make the shadow active?" action="Promote" run={promote} close={close}>
          <p>
            Version {of.version} takes over between two batches of <Said text={job} />. Offsets and state of
            the job stay; what the shadow kept for itself goes.
          </p>
        </Confirm>
      )}
      {ask === "drop" && (
        <Confirm title="Drop the shadow?" action="Drop" danger run={drop} close={close}>
          <p>
            Version {of.version} and what was compared go. The active version of <Said text={job} /> runs on.
          </p>
        </Confirm>
      )}
    </>
  );
}

interface Sum {
  id: string;
  values: (number | null)[];
}

const SUMS = ["Alike", "Differ", "Other order", "Active alone", "Shadow alone"];

function Sums({ of }: { of: Shadow }) {
  const letters = of.dead_letters;
  const sums: Sum[] = [
    ...Object.entries(of.sinks).map(([name, s]) => ({
      id: `rows for ${name}`,
      values: [s.alike, s.differing, s.reordered, s.only_active, s.only_shadow],
    })),
    {
      id: "dead letters",
      values: [letters.alike, letters.differing, null, letters.only_active, letters.only_shadow],
    },
  ];
  const columns: Column<Sum>[] = [
    { id: "what", label: "What", cell: (sum) => <Said text={sum.id} /> },
    ...SUMS.map((label, i) => ({
      id: label,
      label,
      number: true,
      cell: (sum: Sum) => count(sum.values[i]),
    })),
  ];
  const counts = Object.entries(of.counts);
  const pairs: Column<(typeof counts)[number]>[] = [
    { id: "count", label: "Count", cell: ([name]) => COUNTS[name] ?? name },
    { id: "active", label: "Active", number: true, cell: ([name, pair]) => figure(name, pair.active) },
    { id: "shadow", label: "Shadow", number: true, cell: ([name, pair]) => figure(name, pair.shadow) },
  ];
  return (
    <>
      <Panel title="Rows and dead letters" flush>
        <DataTable caption="What is alike and what is not" rows={sums} columns={columns} id={(s) => s.id} />
      </Panel>
      <Panel title="Counts and costs" note="of the same batches" flush>
        <DataTable caption="Counts and costs" rows={counts} columns={pairs} id={([name]) => name} />
      </Panel>
    </>
  );
}

const COUNTS: Record<string, string> = {
  broken: "Broke on",
  cpu_us: "CPU time",
  dead_letters: "Dead letters",
  dropped: "Dropped",
  late: "Late",
  memory_bytes: "Memory of a guest",
  skipped: "Left out by on-error",
};

function figure(name: string, value: number): string {
  if (name === "memory_bytes") return bytes(value);
  return name === "cpu_us" ? `${(value / 1000).toFixed(1)} ms` : count(value);
}

interface Sample {
  id: string;
  sink: string;
  row: ShadowRow;
}

const OF: Record<string, string> = { both: "both", active: "active alone", shadow: "shadow alone" };

function Rows({ of }: { of: Shadow }) {
  const samples: Sample[] = Object.entries(of.sinks).flatMap(([sink, s]) =>
    s.samples.map((row, i) => ({ id: `${sink} ${i}`, sink, row })),
  );
  if (samples.length === 0) return null;
  const columns: Column<Sample>[] = [
    { id: "sink", label: "Sink", cell: ({ sink }) => <Said text={sink} /> },
    { id: "key", label: "Key", cell: ({ row }) => <Said text={row.key.join(", ") || "none"} /> },
    { id: "of", label: "Of", cell: ({ row }) => OF[row.of] ?? row.of },
    { id: "columns", label: "What differs", wide: true, cell: ({ row }) => <Cells row={row} /> },
  ];
  return (
    <Panel title="Rows that differ" note="some of them" flush>
      <DataTable caption="Rows that differ" cards rows={samples} columns={columns} id={(s) => s.id} />
    </Panel>
  );
}

function Cells({ row }: { row: ShadowRow }) {
  return (
    <ul class="plain">
      {row.columns.map(({ column, active, shadow }) => (
        <li key={column}>
          <code>
            <Said text={column} />
          </code>{" "}
          {row.of !== "shadow" && <Said text={active ?? "nothing"} />}
          {row.of === "both" && " → "}
          {row.of !== "active" && <Said text={shadow ?? "nothing"} />}
        </li>
      ))}
    </ul>
  );
}

function Letters({ letters }: { letters: ShadowLetter[] }) {
  if (letters.length === 0) return null;
  const rows = letters.map((letter, i) => ({ id: String(i), letter }));
  type Row = (typeof rows)[number];
  const reason = (text: string | null) => (text === null ? "none" : <Said text={text} />);
  const columns: Column<Row>[] = [
    {
      id: "record",
      label: "Record",
      cell: ({ letter }) => <Said text={letter.record ?? letter.key ?? "a group"} />,
    },
    { id: "stage", label: "Stage", cell: ({ letter }) => <Said text={letter.stage} /> },
    { id: "active", label: "Active", wide: true, cell: ({ letter }) => reason(letter.active) },
    { id: "shadow", label: "Shadow", wide: true, cell: ({ letter }) => reason(letter.shadow) },
  ];
  return (
    <Panel title="Dead letters that differ" note="some of them" flush>
      <DataTable caption="Dead letters that differ" cards rows={rows} columns={columns} id={(r) => r.id} />
    </Panel>
  );
}
