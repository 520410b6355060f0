#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""symbols.py SOURCE_ROOT LIBRARY: headers, symbol map, exported symbols and stubs agree."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1])
LIBRARY = sys.argv[2]
PREFIX = r"(?:dma_buf_|dma_fence_|dma_resv_|dmabuf_|get_dma_buf\b|is_dmabuf_sync_supported\b)"


def without_comments(path):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(), flags=re.S)


def at_file_scope(text):
    """The text outside braces; extern "C" blocks count as file scope."""
    text = re.sub(r'extern "C" \{', "", text)
    out, depth = [], 0
    for char in text:
        depth += (char == "{") - (char == "}")
        out.append(char if depth <= 0 else " ")
    return "".join(out)


def functions(path):
    """Names of the functions that a header declares or defines."""
    lines = [l for l in without_comments(path).splitlines() if not l.lstrip().startswith("#")]
    lines = [l for l in lines if not re.match(r"\s+.*\\$", l)]
    text = at_file_scope("\n".join(lines))
    text = re.sub(r"typedef[^;]*;", "", text)
    return set(re.findall(rf"\b({PREFIX}\w*)\s*\(", text))


def inlines(path):
    """Those of them that the header defines itself."""
    text = at_file_scope(without_comments(path))
    return set(re.findall(rf"static inline [^;(]*?\b({PREFIX}\w*)\s*\(", text))


def exported():
    out = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], text=True, check=True,
                         capture_output=True).stdout
    symbols = [line.split()[-1] for line in out.splitlines() if line.split()[1] != "A"]
    return dict((s.split("@")[0], s.rpartition("@")[2]) for s in symbols)


def soname():
    out = subprocess.run(["readelf", "-d", LIBRARY], text=True, check=True,
                         capture_output=True).stdout
    return re.search(r"\(SONAME\).*\[(.*)\]", out).group(1)


def mapped():
    text = without_comments(ROOT / "src/libdmabuf.map")
    return set(re.findall(r"^\s*(\w+);", text.split("local:")[0], re.M))


def differences(what, first, second):
    """One line for each name that only one of two sets has."""
    (name_a, a), (name_b, b) = first, second
    return [f"{what}: {x} is in {name_a}, not in {name_b}" for x in sorted(a - b)] + \
           [f"{what}: {x} is in {name_b}, not in {name_a}" for x in sorted(b - a)]


def main():
    include = ROOT / "include/dmabuf"
    headers = [h for h in sorted(include.glob("*.h")) if not h.name.startswith("kernel")]
    declared = set().union(*(functions(h) for h in headers))
    stubbed = set().union(*(functions(h) for h in sorted((include / "stubs").glob("*.h"))))
    tested = set(re.findall(rf"\b({PREFIX}\w*)\s*\(", without_comments(ROOT / "tests/stubs.c")))
    symbols, symbol_map = exported(), mapped()
    inline = set().union(*(inlines(h) for h in headers))

    checks = {
        "every public declaration is in the map and the other way round":
            differences("symbol", ("the headers", declared - inline), ("libdmabuf.map", symbol_map)),
        "the library exports what the map says and nothing else":
            differences("symbol", ("the library", set(symbols)), ("libdmabuf.map", symbol_map)),
        "every symbol carries the library's version":
            [f"{s}: version {v}" for s, v in symbols.items() if v != "DMABUF_0.1"],
        "the library's SONAME is libdmabuf.so.0":
            [] if soname() == "libdmabuf.so.0" else [soname()],
        "A7_every_entry_point_has_a_stub":
            differences("stub", ("the headers", declared), ("include/dmabuf/stubs", stubbed)),
        "A7_every_stub_is_called_by_a_test":
            [f"tests/stubs.c does not call {s}" for s in sorted(stubbed - tested)],
    }
    if len(declared) < 50:
        checks["the headers could be read"] = [f"only {len(declared)} functions found"]
    print(f"1..{len(checks)}")
    for number, (name, problems) in enumerate(checks.items(), 1):
        for problem in problems:
            print(f"# {problem}")
        print(f"{'not ok' if problems else 'ok'} {number} - {name}")
    return any(checks.values())


if __name__ == "__main__":
    sys.exit(main())
