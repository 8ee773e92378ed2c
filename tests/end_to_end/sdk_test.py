# SPDX-License-Identifier: Apache-2.0
"""The installed SDK: everything that sdk/README.md tells, a stage in plain C, and a stage against a build tree."""
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

from weir_run import BIN, check, read_records

SOURCE = os.environ["WEIR_SOURCE"]
BUILD = os.environ["WEIR_BUILD"]
PAGE = os.path.join(SOURCE, "sdk", "README.md")

folder = tempfile.mkdtemp(prefix="weir-sdk-")
prefix = os.path.join(folder, "weir")
# ~ is the test's own folder, and the package is found as a person finds it: by PATH alone.
environment = dict(os.environ, HOME=folder, CMAKE_GENERATOR="Ninja", CMAKE_BUILD_PARALLEL_LEVEL="2")
for name in ("CC", "CXX", "CXXFLAGS", "CMAKE_PREFIX_PATH", "WEIR_LIBRARY_PATH", "weir_DIR"):
    environment.pop(name, None)


def bash(script, **more):
    """Runs it, with whatever it started in the background; gives its standard output."""
    process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", script], cwd=folder, text=True, start_new_session=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(environment, **more))
    try:
        out, err = process.communicate(timeout=400)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)  # SIGTERM, so that `weir run` takes its children along
        out, err = process.communicate()
    check(process.returncode == 0, "exit %d of:\n%s\n%s\n%s" % (process.returncode, script, out, err))
    return out


def blocks_of_the_page():
    """(language, text, the path that a line before the block names as `path`...: or nothing), in order."""
    with open(PAGE) as page:
        text = page.read()
    named = None
    for paragraph in re.split(r"(^```\w+\n.*?^```$)", text, flags=re.S | re.M):
        block = re.match(r"```(\w+)\n(.*)```$", paragraph, re.S)
        if block:
            yield block.group(1), block.group(2), named
            named = None
            continue
        last = paragraph.strip().rsplit("\n\n", 1)[-1].replace("\n", " ")
        file = re.search(r"`(\w+/[\w.]+)`[^.]*:$", last)
        named = file.group(1) if file else None


def the_page_works_as_written():
    script, printed, names = "", [], []
    for language, text, name in blocks_of_the_page():
        if language == "sh":
            # The build is the one that is tested; it is where the page says.
            commands = "".join(line for line in text.splitlines(True) if not line.startswith("cmake --preset"))
            script += "{\n%s}\n" % commands
        elif name:
            names.append(name)
            script += "mkdir -p %s\ncat >%s <<'END OF FILE'\n%sEND OF FILE\n" % (os.path.dirname(name), name, text)
        else:
            printed.append(text)
    check(names == ["totals/sum.cc", "totals/sum_test.cc", "totals/CMakeLists.txt", "totals/totals.json",
                    "clicks/clicks.json", "clicks/publish.cc", "clicks/CMakeLists.txt",
                    "bills/bills.json", "bills/book.cc", "bills/CMakeLists.txt"], "the page has the files %s" % names)
    os.mkdir(os.path.join(folder, "build"))
    os.symlink(BUILD, os.path.join(folder, "build", "release"))
    out = bash(script)
    check(len(printed) == 1 and printed[0] in out, "the page says that it prints\n%sbut that is not in\n%s" % (printed, out))
    for test in ("Above.LetsThroughWhatIsAboveTheThreshold", "Sum.GoesOnWhereItStoppedAfterACrash", "Sum.LeavesNothingOfARecordThatFails"):
        check(re.search(re.escape(test) + r" \.* +Passed", out), "%s did not run: %s" % (test, out))
    check("1000 records are durable" in out, out)
    check("10 totals are booked, 500500 in all" in out, out)


def a_stage_built_by_clang_runs_in_this_build():
    with open(os.path.join(folder, "totals", "build", "CMakeCache.txt")) as cache:
        check(re.search(r"CMAKE_CXX_COMPILER:\S+=.*clang\+\+-16\n", cache.read()), "totals was not built by clang")
    totals = collections.Counter()
    wanted = collections.defaultdict(list)
    for number in range(1, 10001):
        totals[number % 10] += number
        wanted[number % 10].append(totals[number % 10])
    found = collections.defaultdict(list)
    for record in read_records(os.path.join(folder, "totals", "out", "totals.jsonl")):
        found[record["key"]].append(record["value"])
    check(found == wanted, "the totals are not those of plain Python")


def the_published_records_are_summed():
    wanted = collections.Counter()
    for number in range(1, 1001):
        wanted["user-%d" % (number % 7)] += number
    records = read_records(os.path.join(folder, "clicks", "out", "sums.jsonl"))
    check(len(records) == 7 and {r["key"]: r["value"] for r in records} == wanted, "the sums are %s" % records)


