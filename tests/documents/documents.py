# SPDX-License-Identifier: Apache-2.0
"""Finds what the documents of a tree say that is not so: files that are not there, links that lead nowhere, commands that
no test runs. Each finding is a sentence with its place."""
import fnmatch
import os
import re

# Spans that look like files of this tree and are something else.
NO_FILES = {
    "text.json": "a stage",
    "weir.json": "in data directories",
    "endpoint.json": "in data directories",
    "above.json": "written by weir new-stage",
    "a.cc": "stands for any",
    "a_test.cc": "stands for any",
}
FILE = re.compile(r"[\w*.-]+\.(?:h|c|cc|py|sh|md|json|cmake|in|supp|txt|\*)$")
# A block that is a file: the line before it ends in the file's path and a colon.
FILE_BLOCK = re.compile(r"`([\w./-]+/[\w.-]+)`[^`\n]*:\n\n```\w+\n(.*?)^```$", re.S | re.M)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)
PROGRAMS = re.compile(r"(?:\w+=\S+ )*(?:\./|scripts/|build/)?(?:weir|weir-\w+|cmake|ctest|ninja|git|docker|python3|curl|bash|sudo|apt-get|\w+\.sh)(?: |$)")


class Tree:
    def __init__(self, root):
        self.root = root
        self.files = set()
        for place, folders, names in os.walk(root):
            inside = os.path.relpath(place, root)
            folders[:] = [name for name in folders if name not in (".git", ".weir", "__pycache__", "out")
                          and not (inside == "." and name.startswith("build"))]
            self.files.update(os.path.normpath(os.path.join(inside, name)) for name in names)
        self.folders = {path[:at] for path in self.files for at, c in enumerate(path) if c == "/"}
        self.top = {folder for folder in self.folders if "/" not in folder}

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8") as file:
            return file.read()

    def has(self, path):
        """A file, a folder, or a pattern that matches some file."""
        path = os.path.normpath(path)
        return path in self.files or path in self.folders or path == "." or \
            ("*" in path and bool(fnmatch.filter(self.files, path)))

    def documents(self):
        return sorted(path for path in self.files if path.endswith(".md"))


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def prose_of(text):
    """The text with its fenced blocks blanked, lines kept."""
    return FENCE.sub(lambda block: "\n" * block.group(0).count("\n"), text)


def spans_of(text):
    """(line, text) of every `code span`, also one that goes over the end of a line."""
    prose = prose_of(text)
    for span in re.finditer(r"(?<!`)`([^`]+)`(?!`)", prose):
        yield line_of(prose, span.start()), " ".join(span.group(1).split())


def slug(heading):
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def missing_files(tree):
    for document in tree.documents():
        text = tree.read(document)
        beside = os.path.dirname(document)
        written = {os.path.basename(block.group(1)) for block in FILE_BLOCK.finditer(text)}
        words = [(line, word.rstrip(",;:.)")) for line, span in spans_of(text) for word in span.split()]
        words += [(line_of(text, block.start(2) + word.start()), word.group(0))
                  for block in FENCE.finditer(text) if block.group(1) == "sh" for word in re.finditer(r"\S+", block.group(2))]
        for line, word in words:
            if word.split("/")[0] in tree.top and "/" in word and re.fullmatch(r"[\w./*-]+", word):
                if not tree.has(word):
                    yield "%s:%d: there is no %s" % (document, line, word)
            elif FILE.fullmatch(word) and word not in NO_FILES and word not in written and not word.startswith("*"):
                if not tree.has(os.path.join(beside, word)) and not any(os.path.basename(file) == word for file in tree.files):
                    yield "%s:%d: there is no %s, here or anywhere" % (document, line, word)


def missing_in_tables(tree):
    """A table whose first column is headed file, folder, page or script names such things, beside it or from the top."""
    for document in tree.documents():
        beside = os.path.dirname(document)
        headed = None
        for line, row in enumerate(tree.read(document).split("\n"), 1):
            if not row.startswith("|"):
                headed = None
                continue
            first = row.split("|")[1].strip()
            if headed is None:
                headed = first
            if headed not in ("file", "folder", "page", "script"):
                continue
            for name in re.findall(r"`([^`]+)`", first):
                if not any(tree.has(os.path.join(place, name + end)) for place in (beside, "") for end in ("", ".*")):
                    yield "%s:%d: the table names %s, which is not there" % (document, line, name)


