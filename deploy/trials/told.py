"""Hears what a service tells its manager (sd_notify) and prints it, a line each: told.py SOCKET MAIN_PID_FILE.

Who says that another process is the main one now (MAINPID=) is believed, and it is written into the file."""

import os
import socket
import sys

path, main_pid = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(path)
os.chmod(path, 0o666)
print("listening", flush=True)
while True:
    for line in listener.recv(4096).decode().splitlines():
        name, _, value = line.partition("=")
        if name == "MAINPID":
            with open(main_pid, "w") as file:
                file.write(value + "\n")
        print(line, flush=True)
