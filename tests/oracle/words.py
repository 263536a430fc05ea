"""Words as Rust splits them: by Unicode's white space. Python's `str.split` takes four control characters as well."""

import re

WHITE_SPACE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def split(text):
    return [word for word in WHITE_SPACE.split(text) if word]
