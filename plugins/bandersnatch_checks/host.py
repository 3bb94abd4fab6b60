"""What a host must be: a distribution that the roles know, and a port that is free."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

OLDEST = {"Debian": (12, 0), "Ubuntu": (22, 4)}
OLDEST_PYTHON = (3, 10)

# Prints "port program" for each program that listens on one of the ports in its arguments.
LISTENERS = """
import glob, os, sys
sockets = {}
for name in ("/proc/net/tcp", "/proc/net/tcp6"):
    if os.path.exists(name):
        for line in open(name).readlines()[1:]:
            field = line.split()
            port = str(int(field[1].rpartition(":")[2], 16))
            if field[3] == "0A" and port in sys.argv[1:]:
                sockets["socket:[%s]" % field[9]] = port
for name in glob.glob("/proc/[0-9]*/fd/*") if sockets else ():
    try:
        port = sockets.get(os.readlink(name))
        if port:
            print(port, open(name.partition("/fd/")[0] + "/comm").read().strip())
    except OSError:
        pass
"""


def wrong_distribution(facts: Mapping[str, Any]) -> str:
    """Why the host cannot be a mirror; empty where nothing is known against it."""
    name, version = facts.get("distribution", ""), str(facts.get("distribution_version", ""))
    oldest = "a mirror needs Debian 12, Ubuntu 22.04, or newer"
    if facts.get("os_family", "Debian") != "Debian":
        return f"this host is {name} {version}: {oldest}, as packages come from apt"
    number = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if number and number < OLDEST.get(name, ()):
        return f"this host is {name} {version}: {oldest}, as the engine needs Python 3.10"
    python = str(facts.get("python_version", ""))
    if python and tuple(map(int, python.split(".")[:2])) < OLDEST_PYTHON:
        return f"this host ({name} {version}) has Python {python}: the engine needs 3.10; {oldest}"
    return ""


def wrong_ports(ports: Mapping[int, str], listeners: str) -> list[str]:
    """A sentence for each port that a program other than nginx has.

    Args:
        ports: the variable that asks for each port.
        listeners: what LISTENERS printed.
    """
    found = []
    for line in sorted(set(listeners.splitlines())):
        port, _, program = line.partition(" ")
        if program != "nginx" and port.isdecimal() and int(port) in ports:
            found.append(
                f"{ports[int(port)]} = {port} is taken on this host by {program}: "
                "set another port, or stop that program"
            )
    return found
