import { call } from "../api/client.ts";
import type { Budget, JobStatus, Parameter, Setting, Settings } from "../api/types.ts";
import { bytes, count } from "../lib/format.ts";
import { Empty, Facts, Failure, Loading, Panel } from "../ui/panel.tsx";
import { type Column, DataTable } from "../ui/table.tsx";
import { At, Copy, Said, Words } from "../ui/text.tsx";
import { useResource } from "../ui/use.ts";

const FROM: Record<Setting["from"], string> = {
  deploy: "set at deploy",
  job: "the job's own",
  host: "streamhost.toml",
  default: "default",
};

const COLUMNS: Column<Setting>[] = [
  {
    id: "key",
    label: "Setting",
    wide: true,
    sort: (s) => s.key,
    cell: (s) => (
      <>
        <code>
          <Said text={s.key} />
        </code>
        <small class="quiet">
          <Words text={s.meaning} />
        </small>
      </>
    ),
  },
  {
    id: "value",
    label: "Value",
    cell: (s) => (
      <b>
        <Said text={s.value} />
      </b>
    ),
  },
  {
    id: "from",
    label: "From",
    sort: (s) => s.from,
    cell: (s) => <span class={`tag from-${s.from}`}>{FROM[s.from]}</span>,
  },
  {
    id: "default",
    label: "Default",
    cell: (s) => (s.default === null ? <span class="quiet">–</span> : <Said text={s.default} />),
  },
];

const PARAMETERS: Column<Parameter>[] = [
  {
    id: "name",
    label: "Parameter",
    wide: true,
    cell: (p) => (
      <>
        <code>
          <Said text={p.name} />
        </code>
        <small class="quiet">
          <Said text={p.type} />
        </small>
      </>
    ),
  },
  {
    id: "value",
    label: "Value",
    cell: (p) => <b>{p.value === "" ? <span class="quiet">empty</span> : <Said text={p.value} />}</b>,
  },
  {
    id: "default",
    label: "Default",
    cell: (p) => (p.default === "" ? <span class="quiet">empty</span> : <Said text={p.default} />),
  },
];

const BUDGETS: Column<Budget>[] = [
  {
    id: "budget",
    label: "Budget",
    wide: true,
    cell: (b) => (
      <>
        <code>
          <Said text={b.budget} />
        </code>
        <small class="quiet">
          <Said text={b.usual ? `${b.most}, as usual on probation` : b.most} />
        </small>
      </>
    ),
  },
  { id: "used", label: "Used", cell: (b) => <Words text={b.used} /> },
  {
    id: "over",
    label: "State",
    cell: (b) => (b.over ? <b>over</b> : <span class="quiet">within</span>),
  },
];

export function SettingsTab({ status }: { status: JobStatus }) {
  const found = useResource(`${status.job} ${status.deployment}`, (signal) =>
    call<Settings>(["v1", "jobs", status.job, "settings"], { signal }),
  );
  const all = found.value;
  return (
    <>
      <Panel
        title="Settings"
        flush
        note={all ? `of deployment ${all.deployment}; they change with a deploy` : undefined}
      >
        {found.error !== null && <Failure text={found.error} again={found.again} />}
        {all === null ? (
          found.error === null && <Loading what="the settings" again={found.again} />
        ) : all.settings.length === 0 ? (
          <Empty title="No settings" />
        ) : (
          <DataTable
            caption="Settings"
            cards
            rows={all.settings}
            columns={COLUMNS}
            id={(s) => s.key}
            sortParam="sort"
          />
        )}
      </Panel>
      {status.parameters.length > 0 && (
        <Panel title="Parameters" flush note="values that the job asks for; a deploy sets them by param.NAME">
          <DataTable
            caption="Parameters"
            cards
            rows={status.parameters}
            columns={PARAMETERS}
            id={(p) => p.name}
          />
        </Panel>
      )}
      {status.budgets !== undefined && status.budgets.length > 0 && (
        <Panel title="Error budgets" flush note="a new version that goes over one is rolled back by the host">
          <DataTable
            caption="Error budgets"
            cards
            rows={status.budgets}
            columns={BUDGETS}
            id={(b) => b.budget}
          />
        </Panel>
      )}
      {status.limits.host_memory.length > 0 && (
        <Panel
          title="Memory that it may take"
          note={`${bytes(status.limits.host_memory.reduce((sum, part) => sum + part.bytes, 0))} of the host's at most, by its limits`}
        >
          <Facts
            facts={status.limits.host_memory.map(
              (part) => [part.name, bytes(part.bytes)] as [string, string],
            )}
          />
        </Panel>
      )}
      <Panel title="Identity">
        <Facts
          facts={[
            ["Consumer group", <Said key="g" text={status.group} />],
            ["Dead letters", <Said key="d" text={status.dead_letter_topic} />],
            ["Epoch of its history", String(status.incarnation)],
            ["Batches", count(status.batches)],
            ["Last checkpoint", <At key="c" at={status.last_checkpoint_at} />],
            ["Lanes", count(status.lanes)],
            ["On probation until", status.probation ? <At key="p" at={status.probation.until} /> : "over"],
          ]}
        />
        <p class="digest">
          <span class="quiet">Component</span> <code>sha256:{status.digest}</code>{" "}
          <Copy text={status.digest} label="Copy the digest" />
        </p>
      </Panel>
    </>
  );
}
