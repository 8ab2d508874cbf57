"""What the kernel says of a process: its time on a CPU, and its memory.

CPU time is the scheduler's own count in nanoseconds (clock_getcpuclockid(3), which is utime + stime of /proc/PID/stat
without the rounding to clock ticks), of all processes of a proxy, threads that have ended included.
"""

import contextlib
import pathlib
import re
import time


class Processes:
    """A proxy's processes: all of the session that was made for it."""

    def __init__(self, session):
        self.session = session

    def ids(self):
        found = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.session and fields[0] != "Z":
                found.append(int(stat.parent.name))
        return found

    def cpu_seconds(self):
        # clock_getcpuclockid(3) is this arithmetic: the process' number, inverted, and the kind CPUCLOCK_SCHED.
        used = 0.0
        for pid in self.ids():
            # It may have ended since it was found, as the gateway's compressors do.
            with contextlib.suppress(OSError):
                used += time.clock_gettime((~pid << 3) | 2)
        return used

    def forget_peak(self):
        for pid in self.ids():
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_kib(self):
        """VmHWM since `forget_peak`, of all processes; what they share counts in each."""
        return sum(self._of(pid, "status", "VmHWM") for pid in self.ids())

    def pss_kib(self):
        """Memory in use, with what processes share counted once."""
        return sum(self._of(pid, "smaps_rollup", "Pss") for pid in self.ids())

    @staticmethod
    def _of(pid, file, field):
        text = pathlib.Path(f"/proc/{pid}/{file}").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", text, re.MULTILINE).group(1))


def machine():
    cpu = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {
        "cpu": cpu.group(1) if cpu else "unknown",
        "kernel": pathlib.Path("/proc/sys/kernel/osrelease").read_text().strip(),
        "memory_gib": round(int(memory.group(1)) / 2**20, 1),
        "load": pathlib.Path("/proc/loadavg").read_text().split()[0],
    }
