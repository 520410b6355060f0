# SPDX-License-Identifier: MIT
"""System calls of one operation: strace counts two runs of different length, the difference is
what the additional operations made. Counting is exact where timing is noisy."""
import os
import subprocess
import tempfile

# subject, case, operations in the short and in the long run
CASES = [
    ("lifecycle", "memfd-4k", 50, 150),
    ("lifecycle", "dmabuf-4k", 50, 150),
    ("calls", "bracket", 100, 1100),
    ("calls", "recycle", 100, 1100),
    ("calls", "map-kept", 100, 1100),
    ("calls", "attach", 100, 1100),
    ("calls", "get-known", 100, 1100),
    ("frames", "queue", 100, 400),
    ("frames", "pipe", 100, 400),
    ("frames", "ring", 100, 400),
    ("frames", "in-place", 100, 400),
]


def _count(program, case, repeat):
    with tempfile.NamedTemporaryFile("r", prefix="dmabuf-bench-") as out:
        command = ["strace", "-f", "-c", "-o", out.name, program, "--only", case]
        subprocess.run(command + ["--repeat", str(repeat)], check=True, timeout=60)
        counts = {}
        for line in out:
            words = line.split()
            if len(words) in (5, 6) and words[3].isdigit() and words[-1] != "total":
                counts[words[-1]] = int(words[3])
        return counts


def count(directory):
    results = {}
    for subject, case, short, long in CASES:
        program = os.path.join(directory, f"bench-{subject}")
        few, many = _count(program, case, short), _count(program, case, long)
        each = {}
        for name in sorted(set(few) | set(many)):
            number = (many.get(name, 0) - few.get(name, 0)) / (long - short)
            if abs(number) >= 0.01:
                each[name] = round(number, 2)
        results[f"{subject}/{case}"] = {"total": round(sum(each.values()), 2), "calls": each}
    return results


def works():
    try:
        return subprocess.run(["strace", "-c", "-o", "/dev/null", "true"]).returncode == 0
    except OSError:
        return False
