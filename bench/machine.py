# SPDX-License-Identifier: MIT
"""What the measurements were made on, in words and numbers."""
import os
import platform
import time


def _first(path, prefix=""):
    try:
        with open(path, encoding="utf-8") as f:
            for line in f:
                if line.startswith(prefix):
                    return line.split(":", 1)[1].strip() if prefix else line.strip()
    except OSError:
        pass
    return "unknown"


def describe():
    hypervisor = " hypervisor" in _first("/proc/cpuinfo", "flags")
    clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "virtual": hypervisor,
        "kernel": ".".join(platform.release().split(".")[:2]),
        "machine": platform.machine(),
        "memory_kib": int(_first("/proc/meminfo", "MemTotal").split()[0]),
        "clock": _first(clock),
        "shmem_huge": _first("/sys/kernel/mm/transparent_hugepage/shmem_enabled"),
        "load_before": os.getloadavg()[0],
    }


def sentence(m):
    kind = "VM" if m["virtual"] else "machine"
    return (
        f"{m['cores']}-core {kind}, {m['cpu']}, {m['memory_kib'] // 1048576 + 1} GiB, "
        f"Linux {m['kernel']}, clock {m['clock']}; {m['date']}; "
        f"load {m['load_before']:.2f} before, {m['load_after']:.2f} after"
    )
