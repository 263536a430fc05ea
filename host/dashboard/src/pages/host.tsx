import { call } from "../api/client.ts";
import type { HostInfo, HostStatus, ServerState } from "../api/types.ts";
import { bytes, count, duration, percent } from "../lib/format.ts";
import { lacks } from "../state/live.ts";
import { Icon } from "../ui/icon.tsx";
import { Empty, Facts, Failure, Loading, Panel } from "../ui/panel.tsx";
import { type Column, DataTable } from "../ui/table.tsx";
import { At, Said, Since, Words } from "../ui/text.tsx";
import { useTitle } from "../ui/title.ts";
import { useResource } from "../ui/use.ts";

const EVERY_MS = 2000;

export function HostPage() {
  useTitle("Host");
  if (lacks("host")) return <Empty title="This host does not tell of itself yet" />;
  return <Asked />;
}

function Asked() {
  const found = useResource("host", (signal) => call<HostInfo>(["v1", "host"], { signal }), EVERY_MS);
  const host = found.value;
  return (
    <div class="page">
      <div class="page-head">
        <h1>Host</h1>
      </div>
      {found.error !== null && <Failure text={found.error} again={found.again} />}
      {host === null ? (
        found.error === null && <Loading what="the host's state" again={found.again} />
      ) : (
        <Shown host={host} />
      )}
    </div>
  );
}

function Shown({ host }: { host: HostInfo }) {
  return (
    <>
      <Panel title={host.name} note={`streamhost ${host.version}`}>
        <Facts
          facts={[
            ["Up for", <Since key="up" at={host.started} />],
            ["Started", <At key="started" at={host.started} />],
            ["Commit", host.commit ? <code key="c">{host.commit.slice(0, 12)}</code> : "–"],
            ["Engine", <Said key="e" text={host.engine} />],
            ["Token", host.token ? "wanted" : "not wanted: loopback alone"],
            ["Clock, beside yours", skewWords(host.now)],
          ]}
        />
      </Panel>
      <Panel title="Use" note="of this machine, by the daemon; what jobs may take is the sum of their limits">
        <div class="meters">
          <Meter
            label="CPU"
            share={host.cpu.used / host.cpu.cores}
            words={`${host.cpu.used.toFixed(2)} of ${count(host.cpu.cores)} cores, ${host.cpu.guests.toFixed(2)} in guests`}
          />
          <Meter
            label="Memory"
            share={host.memory.bound_bytes ? host.memory.used_bytes / host.memory.bound_bytes : null}
            words={`${bytes(host.memory.used_bytes)}${host.memory.bound_bytes ? ` of ${bytes(host.memory.bound_bytes)}` : ""}: ${host.memory.guests_bytes === null ? "" : `guests ${bytes(host.memory.guests_bytes)}, `}state ${bytes(host.memory.state_bytes)}`}
          />
          <Meter
            label="Memory that all may take"
            share={host.memory.bound_bytes ? mayTake(host) / host.memory.bound_bytes : null}
            words={`${bytes(mayTake(host))}: ${bytes(host.memory.jobs_bytes)} by the limits of all jobs, ${bytes(host.memory.own_bytes)} by the host itself`}
          />
          <Meter
            label="Disk"
            share={1 - host.disk.free_bytes / host.disk.total_bytes}
            words={`${bytes(host.disk.free_bytes)} free of ${bytes(host.disk.total_bytes)}; ${host.disk.used_bytes === null ? "data" : bytes(host.disk.used_bytes)} in ${host.disk.path}`}
          />
        </div>
      </Panel>
      {host.cluster && (
        <Panel title="Cluster" note="hosts that share their jobs; the pages of each show its own" flush>
          <DataTable caption="Cluster" cards rows={host.cluster} columns={HOSTS} id={(h) => h.host} />
        </Panel>
      )}
      <Panel title="Servers" flush>
        <DataTable
          caption="Servers"
          cards
          rows={host.servers}
          columns={SERVERS}
          id={(s) => `${s.name} ${s.address}`}
        />
      </Panel>
      <Panel title="Limits" note="bounds of this host; streamhost.toml sets some of them" flush>
        <DataTable caption="Limits" rows={host.limits} columns={LIMITS} id={(l) => l.name} />
      </Panel>
      <Panel title="For programs">
        <p>
          The API is described at <code>/v1/openapi.json</code>, metrics for Prometheus are at{" "}
          <code>/metrics</code>
          {host.token ? "; both want the token" : ""}. Licences of what this page is made of:{" "}
          <a href="./licenses.md">licenses.md</a>.
        </p>
      </Panel>
    </>
  );
}

