import { useState } from "preact/hooks";
import { call } from "../api/client.ts";
import type { JobStatus, Replay, ReplayRow, ReplaySink } from "../api/types.ts";
import { count } from "../lib/format.ts";
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

/** What a replay of a job's history has come to. */
export function ReplayTab({ status }: { status: JobStatus }) {
  if (!status.replay) {
    return (
      <Empty title="No history of this job is replayed">
        <p>
          <code>streamhost replay {status.job} --diff</code> runs what the job has read through a version once
          more, beside it: here you see each row that is not as the records make them.
        </p>
      </Empty>
    );
  }
  return <Replayed job={status.job} running={status.replay.running} />;
}

function Replayed({ job, running }: { job: string; running: boolean }) {
  const found = useResource(
    `replay ${job} ${running}`,
    (signal) => call<Replay>(["v1", "jobs", job, "replay"], { signal }),
    EVERY_MS,
  );
  const of = found.value;
  if (found.error !== null) return <Failure text={found.error} again={found.again} />;
  if (of === null) return <Loading what="the replay" again={found.again} />;
  return (
    <>
      <Verdict of={of} />
      {of.warnings.map((warning) => (
        <Note key={warning} tone="warn" icon="warn">
          <Words text={warning} />
        </Note>
      ))}
      <Panel
        title={`Replay of version ${of.version}`}
        note={of.writes ? "what differs is written" : "nothing of the job's own is touched"}
        actions={of.running && <Stop job={job} />}
      >
        <Facts facts={facts(of)} />
      </Panel>
      <Sums of={of} />
      <Rows sinks={of.sinks} />
    </>
  );
}

const PHASES: Record<string, string> = {
  running: "History is run through the version.",
  following: "The job is followed behind it, to know what it has written since.",
  comparing: "What is there is compared with what was made.",
  writing: "What differs is written.",
  ended: "It ends.",
};

function Verdict({ of }: { of: Replay }) {
  if (of.running) {
    return (
      <Note tone="idle" icon="unknown">
        <b>{share(of)}</b> {PHASES[of.phase] ?? of.phase}
        {of.waiting_for !== null && (
          <>
            {" "}
            It waits for <Words text={of.waiting_for} />.
          </>
        )}
      </Note>
    );
  }
  if (of.outcome !== "done") {
    return (
      <Note tone="warn" icon="warn">
        <b>The replay {of.outcome === "failed" ? "failed" : "was stopped"}.</b>{" "}
        {of.why !== null && <Words text={of.why} />}
      </Note>
    );
  }
  const sinks = Object.values(of.sinks);
  const sum = (which: "mended" | "unmended") => sinks.reduce((all, sink) => all + sink[which], 0);
  if (sum("unmended") > 0) {
    return (
      <Note tone="warn" icon="warn">
        <b>{plural(sum("unmended"), "row")} could not be mended</b>, {count(sum("mended"))} were.
      </Note>
    );
  }
  if (of.writes && sum("mended") > 0) {
    return (
      <Note tone="good" icon="finished">
        <b>{plural(sum("mended"), "row")} mended.</b>
      </Note>
    );
  }
  if (of.differing > 0) {
    return (
      <Note tone="warn" icon="warn">
        <b>
          {plural(of.differing, "row")} {of.differing === 1 ? "is" : "are"} not as the records make them.
        </b>
      </Note>
    );
  }
  return (
    <Note tone="good" icon="finished">
      <b>The replay is done.</b> {sinks.length > 0 && "What is there is as the records make it."}
    </Note>
  );
}

function share(of: Replay): string {
  return of.offsets === 0 ? "" : `${Math.floor((of.passed * 100) / of.offsets)} %.`;
}

