# SPDX-License-Identifier: MIT
"""Pictures of the results, drawn by gnuplot. Bars are medians, whiskers p10 to p90."""
import os
import subprocess

import machine

NAMES = ("lifecycle.svg", "calls.svg", "frames.svg", "memory.svg")

BLUE, GREY, ORANGE = "#2a6f97", "#a3b1bd", "#c8553d"

STYLE = f"""
set terminal svg size 900,{{height}} dynamic noenhanced background '#ffffff' font 'sans-serif,14'
set encoding utf8
set border 3 lc rgb '#606060'
set tics nomirror out textcolor rgb '#303030'
set grid ytics lc rgb '#e4e4e4' lt 1
set style fill solid 1.0 noborder
set bars 0.6
set key top left reverse Left samplen 1.5
set style line 1 lc rgb '{BLUE}'
set style line 2 lc rgb '{GREY}'
set style line 3 lc rgb '{ORANGE}' lw 2 dt 2
set style line 4 lc rgb '#303030' lw 1.2
"""


def _plot(directory, name, height, script, machine_text):
    head = STYLE.format(height=height)
    head += f"set output '{os.path.join(directory, name)}'\n"
    caption = f"set label 99 \"{machine_text}\" at screen 0.99,0.018 right font ',9' " \
              "textcolor rgb '#707070'\n"
    text = head + caption + script
    subprocess.run(["gnuplot"], input=text.encode(), check=True, timeout=60)


def _block(name, rows):
    lines = [" ".join(str(cell) for cell in row) for row in rows]
    return f"${name} << END\n" + "\n".join(lines) + "\nEND\n"


def _three(statistics, scale=1.0):
    return [statistics[key] / scale for key in ("median", "p10", "p90")]


def _lifecycle(results):
    cases = [c for c in results["lifecycle"]["cases"] if not c["name"].endswith("untouched")]
    mine = [c for c in cases if c["name"].startswith("dmabuf")]
    bare = [c for c in cases if c["name"].startswith("memfd")]
    labels = [f'"{c["label"].split(", ", 1)[1].replace(" NV12", "")}"' for c in mine]
    times = [[i, labels[i]] + _three(bare[i]["cpu_ns"], 1e3) + _three(mine[i]["cpu_ns"], 1e3)
             for i in range(len(mine))]
    ratios = [[i, labels[i]] + _three(mine[i]["cpu_ratio"]) for i in range(len(mine))]
    top = 1.3 * max(row[4] for row in ratios)
    return _block("times", times) + _block("ratios", ratios) + f"""
set multiplot layout 1,2 title "One buffer's life in two processes: \\
create, share, map, use, destroy" font ',15'
set bmargin 5
set boxwidth 0.36
set xrange [-0.6:4.6]
set logscale y
set ylabel 'CPU time, both processes (microseconds)'
set format y '%.0f'
plot $times using 1:(NaN):xtic(2) notitle, \
     '' using ($1-0.19):3 with boxes ls 2 title 'bare memfd', \\
     '' using ($1+0.19):6 with boxes ls 1 title 'dmabuf', \\
     '' using ($1-0.19):4:(0):($5-$4) with vectors heads size screen 0.004,90 ls 4 notitle, \\
     '' using ($1+0.19):7:(0):($8-$7) with vectors heads size screen 0.004,90 ls 4 notitle
unset logscale y
set format y '%g'
unset label 99
set ylabel 'times the bare memfd'
set yrange [0:{top:.2g}]
set boxwidth 0.5
set key top right
plot $ratios using 1:3:xtic(2) with boxes ls 1 title 'dmabuf / memfd, pair by pair', \\
     1.1 ls 3 title 'target: 1.1', \\
     $ratios using 1:4:(0):($5-$4) with vectors heads size screen 0.004,90 ls 4 notitle
unset multiplot
"""


def _calls(results):
    cases = results["calls"]["cases"]
    rows = [[len(cases) - i, f'"{c["label"]}"'] + _three(c["cpu_ns"])
            for i, c in enumerate(cases)]
    target = next(c for c in cases if c["name"] == "recycle")
    at = len(cases) - cases.index(target)
    return _block("calls", rows) + f"""
set title 'Single calls in one process' font ',15'
set lmargin at screen 0.34
set bmargin 6
set logscale x
set format x '%.0f'
set xlabel 'CPU time (nanoseconds)'
set yrange [0.3:{len(cases)}.7]
set xrange [10:*]
unset grid
set grid xtics lc rgb '#e4e4e4' lt 1
set arrow 1 from 300,{at - 0.45} to 300,{at + 0.45} nohead ls 3 front
set key at graph 0.98,0.86 right
plot $calls using (10):1:(10):3:($1-0.32):($1+0.32):ytic(2) with boxxyerror ls 1 notitle, \\
     '' using 3:1:4:5 with xerrorbars ls 4 pt 0 notitle, \\
     NaN with lines ls 3 title 'target: 300 ns'
"""


def _frames(results):
    cases = [c for c in results["frames"]["cases"] if not c["name"].endswith("handoff")]
    rows = [[i, f'"{c["label"].replace(", ", chr(92) + "n")}"'] + _three(c["wall_ns"], 1e6) +
            _three(c["cpu_ns"], 1e6) + [f'"{c["copied"]["median"] / 1e6:.1f} MB copied"']
            for i, c in enumerate(cases)]
    top = 1.2 * max(row[7] for row in rows)
    return _block("frames", rows) + f"""
set title '1080p NV12 frames between two processes, every byte written and read' font ',15'
set bmargin 6
set boxwidth 0.36
set xrange [-0.6:4.6]
set ylabel 'milliseconds a frame'
set yrange [0:{top:.2g}]
plot $frames using 1:(NaN):xtic(2) notitle, \
     '' using ($1-0.19):3 with boxes ls 2 title 'elapsed', \\
     '' using ($1+0.19):6 with boxes ls 1 title 'CPU, both processes', \\
     '' using ($1-0.19):4:(0):($5-$4) with vectors heads size screen 0.004,90 ls 4 notitle, \\
     '' using ($1+0.19):7:(0):($8-$7) with vectors heads size screen 0.004,90 ls 4 notitle, \\
     '' using 1:8:9 with labels offset 0,0.9 font ',11' notitle
"""


def _memory(results):
    rows = []
    for case in results["memory"]["cases"]:
        of = [case[who][key] for key in ("anonymous", "page_tables") for who in ("owner", "peer")]
        rows.append([len(rows), f'"{case["name"]}"', case["shared"]["median"],
                     of[0]["median"] + of[1]["median"], of[2]["median"] + of[3]["median"]])
    return _block("memory", rows) + """
set title 'Memory of one buffer beyond its payload, held by two processes' font ',15'
set bmargin 4
set style data histograms
set style histogram rowstacked
set boxwidth 0.5
set xrange [-0.8:3.4]
set yrange [0:*]
set ylabel 'bytes a buffer'
set key top right
plot $memory using 3:xtic(2) ls 1 title 'shared control block', \\
     '' using 4 ls 2 title 'private, both processes', \\
     '' using 5 lc rgb '#d9c9a3' title 'page tables, both processes'
"""


def draw(results, directory):
    text = machine.sentence(results["machine"])
    for name, height, script in (
            ("lifecycle.svg", 480, _lifecycle), ("calls.svg", 520, _calls),
            ("frames.svg", 480, _frames), ("memory.svg", 420, _memory)):
        _plot(directory, name, height, script(results), text)
