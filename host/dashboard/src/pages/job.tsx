import { useEffect, useRef } from "preact/hooks";
import type { JobStatus, Part, UnderWay } from "../api/types.ts";
import { count, digest, duration } from "../lib/format.ts";
import { jobs, now, unwatch, watch, watched } from "../state/live.ts";
import { href } from "../state/route.ts";
import type { Watched } from "../state/watched.ts";
import { Empty, Loading, Note } from "../ui/panel.tsx";
import { StatePill } from "../ui/state.tsx";
import { Ago, Said, Since, Words } from "../ui/text.tsx";
import { useTitle } from "../ui/title.ts";
import { BatchesTab } from "./batches.tsx";
import { DeadLettersTab } from "./dead-letters.tsx";
import { Actions } from "./job-actions.tsx";
import { LogsTab } from "./logs.tsx";
import { OverviewTab } from "./overview.tsx";
import { ReplayTab } from "./replay.tsx";
import { SettingsTab } from "./settings.tsx";
import { ShadowTab } from "./shadow.tsx";
import { StagesTab } from "./stages.tsx";
import { VersionsTab } from "./versions.tsx";
import { WatermarksTab } from "./watermarks.tsx";

interface Tab {
  id: string;
  label: string;
  parts: Part[];
}

const TABS: Tab[] = [
  { id: "overview", label: "Overview", parts: ["graph", "series"] },
  { id: "batches", label: "Batches", parts: ["batches"] },
  { id: "watermarks", label: "Watermarks", parts: ["watermarks"] },
  { id: "stages", label: "Stages", parts: ["stages"] },
  { id: "versions", label: "Versions", parts: [] },
  { id: "shadow", label: "Shadow", parts: [] },
  { id: "replay", label: "Replay", parts: [] },
  { id: "dead-letters", label: "Dead letters", parts: [] },
  { id: "logs", label: "Logs", parts: ["log"] },
  { id: "settings", label: "Settings", parts: [] },
];

export function JobPage({ job, tab, rest }: { job: string; tab: string; rest: string[] }) {
  const shown = TABS.find((t) => t.id === tab);
  useEffect(() => {
    watch(job, shown?.parts ?? []);
  }, [job, shown]);
  useEffect(() => unwatch, []);
  const of = watched.value?.job === job ? watched.value : null;
  const gone = of?.gone.value;
  const state = of?.status.value?.state;
  const title = shown && shown.id !== "overview" ? `${job}, ${shown.label.toLowerCase()}` : job;
  useTitle(title, state === "stopped" || state === "retrying");
  return (
    <div class="page">
      <Head job={job} status={gone ? null : (of?.status.value ?? null)} />
      {gone ? <Gone words={gone} /> : <Tabs job={job} tab={tab} status={of?.status.value ?? null} />}
      {!gone && of?.status.value && <Trouble status={of.status.value} />}
      {!gone && <Body of={of} tab={shown} rest={rest} />}
    </div>
  );
}

function Gone({ words }: { words: string }) {
  return (
    <Empty title="This job is not deployed">
      <p>
        <Words text={words} />
      </p>
      <p>
        <a href="#/">All jobs</a>
      </p>
    </Empty>
  );
}

function Body({ of, tab, rest }: { of: Watched | null; tab: Tab | undefined; rest: string[] }) {
  if (!tab) return <Empty title="There is no such page" />;
  const status = of?.status.value;
  if (!of || !status) return <Loading what="the job" />;
  switch (tab.id) {
    case "batches":
      return <BatchesTab of={of} />;
    case "watermarks":
      return <WatermarksTab of={of} />;
    case "stages":
      return <StagesTab of={of} stage={rest[0] ?? null} />;
    case "versions":
      return <VersionsTab status={status} />;
    case "shadow":
      return <ShadowTab status={status} />;
    case "replay":
      return <ReplayTab status={status} />;
    case "dead-letters":
      return <DeadLettersTab status={status} />;
    case "logs":
      return <LogsTab of={of} />;
    case "settings":
      return <SettingsTab status={status} />;
    default:
      return <OverviewTab of={of} status={status} />;
  }
}

