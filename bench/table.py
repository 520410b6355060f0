# SPDX-License-Identifier: MIT
"""The results as one text table."""
import machine


def time_text(ns):
    for unit, size in (("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 1000 * size else f"{ns / size:.0f} {unit}"
    return f"{ns:.3g} ns"


def spread(statistics):
    return f"{time_text(statistics['p10'])} .. {time_text(statistics['p90'])}"


def verdict(case):
    """By elapsed and by CPU time; where they disagree, both are said."""
    if "target_ratio" in case:
        limit, text = case["target_ratio"], f"{case['target_ratio']}x or less"
        elapsed, cpu = case["ratio"]["median"], case["cpu_ratio"]["median"]
        shown = f"{elapsed:.3g}x"
    elif "target_ns" in case:
        limit, text = case["target_ns"], f"{time_text(case['target_ns'])} or less"
        elapsed, cpu = case["wall_ns"]["median"], case["cpu_ns"]["median"]
        shown = time_text(elapsed)
    else:
        return ""
    if (elapsed <= limit) == (cpu <= limit):
        return f"{'met' if cpu <= limit else 'MISSED'} ({text})"
    if cpu <= limit:
        return f"met by CPU, MISSED by elapsed: {shown} ({text})"
    return f"MISSED by CPU, met by elapsed: {shown} ({text})"


def ratio_text(case):
    if "cpu_ratio" not in case:
        return ""
    r = case["cpu_ratio"]
    return f"{r['median']:.3g}x ({r['p10']:.3g} .. {r['p90']:.3g})"


def case_rows(cases):
    rows = [("", "elapsed", "p10 .. p90", "CPU", "p10 .. p90", "faults",
             "CPU, of baseline's (p10 .. p90)", "target")]
    for case in cases:
        rows.append((
            case["label"],
            time_text(case["wall_ns"]["median"]),
            spread(case["wall_ns"]),
            time_text(case["cpu_ns"]["median"]),
            spread(case["cpu_ns"]),
            f"{case['faults']['median']:.4g}",
            ratio_text(case),
            verdict(case),
        ))
    return rows


def frame_rows(cases, baseline):
    rows = [("", "frames/s", "a frame", "p10 .. p90", "CPU a frame", "copied", "faults",
             f"elapsed, of {baseline}", f"CPU, of {baseline}", "target")]
    for case in cases:
        rows.append((
            case["label"],
            f"{1e9 / case['wall_ns']['median']:.0f}",
            time_text(case["wall_ns"]["median"]),
            spread(case["wall_ns"]),
            time_text(case["cpu_ns"]["median"]),
            f"{case['copied']['median'] / 1e6:.1f} MB",
            f"{case['faults']['median']:.3g}",
            f"{case['ratio']['median']:.3g}x" if "ratio" in case else "",
            ratio_text(case),
            verdict(case),
        ))
    return rows


def memory_rows(memory):
    rows = [("", "shared", "anonymous", "page tables", "descriptors", "mappings")]
    for case in memory["cases"]:
        for who in ("owner", "peer"):
            of = {key: value["median"] for key, value in case[who].items()}
            rows.append((
                f"{case['name']}, {who}",
                f"{case['shared']['median']:.0f} B" if who == "owner" else "(the same)",
                f"{of['anonymous']:.0f} B",
                f"{of['page_tables']:.0f} B",
                f"{of['descriptors']:.3g}",
                f"{of['mappings']:.3g}",
            ))
    return rows


def syscall_rows(counts):
    rows = [("", "system calls", "which")]
    for name, of in counts.items():
        which = " ".join(
            f"{call} {number:g}" for call, number in
            sorted(of["calls"].items(), key=lambda item: -item[1]))
        rows.append((name, f"{of['total']:g}", which or "-"))
    return rows


# Figures of contention with a target: how to read them, and whether more or less is better.
CONTENTION = (("kops", lambda v: f"{v:.0f}k/s", "or more"), ("share", lambda v: f"{v:.2g}", "or more"),
              ("worst_ns", time_text, "or less"))


def contention_verdict(case):
    missed = []
    for key, show, better in CONTENTION:
        limit = case["targets"].get(key)
        value = case[key]["median"]
        if limit and (value < limit if better == "or more" else value > limit):
            missed.append(show(limit))
    if not case["targets"]:
        return ""
    wanted = ", ".join(show(case["targets"][key]) for key, show, _ in CONTENTION
                       if key in case["targets"])
    return f"MISSED: {', '.join(missed)} (of {wanted})" if missed else f"met ({wanted})"


def contention_rows(cases):
    rows = [("", "holds/s", "p10 .. p90", "of 500k", "share", "worst wait", "its maximum", "p99.99",
             "target: holds/s, share, worst wait")]
    for case in cases:
        kops = case["kops"]
        rows.append((
            case["label"],
            f"{kops['median']:.0f}k",
            f"{kops['p10']:.0f}k .. {kops['p90']:.0f}k",
            f"{kops['median'] / 500:.2f}",
            f"{case['share']['median']:.2f}",
            time_text(case["worst_ns"]["median"]),
            time_text(case["worst_ns"]["max"]),
            time_text(case["p9999_ns"]["median"]),
            contention_verdict(case),
        ))
    return rows


def wait_rows(cases):
    rows = [("", "holds", "median hold", "waiters", "p99.99", "worst wait", "its maximum",
             "of 20 holds a waiter", "its maximum", "back-offs", "target")]
    for case in cases:
        ratio = case["ratio"]
        rows.append((
            case["label"],
            f"{case['holds']['median']:.0f}",
            time_text(case["hold_ns"]["median"]),
            str(case["waiters"]),
            time_text(case["p9999_ns"]["median"]),
            time_text(case["worst_ns"]["median"]),
            time_text(case["worst_ns"]["max"]),
            f"{ratio['median']:.2f}",
            f"{ratio['max']:.2f}",
            f"{case['back_offs']['median']:.0f}",
            "met" if ratio["max"] <= 1 else "MISSED",
        ))
    return rows


def elapsed_rows(cases):
    """Of what is one event in several processes: there is no CPU time of it."""
    rows = [("", "elapsed", "p10 .. p90", "of the limit (p10 .. p90)", "target")]
    for case in cases:
        rows.append((
            case["label"],
            time_text(case["wall_ns"]["median"]),
            spread(case["wall_ns"]),
            ratio_text(case),
            verdict(case),
        ))
    return rows


def instruction_line(counts):
    return ["  Instructions of one operation: " +
            ", ".join(f"{name} {number:.0f}" for name, number in counts.items()) + "."]


def layout(title, rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["", title]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [row[i].rjust(widths[i])
                                             if i < len(row) - 1 or row is rows[0] and len(row) > 3
                                             else row[i].ljust(widths[i])
                                             for i in range(1, len(row))]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def fixed_cost(results):
    cpu = {case["name"]: case["cpu_ns"]["median"] for case in results["lifecycle"]["cases"]}
    bare = cpu["memfd-untouched"]
    extra = cpu["dmabuf-untouched"] - bare
    page = (cpu["memfd-8m"] - bare) / 2048
    enough = (10 * extra - bare) / page
    return [
        "",
        f"  A buffer costs {time_text(extra)} more than a memfd, in both processes together and "
        "whatever its size.",
        f"  A page costs {time_text(page)}, written there and read here, in either. So the ratio "
        "tells the size:",
        f"  it is 1.1 at {enough:.0f} pages ({enough * 4:.0f} KiB), below that more.",
    ]


def text(results):
    frames = results["frames"]["cases"]
    lines = [machine.sentence(results["machine"])]
    if results["machine"]["load_before"] > results["machine"]["cores"]:
        lines.append("Other programs were running: elapsed times contain theirs, see CPU.")
    lines += layout("One buffer's life: create, share, map, use (every page), destroy",
                    case_rows(results["lifecycle"]["cases"]))
    lines += fixed_cost(results)
    lines += layout("Single calls in one process", case_rows(results["calls"]["cases"]))
    lines += layout("Negotiation: memory for devices that differ, six heaps",
                    case_rows(results["solve"]["cases"]))
    lines += layout("8 MiB from a heap: taken, mapped, every page written, given back",
                    case_rows(results["heaps"]["cases"]))
    lines += layout("A deferred buffer attached, mapped, written, moved and read; access to it",
                    case_rows(results["migrate"]["cases"]))
    lines += layout("1080p NV12 frames between two processes, every byte written and read",
                    frame_rows([c for c in frames if not c["name"].endswith("handoff")],
                               "the first"))
    lines += layout("The same, handing over alone",
                    frame_rows([c for c in frames if c["name"].endswith("handoff")], "the queue"))
    lines += layout("4K RGBA frames between two processes, every byte written and read",
                    frame_rows(results["frames-4k"]["cases"], "the first"))
    lines += layout(f"Memory of one buffer beyond its payload ({results['memory']['buffers']} of "
                    f"{results['memory']['payload'] // 1024} KiB, held by two processes)",
                    memory_rows(results["memory"]))
    lines += layout("Locks that nobody else wants: lock + unlock", case_rows(results["locks"]["cases"]))
    if results.get("instructions"):
        lines += [""] + instruction_line(results["instructions"])
    lines += layout("Contention: 2 us held, 2 us away, two processors, runs of 200 ms",
                    contention_rows(results["contention"]["cases"]))
    lines += layout("Waits for holds of 100 to 400 us, now and then 1 ms; 8 processes, two "
                    "processors, runs of 500 ms", wait_rows(results["waits"]["cases"]))
    lines += layout("Handing over: from unlocking in one process to having it in another",
                    elapsed_rows(results["handoff"]["cases"]))
    lines += layout("Fences", elapsed_rows(results["fences"]["cases"]))
    lines += layout("Death: from the kill of a holder that runs to",
                    elapsed_rows(results["death"]["cases"]))
    if results["syscalls"]:
        lines += layout("System calls of one operation, or frame, in all processes",
                        syscall_rows(results["syscalls"]))
    return "\n".join(lines) + "\n"
