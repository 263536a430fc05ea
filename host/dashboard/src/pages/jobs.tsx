import { useId } from "preact/hooks";
import type { JobState, JobSummary } from "../api/types.ts";
import { compact, count, duration, rate } from "../lib/format.ts";
import { plural, visible } from "../lib/text.ts";
import { connection, jobs, stale } from "../state/live.ts";
import { forbidden } from "../state/me.ts";
import { href, param, setParams } from "../state/route.ts";
import { Icon } from "../ui/icon.tsx";
import { Empty, Failure, Loading } from "../ui/panel.tsx";
import { Sparkline } from "../ui/sparkline.tsx";
import { STATES, StatePill } from "../ui/state.tsx";
import { type Column, DataTable } from "../ui/table.tsx";
import { Ago, Said, Since, Words } from "../ui/text.tsx";
import { useTitle } from "../ui/title.ts";

/** All jobs: trouble first, then by name. */
export function JobsPage() {
  const all = jobs.value;
  useTitle(
    "Jobs",
    all?.some((job) => job.state === "stopped" || job.state === "retrying"),
  );
  const state = param("state");
  const text = param("find").toLowerCase();
  const shown = all
    ?.filter((job) => (state === "" || job.state === state) && holds(job, text))
    .toSorted(trouble);
  return (
    <div class="page">
      <div class="page-head">
        <h1>Jobs</h1>
        <span class="grow" />
        {forbidden("deploy") === null && (
          <a class="button primary" href="#/deploy">
            <Icon name="upload" /> Deploy
          </a>
        )}
      </div>
      {all === null || shown === undefined ? (
        <Waits />
      ) : all.length === 0 ? (
        <None />
      ) : (
        <List all={all} shown={shown} />
      )}
    </div>
  );
}

function Waits() {
  const state = connection.value;
  return state.state === "lost" ? <Failure text={state.why} /> : <Loading what="the list of jobs" />;
}

function None() {
  return (
    <Empty title="No job is deployed">
      <p>
        Build one with <code>streamhost build</code>, then <a href="#/deploy">drop the component here</a> or
        run <code>streamhost deploy FILE.wasm</code>.
      </p>
    </Empty>
  );
}

function List({ all, shown }: { all: JobSummary[]; shown: JobSummary[] }) {
  return (
    <>
      <Filters all={all} />
      {shown.length === 0 ? (
        <Empty title="No job matches">
          <button type="button" onClick={() => setParams({ state: null, find: null })}>
            Show all {all.length}
          </button>
        </Empty>
      ) : (
        <div class="panel flush">
          <DataTable
            caption="Jobs"
            cards
            rows={shown}
            columns={COLUMNS}
            id={(job) => job.job}
            rowClass={(job) => `job-row row-${stale.value ? "stale" : job.state}`}
            sortParam="sort"
          />
        </div>
      )}
    </>
  );
}

function Filters({ all }: { all: JobSummary[] }) {
  const chosen = param("state");
  const counted = STATES.map((state): [JobState, number] => [
    state,
    all.filter((job) => job.state === state).length,
  ]);
  const id = useId();
  return (
    <div class="filters">
      <fieldset class="chips">
        <legend class="sr-only">Show jobs by state</legend>
        <Chip label="all" count={all.length} on={chosen === ""} state="" />
        {counted
          .filter(([, n]) => n > 0)
          .map(([state, n]) => (
            <Chip key={state} label={state} count={n} on={chosen === state} state={state} />
          ))}
      </fieldset>
      <span class="grow" />
      <p class="search">
        <label class="sr-only" for={id}>
          Find a job, topic or table
        </label>
        <Icon name="search" />
        <input
          id={id}
          type="search"
          placeholder="Job, topic or table"
          value={param("find")}
          onInput={(e) => setParams({ find: e.currentTarget.value })}
        />
      </p>
    </div>
  );
}

function Chip({
  label,
  count: n,
  on,
  state,
}: {
  label: string;
  count: number;
  on: boolean;
  state: JobState | "";
}) {
  return (
    <button
      type="button"
      class={`chip tone-${state || "all"}`}
      aria-pressed={on}
      onClick={() => setParams({ state })}
    >
      {state !== "" && <Icon name={state} size={14} />}
      {label} <b>{n}</b>
    </button>
  );
}

