"""Reads every golden exposition strictly, and checks that both formats tell the same series."""

import pathlib
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text


def series(families):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def main():
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.om"))
    if not files:
        sys.exit(f"no golden OpenMetrics file in {sys.argv[1]}")
    for file in files:
        strict = series(openmetrics(file.read_text()))
        plain = series(text(file.with_suffix(".prom").read_text()))
        different = sorted(key for key in strict.keys() | plain.keys() if strict.get(key) != plain.get(key))
        if different:
            sys.exit(f"{file.name} and {file.stem}.prom differ in {different}")
        print(f"ok   openmetrics, strict      {file.name}: {len(strict)} series, the same as in {file.stem}.prom")


main()
