// A table that may become a list of cards on a narrow screen; else it scrolls sideways there. Roles are written out, as browsers drop a
// table's meaning when CSS makes blocks of its rows.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { count } from "../lib/format.ts";
import { visibleLine } from "../lib/text.ts";
import { param, setParams } from "../state/route.ts";
import { Icon } from "./icon.tsx";

export interface Column<T> {
  id: string;
  label: string;
  cell(row: T): ComponentChildren;
  number?: boolean;
  /** What the column sorts by; without it, it does not. */
  sort?(row: T): number | string | null;
  /** Spans the whole card on a narrow screen. */
  wide?: boolean;
}

interface TableProps<T> {
  caption: string;
  rows: T[];
  columns: Column<T>[];
  id(row: T): string;
  rowClass?(row: T): string;
  /** The name in the URL of the column that is sorted by. */
  sortParam?: string;
  /** On a narrow screen each row becomes a card: for rows with text. Tables of numbers scroll. */
  cards?: boolean;
  /** A class of the table. */
  name?: string;
}

/** More rows than this are shown on demand: a topic may have a thousand partitions. */
const ROWS_MAX = 200;

function order<T>(rows: T[], columns: Column<T>[], by: string): T[] {
  const down = by.startsWith("-");
  const column = columns.find((c) => c.id === by.replace("-", ""));
  const value = column?.sort;
  if (!value) return rows;
  const compare = (a: T, b: T) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1; // unknown ones last, both ways
    const by = typeof x === "string" ? x.localeCompare(String(y), "en") : x - Number(y);
    return down ? -by : by;
  };
  return rows.toSorted(compare);
}

export function DataTable<T>({
  caption,
  rows,
  columns,
  id,
  rowClass,
  sortParam,
  cards = false,
  name = "",
}: TableProps<T>) {
  const [all, setAll] = useState(false);
  const by = sortParam ? param(sortParam) : "";
  const sorted = order(rows, columns, by);
  const shown = all ? sorted : sorted.slice(0, ROWS_MAX);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="table-scroll" tabIndex={0} aria-label={`${visibleLine(caption)}, table`}>
      {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
      <table role="table" class={`data ${cards ? "cards" : ""} ${name}`}>
        <caption class="sr-only">{visibleLine(caption)}</caption>
        {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
        <thead role="rowgroup">
          {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
          <tr role="row">
            {columns.map((column) => (
              <Head key={column.id} column={column} by={by} sortParam={sortParam} />
            ))}
          </tr>
        </thead>
        {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
        <tbody role="rowgroup">
          {shown.map((row) => (
            // biome-ignore lint/a11y/noRedundantRoles: see above
            <tr role="row" key={id(row)} class={rowClass?.(row)}>
              {columns.map((column) => (
                // biome-ignore lint/a11y/noRedundantRoles: see above
                <td role="cell" key={column.id} class={cellClass(column)} data-label={column.label}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length < rows.length && (
        <p class="table-more">
          <button type="button" onClick={() => setAll(true)}>
            Show all {count(rows.length)}
          </button>
        </p>
      )}
    </section>
  );
}

function cellClass<T>(column: Column<T>): string {
  return `${column.number ? "number" : ""} ${column.wide ? "wide" : ""}`.trim();
}

interface HeadProps<T> {
  column: Column<T>;
  by: string;
  sortParam: string | undefined;
}

function Head<T>({ column, by, sortParam }: HeadProps<T>) {
  const up = by === column.id;
  const down = by === `-${column.id}`;
  const next = column.number ? (down ? column.id : `-${column.id}`) : up ? `-${column.id}` : column.id;
  const sorted = up ? "ascending" : down ? "descending" : undefined;
  return (
    // biome-ignore lint/a11y/noRedundantRoles: see above
    <th role="columnheader" scope="col" class={cellClass(column)} aria-sort={sorted}>
      {sortParam && column.sort ? (
        <button type="button" class="sort" onClick={() => setParams({ [sortParam]: next })}>
          {column.label}
          {sorted && <Icon name={up ? "up" : "down"} size={12} />}
        </button>
      ) : (
        column.label
      )}
    </th>
  );
}
