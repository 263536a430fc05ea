"""Reads a folder of JSON lines as a reader of tables would: with nothing but what is in Python.

  lines_in_files.py FOLDER RECORDS

Each of `line 0` to `line RECORDS-1` must be there exactly once, in files that are whole. Prints the counts as one JSON object.
Exit code 1, with what is wrong on stderr, if anything is not as it must be.
"""

import collections
import json
import pathlib
import sys


def main(folder, records):
    found, wrong = collections.Counter(), []
    files = sorted(path for path in pathlib.Path(folder).rglob("part-*.json") if "_aside" not in path.parts)
    for path in files:
        text = path.read_bytes()
        if not text.endswith(b"\n"):
            wrong.append(f"{path}: not whole")
        for row in text.splitlines():
            row = json.loads(row)
            if row != {"line": row["line"], "bytes": len(row["line"])}:
                wrong.append(f"{path}: {row}")
            found[row["line"]] += 1
    wanted = {f"line {n}" for n in range(int(records))}
    wrong += [f"{line} is missing" for line in sorted(wanted - found.keys())]
    wrong += [f"{line} is there, and was never sent" for line in sorted(found.keys() - wanted)]
    wrong += [f"{line} is there {times} times" for line, times in found.items() if times != 1]
    print(json.dumps({"files": len(files), "rows": found.total()}))
    print("\n".join(wrong[:20]), file=sys.stderr, end="\n" if wrong else "")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(*sys.argv[1:])
