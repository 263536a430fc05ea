import { useState } from "preact/hooks";
import { call } from "../api/client.ts";
import type { CanarySide, CanaryStatus, Deployed, JobStatus } from "../api/types.ts";
import { count } from "../lib/format.ts";
import { say } from "../state/notices.ts";
import { Confirm } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Panel } from "../ui/panel.tsx";
import { RoleButton, RoleNote } from "../ui/role.tsx";
import { type Column, DataTable } from "../ui/table.tsx";
import { Said } from "../ui/text.tsx";

/** The version that runs a part of a job's records, beside the active one. */
export function Canary({ status }: { status: JobStatus }) {
  const canary = status.canary;
  if (!canary) return null;
  const columns: Column<Figure>[] = [
    { id: "what", label: "What", cell: (figure) => figure.what },
    {
      id: "active",
      label: `Version ${status.version}`,
      number: true,
      cell: (figure) => figure.of(canary.active),
    },
    {
      id: "canary",
      label: `Version ${canary.version}`,
      number: true,
      cell: (figure) => figure.of(canary.canary),
    },
  ];
  return (
    <Panel
      title={`Canary: version ${canary.version} runs ${part(canary.share)}`}
      note={
        canary.by_key
          ? "both run all records; of each key what its own version made counts"
          : `version ${status.version} runs the rest`
      }
      actions={<Actions status={status} canary={canary} />}
      flush
    >
      <DataTable caption="Both versions side by side" rows={FIGURES} columns={columns} id={(f) => f.what} />
    </Panel>
  );
}

/** A part of the records in words. */
export function part(share: string): string {
  return share.startsWith("partitions=") ? `partitions ${share.slice(11)}` : `${share} of the keys`;
}

interface Figure {
  what: string;
  of(side: CanarySide): string;
}

const FIGURES: Figure[] = [
  { what: "Records", of: (side) => count(side.records) },
  { what: "Rows", of: (side) => count(side.rows) },
  { what: "Failed", of: (side) => count(side.failed) },
  {
    what: "Failed of 100",
    of: (side) => `${((side.failed * 100) / Math.max(1, side.records)).toFixed(1)} %`,
  },
  { what: "Broke on", of: (side) => count(side.broken) },
  { what: "Late", of: (side) => count(side.late) },
  { what: "Dropped", of: (side) => count(side.dropped) },
  {
    what: "Time a record",
    of: (side) => (side.ns_per_record === null ? "none yet" : `${(side.ns_per_record / 1000).toFixed(1)} µs`),
  },
];

function Actions({ status, canary }: { status: JobStatus; canary: CanaryStatus }) {
  const [ask, setAsk] = useState<"more" | "all" | "back" | null>(null);
  const close = () => setAsk(null);
  const { job } = status;
  const more = nextShare(canary.share);
  const promote = async (to: string | null) => {
    const query: [string, string][] = to === null ? [] : [["to", to]];
    const done = await call<Deployed>(["v1", "jobs", job, "promote"], { method: "POST", query });
    say("good", to === null ? `${job} has version ${done.version} active.` : `It runs ${part(to)} now.`);
  };
  const back = async () => {
    const done = await call<Deployed>(["v1", "jobs", job, "rollback"], { method: "POST", json: {} });
    say("good", `${job} runs version ${done.version} alone.`);
  };
  return (
    <>
      {more !== null && (
        <RoleButton needs="deploy" onClick={() => setAsk("more")}>
          <Icon name="up" /> Give it {more}
        </RoleButton>
      )}
      <RoleButton needs="deploy" class="primary" onClick={() => setAsk("all")}>
        <Icon name="up" /> Promote
      </RoleButton>
      <RoleButton needs="operate" class="danger-text" onClick={() => setAsk("back")}>
        <Icon name="rollback" /> Take it back
      </RoleButton>
      <RoleNote needs="deploy" />
      {ask === "more" && more !== null && (
        <Confirm title="Give the canary more?" action="Give it" run={() => promote(more)} close={close}>
          <p>
            Version {canary.version} runs {part(more)} of <Said text={job} /> from the next batch on.
          </p>
        </Confirm>
      )}
      {ask === "all" && (
        <Confirm title="Make the canary active?" action="Promote" run={() => promote(null)} close={close}>
          <p>
            Version {canary.version} takes over all of <Said text={job} /> between two batches. Offsets and
            state stay.
          </p>
        </Confirm>
      )}
      {ask === "back" && (
        <Confirm title="Take the canary back?" action="Take back" danger run={back} close={close}>
          <p>
            Version {status.version} runs all of <Said text={job} /> again from the next batch on. What
            version {canary.version} has written stays.
          </p>
        </Confirm>
      )}
    </>
  );
}

/** A larger share of the keys; partitions are said by hand. */
export function nextShare(share: string): string | null {
  const now = Number.parseFloat(share);
  if (!share.endsWith("%") || Number.isNaN(now)) return null;
  const next = [1, 5, 10, 25, 50, 75].find((percent) => percent > now);
  return next === undefined ? null : `${next}%`;
}
