// What the host says may hold anything that a record held: control characters, marks that turn the
// direction of text, escape sequences. They are shown, never obeyed.

// U+200C and U+200D stay: scripts and emoji need them, and they reorder nothing.
const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to be shown
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
const BREAKS = /[\t\n]/g;

const NAMES: Record<number, string> = { 0: "NUL", 7: "BEL", 8: "BS", 13: "CR", 27: "ESC", 127: "DEL" };

function picture(character: string): string {
  if (character === "\n") return "\u21b5";
  if (character === "\t") return " ";
  const code = character.codePointAt(0) ?? 0;
  const name = NAMES[code];
  if (name) return `\u27e8${name}\u27e9`;
  return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
}

/** Text of the host with its invisible characters made visible. Line breaks and tabs stay. */
export function visible(text: string): string {
  return text.replace(HIDDEN, picture);
}

/** The same on one line. */
export function visibleLine(text: string): string {
  return visible(text).replace(BREAKS, picture);
}

/** At most `max` characters, without cutting one in two. */
export function truncate(text: string, max: number): string {
  if (text.length <= max) return text;
  return `${[...text.slice(0, max)].slice(0, -1).join("")}…`;
}

/** `1 record`, `2 records`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** JSON indented, any other text as it is. Numbers keep their digits: only the white space changes. */
export function pretty(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  return indent(text);
}

function indent(json: string): string {
  let out = "";
  let depth = 0;
  for (const token of json.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? []) {
    if (token === "{" || token === "[") {
      depth += 1;
      out += `${token}\n${"  ".repeat(depth)}`;
    } else if (token === "}" || token === "]") {
      depth -= 1;
      out = out.endsWith(`\n${"  ".repeat(depth + 1)}`)
        ? out.trimEnd() + token
        : `${out}\n${"  ".repeat(depth)}${token}`;
    } else if (token === ",") out += `,\n${"  ".repeat(depth)}`;
    else if (token === ":") out += ": ";
    else out += token;
  }
  return out;
}
