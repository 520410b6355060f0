# SPDX-License-Identifier: MIT
"""Instructions of one operation: valgrind counts two runs of different length, the difference is
what the additional operations executed. Exact, whatever else the machine does."""
import os
import re
import subprocess

# subject, case, operations in the short and in the long run
CASES = [
    ("locks", "word", 1000, 11000),
    ("locks", "exclusive", 1000, 11000),
    ("locks", "shared", 1000, 11000),
    ("locks", "single", 1000, 11000),
    ("locks", "mutex", 1000, 11000),
    ("locks", "words-8", 1000, 2000),
    ("locks", "group-8", 1000, 2000),
    ("locks", "mutexes-8", 1000, 2000),
    ("fences", "exchange", 1024, 11264),
    ("fences", "signal", 1024, 11264),
]


def _count(program, case, repeat):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "--only",
               case, "--repeat", str(repeat)]
    done = subprocess.run(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=True,
                          timeout=60, text=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def count(directory):
    results = {}
    for subject, case, short, long in CASES:
        program = os.path.join(directory, f"bench-{subject}")
        difference = _count(program, case, long) - _count(program, case, short)
        results[f"{subject}/{case}"] = difference / (long - short)
    return results


def works():
    try:
        return subprocess.run(["valgrind", "--version"], stdout=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False
