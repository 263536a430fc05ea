// Canvas does not know CSS variables: a hidden element tells what they are in the present theme.

const probe = document.createElement("span");
probe.hidden = true;

export function color(name: string): string {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** The same, let through in part. */
export function faint(name: string, share: number): string {
  return color(name).replace(/^rgb\(([^)]*)\)$/, `rgba($1, ${share})`);
}
