"""Measures contenders in turns, A B C A B C, so that what else the machine does falls on all of them."""

import argparse
import json
import pathlib
import signal
import sys
import time

import contenders
import jobs
import kernel
import report
import soak
import stage
import train


def arguments():
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: does everything work?")
    parser.add_argument("--jobs", default=",".join(jobs.JOBS), help="some of: %(default)s")
    parser.add_argument("--peers", default="", help=f"some of: {','.join(jobs.ALL)}; all")
    parser.add_argument("--rounds", type=int, help="5, or 1 with --quick")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="the gateway alone, under all loads at once")
    parser.add_argument("--train", action="store_true", help="the gateway alone, each load once, and no figures")
    parser.add_argument("--json", type=pathlib.Path, help="a file for all figures of all rounds")
    parser.add_argument(
        "--gateway",
        type=pathlib.Path,
        default=stage.HERE.parent.parent / "target/release/plugnmeet-gateway",
        help="the program to measure; this tree's",
    )
    parser.add_argument(
        "--tuned",
        action="append",
        default=[],
        metavar="NAME=PROGRAM",
        help=f"another build of {' or '.join(contenders.TUNABLE)} beside the packaged one; benches/README.md says how",
    )
    given = parser.parse_args()
    given.jobs = given.jobs.split(",")
    given.peers = given.peers.split(",") if given.peers else []
    if unknown := (set(given.jobs) - set(jobs.JOBS)) | (set(given.peers) - set(jobs.ALL)):
        parser.error(f"not known: {', '.join(sorted(unknown))}")
    given.gateway = given.gateway.resolve()
    tuned = dict(pair.partition("=")[::2] for pair in given.tuned)
    if unknown := set(tuned) - set(contenders.TUNABLE):
        parser.error(f"not tunable: {', '.join(sorted(unknown))}")
    given.tuned = {name + contenders.TUNED: pathlib.Path(program).resolve() for name, program in tuned.items()}
    return given


def say(text):
    print(text, file=sys.stderr, flush=True)


def rounds_of(name, job, given, place, size, count):
    """All turns of one job."""
    labels = [label for label in job.who if not given.peers or label.partition("+")[0] in given.peers]
    labels += jobs.tuned(name, labels, given.tuned)
    measured = {label: [] for label in labels}
    running = {}
    try:
        for turn in range(count):
            for label in labels:
                try:
                    if label not in running:
                        running[label] = contenders.Contender(place, label, given)
                    one = jobs.turn(job, running[label], size)
                except stage.Failed as failure:
                    # Said aloud and left out: a round less, not a figure of something else.
                    say(f"{name} {turn + 1} {label}: FAILED, {failure}")
                    continue
                finally:
                    if job.fresh and label in running:
                        running.pop(label).close()
                measured[label].append(one)
                shown = {key: round(value, 1) for key, value in one.items() if value is not None}
                say(f"{name} {turn + 1} {label}: {shown}")
    finally:
        for contender in running.values():
            contender.close()
    return measured


def main():
    # Whatever ends this ends what it started.
    for sort in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sort, lambda *_: sys.exit(1))
    given = arguments()
    if given.soak:
        place = stage.Stage()
        try:
            return 0 if soak.soak(place, given, say) else 1
        finally:
            place.close()
    if given.train:
        place = stage.Stage()
        try:
            train.train(place, given, say)
            return 0
        finally:
            place.close()
    size = jobs.QUICK if given.quick else jobs.FULL
    count = given.rounds or (1 if given.quick else 5)
    results = {
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "quick": given.quick,
        "rounds": count,
        "machine": kernel.machine(),
        "versions": contenders.versions(given),
        "jobs": {},
    }
    if given.quick:
        print("A quick run: it shows that all works, and its figures are not to be quoted.\n")
    place = stage.Stage()
    failed = False
    try:
        for name in given.jobs:
            job = jobs.JOBS[name]
            measured = rounds_of(name, job, given, place, size, count)
            failed |= any(len(rounds) < count for rounds in measured.values())
            print(report.table(name, job, measured), flush=True)
            results["jobs"][name] = {
                label: {"median": report.medians(rounds), "rounds": rounds} for label, rounds in measured.items() if rounds
            }
            if given.json:
                given.json.write_text(json.dumps(results, indent=1) + "\n")
    finally:
        place.close()
    print(report.bar(results["jobs"]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
