import { useCallback, useId, useState } from "preact/hooks";
import { call, type Query } from "../api/client.ts";
import type { JobStatus, Letter, LetterPage, LetterResults, Retried } from "../api/types.ts";
import { count } from "../lib/format.ts";
import { plural, truncate, visibleLine } from "../lib/text.ts";
import { lacks } from "../state/live.ts";
import { say } from "../state/notices.ts";
import { param, setParams } from "../state/route.ts";
import { Confirm } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Empty, Failure, Loading, Note, Panel } from "../ui/panel.tsx";
import { RoleButton, RoleNote } from "../ui/role.tsx";
import { type Column, DataTable } from "../ui/table.tsx";
import { Ago, Preview, Said } from "../ui/text.tsx";
import { useDebounced, useResource } from "../ui/use.ts";
import { LetterDialog } from "./letter.tsx";

const FILTERS = ["stage", "reason", "status", "since"] as const;
const PAGE = "50";

function filters(): Query {
  const pairs = FILTERS.map((name): [string, string] => [name, param(name)]);
  return pairs.filter(([, value]) => value !== "");
}

export function DeadLettersTab({ status }: { status: JobStatus }) {
  const query: Query = [["limit", PAGE], ...filters()];
  const before = param("before");
  if (before) query.push(["before", before]);
  // Asked again when the count has changed: the first page is then another one.
  const key = `${status.job} ${JSON.stringify(query)} ${before === "" ? status.dead_letters : ""}`;
  const found = useResource(key, (signal) =>
    call<LetterPage>(["v1", "jobs", status.job, "dead-letters"], { query, signal }),
  );
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const page = found.value;
  const done = () => {
    setMarked(new Set());
    found.again();
  };
  return (
    <Panel
      title="Dead letters"
      note={
        <>
          records set aside with a reason, in the topic{" "}
          <Said text={page?.topic ?? status.dead_letter_topic} />
        </>
      }
    >
      <Filters page={page} />
      {found.error !== null && <Failure text={found.error} again={found.again} />}
      {page === null ? (
        found.error === null && <Loading what="the dead letters" again={found.again} />
      ) : page.letters.length === 0 ? (
        <None job={status} page={page} />
      ) : (
        <>
          {!lacks("letters-retry") && (
            <Bar job={status.job} page={page} marked={marked} setMarked={setMarked} done={done} />
          )}
          <DataTable
            caption="Dead letters"
            cards
            name="letters"
            rows={page.letters}
            columns={columns(marked, setMarked)}
            id={(letter) => letter.id}
            rowClass={(letter) => (letter.status === "new" ? "" : "is-done")}
          />
          <Pager page={page} />
        </>
      )}
      <LetterDialog
        job={status.job}
        id={param("letter")}
        done={done}
        close={() => setParams({ letter: null })}
      />
    </Panel>
  );
}

function None({ job, page }: { job: JobStatus; page: LetterPage }) {
  if (filters().length > 0) {
    return (
      <Empty title="No dead letter matches">
        <p>{plural(page.scanned, "letter was", "letters were")} looked at.</p>
        <button
          type="button"
          onClick={() => setParams({ stage: null, reason: null, status: null, since: null })}
        >
          Show all
        </button>
      </Empty>
    );
  }
  return (
    <Empty title="No dead letters">
      <p>
        Every record that <Said text={job.job} /> has read became a row or state, was filtered, or came late.
      </p>
    </Empty>
  );
}

const SINCE: [string, string][] = [
  ["", "any time"],
  ["1h", "last hour"],
  ["24h", "last day"],
  ["7d", "last week"],
];

