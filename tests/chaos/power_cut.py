# SPDX-License-Identifier: Apache-2.0
"""Takes back what no sync has covered, as a power cut would, by the log that tests/support/power_cut.c has kept."""
import os
import struct

BLOCK, SECTOR = 4096, 512
ENTRY = struct.Struct("<cQQQQ")


def entries(path):
    """(kind, inode, offset, size before, what stood there), in their order. What was begun last may be cut short."""
    with open(path, "rb") as log:
        while True:
            head = log.read(ENTRY.size)
            if len(head) < ENTRY.size:
                return
            kind, inode, offset, size, count = ENTRY.unpack(head)
            before = log.read(count)
            if len(before) < count:
                return
            yield kind, inode, offset, size, before


def unsynced(path):
    """By inode: what writes since the last sync have replaced, the oldest first."""
    found = {}
    for kind, inode, offset, size, before in entries(path):
        if kind == b"W":
            found.setdefault(inode, []).append((offset, size, before))
        else:
            found.pop(inode, None)
    return found


def as_synced(content, writes):
    """The file as the last sync has left it."""
    content = bytearray(content)
    for offset, size, before in reversed(writes):
        content.extend(bytes(max(0, offset + len(before) - len(content))))
        content[offset:offset + len(before)] = before
        content[size:] = b""
        content.extend(bytes(size - len(content)))
    return bytes(content)


def mixed(new, old, chooser):
    """Block by block what was written last, what a sync has covered, or torn; of the two lengths either."""
    size = chooser.choice([len(new), len(old)])
    wide = max(len(new), len(old), size)
    new, old = new.ljust(wide, b"\0"), old.ljust(wide, b"\0")
    out = bytearray()
    for at in range(0, wide, BLOCK):
        fresh, stale = new[at:at + BLOCK], old[at:at + BLOCK]
        if fresh != stale:
            cut = chooser.choice([0, BLOCK, chooser.randrange(0, BLOCK + 1, SECTOR)])
            fresh = fresh[:cut] + stale[cut:]
        out += fresh
    return bytes(out[:size])


def cut(root, log, chooser):
    """REQUIRES: none of the processes lives. How many files and blocks are other than they were."""
    writes = unsynced(log)
    files = blocks = 0
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            facts = os.lstat(path)
            if facts.st_ino not in writes:
                continue
            with open(path, "r+b") as file:
                new = file.read()
                left = mixed(new, as_synced(new, writes[facts.st_ino]), chooser)
                if left != new:
                    files += 1
                    blocks += sum(left[at:at + BLOCK] != new[at:at + BLOCK] for at in range(0, max(len(left), len(new)), BLOCK))
                    file.seek(0)
                    file.write(left)
                    file.truncate(len(left))
    os.truncate(log, 0)  # what is there now is what the disk holds
    return files, blocks
