"""What a worker is called, so that its survivors on the same machine can tell whether it still lives."""

import os
import socket


def worker_name() -> str:
    """`host:pid:started`: enough to tell, on the same machine, whether it still lives."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def is_dead(name: str) -> bool:
    """True if that worker ran on this machine and runs no more. (Elsewhere only its lease can tell.)"""
    host, pid, started = name.rsplit(":", 2)
    return host == socket.gethostname() and _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process began, as the kernel counts; empty if it runs no more. Pids come again, a pid and this do not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]  # dead, and only waiting for its parent to notice
