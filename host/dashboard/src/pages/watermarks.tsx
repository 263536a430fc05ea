import type { PartitionTime, Watermarks } from "../api/types.ts";
import { compact, count, duration } from "../lib/format.ts";
import { plural } from "../lib/text.ts";
import { parse } from "../lib/time.ts";
import { now } from "../state/live.ts";
import { param, setParams } from "../state/route.ts";
import type { Watched } from "../state/watched.ts";
import { Icon } from "../ui/icon.tsx";
import { Empty, Facts, Loading, Note, Panel } from "../ui/panel.tsx";
import { type Column, DataTable } from "../ui/table.tsx";
import { Ago, At, Said, Words } from "../ui/text.tsx";

export function WatermarksTab({ of }: { of: Watched }) {
  const marks = of.watermarks.value;
  if (!marks) return <Loading what="the watermarks" />;
  const timed = marks.watermark !== null || marks.partitions.some((p) => p.event_time !== null);
  if (!timed && (of.status.value?.stages.length ?? 0) === 0) {
    return (
      <>
        <Panel title="Watermark">
          <p class="quiet">This job has no keyed stages: nothing in it goes by event time.</p>
        </Panel>
        <Partitions marks={marks} />
      </>
    );
  }
  return (
    <>
      <Now marks={marks} />
      <Jumps of={of} />
      <Picture marks={marks} />
      <Partitions marks={marks} />
    </>
  );
}

/** As many are named one by one. */
const JUMPS_SHOWN = 5;

function behind(partition: PartitionTime): number | null {
  const at = parse(partition.event_time);
  return at === null ? null : Math.max(0, now.value - at);
}

function Now({ marks }: { marks: Watermarks }) {
  const holding = marks.partitions.filter((p) => p.holds_back);
  const idle = marks.partitions.filter((p) => p.idle).length;
  return (
    <Panel title="Watermark" note="the event time up to which all partitions have come">
      <Facts
        facts={[
          ["Watermark", marks.watermark ? <At at={marks.watermark} /> : "none yet"],
          ["Behind the clock", marks.watermark ? <Ago at={marks.watermark} /> : "–"],
          ["Partitions", count(marks.partitions.length)],
          ["Idle, not waited for", count(idle)],
          [
            "Idle after",
            marks.idle_after_ms === 0
              ? "never: silent ones are always waited for"
              : duration(marks.idle_after_ms),
          ],
        ]}
      />
      {holding.length > 0 && (
        <Note tone="warn" icon="warn">
          <b>
            {plural(holding.length, "partition holds", "partitions hold")} windows back:{" "}
            <Said
              text={holding
                .slice(0, 5)
                .map((p) => `${p.source}/${p.partition}`)
                .join(", ")}
            />
            {holding.length > 5 ? ` and ${holding.length - 5} more` : ""}.
          </b>{" "}
          {marks.explanation && <Words text={marks.explanation} />}
        </Note>
      )}
    </Panel>
  );
}

