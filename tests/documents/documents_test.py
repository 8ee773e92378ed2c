# SPDX-License-Identifier: Apache-2.0
"""documents_test.py SOURCE_DIR: the documents of this tree are true as far as `documents` sees; and it sees mistakes."""
import os
import sys
import tempfile

import documents

TABLE = "tests/documents/README.md"
TESTED = "sdk/README.md"


def findings(root):
    tree = documents.Tree(root)
    found = []
    for check in (documents.missing_files, documents.missing_in_tables, documents.broken_links,
                  documents.blocks_without_language, documents.quoted_files):
        found += check(tree)
    return found + list(documents.untested_commands(tree, TABLE)) + list(documents.untested_code(tree, TESTED))


MADE_UP = {
    "README.md": """# Made up

See `sdk/gone.h`, `sdk/here.h`, `lost.cc`, `here.h` and [a page](sdk/README.md#a-heading).
[nothing](sdk/nothing.md), [no heading](sdk/README.md#another), [out](https://example.org/x).

```sh
scripts/tested.sh          # with a comment
scripts/untested.sh now
```

    cmake --build nowhere

```
no language
```

`sdk/here.h`:

```cpp
int there();
```

```cmake
project(unheard)
```
""",
    "sdk/README.md": """# SDK

## A heading

| file | what |
| --- | --- |
| `here` | is there |
| `elsewhere` | is not |

```cpp
int there();  // with a comment
```
""",
    "sdk/here.h": "int here();\n",
    "scripts/tested.sh": "",
    "scripts/untested.sh": "",
    "tests/some_test.cc": "TEST(Some, RunsIt) {}\n",
    TABLE: """| document | command | test |
| --- | --- | --- |
| `README.md` | `scripts/tested.sh` | `Some.RunsIt` |
| `README.md` | `scripts/forgotten.sh` | `Some.IsGone` |
""",
}
WANTED = [
    "README.md:3: there is no sdk/gone.h",
    "README.md:3: there is no lost.cc, here or anywhere",
    "sdk/README.md:8: the table names elsewhere, which is not there",
    "README.md:4: the link to sdk/nothing.md leads nowhere",
    "README.md:4: sdk/README.md has no heading #another",
    "README.md:13: name the language of the block; commands are sh",
    "README.md:11: put commands into a block of sh: cmake --build nowhere",
    "README.md:20: the block differs from sdk/here.h",
    "README.md:8: no test runs scripts/untested.sh now; test it, and name the test in " + TABLE,
    TABLE + ": README.md has no command scripts/forgotten.sh any more",
    TABLE + ": there is no test Some.IsGone",
    "README.md:23: this code is not in sdk/README.md, where it would be tested",
]


def it_sees_mistakes():
    with tempfile.TemporaryDirectory() as root:
        for path, text in MADE_UP.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        found = findings(root)
    # The table of the made-up tree names its forgotten script as a file too.
    expected = WANTED + [TABLE + ":4: there is no scripts/forgotten.sh"]
    assert sorted(found) == sorted(expected), "\n".join(["found:", *sorted(found), "wanted:", *sorted(expected)])


def this_tree_has_none(root):
    found = findings(root)
    assert not found, "\n" + "\n".join(found)


it_sees_mistakes()
this_tree_has_none(sys.argv[1])
