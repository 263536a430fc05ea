import { useId, useState } from "preact/hooks";
import { call } from "../api/client.ts";
import type { Stage, StateEntry, StatePage } from "../api/types.ts";
import { bytes, compact, count } from "../lib/format.ts";
import { visibleLine } from "../lib/text.ts";
import { lacks } from "../state/live.ts";
import { href, param, setParams } from "../state/route.ts";
import type { Watched } from "../state/watched.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Empty, Facts, Failure, Loading, Panel } from "../ui/panel.tsx";
import { type Column, DataTable } from "../ui/table.tsx";
import { Ago, At, Preview, Said, Value } from "../ui/text.tsx";
import { useResource } from "../ui/use.ts";

export function StagesTab({ of, stage }: { of: Watched; stage: string | null }) {
  const stages = of.stages.value;
  if (!stages) return <Loading what="the keyed stages" />;
  if (stages.length === 0) {
    return (
      <Empty title="This job has no keyed stages">
        <p>
          A stage begins with <code>key_by</code>: a reduce, a window or a join keeps state by key.
        </p>
      </Empty>
    );
  }
  return (
    <>
      <div class="stage-cards">
        {stages.map((s) => (
          <StageCard key={s.name} stage={s} job={of.job} chosen={s.name === stage} />
        ))}
      </div>
      {stage !== null && !lacks("state") && <State job={of.job} stage={stage} key={stage} />}
    </>
  );
}

function StageCard({ stage, job, chosen }: { stage: Stage; job: string; chosen: boolean }) {
  const facts: [string, preact.ComponentChildren][] = [
    ["Keys", count(stage.keys)],
    ["Size", bytes(stage.bytes)],
    ["Results", compact(stage.results)],
    ["Late", compact(stage.late)],
    ["Dead letters", count(stage.dead_letters)],
    ["Watermark", stage.watermark ? <Ago at={stage.watermark} /> : "none yet"],
  ];
  if (stage.open_windows !== null) facts.push(["Open windows", count(stage.open_windows)]);
  if (stage.last_fired) facts.push(["Last fired", <Ago key="fired" at={stage.last_fired} />]);
  return (
    <Panel
      title={stage.name}
      note={<span class="tag">{stage.kind.replace("-", " ")}</span>}
      actions={
        lacks("state") ? undefined : (
          <a
            class="button"
            href={href(["jobs", job, "stages", stage.name])}
            aria-current={chosen ? "true" : undefined}
          >
            <Icon name="search" /> Read state
          </a>
        )
      }
    >
      <p>
        <Said text={stage.description} />
      </p>
      <Facts facts={facts} />
      <p class="quiet schema">
        From <Said text={stage.inputs.join(", ")} />. Keys{" "}
        <code>
          <Said text={stage.key_schema} />
        </code>
        , values{" "}
        <code>
          <Said text={stage.value_schema} />
        </code>
      </p>
    </Panel>
  );
}

/** Keyed state by key or prefix, a page at a time. */
function State({ job, stage }: { job: string; stage: string }) {
  const prefix = param("prefix");
  const after = param("after");
  const [text, setText] = useState(prefix);
  const [open, setOpen] = useState<StateEntry | null>(null);
  const id = useId();
  const found = useResource(`${job} ${stage} ${prefix} ${after}`, (signal) =>
    call<StatePage>(["v1", "jobs", job, "state", stage], {
      query: [
        ["limit", "50"],
        ...(prefix ? [["prefix", prefix] as [string, string]] : []),
        ...(after ? [["after", after] as [string, string]] : []),
      ],
      signal,
    }),
  );
  const search = (event: Event) => {
    event.preventDefault();
    if (text === prefix) found.again();
    setParams({ prefix: text, after: null }, true);
  };
  const page = found.value;
  return (
    <Panel
      title={`State of ${stage}`}
      note={page ? `as of batch ${count(page.batch)}` : undefined}
      actions={
        <a class="button ghost" href={href(["jobs", job, "stages"])}>
          <Icon name="close" /> <span class="sr-only">Close the state</span>
        </a>
      }
    >
      <form class="filters" onSubmit={search}>
        <p class="search">
          <label class="sr-only" for={id}>
            Key, or how it begins
          </label>
          <Icon name="search" />
          <input
            id={id}
            type="search"
            placeholder="Key, or how it begins"
            value={text}
            onInput={(e) => setText(e.currentTarget.value)}
          />
        </p>
        <button type="submit">Read</button>
      </form>
      {found.error !== null && <Failure text={found.error} again={found.again} />}
      {page === null ? (
        found.error === null && <Loading what="the state" again={found.again} />
      ) : page.entries.length === 0 ? (
        <Empty title="No entry">{prefix === "" ? "The stage keeps nothing now." : "No key begins so."}</Empty>
      ) : (
        <>
          <DataTable
            caption={`Entries of ${stage}`}
            rows={page.entries}
            columns={entryColumns(setOpen)}
            id={entryId}
          />
          <footer class="pager">
            {after !== "" && (
              <button type="button" onClick={() => setParams({ after: null }, true)}>
                First page
              </button>
            )}
            {page.next !== null && (
              <button type="button" onClick={() => setParams({ after: page.next }, true)}>
                Next {page.entries.length}
              </button>
            )}
          </footer>
        </>
      )}
      {open && (
        <Dialog title="Entry" close={() => setOpen(null)} wide>
          <div class="dialog-body">
            <Value value={open.key} label="Key" />
            <Value value={open.value} label="Value" />
          </div>
          <footer class="dialog-foot">
            <button type="button" onClick={() => setOpen(null)}>
              Close
            </button>
          </footer>
        </Dialog>
      )}
    </Panel>
  );
}

function entryId(entry: StateEntry): string {
  return `${entry.key.text ?? entry.key.base64} ${entry.window?.start ?? ""}`;
}

function entryColumns(open: (entry: StateEntry) => void): Column<StateEntry>[] {
  return [
    { id: "key", label: "Key", wide: true, cell: (e) => <Preview value={e.key} /> },
    {
      id: "window",
      label: "Window",
      cell: (e) =>
        e.window ? (
          <>
            <At at={e.window.start} /> to <At at={e.window.end} />
          </>
        ) : (
          <span class="quiet">–</span>
        ),
    },
    { id: "value", label: "Value", wide: true, cell: (e) => <Preview value={e.value} /> },
    { id: "size", label: "Size", number: true, cell: (e) => bytes(e.value.bytes) },
    { id: "expires", label: "Goes", cell: (e) => <Ago at={e.expires} /> },
    {
      id: "open",
      label: "Entry",
      cell: (e) => (
        <button type="button" class="small" onClick={() => open(e)}>
          Open<span class="sr-only"> entry {visibleLine(e.key.text ?? "with a binary key")}</span>
        </button>
      ),
    },
  ];
}
