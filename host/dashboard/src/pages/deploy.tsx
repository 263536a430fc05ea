import { useId, useRef, useState } from "preact/hooks";
import { CallError, type Query, upload, words } from "../api/client.ts";
import type { Checked, Deployed } from "../api/types.ts";
import { bytes, percent } from "../lib/format.ts";
import { plural, visibleLine } from "../lib/text.ts";
import { say } from "../state/notices.ts";
import { go, href } from "../state/route.ts";
import { Waiting } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Failure } from "../ui/panel.tsx";
import { RoleButton, RoleNote } from "../ui/role.tsx";
import { Said } from "../ui/text.tsx";
import { useTitle } from "../ui/title.ts";
import { CheckedView } from "./checked.tsx";

/** The host refuses larger ones; it is said before they are sent. */
const COMPONENT_BYTES_MAX = 64 * 1024 * 1024;

interface Asked {
  name: string;
  settings: string;
  createTables: boolean;
  resetState: boolean;
  replan: boolean;
}

const NOTHING: Asked = { name: "", settings: "", createTables: false, resetState: false, replan: false };

function query(asked: Asked): Query {
  const pairs: Query = asked.name.trim() ? [["name", asked.name.trim()]] : [];
  for (const line of asked.settings.split("\n").map((l) => l.trim())) {
    if (line !== "") pairs.push(["set", line]);
  }
  if (asked.createTables) pairs.push(["create-tables", "true"]);
  if (asked.resetState) pairs.push(["reset-state", "true"]);
  if (asked.replan) pairs.push(["replan", "true"]);
  return pairs;
}

type Doing = { what: "check" | "deploy"; sent: number } | null;

/** Drop a component, read what the host says of it, and only then make it active. */
export function DeployPage() {
  useTitle("Deploy");
  const [file, setFile] = useState<File | null>(null);
  const [asked, setAsked] = useState(NOTHING);
  const [doing, setDoing] = useState<Doing>(null);
  const [checked, setChecked] = useState<Checked | null>(null);
  const [error, setError] = useState<string | null>(null);
  const stop = useRef<AbortController | null>(null);

  const send = async <T,>(what: "check" | "deploy", body: File, settings: Asked): Promise<T | null> => {
    stop.current?.abort();
    const control = new AbortController();
    stop.current = control;
    setDoing({ what, sent: 0 });
    setError(null);
    const path = what === "check" ? ["v1", "check"] : ["v1", "jobs"];
    const on = (sent: number, total: number) => setDoing({ what, sent: total > 0 ? sent / total : 1 });
    try {
      return await upload<T>(path, query(settings), body, on, control.signal);
    } catch (failure) {
      if (stop.current === control) setError(describe(failure, what));
      return null;
    } finally {
      if (stop.current === control) setDoing(null);
    }
  };
  const check = async (body: File, settings: Asked) => {
    setFile(body);
    setChecked(null);
    if (body.size > COMPONENT_BYTES_MAX) {
      setError(
        `${body.name} has ${bytes(body.size)}; a component has ${bytes(COMPONENT_BYTES_MAX)} at most.`,
      );
      return;
    }
    setChecked(await send<Checked>("check", body, settings));
  };
  const deploy = async () => {
    if (!file) return;
    const done = await send<Deployed>("deploy", file, asked);
    if (!done) return;
    const text = done.changed
      ? `${done.job} has version ${done.version} active, deployment ${done.deployment}.`
      : `${done.job} had this component with these settings active already: nothing changed.`;
    say("good", done.paused ? `${text} The job is paused: it runs once you resume it.` : text, done.warnings);
    go(href(["jobs", done.job]));
  };
  const change = (next: Asked) => {
    setAsked(next);
    setChecked(null); // what it said was about other settings
  };
  return (
    <div class="page">
      <div class="page-head">
        <h1>Deploy</h1>
      </div>
      <RoleNote needs="deploy" />
      <Drop file={file} take={(body) => check(body, asked)} />
      <Options asked={asked} change={change} />
      {error !== null && <Failure text={error} />}
      {doing && <Progress doing={doing} cancel={() => stop.current?.abort()} />}
      {file && !checked && !doing && (
        <p>
          <RoleButton needs="deploy" class="primary" onClick={() => check(file, asked)}>
            Check {error === null ? "with these settings" : "again"}
          </RoleButton>
        </p>
      )}
      {checked && !doing && <CheckedView checked={checked} asked={asked} deploy={deploy} />}
    </div>
  );
}