function Head({ job, status }: { job: string; status: JobStatus | null }) {
  const summary = jobs.value?.find((j) => j.job === job);
  const state = status?.state ?? summary?.state;
  const version = status?.version ?? summary?.version;
  return (
    <div class="page-head job-head">
      <div class="job-title">
        <nav class="crumbs" aria-label="Breadcrumb">
          <a href="#/">Jobs</a> <span aria-hidden="true">/</span>
        </nav>
        <h1>
          <Said text={job} />
        </h1>
        {state && (
          <p class="job-facts">
            <StatePill state={state} large />
            {(status?.since ?? summary?.since) && (
              <span class="quiet">
                for <Since at={status?.since ?? summary?.since} />
              </span>
            )}
            <a href={href(["jobs", job, "versions"])}>version {version}</a>
            <span class="quiet">
              deployed <Ago at={status?.deployed_at ?? summary?.deployed_at} />
            </span>
            {status && <code title={status.digest}>{digest(status.digest)}</code>}
            {status && <span class="quiet">{interval(status.every_ms)}</span>}
          </p>
        )}
      </div>
      {status && <Actions status={status} />}
    </div>
  );
}

function interval(ms: number): string {
  return ms === 0 ? "a batch as soon as the pipeline is free" : `a batch every ${duration(ms)}`;
}

function Tabs({ job, tab, status }: { job: string; tab: string; status: JobStatus | null }) {
  const nav = useRef<HTMLElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another tab is another one to be seen
  useEffect(() => {
    nav.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [tab]);
  const counts: Record<string, number | undefined> = {
    stages: status?.stages.length,
    shadow: status?.shadow?.differing,
    replay: status?.replay?.differing,
    "dead-letters": status?.dead_letters,
  };
  return (
    <nav class="tabs" aria-label="Job" ref={nav}>
      {TABS.map(({ id, label }) => (
        <a
          key={id}
          href={href(id === "overview" ? ["jobs", job] : ["jobs", job, id])}
          aria-current={id === tab ? "page" : undefined}
        >
          {label}
          {(counts[id] ?? 0) > 0 && <span class="tab-count">{count(counts[id])}</span>}
        </a>
      ))}
    </nav>
  );
}

/** How long a batch may be in one step before the page says so. */
const SLOW_STEP_MS = 10_000;

function slowBatch(status: JobStatus): UnderWay | null {
  const batch = status.under_way ?? null;
  if (batch === null || status.state !== "running") return null;
  return now.value - Date.parse(batch.since) >= SLOW_STEP_MS ? batch : null;
}

/** Why the job does not run, in the host's words; an old error is shown as what it is. */
function Trouble({ status }: { status: JobStatus }) {
  const why = status.reason ?? status.waiting_for?.what ?? status.last_error;
  if (status.state === "stopped") {
    return (
      <Note tone="bad" icon="stopped">
        <b>The job stopped.</b> {why && <Words text={why} />}
      </Note>
    );
  }
  if (status.state === "retrying") {
    return (
      <Note tone="warn" icon="retrying">
        <b>
          The job waits, for <Since at={status.waiting_for?.since ?? status.since} />, and tries again by
          itself.
        </b>{" "}
        {why && <Words text={why} />}
      </Note>
    );
  }
  if (status.over_budget) {
    return (
      <Note tone="warn" icon="warn">
        <b>Version {status.version} is over its budget.</b> <Words text={status.over_budget} />
      </Note>
    );
  }
  const slow = slowBatch(status);
  if (slow !== null) {
    return (
      <Note tone="warn" icon="warn">
        <b>
          Batch {count(slow.batch)} has been in its step <code>{slow.step}</code> for{" "}
          <Since at={slow.since} />.
        </b>{" "}
        It has {count(slow.records)} records; what is counted here are those of batches before it.
      </Note>
    );
  }
  if (!status.last_error) return null;
  return (
    <details class="old-error">
      <summary>
        Last error {status.last_error_at && <Ago at={status.last_error_at} />}; the job is {status.state} now
      </summary>
      <p>
        <Words text={status.last_error} />
      </p>
    </details>
  );
}
