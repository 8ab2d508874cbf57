"""The gateway alone under each load in turn, and nothing measured: a program with counters in it learns what runs often."""

from contenders import Contender
from jobs import JOBS, QUICK

# They have the process of another job, or no load.
LEFT_OUT = ("limits", "start")
SECONDS = 2


def train(place, given, say):
    for name, job in JOBS.items():
        if name in LEFT_OUT:
            continue
        for label in job.who:
            if label.partition("+")[0] != "gateway":
                continue
            contender = Contender(place, label, given)
            try:
                told = job.load(contender, SECONDS, QUICK)
            finally:
                contender.close()
            say(f"{name} {label}: {told.get('count', told.get('bytes'))}")
