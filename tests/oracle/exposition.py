"""Reads pages of metrics with Python's prometheus_client, as a second opinion on our own parser.

Standard input holds one JSON object a line: {"format": "text" | "openmetrics", "page": "..."}.
Standard output has one JSON object for each: {"samples": [[name, {label: value}, number], ...]}, sorted, numbers as
Python writes floats so that NaN and infinities survive, or {"error": "..."} where the page is refused.

The parser moves `_total` between the family and its samples; the page is asked for what it said itself.
"""

import json
import sys

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as text


def samples(page, form):
    reader = openmetrics if form == "openmetrics" else text
    for family in reader.text_string_to_metric_families(page):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def original(name, page_names):
    """A counter of a text page that is not called `_total` is renamed by the parser: back to what the page says."""
    if name not in page_names and name.endswith("_total") and name[: -len("_total")] in page_names:
        return name[: -len("_total")]
    return name


def main():
    for line in sys.stdin:
        asked = json.loads(line)
        names = set(asked["names"])
        try:
            found = [
                [original(name, names), labels, repr(float(value))]
                for name, labels, value in samples(asked["page"], asked["format"])
            ]
        except Exception as error:  # the parsers raise ValueError, IndexError, KeyError and others
            answer = {"error": f"{type(error).__name__}: {error}"}
        else:
            answer = {"samples": sorted(found, key=json.dumps)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
