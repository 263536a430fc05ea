"""What the checks of services share: `NAME.py write|read ADDRESS DIR`, and how a check says that something is wrong."""

import sys

# What each check writes and reads: a number, a text that needs escaping, and one that needs UTF-8.
ROWS = [(1, "one"), (2, "it's \"two\""), (3, "три")]


def wrong(what):
    """Ends the check."""
    sys.exit(f"wrong: {what}")


def same(found, wanted=ROWS):
    """Ends the check unless what was read is what was written."""
    if found != wanted:
        wrong(f"read {found}, written was {wanted}")


def run(write, read):
    """Does what the command line says."""
    verb, address, folder = sys.argv[1:4]
    {"write": write, "read": read}[verb](address, folder)
