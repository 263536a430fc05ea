import { useCallback, useId, useState } from "preact/hooks";
import { call, type Query } from "../api/client.ts";
import type { AuditEntry, AuditPage as Page } from "../api/types.ts";
import { digest } from "../lib/format.ts";
import { visibleLine } from "../lib/text.ts";
import { href, param, setParams } from "../state/route.ts";
import { Icon, type IconName } from "../ui/icon.tsx";
import { Empty, Failure, Loading, Panel } from "../ui/panel.tsx";
import { type Column, DataTable } from "../ui/table.tsx";
import { At, Said, Words } from "../ui/text.tsx";
import { useTitle } from "../ui/title.ts";
import { useDebounced, useResource } from "../ui/use.ts";

const PAGE = "50";
/** The newest page is asked for again: others change things too. */
const EVERY_MS = 5000;

export function AuditPage() {
  useTitle("Audit");
  const [job, before] = [param("job"), param("before")];
  const query: Query = [["limit", PAGE]];
  if (job) query.push(["job", job]);
  if (before) query.push(["before", before]);
  const found = useResource(
    `audit ${JSON.stringify(query)}`,
    (signal) => call<Page>(["v1", "audit"], { query, signal }),
    before === "" ? EVERY_MS : 0,
  );
  const page = found.value;
  return (
    <div class="page">
      <div class="page-head">
        <h1>Audit</h1>
      </div>
      <Panel title="Changes" note="who changed what, and what was refused, newest first">
        <Filter />
        {found.error !== null && <Failure text={found.error} again={found.again} />}
        {page === null ? (
          found.error === null && <Loading what="the audit log" again={found.again} />
        ) : page.entries.length === 0 ? (
          <Empty title={job || before ? "No entry matches" : "Nothing was changed yet"} />
        ) : (
          <>
            <DataTable
              caption="Changes"
              cards
              rows={page.entries}
              columns={COLUMNS}
              id={(entry) => String(entry.number)}
            />
            <Pager next={page.next} before={before} />
          </>
        )}
      </Panel>
    </div>
  );
}

function Filter() {
  const [text, setText] = useState(param("job"));
  const id = useId();
  const set = useCallback((job: string) => setParams({ job: job.trim(), before: null }), []);
  useDebounced(text, 300, set);
  return (
    <div class="filters">
      <p class="search">
        <label class="sr-only" for={id}>
          Of the job
        </label>
        <Icon name="search" />
        <input
          id={id}
          type="search"
          placeholder="Of the job"
          value={text}
          onInput={(e) => setText(e.currentTarget.value)}
        />
      </p>
    </div>
  );
}

function Pager({ next, before }: { next: number | null; before: string }) {
  if (next === null && before === "") return null;
  return (
    <p class="pager">
      {before !== "" && (
        <button type="button" onClick={() => setParams({ before: null }, true)}>
          Newest
        </button>
      )}
      {next !== null && (
        <button type="button" onClick={() => setParams({ before: String(next) }, true)}>
          Older
        </button>
      )}
    </p>
  );
}

const OUTCOMES: Record<string, { tone: string; icon: IconName }> = {
  done: { tone: "running", icon: "finished" },
  refused: { tone: "retrying", icon: "warn" },
  failed: { tone: "stopped", icon: "stopped" },
};

function Outcome({ entry }: { entry: AuditEntry }) {
  const { tone, icon } = OUTCOMES[entry.outcome] ?? { tone: "paused", icon: "unknown" };
  return (
    <span class={`tag tone-${tone}`}>
      <Icon name={icon} size={12} /> {entry.outcome.replace("-", " ")}
      {entry.status !== null && ` (${entry.status})`}
    </span>
  );
}

function Who({ entry }: { entry: AuditEntry }) {
  if (entry.role === "host") return <>the host</>;
  return (
    <>
      {entry.who === null ? <span class="quiet">–</span> : <Said text={entry.who} />}
      {entry.peer !== null && (
        <small class="quiet">
          {" "}
          <Said text={entry.peer} />
        </small>
      )}
    </>
  );
}

function Job({ entry }: { entry: AuditEntry }) {
  if (entry.job === null) return <span class="quiet">–</span>;
  return (
    <a href={href(["jobs", entry.job])}>
      <Said text={entry.job} />
    </a>
  );
}

/** What was asked for, what is another then, and why. */
function What({ entry }: { entry: AuditEntry }) {
  return (
    <>
      {entry.version !== null && (
        <span title={entry.digest === null ? undefined : `sha256:${digest(entry.digest)}…`}>
          version {entry.version}
          {entry.signed_by !== null && (
            <>
              , signed by <Said text={entry.signed_by} />
            </>
          )}{" "}
        </span>
      )}
      {entry.options.map((option) => (
        <code key={option}>
          <Said text={option} />{" "}
        </code>
      ))}
      {entry.settings.map(({ name, before, after }) => (
        <small key={name} class="why">
          <code>
            <Said text={after === null ? name : `${name}=${after}`} />
          </code>
          <span class="quiet">
            {after === null && before !== null && " no longer set,"}
            {before !== null && ` was ${visibleLine(before)}`}
          </span>
        </small>
      ))}
      {entry.reason !== null && (
        <small class="why">
          <Words text={entry.reason} />
        </small>
      )}
    </>
  );
}

const COLUMNS: Column<AuditEntry>[] = [
  { id: "at", label: "At", cell: (entry) => <At at={entry.at} /> },
  { id: "who", label: "Who", cell: (entry) => <Who entry={entry} /> },
  { id: "verb", label: "Did", cell: (entry) => <b>{visibleLine(entry.verb)}</b> },
  { id: "job", label: "Job", cell: (entry) => <Job entry={entry} /> },
  { id: "outcome", label: "Outcome", cell: (entry) => <Outcome entry={entry} /> },
  { id: "what", label: "What", wide: true, cell: (entry) => <What entry={entry} /> },
];