def an_installation_can_be_moved():
    """Before the page: installs elsewhere and moves it, so that whatever remembers the first place fails to build."""
    first = os.path.join(folder, "first")
    bash("cmake --install %s --prefix %s" % (BUILD, first))
    for place, _, names in os.walk(first):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                remembered = [path for path in (first, BUILD) if path.encode() in file.read()]
            check(not remembered, "%s/%s remembers %s" % (place, name, remembered))
    moved = os.path.join(folder, "moved")
    os.rename(first, moved)
    a_stage_in_plain_c(moved)
    shutil.rmtree(moved)


def a_stage_in_plain_c(place):
    """In a project that has no C++ at all."""
    plain = os.path.join(folder, "plain")
    os.mkdir(plain)
    shutil.copy(os.path.join(SOURCE, "tests", "stages", "host", "probe.c"), plain)
    with open(os.path.join(plain, "CMakeLists.txt"), "w") as build:
        build.write("cmake_minimum_required(VERSION 3.25)\nproject(plain LANGUAGES C)\n"
                    "find_package(weir 0.1 REQUIRED)\nweir_add_stages(probe SOURCES probe.c)\n")
    with open(os.path.join(plain, "plain.json"), "w") as topology:
        json.dump({"name": "plain", "http": None, "libraries": ["build/probe.so"], "streams": {"numbers": {}, "twice": {}},
                   "stages": {"count": {"plugin": "generate.sequence", "output": "numbers", "config": {"from": 1, "to": 12}},
                              "twice": {"plugin": "probe.twice", "input": "numbers", "output": "twice"},
                              "show": {"plugin": "console.print", "input": "twice"}}}, topology)
    out = bash("cd plain && cmake -B build >&2 && cmake --build build >&2 && weir run plain.json",
               CC="clang-16", PATH=os.path.join(place, "bin") + ":" + environment["PATH"])
    values = [json.loads(line)["value"] for line in out.splitlines()]
    check(sorted(values) == sorted(list(range(1, 13)) * 2), "probe.twice gave %s" % values)
    exported = bash("nm -D --defined-only plain/build/probe.so").split("\n")
    check([line.split()[2] for line in exported if line] == ["weir_library_v1"], "probe.so exports %s" % exported)


def a_stage_against_the_build_tree():
    out = bash("weir new-stage beyond && cd beyond && cmake -B build && cmake --build build && ctest --test-dir build && "
               "weir run beyond.json", PATH=BIN + ":" + environment["PATH"])
    check("100% tests passed, 0 tests failed out of 2" in out, out)
    check([json.loads(line)["value"] for line in out.splitlines() if line.startswith("{")] == [96, 97, 98, 99, 100], out)
    with open(os.path.join(folder, "beyond", "build", "CMakeCache.txt")) as cache:
        check("weir_DIR:PATH=%s/lib/cmake/weir\n" % os.path.realpath(BUILD) in cache.read(), "it was built against another weir")


def mistakes_are_sentences():
    broken = os.path.join(folder, "broken")
    os.mkdir(broken)
    both = "weir_add_stages(a SOURCES a.c)\nweir_add_stage_test(a SOURCES a_test.cc STAGES a)"
    no_googletest = " -DCMAKE_DISABLE_FIND_PACKAGE_GTest=ON"
    for calls, options, sentence in (
            ("weir_add_stages(a a.cc)", "", "weir_add_stages(NAME SOURCES a.cc ... [LIBRARIES target ...])"),
            ("weir_add_stage_test(a SOURCES a_test.cc STAGES b)", "", "there is no target b"),
            (both, no_googletest, "install it (Debian: libgtest-dev)"),
            (both, no_googletest + " -DBUILD_TESTING=OFF", None)):
        with open(os.path.join(broken, "CMakeLists.txt"), "w") as build:
            build.write("cmake_minimum_required(VERSION 3.25)\nproject(broken LANGUAGES C)\nfind_package(weir REQUIRED)\n" + calls)
        with open(os.path.join(broken, "a.c"), "w") as source:
            source.write("#include <weir/abi.h>\n")
        told = bash("cd broken && %s cmake -B build%s 2>&1" % ("!" if sentence else "", options),
                    PATH=os.path.join(prefix, "bin") + ":" + environment["PATH"])
        check(sentence is None or sentence in " ".join(told.split()), "%s is answered by %s" % (calls, told))


try:
    for test in (an_installation_can_be_moved, the_page_works_as_written, a_stage_built_by_clang_runs_in_this_build,
                 the_published_records_are_summed, a_stage_against_the_build_tree, mistakes_are_sentences):
        test()
        print("ok:", test.__name__, flush=True)
finally:
    shutil.rmtree(folder)
