"""Medians of all rounds, and each as a ratio to the best."""

import statistics

# Key, heading, how to write it, and whether less is better, more is, or it is no contest.
COLUMNS = [
    ("cpu_us", "CPU us/{each}", "{:.1f}", min),
    ("per_second", "{each}/s", "{:.0f}", max),
    ("peak_mib", "peak MiB", "{:.0f}", None),
    ("kib_each", "KiB/{each}", "{:.1f}", min),
    ("start_ms", "ms", "{:.0f}", min),
    ("p50_us", "p50 us", "{:.0f}", None),
    ("p99_us", "p99 us", "{:.0f}", min),
    ("p999_us", "p99.9 us", "{:.0f}", None),
    ("max_us", "slowest us", "{:.0f}", None),
    ("bytes_each", "bytes", "{:.0f}", None),
    ("client_cpu_us", "client's CPU us", "{:.1f}", None),
]
# What a job is not about, so that its table keeps to what it is.
LEFT_OUT = {
    "idle": {"cpu_us", "per_second", "peak_mib", "client_cpu_us"},
    "start": {"cpu_us", "per_second", "peak_mib", "client_cpu_us"},
    "steady": {"per_second"},
}


def medians(rounds):
    keys = {key for one in rounds for key, value in one.items() if value is not None}
    middle = {key: statistics.median(one[key] for one in rounds if one.get(key) is not None) for key in keys}
    if "cpu_us" in keys:
        middle["cpu_us_range"] = [edge(one["cpu_us"] for one in rounds) for edge in (min, max)]
    return middle


def table(name, job, measured):
    """One job's table, in Markdown. `measured` has the rounds of each contender."""
    rows = {label: medians(rounds) for label, rounds in measured.items() if rounds}
    shown = [
        column
        for column in COLUMNS
        if column[0] not in LEFT_OUT.get(name, set()) and any(column[0] in row for row in rows.values())
    ]
    heads = [f"{name}"]
    for _, heading, _, best in shown:
        heads += [heading.format(each=job.each)] + ["to the best"] * (best is not None)
    lines = [f"### {job.title}", "", _line(heads), _line(["---"] + ["---:"] * (len(heads) - 1))]
    for label, row in rows.items():
        cells = [label]
        for key, _, form, best in shown:
            cells.append(form.format(row[key]) if key in row else "")
            if best is not None:
                # The ceiling is no contender.
                others = [other[key] for who, other in rows.items() if key in other and who != "none"]
                cells.append(f"{row[key] / best(others):.2f}" if key in row and others else "")
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


# The figure that a job is about, where it is not CPU time, and what it may be at most without any peer's.
BAR = {
    "idle": ("kib_each", None),
    "start": ("start_ms", 100),
    "bell-400": ("max_us", 1_000_000),
    "bell-2000": ("max_us", 1_000_000),
    "join-2000": ("max_us", None),
}


def bar(measured):
    """The gateway beside the best of the peers in each job, and whether it takes no more. `measured` is as in the JSON."""
    lines = ["### The gateway beside the best peer", ""]
    lines += [_line(["job", "figure", "gateway", "best peer", "", "ratio", "no more?"]), _line(["---"] * 2 + ["---:"] * 5)]
    headings = {key: (heading, form) for key, heading, form, _ in COLUMNS}
    for name, job in measured.items():
        key, most = BAR.get(name, ("cpu_us", None))
        heading, form = headings[key]
        for label, told in job.items():
            who, _, variant = label.partition("+")
            if who != "gateway":
                continue
            # Who issues tokens is measured against those who forward them.
            against = variant if variant in {other.partition("+")[2] for other in job if not other.startswith("gateway")} else ""
            peers = {
                other: one["median"][key]
                for other, one in job.items()
                if not other.startswith(("gateway", "none")) and other.partition("+")[2] == against
            }
            if not peers:
                continue
            best = min(peers, key=peers.get)
            ours = told["median"][key]
            held = ours < most if most else ours <= peers[best]
            figure = heading.format(each="operation") + (f", less than {most}" if most else "")
            cells = [name + label.removeprefix("gateway"), figure, form.format(ours), best, form.format(peers[best])]
            lines.append(_line([*cells, f"{ours / peers[best]:.2f}", "yes" if held else "**no**"]))
    return "\n".join(lines) + "\n"


def _line(cells):
    return "| " + " | ".join(cells) + " |"