function Filters({ page }: { page: LetterPage | null }) {
  const [text, setText] = useState(param("reason"));
  const id = useId();
  const set = useCallback((reason: string) => setParams({ reason, before: null }), []);
  useDebounced(text, 300, set);
  return (
    <>
      <div class="filters">
        <p class="search">
          <label class="sr-only" for={`${id}r`}>
            Reason holds
          </label>
          <Icon name="search" />
          <input
            id={`${id}r`}
            type="search"
            placeholder="Reason holds"
            value={text}
            onInput={(e) => setText(e.currentTarget.value)}
          />
        </p>
        <Choice name="stage" label="Stage" options={[["", "every stage"], ...stageOptions(page)]} />
        <Choice
          name="status"
          label="Status"
          options={[
            ["", "new, retried, dropped"],
            ["new", "new"],
            ["retried", "retried"],
            ["dropped", "dropped"],
          ]}
        />
        <Choice name="since" label="Time" options={SINCE} />
      </div>
      {page && page.reasons.length > 1 && text === "" && (
        <ul class="reasons" aria-label="The most frequent reasons">
          {page.reasons.slice(0, 6).map(({ reason, count: n }) => (
            <li key={reason}>
              <button
                type="button"
                class="chip"
                onClick={() => {
                  setText(reason);
                  set(reason);
                }}
              >
                <Said text={truncate(reason, 60)} /> <b>{count(n)}</b>
              </button>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function stageOptions(page: LetterPage | null): [string, string][] {
  const found = (page?.stages ?? []).map(({ stage, count: n }): [string, string] => [
    stage,
    `${visibleLine(stage)} (${count(n)})`,
  ]);
  const chosen = param("stage");
  return chosen === "" || found.some(([stage]) => stage === chosen)
    ? found
    : [...found, [chosen, visibleLine(chosen)]];
}

function Choice({ name, label, options }: { name: string; label: string; options: [string, string][] }) {
  const id = useId();
  return (
    <p class="choice">
      <label class="sr-only" for={id}>
        {label}
      </label>
      <select
        id={id}
        value={param(name)}
        onChange={(e) => setParams({ [name]: e.currentTarget.value, before: null })}
      >
        {options.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </p>
  );
}

type Marked = ReadonlySet<string>;

interface BarProps {
  job: string;
  page: LetterPage;
  marked: Marked;
  setMarked(marked: Marked): void;
  done(): void;
}

/** What can be done with the letters that are marked. */
function Bar({ job, page, marked, setMarked, done }: BarProps) {
  const [ask, setAsk] = useState<"retry" | "drop" | null>(null);
  const fresh = page.letters.filter((letter) => letter.status === "new").map((letter) => letter.id);
  const all = fresh.length > 0 && fresh.every((id) => marked.has(id));
  const chosen = page.letters.filter((letter) => marked.has(letter.id));
  const id = useId();
  return (
    <div class="mark-bar-row">
      <p class="check">
        <input
          id={id}
          type="checkbox"
          checked={all}
          disabled={fresh.length === 0}
          onInput={() => setMarked(all ? new Set() : new Set(fresh))}
        />
        <label for={id}>
          {marked.size === 0
            ? `Mark the ${fresh.length} new ones of this page`
            : `${plural(marked.size, "letter")} marked`}
        </label>
      </p>
      <span class="grow" />
      <RoleNote needs="operate" />
      <RoleButton needs="operate" disabled={marked.size === 0} onClick={() => setAsk("retry")}>
        <Icon name="retrying" /> Retry
      </RoleButton>
      <RoleButton
        needs="operate"
        class="danger-text"
        disabled={marked.size === 0}
        onClick={() => setAsk("drop")}
      >
        <Icon name="trash" /> Drop
      </RoleButton>
      {ask && <Act job={job} what={ask} letters={chosen} done={done} close={() => setAsk(null)} />}
    </div>
  );
}

interface ActProps {
  job: string;
  what: "retry" | "drop";
  letters: Letter[];
  done(): void;
  close(): void;
}

/** Asks, sends, and says what became of each. */
export function Act({ job, what, letters, done, close }: ActProps) {
  const again = letters.filter((letter) => letter.status === "retried").length;
  const run = async () => {
    const json = { ids: letters.map((letter) => letter.id), again: again > 0 };
    const said = await call<LetterResults>(["v1", "jobs", job, "dead-letters", what], {
      method: "POST",
      json,
    });
    const [tone, text, details] = results(what, said);
    say(tone, text, details);
    done();
  };
  return (
    <Confirm
      title={
        what === "retry"
          ? `Retry ${plural(letters.length, "letter")}?`
          : `Drop ${plural(letters.length, "letter")}?`
      }
      action={what === "retry" ? "Retry" : "Drop"}
      danger={what === "drop"}
      run={run}
      close={close}
    >
      {what === "retry" ? (
        <p>
          The active version of <Said text={job} /> is given the records again. A record that is refused again
          becomes a new dead letter; each is marked, so that none is retried twice by accident.
        </p>
      ) : (
        <p>
          They are marked as dropped and no longer counted as new. The topic keeps them for as long as it
          keeps records.
        </p>
      )}
      {again > 0 && (
        <Note tone="warn" icon="warn">
          {plural(again, "letter was", "letters were")} retried before: rows may be written twice.
        </Note>
      )}
    </Confirm>
  );
}

function results(what: "retry" | "drop", said: LetterResults): ["good" | "bad", string, string[]] {
  const skipped = said.skipped > 0 ? `, ${said.skipped} skipped` : "";
  if (what === "drop") return ["good", `${plural(said.done, "dead letter")} dropped${skipped}.`, []];
  const rows = said.results.reduce((sum, r) => sum + r.rows, 0);
  const failed = said.results.filter((r) => r.outcome === "dead-letter");
  const text = `${plural(said.done, "dead letter")} retried: ${plural(rows, "row")} delivered, ${failed.length} refused again${skipped}.`;
  const why = said.results.filter((r) => r.reason !== null).map((r) => `${r.id}: ${r.reason}`);
  return [failed.length + said.skipped > 0 ? "bad" : "good", text, why.slice(0, 5)];
}

const OUTCOMES: Record<Retried["outcome"], string> = {
  delivered: "delivered",
  dropped: "filtered",
  "dead-letter": "refused again",
};

export function statusWords(letter: Letter): string {
  if (letter.status === "retried" && letter.retried) return `retried, ${OUTCOMES[letter.retried.outcome]}`;
  return letter.status;
}

function columns(marked: Marked, setMarked: (marked: Marked) => void): Column<Letter>[] {
  const toggle = (id: string) => {
    const next = new Set(marked);
    if (!next.delete(id)) next.add(id);
    setMarked(next);
  };
  const all: Column<Letter>[] = [
    {
      id: "mark",
      label: "Mark",
      cell: (letter) => (
        <input
          type="checkbox"
          checked={marked.has(letter.id)}
          disabled={letter.status === "dropped"}
          aria-label={`Mark letter ${letter.id}`}
          onInput={() => toggle(letter.id)}
        />
      ),
    },
    {
      id: "reason",
      label: "Reason",
      wide: true,
      cell: (letter) => (
        <button type="button" class="link reason" onClick={() => setParams({ letter: letter.id }, true)}>
          <Said text={truncate(letter.reason, 120)} />
        </button>
      ),
    },
    { id: "key", label: "Key", cell: (letter) => <Preview value={letter.key} /> },
    { id: "value", label: "Value", wide: true, cell: (letter) => <Preview value={letter.value} /> },
    { id: "origin", label: "From", cell: (letter) => <Origin letter={letter} /> },
    { id: "version", label: "Version", number: true, cell: (letter) => `v${letter.version}` },
    { id: "at", label: "When", cell: (letter) => <Ago at={letter.at} /> },
    {
      id: "status",
      label: "Status",
      cell: (letter) => <span class={`tag letter-${letter.status}`}>{statusWords(letter)}</span>,
    },
  ];
  return lacks("letters-retry") ? all.filter(({ id }) => id !== "mark" && id !== "status") : all;
}

export function Origin({ letter }: { letter: Letter }) {
  if (letter.source) {
    return (
      <span class="origin">
        <Said text={letter.source.topic} />/{letter.source.partition}@{letter.source.offset}
      </span>
    );
  }
  if (letter.stage) {
    return (
      <>
        stage <Said text={letter.stage} />
      </>
    );
  }
  return letter.sink ? (
    <>
      sink <Said text={letter.sink} />
    </>
  ) : (
    <span class="quiet">–</span>
  );
}

function Pager({ page }: { page: LetterPage }) {
  return (
    <footer class="pager">
      <span class="quiet">{plural(page.scanned, "letter")} looked at</span>
      {param("before") !== "" && (
        <button type="button" onClick={() => setParams({ before: null }, true)}>
          Newest
        </button>
      )}
      {page.next !== null && (
        <button type="button" onClick={() => setParams({ before: page.next }, true)}>
          Older
        </button>
      )}
    </footer>
  );
}