/** The most that the host and all its jobs may hold. */
function mayTake(host: HostInfo): number {
  return host.memory.jobs_bytes + host.memory.own_bytes;
}

function skewWords(at: string): string {
  const skew = Date.parse(at) - Date.now();
  return Math.abs(skew) < 5000 ? "the same" : `${duration(Math.abs(skew))} ${skew > 0 ? "ahead" : "behind"}`;
}

function Meter({ label, share, words }: { label: string; share: number | null; words: string }) {
  const full = share !== null && share > 0.85;
  return (
    <div class={full ? "meter full" : "meter"}>
      <p>
        <b>{label}</b> {share !== null && percent(share)}{" "}
        {full && <span class="tag tone-retrying">nearly full</span>}
      </p>
      {share !== null && (
        <div class="meter-bar" aria-hidden="true">
          <span style={{ width: `${Math.min(100, share * 100)}%` }} />
        </div>
      )}
      <p class="quiet">
        <Words text={words} />
      </p>
    </div>
  );
}

/** What a host of the cluster does, and how that looks. */
function does(h: HostStatus): { word: string; tone: string } {
  if (!h.lives) return { word: "away", tone: "stopped" };
  if (h.draining) return { word: "draining", tone: "paused" };
  return { word: h.leads ? "live, leads" : "live", tone: "running" };
}

const HOSTS: Column<HostStatus>[] = [
  {
    id: "host",
    label: "Host",
    cell: (h) => (
      <b>
        <Said text={h.host} />
      </b>
    ),
  },
  {
    id: "state",
    label: "State",
    cell: (h) => <span class={`tag tone-${does(h).tone}`}>{does(h).word}</span>,
  },
  {
    id: "address",
    label: "Address",
    cell: (h) => (
      <code>
        <Said text={h.address} />
      </code>
    ),
  },
  {
    id: "jobs",
    label: "Jobs",
    cell: (h) => (h.jobs.length === 0 ? "–" : <Said text={h.jobs.join(", ")} />),
  },
];

const SERVERS: Column<ServerState>[] = [
  {
    id: "name",
    label: "Server",
    cell: (s) => (
      <b>
        <Said text={s.name} />
      </b>
    ),
  },
  {
    id: "address",
    label: "Address",
    cell: (s) => (
      <code>
        <Said text={s.address} />
      </code>
    ),
  },
  {
    id: "state",
    label: "State",
    wide: true,
    cell: (s) => (
      <>
        <span class={`tag tone-${s.state === "ok" ? "running" : s.state === "away" ? "stopped" : "paused"}`}>
          <Icon name={s.state === "ok" ? "finished" : s.state === "away" ? "stopped" : "unknown"} size={12} />{" "}
          {s.state}
        </span>{" "}
        {s.since && s.state === "away" && (
          <>
            for <Since at={s.since} />
          </>
        )}
        {s.what && (
          <small class="why">
            <Words text={s.what} />
          </small>
        )}
      </>
    ),
  },
  { id: "trip", label: "Round trip", number: true, cell: (s) => duration(s.round_trip_ms) },
];

type Limit = HostInfo["limits"][number];

function amount(value: number | null, unit: string): string {
  if (value === null) return "–";
  if (unit === "bytes") return bytes(value);
  return unit === "ms" ? duration(value) : count(value);
}

const LIMITS: Column<Limit>[] = [
  {
    id: "name",
    label: "Limit",
    wide: true,
    cell: (l) => (
      <>
        <code>{l.name}</code>
        <small class="quiet">
          <Words text={l.meaning} />
        </small>
      </>
    ),
  },
  { id: "used", label: "Used", number: true, cell: (l) => amount(l.used, l.unit) },
  { id: "value", label: "At most", number: true, cell: (l) => amount(l.value, l.unit) },
];
