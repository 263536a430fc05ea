import { useState } from "preact/hooks";
import { call } from "../api/client.ts";
import type { Deployment, JobStatus } from "../api/types.ts";
import { bytes, digest } from "../lib/format.ts";
import { visibleLine } from "../lib/text.ts";
import { forbidden } from "../state/me.ts";
import { Icon } from "../ui/icon.tsx";
import { Empty, Failure, Loading, Panel } from "../ui/panel.tsx";
import { RoleButton } from "../ui/role.tsx";
import { Ago, At, Copy, Said, Words } from "../ui/text.tsx";
import { useResource } from "../ui/use.ts";
import { Canary, part } from "./canary.tsx";
import { Rollback } from "./job-actions.tsx";

const KINDS: Record<Deployment["kind"], string> = {
  deploy: "deployed",
  rollback: "rolled back by a user",
  "automatic-rollback": "rolled back by the host",
  canary: "beside a canary",
};

/** Every deployment, newest first. A new one is asked for at once, as its number is in the status. */
export function VersionsTab({ status }: { status: JobStatus }) {
  const found = useResource(`${status.job} ${status.deployment}`, (signal) =>
    call<Deployment[]>(["v1", "jobs", status.job, "history"], { signal }),
  );
  const [back, setBack] = useState<number | null>(null);
  const all = found.value;
  const deploy = forbidden("deploy") === null && (
    <a class="button" href="#/deploy">
      <Icon name="upload" /> Deploy a new version
    </a>
  );
  return (
    <>
      <Canary status={status} />
      <Panel title="Deployments" note="newest first" actions={deploy}>
        {found.error !== null && <Failure text={found.error} again={found.again} />}
        {all === null ? (
          found.error === null && <Loading what="the deployments" again={found.again} />
        ) : all.length === 0 ? (
          <Empty title="No deployment is known" />
        ) : (
          <ol class="deployments">
            {all.map((entry, i) => (
              <Entry key={entry.number} entry={entry} before={all[i + 1]} back={setBack} />
            ))}
          </ol>
        )}
        {back !== null && <Rollback job={status.job} version={back} close={() => setBack(null)} />}
      </Panel>
    </>
  );
}

interface EntryProps {
  entry: Deployment;
  before: Deployment | undefined;
  back(version: number): void;
}

function Entry({ entry, before, back }: EntryProps) {
  const size = entry.component_bytes;
  return (
    <li class={entry.active ? "deployment active" : "deployment"}>
      <div class="deployment-head">
        <h3>Version {entry.version}</h3>
        {entry.active && (
          <span class="tag tone-running">
            <Icon name="finished" size={12} /> active
          </span>
        )}
        {entry.canary && (
          <span class="tag tone-retrying">
            <Icon name="up" size={12} /> version {entry.canary.version} runs {part(entry.canary.share)}
          </span>
        )}
        {entry.kind === "automatic-rollback" && (
          <span class="tag tone-retrying">
            <Icon name="warn" size={12} /> automatic
          </span>
        )}
        {entry.reset && (
          <span class="tag tone-retrying">
            <Icon name="warn" size={12} /> state reset
          </span>
        )}
        {entry.replan && (
          <span class="tag tone-retrying" title="What was planned was given up, and its records run anew">
            <Icon name="warn" size={12} /> planned anew
          </span>
        )}
        <span class="grow" />
        {!entry.active && (
          <RoleButton needs="operate" onClick={() => back(entry.version)}>
            <Icon name="rollback" /> Roll back to this<span class="sr-only">, version {entry.version}</span>
          </RoleButton>
        )}
      </div>
      <p class="quiet">
        Deployment {entry.number}, {KINDS[entry.kind]} <Ago at={entry.at} /> (<At at={entry.at} />)
        {entry.sdk && (
          <>
            , SDK <Said text={entry.sdk} />
          </>
        )}
        {size != null && `, ${bytes(size)}`}
        {entry.signed_by != null && (
          <>
            , signed by <Said text={entry.signed_by} />
          </>
        )}
      </p>
      {entry.reason && (
        <p class="deployment-reason">
          <Words text={entry.reason} />
        </p>
      )}
      <p class="deployment-digest">
        <code title={entry.digest}>sha256:{digest(entry.digest)}…</code>{" "}
        <Copy text={entry.digest} label="Copy the digest" />
        {before?.digest === entry.digest && <span class="quiet"> same component as the one before</span>}
      </p>
      <Pairs settings={entry.settings} before={before?.settings ?? {}} />
    </li>
  );
}

/** The settings it was deployed with; what differs from the one before is marked. */
function Pairs({ settings, before }: { settings: Record<string, string>; before: Record<string, string> }) {
  const pairs = Object.entries(settings);
  const gone = Object.keys(before).filter((key) => !(key in settings));
  if (pairs.length + gone.length === 0) return null;
  return (
    <ul class="pairs">
      {pairs.map(([key, value]) => (
        <li key={key} class={before[key] === value ? "" : "differs"}>
          <code>
            <Said text={`${key}=${value}`} />
          </code>
          {before[key] !== value && (
            <span class="quiet"> {key in before ? `was ${visibleLine(before[key] ?? "")}` : "new"}</span>
          )}
        </li>
      ))}
      {gone.map((key) => (
        <li key={key} class="differs">
          <code>
            <Said text={key} />
          </code>
          <span class="quiet"> no longer set</span>
        </li>
      ))}
    </ul>
  );
}