function describe(failure: unknown, what: "check" | "deploy"): string {
  if (what === "deploy" && failure instanceof CallError && failure.kind !== "host") {
    return `${failure.message} It is not known whether the version is active: look at the job's versions.`;
  }
  return words(failure);
}

function Drop({ file, take }: { file: File | null; take(file: File): void }) {
  const [over, setOver] = useState(false);
  const id = useId();
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const [first] = event.dataTransfer?.files ?? [];
    if (first) take(first);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the file's input inside it does the same by keyboard
    <div
      class={over ? "drop over" : "drop"}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <Icon name="upload" size={28} />
      <p>
        <label for={id} class="drop-label">
          {file ? <Said text={file.name} /> : "Choose a component"}
        </label>{" "}
        <span class="quiet">
          {file ? `${bytes(file.size)}. Drop another to check that one.` : "or drop a .wasm file here"}
        </span>
      </p>
      <input
        id={id}
        type="file"
        accept=".wasm,application/wasm"
        onInput={(event) => {
          const [first] = event.currentTarget.files ?? [];
          if (first) take(first);
          event.currentTarget.value = ""; // the same file, built again, is chosen again
        }}
      />
      <p class="quiet">It is checked first. Nothing runs before you say so.</p>
    </div>
  );
}

function Options({ asked, change }: { asked: Asked; change(asked: Asked): void }) {
  const id = useId();
  const chosen = summaryOf(asked);
  return (
    <details class="panel options">
      <summary>
        <h2>Options</h2>{" "}
        <span class="quiet">
          {chosen.length > 0 ? visibleLine(chosen.join(", ")) : "name, settings, tables, state"}
        </span>
      </summary>
      <div class="form">
        <p class="field">
          <label for={`${id}n`}>Name</label>
          <input
            id={`${id}n`}
            placeholder="the component's own"
            autocomplete="off"
            spellcheck={false}
            value={asked.name}
            onInput={(e) => change({ ...asked, name: e.currentTarget.value })}
          />
        </p>
        <p class="field">
          <label for={`${id}s`}>Settings, KEY=VALUE, one a line</label>
          <textarea
            id={`${id}s`}
            rows={3}
            placeholder={"every=1s\nsource.clicks=clicks-test"}
            spellcheck={false}
            value={asked.settings}
            onInput={(e) => change({ ...asked, settings: e.currentTarget.value })}
          />
        </p>
        <p class="check">
          <input
            id={`${id}c`}
            type="checkbox"
            checked={asked.createTables}
            onInput={(e) => change({ ...asked, createTables: e.currentTarget.checked })}
          />
          <label for={`${id}c`}>Create tables and topics that are missing</label>
        </p>
        <p class="check">
          <input
            id={`${id}r`}
            type="checkbox"
            checked={asked.resetState}
            onInput={(e) => change({ ...asked, resetState: e.currentTarget.checked })}
          />
          <label for={`${id}r`}>
            Reset state: forget state, counts and positions, and read again from the start
          </label>
        </p>
        <p class="check">
          <input
            id={`${id}p`}
            type="checkbox"
            checked={asked.replan}
            onInput={(e) => change({ ...asked, replan: e.currentTarget.checked })}
          />
          <label for={`${id}p`}>
            Plan anew: give up batches that are planned and not written to the end; the check says what it
            costs
          </label>
        </p>
      </div>
    </details>
  );
}

/** What differs from a plain deploy, in a few words. */
function summaryOf(asked: Asked): string[] {
  const set = query(asked).filter(([key]) => key === "set").length;
  return [
    asked.name.trim() ? `name ${asked.name.trim()}` : "",
    set > 0 ? plural(set, "setting") : "",
    asked.createTables ? "create what is missing" : "",
    asked.resetState ? "reset state" : "",
    asked.replan ? "plan anew" : "",
  ].filter(Boolean);
}

function Progress({ doing, cancel }: { doing: NonNullable<Doing>; cancel(): void }) {
  const sending = doing.sent < 1;
  const after =
    doing.what === "check" ? "The host checks the component" : "The host compiles and warms the version";
  return (
    <div class="progress">
      <progress max={1} {...(sending ? { value: doing.sent } : {})} aria-label={sending ? "Sent" : after} />
      <p>{sending ? `Sending, ${percent(doing.sent)}` : <Waiting what={after} />}</p>
      <button type="button" onClick={cancel}>
        Cancel
      </button>
    </div>
  );
}
