"""Tables, and the page that keeps them: each part of the bench rewrites its own sections and leaves the others."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.latency import Delays
from bench.measure import Round

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, its columns aligned for whoever reads it on a terminal."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    written = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    written.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(written)


def spread(values: Iterable[float], digits: int = 0) -> str:
    """Minimum, median and maximum."""
    ordered = sorted(values)
    return " / ".join(f"{value:,.{digits}f}" for value in (ordered[0], statistics.median(ordered), ordered[-1]))


def contest(results: Mapping[str, Sequence[Round] | str], caveats: Mapping[str, str]) -> str:
    """The table of one job; ``results`` are by contender, ours first, or say why there are none."""
    ours = next(iter(results.values()))
    rows = []
    for name, rounds in results.items():
        if isinstance(rounds, str):
            rows.append([name, *"-----", rounds])
            continue
        rate, cpu = _median_rate(rounds), _median_cpu(rounds)
        rows.append(
            [
                name,
                spread(one.rate for one in rounds),
                spread((one.steady_cpu_us for one in rounds), 1),
                spread((one.cpu_us for one in rounds), 1),
                "" if isinstance(ours, str) else f"{rate / _median_rate(ours):.2f}",
                "" if isinstance(ours, str) else f"{cpu / _median_cpu(ours):.2f}",
                f"{rounds[0].events:,}" + (f"; {caveats[name]}" if caveats[name] else ""),
            ]
        )
    head = [
        "",
        "events/s, steady",
        "CPU us/event, steady",
        "CPU us/event, with start-up",
        "rate to ours",
        "CPU to ours",
    ]
    return table([*head, "events a round; what it does not do"], rows)


def latencies(results: Mapping[str, Delays | str], caveats: Mapping[str, str]) -> str:
    """The table of delays; ``results`` are by contender, or say why there are none."""
    rows = []
    for name, found in results.items():
        if isinstance(found, str):
            rows.append([name, *"----", found])
        else:
            figures = [f"{value:,.1f}" for value in (found.p50, found.p99, found.p999, found.most)]
            rows.append([name, *figures, f"{found.events:,}" + (f"; {caveats[name]}" if caveats[name] else "")])
    return table(["ms", "p50", "p99", "p99.9", "most", "events; what it does not do"], rows)


def write_section(name: str, text: str, page: Path = PAGE) -> None:
    """Replace one section of the page, between its markers; put it at the end if the page has none such."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    whole = page.read_text() if page.exists() else "# Performance\n"
    before, found, rest = whole.partition(begin)
    if found:
        _, _, after = rest.partition(end)
        page.write_text(before + section + after)
    else:
        page.write_text(f"{whole.rstrip()}\n\n{section}\n")


def _median_rate(rounds: Sequence[Round]) -> float:
    return statistics.median(one.rate for one in rounds)


def _median_cpu(rounds: Sequence[Round]) -> float:
    return statistics.median(one.steady_cpu_us for one in rounds)