/** Partitions whose event time jumped ahead: one wrong time makes later records late. */
function Jumps({ of }: { of: Watched }) {
  const all = (of.status.value?.sources ?? []).flatMap((source) =>
    Object.entries(source.jumps).map(([partition, jump]) => ({
      name: `${source.name}/${partition}`,
      ...jump,
    })),
  );
  if (all.length === 0) return null;
  return (
    <Note tone="warn" icon="warn">
      <b>{plural(all.length, "partition")} jumped ahead in event time:</b>
      <ul>
        {all.slice(0, JUMPS_SHOWN).map((jump) => (
          <li key={jump.name}>
            <Said text={jump.name} /> from <At at={jump.from} /> to <At at={jump.to} />, <Ago at={jump.at} />
          </li>
        ))}
      </ul>
      {all.length > JUMPS_SHOWN && <p>And {all.length - JUMPS_SHOWN} more: the job's status names them.</p>}
    </Note>
  );
}

/** A bar a partition: the longer, the further its event time is behind the clock. */
function Picture({ marks }: { marks: Watermarks }) {
  const timed = marks.partitions.filter((p) => p.event_time !== null);
  if (timed.length === 0) return null;
  const most = Math.max(1, ...timed.filter((p) => !p.idle).map((p) => behind(p) ?? 0)); // idle ones would dwarf it
  return (
    <Panel title="How far each partition is behind the clock" note={`the longest bar is ${duration(most)}`}>
      <ol class="wms" aria-label="Event time of each partition">
        {marks.partitions.map((p) => (
          <li
            key={`${p.source} ${p.partition}`}
            class={p.holds_back ? "wm holds" : p.idle ? "wm idle" : "wm"}
          >
            <span class="wm-bar" aria-hidden="true">
              <span
                style={{ height: p.idle ? "100%" : `${Math.max(2, ((behind(p) ?? 0) / most) * 100)}%` }}
              />
            </span>
            <span class="wm-name">{p.partition}</span>
            <span class="sr-only">{words(p)}</span>
          </li>
        ))}
      </ol>
      <p class="wm-legend quiet">
        <span>
          <span class="swatch bg-c2" /> active
        </span>
        <span>
          <span class="swatch bg-warn" /> ▲ holds windows back
        </span>
        <span>
          <span class="swatch bg-idle" /> idle, not waited for
        </span>
      </p>
    </Panel>
  );
}

function words(p: PartitionTime): string {
  const state = p.holds_back ? ", holds windows back" : p.idle ? ", idle" : "";
  return `${p.source} partition ${p.partition}: ${duration(behind(p))} behind the clock${state}`;
}

const COLUMNS: Column<PartitionTime>[] = [
  {
    id: "partition",
    label: "Partition",
    sort: (p) => p.partition,
    cell: (p) => (
      <>
        <Said text={p.source} />/{p.partition}
      </>
    ),
  },
  {
    id: "state",
    label: "State",
    sort: (p) => (p.holds_back ? 0 : p.idle ? 2 : 1),
    cell: (p) =>
      p.holds_back ? (
        <span class="tag tone-retrying">
          <Icon name="warn" size={12} /> holds back
        </span>
      ) : p.idle ? (
        <span class="tag tone-paused">
          <Icon name="paused" size={12} /> idle
        </span>
      ) : p.event_time === null ? (
        <span class="quiet">{p.last_record_at === null ? "no record yet" : "no event time"}</span>
      ) : (
        "active"
      ),
  },
  {
    id: "event",
    label: "Event time",
    sort: (p) => parse(p.event_time),
    cell: (p) => <At at={p.event_time} />,
  },
  {
    id: "behind",
    label: "Behind the clock",
    number: true,
    sort: (p) => (p.event_time ? -(parse(p.event_time) ?? 0) : null),
    cell: (p) => duration(behind(p)),
  },
  {
    id: "last",
    label: "Last record",
    sort: (p) => parse(p.last_record_at),
    cell: (p) => <Ago at={p.last_record_at} />,
  },
  {
    id: "committed",
    label: "Next offset",
    number: true,
    sort: (p) => p.committed,
    cell: (p) => count(p.committed),
  },
  { id: "end", label: "End", number: true, sort: (p) => p.end, cell: (p) => count(p.end) },
  { id: "lag", label: "Lag", number: true, sort: (p) => p.lag, cell: (p) => compact(p.lag) },
];

function Partitions({ marks }: { marks: Watermarks }) {
  const only = param("only") === "1";
  const held = marks.partitions.filter((p) => p.holds_back);
  const rows = only ? held : marks.partitions.toSorted((a, b) => Number(b.holds_back) - Number(a.holds_back));
  const toggle = held.length > 0 && (
    <button type="button" aria-pressed={only} onClick={() => setParams({ only: only ? null : "1" })}>
      Only those that hold back
    </button>
  );
  return (
    <Panel title="Partitions" flush actions={toggle}>
      {rows.length === 0 ? (
        <Empty title="No partition is known yet" />
      ) : (
        <DataTable
          caption="Partitions"
          rows={rows}
          columns={COLUMNS}
          id={(p) => `${p.source} ${p.partition}`}
          rowClass={(p) => (p.holds_back ? "row-retrying" : "")}
          sortParam="sort"
        />
      )}
    </Panel>
  );
}
