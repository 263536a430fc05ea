import { useState } from "preact/hooks";
import { call } from "../api/client.ts";
import type { Deployed, JobStatus } from "../api/types.ts";
import { bytes, count } from "../lib/format.ts";
import { plural } from "../lib/text.ts";
import { forbidden } from "../state/me.ts";
import { say } from "../state/notices.ts";
import { go } from "../state/route.ts";
import { Confirm } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { RoleButton, RoleNote } from "../ui/role.tsx";
import { Said } from "../ui/text.tsx";

type Ask = "pause" | "resume" | "rollback" | "undeploy" | null;

/** What can be done to a job as it is now. */
export function Actions({ status }: { status: JobStatus }) {
  const [ask, setAsk] = useState<Ask>(null);
  const runs = status.state === "running" || status.state === "retrying";
  const close = () => setAsk(null);
  return (
    <div class="actions">
      {runs ? (
        <RoleButton needs="operate" onClick={() => setAsk("pause")}>
          <Icon name="paused" /> Pause
        </RoleButton>
      ) : (
        <RoleButton needs="operate" class="primary" onClick={() => setAsk("resume")}>
          <Icon name="running" /> Resume
        </RoleButton>
      )}
      <RoleButton needs="operate" onClick={() => setAsk("rollback")}>
        <Icon name="rollback" /> Roll back
      </RoleButton>
      <RoleButton needs="deploy" class="danger-text" onClick={() => setAsk("undeploy")}>
        <Icon name="trash" /> Undeploy
      </RoleButton>
      <RoleNote needs={forbidden("operate") === null ? "deploy" : "operate"} />
      {ask === "pause" && <Pause status={status} close={close} />}
      {ask === "resume" && <Resume status={status} close={close} />}
      {ask === "rollback" && <Rollback job={status.job} version={null} close={close} />}
      {ask === "undeploy" && <Undeploy status={status} close={close} />}
    </div>
  );
}

interface DialogProps {
  status: JobStatus;
  close(): void;
}

function Pause({ status: { job }, close }: DialogProps) {
  const run = async () => {
    const now = await call<JobStatus>(["v1", "jobs", job, "pause"], { method: "POST" });
    say("good", `${job} is ${now.state}.`);
  };
  return (
    <Confirm title="Pause the job?" action="Pause" run={run} close={close}>
      <p>
        <Said text={job} /> stops after the batch under way, and goes on from there when you resume it.
        Records that come meanwhile stay in their topics; its lag grows.
      </p>
    </Confirm>
  );
}

function Resume({ status: { job, state }, close }: DialogProps) {
  const [skip, setSkip] = useState(false);
  const run = async () => {
    const json = skip ? { skip_lost: true } : undefined;
    const now = await call<JobStatus>(["v1", "jobs", job, "resume"], { method: "POST", json });
    const why = now.waiting_for?.what ?? now.reason ?? now.last_error;
    const bad = now.state === "stopped" || now.state === "retrying";
    say(bad ? "bad" : "good", bad && why ? `${job} is ${now.state}: ${why}` : `${job} is ${now.state}.`);
  };
  const words: Record<string, string> = {
    paused: "goes on after its last batch.",
    stopped: "tries again from where it stopped. If the cause is still there, it stops again and says so.",
    finished: "reads on from where its sources had ended.",
  };
  return (
    <Confirm title="Resume the job?" action="Resume" run={run} close={close}>
      <p>
        <Said text={job} /> {words[state] ?? "goes on."}
      </p>
      {state === "stopped" && (
        <p class="check">
          <input id="skip" type="checkbox" checked={skip} onInput={(e) => setSkip(e.currentTarget.checked)} />
          <label for="skip">
            Skip records that are gone from their topics. They are lost for this job; its log says which they
            were.
          </label>
        </p>
      )}
    </Confirm>
  );
}

interface RollbackProps {
  job: string;
  /** None: the one that was active before. */
  version: number | null;
  close(): void;
}

export function Rollback({ job, version, close }: RollbackProps) {
  const run = async () => {
    const json = version === null ? undefined : { version };
    const done = await call<Deployed>(["v1", "jobs", job, "rollback"], { method: "POST", json });
    const paused = done.paused ? " The job is paused: it runs once you resume it." : "";
    say(
      "good",
      `${job} has version ${done.version} active, deployment ${done.deployment}.${paused}`,
      done.warnings,
    );
  };
  return (
    <Confirm title="Roll back?" action="Roll back" run={run} close={close}>
      <p>
        {version === null ? "The version that was active before this one" : `Version ${version}`} takes over
        between two batches of <Said text={job} />. Offsets and state stay; rows that the newer version wrote
        stay as well.
      </p>
    </Confirm>
  );
}

/** Says what goes and what stays before anything does. */
function Undeploy({ status, close }: DialogProps) {
  const { job, stages, sinks, sources } = status;
  const keys = stages.reduce((sum, stage) => sum + stage.keys, 0);
  const size = stages.reduce((sum, stage) => sum + stage.bytes, 0);
  const partitions = sources.reduce((sum, source) => sum + Object.keys(source.reached).length, 0);
  const run = async () => {
    await call<null>(["v1", "jobs", job], { method: "DELETE" });
    say("good", `${job} is undeployed.`);
    go("#/");
  };
  return (
    <Confirm title="Undeploy the job?" action="Undeploy" danger typed={job} run={run} close={close}>
      <h3>What goes</h3>
      <ul>
        {stages.length > 0 && (
          <li>
            the state of {plural(stages.length, "keyed stage")}: {plural(keys, "key")}, {bytes(size)}
          </li>
        )}
        <li>its position in {plural(partitions, "partition")}, as the host keeps it</li>
        <li>
          its counts ({count(status.records_in)} records in, {count(status.rows_out)} rows out), its versions,
          history and log
        </li>
      </ul>
      <h3>What stays</h3>
      <ul>
        {sinks.map((sink) => (
          <li key={sink.name}>
            the rows in {sink.kind} <Said text={sink.place} />
          </li>
        ))}
        <li>
          {status.dead_letters > 0 ? `${plural(status.dead_letters, "dead letter")} in` : "the topic"}{" "}
          <Said text={status.dead_letter_topic} />
        </li>
        <li>
          the consumer group <Said text={status.group} />, where a new deploy of the same name begins
          {stages.length > 0 ? ", unless it has keyed stages: they begin anew at their start" : ""}
        </li>
      </ul>
    </Confirm>
  );
}
