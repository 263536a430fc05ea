interface SparklineProps {
  values: (number | null)[];
  label: string;
  width?: number;
  height?: number;
}

/** A line without axes; its label says what it shows. Gaps stay gaps. */
export function Sparkline({ values, label, width = 96, height = 26 }: SparklineProps) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return null;
  const top = Math.max(...known) || 1;
  const step = width / Math.max(1, values.length - 1);
  const y = (value: number) => (height - 2 - (value / top) * (height - 4)).toFixed(1);
  const runs: string[][] = [[]];
  values.forEach((value, i) => {
    if (value === null) runs.push([]);
    else runs.at(-1)?.push(`${(i * step).toFixed(1)} ${y(value)}`);
  });
  const lines = runs.filter((run) => run.length > 1);
  const area = (run: string[]) => {
    const first = run[0]?.split(" ")[0];
    const last = run.at(-1)?.split(" ")[0];
    return `M${first} ${height}L${run.join("L")}L${last} ${height}Z`;
  };
  return (
    <svg
      class="sparkline"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <path class="spark-area" d={lines.map(area).join("")} />
      <path class="spark-line" d={lines.map((run) => `M${run.join("L")}`).join("")} />
    </svg>
  );
}