function holds(job: JobSummary, text: string): boolean {
  if (text === "") return true;
  const ends = [...job.sources, ...job.sinks].map((end) => `${end.kind} ${end.name} ${end.target}`);
  return [job.job, ...ends].some((said) => said.toLowerCase().includes(text));
}

function trouble(a: JobSummary, b: JobSummary): number {
  const rank = (job: JobSummary) => (job.state === "stopped" ? 0 : job.state === "retrying" ? 1 : 2);
  return rank(a) - rank(b) || a.job.localeCompare(b.job, "en");
}

const COLUMNS: Column<JobSummary>[] = [
  { id: "job", label: "Job", wide: true, sort: (job) => job.job, cell: (job) => <Name job={job} /> },
  { id: "state", label: "State", sort: (job) => job.state, cell: (job) => <State job={job} /> },
  {
    id: "version",
    label: "Version",
    number: true,
    sort: (job) => job.version,
    cell: (job) => (
      <span title={`deployment ${job.deployment}`}>
        v{job.version}
        <small class="quiet">
          <Ago at={job.deployed_at} />
        </small>
      </span>
    ),
  },
  {
    id: "records",
    label: "Records/s",
    number: true,
    sort: (job) => job.records_per_second,
    cell: (job) => (
      <span class="with-spark">
        {job.recent && (
          <Sparkline
            values={job.recent}
            label={`Records a second, last ${plural(job.recent.length, "minute")}`}
          />
        )}
        <b>{live(job) ? rate(job.records_per_second) : "–"}</b>
      </span>
    ),
  },
  {
    id: "rows",
    label: "Rows/s",
    number: true,
    sort: (job) => job.rows_per_second,
    cell: (job) => (live(job) ? rate(job.rows_per_second) : "–"),
  },
  { id: "lag", label: "Lag", number: true, sort: (job) => job.lag, cell: (job) => <Lag job={job} /> },
  {
    id: "dead",
    label: "Dead letters",
    number: true,
    sort: (job) => job.dead_letters,
    cell: (job) =>
      job.dead_letters === 0 ? (
        <span class="quiet">0</span>
      ) : (
        <a href={href(["jobs", job.job, "dead-letters"])}>{count(job.dead_letters)}</a>
      ),
  },
];

/** A job that does not run has no rate; neither has any while the host does not answer. */
function live(job: JobSummary): boolean {
  return !stale.value && (job.state === "running" || job.state === "retrying");
}

function ends(list: JobSummary["sources"]): string {
  const [first, ...rest] = list;
  if (!first) return "–";
  return `${first.kind} ${first.target}${rest.length > 0 ? ` +${rest.length}` : ""}`;
}

function Name({ job }: { job: JobSummary }) {
  return (
    <>
      <a class="job-name" href={href(["jobs", job.job])}>
        <Said text={job.job} />
      </a>
      <small class="quiet route">
        <Said text={ends(job.sources)} /> <span aria-hidden="true">→</span>
        <span class="sr-only"> to </span> <Said text={ends(job.sinks)} />
      </small>
    </>
  );
}

function State({ job }: { job: JobSummary }) {
  const why = job.state === "retrying" || job.state === "stopped" ? job.reason : null;
  return (
    <>
      <StatePill state={job.state} />{" "}
      {!stale.value && job.since !== null && (
        <small class="quiet inline">
          for <Since at={job.since} />
        </small>
      )}
      {why !== null && (
        <small class="why" title={visible(why)}>
          <Words text={why} />
        </small>
      )}
    </>
  );
}

function Lag({ job }: { job: JobSummary }) {
  if (job.lag === null) return <span class="quiet">not known</span>;
  const change = job.lag_change_per_second ?? 0;
  const moving = live(job) && Math.abs(change) >= Math.max(1, job.lag * 0.001);
  return (
    <>
      {compact(job.lag)}
      {moving && (
        <span class={change > 0 ? "trend rising" : "trend falling"}>
          <Icon name={change > 0 ? "up" : "down"} size={12} />
          <span class="sr-only">{change > 0 ? "rising" : "falling"}</span>
        </span>
      )}
      {job.lag > 0 && job.lag_seconds !== null && (
        <small class="quiet">{duration(job.lag_seconds * 1000)}</small>
      )}
    </>
  );
}
