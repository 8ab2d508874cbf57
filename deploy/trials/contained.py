"""Runs a program in an unpacked image as its configuration says: contained.py BUNDLE USER [NAME=VALUE…] [-- ARGUMENT…].

As this user in place of the image's; with more variables; with other arguments than the image's own. Without arguments the
image's own are run. Whoever calls this has taken the rights away that the container is not to have."""

import json
import os
import sys

bundle, user, *rest = sys.argv[1:]
variables, arguments = rest, None
if "--" in rest:
    at = rest.index("--")
    variables, arguments = rest[:at], rest[at + 1 :]
with open(f"{bundle}/config.json") as file:
    process = json.load(file)["process"]
expected = int(user) or process["user"]["uid"]
if (process["user"]["uid"], process["user"]["gid"]) != (expected, expected):
    sys.exit(f"the image runs as {process['user']}")
arguments = process["args"] if arguments is None else arguments
environment = dict(pair.split("=", 1) for pair in process["env"] + variables)
os.chroot(f"{bundle}/rootfs")
os.chdir("/")
if int(user):
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
os.chdir(process["cwd"])
os.execve(arguments[0], arguments, environment)