function facts(of: Replay): [string, preact.ComponentChildren][] {
  const all: [string, preact.ComponentChildren][] = [
    ["Offsets", `${count(of.passed)} of ${count(of.offsets)}`],
    ["Records", count(of.records)],
    ["Batches", count(of.batches)],
    ["Dead letters", count(of.counts.dead_letters ?? 0)],
    ["Late", count(of.counts.late ?? 0)],
    ["Dropped", count(of.counts.dropped ?? 0)],
    ["Followed", plural(of.followed, "record")],
    ["Since", <At key="began" at={of.began} />],
  ];
  if (of.ended !== null) all.push(["Ended", <At key="ended" at={of.ended} />]);
  if (of.rate !== null) all.push(["At most", `${count(of.rate)} records a second`]);
  for (const [sink, rows] of Object.entries(of.delivered)) {
    all.push([`Rows for ${sink}`, count(rows)]);
  }
  return all;
}

function Stop({ job }: { job: string }) {
  const [asks, setAsks] = useState(false);
  const close = () => setAsks(false);
  const stop = async () => {
    await call<Replay>(["v1", "jobs", job, "replay"], { method: "DELETE" });
    say("good", `The replay of ${job} is stopped.`);
  };
  return (
    <>
      <RoleButton needs="deploy" class="danger-text" onClick={() => setAsks(true)}>
        <Icon name="trash" /> Stop
      </RoleButton>
      <RoleNote needs="deploy" />
      {asks && (
        <Confirm title="Stop the replay?" action="Stop" danger run={stop} close={close}>
          <p>
            What it has written stays. <Said text={job} /> runs on.
          </p>
        </Confirm>
      )}
    </>
  );
}

const SUMS = ["alike", "differing", "missing", "extra", "overtaken", "mended", "unmended"] as const;
const LABELS: Record<(typeof SUMS)[number], string> = {
  alike: "Alike",
  differing: "Differ",
  missing: "Missing",
  extra: "Extra",
  overtaken: "Overtaken",
  mended: "Mended",
  unmended: "Unmended",
};

function Sums({ of }: { of: Replay }) {
  const sinks = Object.entries(of.sinks);
  if (sinks.length === 0) return null;
  const columns: Column<[string, ReplaySink]>[] = [
    {
      id: "sink",
      label: "Sink",
      cell: ([name, sink]) => <Said text={`${name} (${sink.place})`} />,
    },
    ...SUMS.map((id) => ({
      id,
      label: LABELS[id],
      number: true,
      cell: ([, sink]: [string, ReplaySink]) => count(sink[id]),
    })),
  ];
  return (
    <Panel title="What the places hold" note="beside what the records make" flush>
      <DataTable caption="What the places hold" rows={sinks} columns={columns} id={([name]) => name} />
    </Panel>
  );
}

interface Sample {
  id: string;
  sink: string;
  row: ReplayRow;
}

function Rows({ sinks }: { sinks: Record<string, ReplaySink> }) {
  const samples: Sample[] = Object.entries(sinks).flatMap(([sink, of]) =>
    of.samples.map((row, i) => ({ id: `${sink} ${i}`, sink, row })),
  );
  if (samples.length === 0) return null;
  const columns: Column<Sample>[] = [
    { id: "sink", label: "Sink", cell: ({ sink }) => <Said text={sink} /> },
    { id: "key", label: "Key", cell: ({ row }) => <Said text={row.key} /> },
    { id: "is", label: "Is", cell: ({ row }) => row.is },
    { id: "columns", label: "There → made", wide: true, cell: ({ row }) => <Cells row={row} /> },
  ];
  return (
    <Panel title="Rows that are not as they were made" note="some of them" flush>
      <DataTable
        caption="Rows that are not as they were made"
        cards
        rows={samples}
        columns={columns}
        id={(s) => s.id}
      />
    </Panel>
  );
}

function Cells({ row }: { row: ReplayRow }) {
  return (
    <ul class="plain">
      {row.columns.map(({ column, held, made }) => (
        <li key={column}>
          <code>
            <Said text={column} />
          </code>{" "}
          <Said text={held ?? "nothing"} /> → <Said text={made ?? "nothing"} />
        </li>
      ))}
    </ul>
  );
}