def broken_links(tree):
    for document in tree.documents():
        text = prose_of(tree.read(document))
        for link in re.finditer(r"\[[^\]]*\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", lambda span: re.sub(r"[^\n]", "x", span.group(0)), text)):
            target = link.group(1)
            if re.match(r"\w+:", target):
                continue
            path, _, anchor = target.partition("#")
            path = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
            if not tree.has(path):
                yield "%s:%d: the link to %s leads nowhere" % (document, line_of(text, link.start()), target)
            elif anchor and anchor not in {slug(h) for h in re.findall(r"^#+ (.*)$", prose_of(tree.read(path)), re.M)}:
                yield "%s:%d: %s has no heading #%s" % (document, line_of(text, link.start()), path, anchor)


def commands_of(tree):
    """(document, line, command) of every command in a fenced block, without its comment."""
    for document in tree.documents():
        text = tree.read(document)
        for block in FENCE.finditer(text):
            if block.group(1) == "sh":
                for number, line in enumerate(block.group(2).split("\n")):
                    command = re.sub(r"(^|\s+)#.*", "", line).strip()
                    if command:
                        yield document, line_of(text, block.start(2)) + number, command


def blocks_without_language(tree):
    for document in tree.documents():
        text = tree.read(document)
        for block in FENCE.finditer(text):
            if not block.group(1):
                yield "%s:%d: name the language of the block; commands are sh" % (document, line_of(text, block.start()))
        for number, line in enumerate(prose_of(text).split("\n"), 1):
            if line.startswith("    ") and PROGRAMS.match(line.strip()):
                yield "%s:%d: put commands into a block of sh: %s" % (document, number, line.strip())


def table_of_commands(tree, path):
    """{(document, command or "*"): what runs it}."""
    rows = re.findall(r"^\| `([^`]+)` \| (?:`([^`]+)`|all) \| `([^`]+)` \|$", tree.read(path), re.M)
    return {(document, command or "*"): runner for document, command, runner in rows}


def untested_commands(tree, path):
    table = table_of_commands(tree, path)
    used = set()
    for document, line, command in commands_of(tree):
        found = [key for key in ((document, command), (document, "*")) if key in table]
        used.update(found[:1])
        if not found:
            yield "%s:%d: no test runs %s; test it, and name the test in %s" % (document, line, command, path)
    tests = "\n".join(tree.read(file) for file in sorted(tree.files)
                      if file.startswith("tests/") and file.endswith((".cc", "CMakeLists.txt")))
    for (document, command), runner in table.items():
        if (document, command) not in used:
            yield "%s: %s has no command %s any more" % (path, document, command)
        suite, _, name = runner.partition(".")
        if runner in tree.files:
            if command not in tree.read(runner):
                yield "%s: %s does not run %s" % (path, runner, command)
        elif not re.search(r"NAME %s\b|\(%s, %s\)" % tuple(map(re.escape, (runner, suite, name))), tests) and \
                not (suite == "EndToEnd" and re.search(r"weir_end_to_end\(%s\b" % re.escape(name), tests)):
            yield "%s: there is no test %s" % (path, runner)


def quoted_files(tree):
    """A block behind a line that ends in `path`: is that file, where there is one."""
    for document in tree.documents():
        text = tree.read(document)
        for block in FILE_BLOCK.finditer(text):
            if block.group(1) in tree.files and tree.read(block.group(1)) != block.group(2):
                yield "%s:%d: the block differs from %s" % (document, line_of(text, block.start(2)), block.group(1))


def untested_code(tree, tested):
    """C++ and CMake that a document shows is what the page `tested` shows (and has run), comments aside."""
    def lines(code):
        return [stripped for line in code.split("\n") if (stripped := re.sub(r"\s*(#(?!include)|//).*", "", line).rstrip())]
    known = ["\n".join(lines(block.group(2))) for block in FENCE.finditer(tree.read(tested))]
    for document in tree.documents():
        text = tree.read(document)
        for block in FENCE.finditer(text):
            code = "\n".join(lines(block.group(2)))
            if block.group(1) in ("cpp", "cmake") and not any(code in page for page in known):
                yield "%s:%d: this code is not in %s, where it would be tested" % (document, line_of(text, block.start()), tested)
