# SPDX-License-Identifier: Apache-2.0
"""touch_memory.py [MEBIBYTES]: touches free memory once, all but a gibibyte of it or so much, and gives it back.

A virtual machine that has just been started gets each page of its memory from its host when it first touches it, which here
took 10 to 15 us a page of 4 KiB, ten times what writing the page takes. What is measured in such memory, be it a journal in the
page cache or the heap of a Java program, tells of the host and not of the program; on a machine that has been up for a while it
is the other way round.
"""
import mmap
import sys

MEBIBYTE = 1 << 20
CHUNK = 64 * MEBIBYTE


def available_mebibytes():
    with open("/proc/meminfo") as meminfo:
        fields = dict(line.split(":") for line in meminfo)
    return int(fields["MemAvailable"].split()[0]) // 1024


def touch(mebibytes):
    """Touches so much, in one go, as what was given back might be had again at once; tells how much it was."""
    held = []
    ones = b"\1" * (CHUNK // mmap.PAGESIZE)
    for _ in range(mebibytes * MEBIBYTE // CHUNK):
        chunk = mmap.mmap(-1, CHUNK)
        chunk[::mmap.PAGESIZE] = ones
        held.append(chunk)
    for chunk in held:
        chunk.close()
    return len(held) * CHUNK // MEBIBYTE


def main(arguments):
    mebibytes = int(arguments[0]) if arguments else max(0, available_mebibytes() - 1024)
    print("touched %d MiB" % touch(mebibytes))


if __name__ == "__main__":
    main(sys.argv[1:])
