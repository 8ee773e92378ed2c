# SPDX-License-Identifier: Apache-2.0
"""Takes back what no sync has covered, as a power cut would, by the log that tests/support/power_cut.c has kept."""
import os
import shutil
import struct

BLOCK, SECTOR = 4096, 512
ENTRY = struct.Struct("<cQQQQ")


def entries(path):
    """(kind, inode, offset, size before, bytes), in their order. What was begun last may be cut short."""
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


class Change:
    """What was done to the names in a folder, or in two."""

    def __init__(self, kind, gone, text):
        self.kind, self.gone, self.paths = kind, gone, text.decode().split("\0")
        self.folders = {os.path.dirname(path) for path in self.paths}  # that are to be synced yet

    def rests_on(self, other):
        """Whether it cannot have happened without `other`, which came first: they share a name, or a part of a path."""
        return any((mine + "/").startswith(theirs + "/") or (theirs + "/").startswith(mine + "/")
                   for mine in self.paths for theirs in other.paths)

    def lies_below(self, folder):
        return any(path.startswith(folder + "/") for path in self.paths)

    def move(self, before, after):
        """The folder `before`, which this lies in, has another name."""
        self.paths = [after + path[len(before):] if path.startswith(before + "/") else path for path in self.paths]
        self.folders = {after + path[len(before):] if (path + "/").startswith(before + "/") else path for path in self.folders}

    def take_back(self, graveyard):
        path = self.paths[0]
        if self.kind == b"C" and os.path.lexists(path):
            os.unlink(path)
        elif self.kind == b"M":
            shutil.rmtree(path, ignore_errors=True)
        elif self.kind == b"U" and not os.path.lexists(path):
            os.link(os.path.join(graveyard, str(self.gone)), path)
        elif self.kind == b"X" and not os.path.lexists(path):
            os.mkdir(path)
        elif self.kind == b"R" and not os.path.lexists(path) and os.path.lexists(self.paths[1]):
            os.rename(self.paths[1], path)
            if self.gone:
                os.link(os.path.join(graveyard, str(self.gone)), self.paths[1])


def synced(changes, folder):
    """What is left of them."""
    left = []
    for change in changes:
        change.folders.discard(folder)
        if change.folders:
            left.append(change)
        elif change.kind == b"X":
            left = [earlier for earlier in left if not earlier.lies_below(change.paths[0])]
        elif change.kind == b"R":
            for earlier in left:
                earlier.move(*change.paths)
    return left


def unsynced(path):
    """By inode what writes since the last sync have replaced, and the changes of folders; the oldest first."""
    writes, changes = {}, []
    for kind, inode, offset, size, text in entries(path):
        if kind == b"W":
            writes.setdefault(inode, []).append((offset, size, text))
        elif kind == b"S":
            writes.pop(inode, None)
        elif kind == b"Y":
            changes = synced(changes, text.decode())
        else:
            changes.append(Change(kind, offset, text))
    return writes, changes


def take_back_changes(changes, graveyard, chooser, kept):
    """Each change of a folder is there or not, but for those that rest on one that is not. How many are not."""
    lost = []
    kept = chooser.choice(kept)
    for change in changes:
        if chooser.random() >= kept or any(change.rests_on(earlier) for earlier in lost):
            lost.append(change)
    for change in reversed(lost):
        change.take_back(graveyard)
    return len(lost)


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


class Disk:
    """A folder whose files forget what was not synced when the power is cut."""

    def __init__(self, root, log, library):
        self.root, self.log, self.graveyard = os.path.abspath(root), os.path.abspath(log), os.path.abspath(log) + ".gone"
        os.makedirs(self.root, exist_ok=True)
        os.mkdir(self.graveyard)
        self.environment = {"LD_PRELOAD": os.path.abspath(library), "WEIR_POWER_CUT_ROOT": self.root,
                            "WEIR_POWER_CUT_LOG": self.log}

    def cut(self, chooser, kept=(0, 0, 0.5, 1)):
        """REQUIRES: none of the processes lives. `kept`: how likely a change of a folder stays, one of these. How many changes of folders, files and blocks are lost."""
        writes, changes = unsynced(self.log)
        lost = take_back_changes(changes, self.graveyard, chooser, kept)
        files = blocks = 0
        for folder, _, names in os.walk(self.root):
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
                        blocks += sum(left[at:at + BLOCK] != new[at:at + BLOCK]
                                      for at in range(0, max(len(left), len(new)), BLOCK))
                        file.seek(0)
                        file.write(left)
                        file.truncate(len(left))
        os.truncate(self.log, 0)  # what is there now is what the disk holds
        shutil.rmtree(self.graveyard)
        os.mkdir(self.graveyard)
        return lost, files, blocks
