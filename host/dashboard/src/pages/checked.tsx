import { useState } from "preact/hooks";
import type { Change, Checked } from "../api/types.ts";
import { bytes, digest } from "../lib/format.ts";
import { plural } from "../lib/text.ts";
import { Confirm } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Facts, Note, Panel } from "../ui/panel.tsx";
import { RoleButton } from "../ui/role.tsx";
import { Ago, Said, Words } from "../ui/text.tsx";
import { GraphView } from "./graph.tsx";

interface CheckedProps {
  checked: Checked;
  asked: { resetState: boolean; createTables: boolean };
  deploy(): void;
}

const STATE_WORDS: Record<Checked["state"], string> = {
  none: "it keeps no state",
  kept: "carried on",
  migrated: "migrated with the first batch",
  "needs-reset": "does not fit: reset it, or change the stage",
};

/** What the host says of a component before it is active. */
export function CheckedView({ checked, asked, deploy }: CheckedProps) {
  const { errors, warnings, active } = checked;
  return (
    <>
      <Verdict checked={checked} asked={asked} deploy={deploy} />
      {errors.length > 0 && (
        <Note tone="bad" icon="stopped">
          <b>It would be refused:</b>
          <Sentences list={errors} />
        </Note>
      )}
      {warnings.length > 0 && (
        <Note tone="warn" icon="warn">
          <b>{plural(warnings.length, "warning")}:</b>
          <Sentences list={warnings} />
        </Note>
      )}
      <Panel title="Pipeline">
        <GraphView graph={checked.graph} job={null} />
      </Panel>
      <Panel title={active ? `What changes against version ${active.version}` : "What it is"}>
        <Facts
          facts={[
            ["Component", bytes(checked.component_bytes)],
            [
              "Digest",
              <code key="d" title={checked.digest}>
                {digest(checked.digest)}
              </code>,
            ],
            ["Contract", <Said key="c" text={checked.contract} />],
            ["SDK", checked.sdk ? <Said key="s" text={checked.sdk} /> : "–"],
            ["State", STATE_WORDS[checked.state]],
            ["Begins to read", <Said key="b" text={checked.starts} />],
          ]}
        />
        {active && <Changes changes={checked.changes} />}
        <Imports imports={checked.imports} />
      </Panel>
      <Panel title="Sinks">
        <ul class="sink-list">
          {checked.sinks.map((sink) => (
            <li key={sink.name}>
              <h3>
                <Said text={`${sink.kind} ${sink.target}`} />
                {sink.exists === false && (
                  <span class="tag tone-retrying">
                    <Icon name="warn" size={12} /> {asked.createTables ? "will be created" : "missing"}
                  </span>
                )}
                {sink.guarantee && <span class="tag">{sink.guarantee.replaceAll("-", " ")}</span>}
              </h3>
              <p class="columns">
                {sink.key && (
                  <code>
                    <Said text={sink.key} /> (key)
                  </code>
                )}
                {sink.columns.map((column) => (
                  <code key={column.name}>
                    <Said text={column.name} /> <span class="quiet">{column.type}</span>
                  </code>
                ))}
              </p>
            </li>
          ))}
        </ul>
      </Panel>
    </>
  );
}

function Sentences({ list }: { list: string[] }) {
  return (
    <ul>
      {list.map((sentence) => (
        <li key={sentence}>
          <Words text={sentence} />
        </li>
      ))}
    </ul>
  );
}

function Verdict({ checked, asked, deploy }: CheckedProps) {
  const [ask, setAsk] = useState(false);
  const { job, active, errors } = checked;
  const refused = errors.length > 0;
  return (
    <div class={refused ? "verdict bad" : "verdict good"} role="status">
      <Icon name={refused ? "stopped" : "finished"} size={22} />
      <div>
        <p class="verdict-title">
          <Said text={job} /> {refused ? "cannot be deployed like this" : "can be deployed"}
        </p>
        <p>
          {active ? (
            <>
              It takes over from version {active.version}, deployed <Ago at={active.deployed_at} />, between
              two batches.
            </>
          ) : (
            "It is a new job on this host."
          )}
        </p>
      </div>
      <span class="grow" />
      <RoleButton
        needs="deploy"
        class="primary"
        disabled={refused}
        onClick={() => (asked.resetState ? setAsk(true) : deploy())}
      >
        <Icon name="upload" /> Deploy
      </RoleButton>
      {ask && (
        <Confirm
          title="Deploy and reset the state?"
          action="Deploy and reset"
          danger
          typed={job}
          run={async () => deploy()}
          close={() => setAsk(false)}
        >
          <p>
            State, counts and positions of <Said text={job} /> are forgotten. It reads again from its start:
            rows are written again, dead letters are sent again.
          </p>
        </Confirm>
      )}
    </div>
  );
}

const SIGNS: Record<Change["kind"], string> = { added: "+", removed: "−", changed: "~" };

function Changes({ changes }: { changes: Change[] }) {
  if (changes.length === 0) return <p>Nothing but the code.</p>;
  return (
    <ul class="changes">
      {changes.map((change) => (
        <li key={`${change.what} ${change.name}`} class={`change-${change.kind}`}>
          <span class="sign" aria-hidden="true">
            {SIGNS[change.kind]}
          </span>
          <span>
            {change.kind} {change.what}{" "}
            <b>
              <Said text={change.name} />
            </b>
            {change.before !== null && (
              <>
                {" "}
                <del>
                  <Said text={change.before} />
                </del>
              </>
            )}
            {change.after !== null && (
              <>
                {" "}
                <ins>
                  <Said text={change.after} />
                </ins>
              </>
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Imports({ imports }: { imports: Checked["imports"] }) {
  if (imports.length === 0) return <p class="quiet">It imports nothing.</p>;
  return (
    <p class="columns">
      <span class="quiet">Imports: </span>
      {imports.map((one) => (
        <code key={one.name} class={one.allowed ? "" : "refused"}>
          <Said text={one.name} />
          {one.allowed ? "" : " (refused)"}
        </code>
      ))}
    </p>
  );
}
