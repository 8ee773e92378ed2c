#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes access.log beside this script: 2,000 lines in Combined Log Format, 13 of them malformed.

The same bytes on every run and every Python 3: the only source of chance is the generator below, a linear
congruential one with the constants of Knuth's MMIX and a fixed seed. With an argument it writes there instead.
"""

import datetime
import pathlib
import sys

LINES = 2000
START = datetime.datetime(2024, 5, 17, 6, 25, 24, tzinfo=datetime.timezone.utc)
PATHS = ["/", "/index.html", "/about.html", "/docs/", "/docs/install.html", "/docs/reference.html", "/search",
         "/images/logo.png", "/style.css", "/favicon.ico", "/api/items", "/api/orders", "/login", "/old/page.html"]
METHODS = ["GET"] * 8 + ["POST", "HEAD"]
STATUSES = ["200"] * 12 + ["304"] * 3 + ["404"] * 2 + ["301", "403", "500"]
REFERRERS = ["-", "https://www.example.org/", "https://search.example.com/?q=streams", "https://news.example.net/item/42"]
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0",
          "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0 Safari/537.36",
          "curl/7.88.1", "examplebot/2.1 (+https://www.example.org/bot.html)"]

# What really turns up in such logs: half-written lines, another program's output, fields that are missing. None of them
# obeys even the shorter Common Log Format.
MALFORMED = [
    "",
    "-",
    "Segmentation fault (core dumped)",
    '203.0.113.9 - - [17/May/2024:06:40:02 +0000] "GET /index.html HTTP/1.1" 200',
    '203.0.113.9 - - [17/May/2024:06:41:17 +0000 "GET /about.html HTTP/1.1" 200 512 "-" "curl/7.88.1"',
    '198.51.100.23 - - [17/May/2024:06:52:48 +0000] "GET /docs/ HT',
    "198.51.100.23 - - [17/May/2024:06:5",
    "192.0.2.77 - - [17/May/2024:07:03:11 +0000] GET /docs/ HTTP/1.1 200 1024 - curl/7.88.1",
    '192.0.2.77 - - "GET /docs/ HTTP/1.1" 200 1024 "-" "curl/7.88.1"',
    '[17/May/2024:07:15:00 +0000] "GET /style.css HTTP/1.1" 200 2048 "-" "curl/7.88.1"',
    "192.0.2.77 - - 17/May/2024:07:20:41 +0000 GET /login HTTP/1.1 200 300",
    '203.0.113.200 - - [17/May/2024:07:31:06 +0000] "GET /search HTTP/1.1"',
    '{"status": 200, "path": "/api/items"}',
]


class Chance:
    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % bound

    def of(self, choices):
        return choices[self.below(len(choices))]


def access_log():
    chance = Chance(20240517)
    malformed_at = {LINES * (i + 1) // (len(MALFORMED) + 1): line for i, line in enumerate(MALFORMED)}
    time = START
    for number in range(LINES):
        time += datetime.timedelta(seconds=chance.below(5))
        if number in malformed_at:
            yield malformed_at[number]
            continue
        host = f"{chance.of(['192.0.2', '198.51.100', '203.0.113'])}.{1 + chance.below(254)}"
        user = "alice" if chance.below(20) == 0 else "-"
        path = chance.of(PATHS)
        if path == "/search":
            path += f"?q={chance.of(['weir', 'stream', 'exactly+once', 'broker'])}"
        status = chance.of(STATUSES)
        size = "-" if status == "304" else str(120 + chance.below(40000))
        yield (f"{host} - {user} [{time:%d/%b/%Y:%H:%M:%S +0000}] \"{chance.of(METHODS)} {path} HTTP/1.1\" {status} {size}"
               f" \"{chance.of(REFERRERS)}\" \"{chance.of(AGENTS)}\"")


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("access.log")
    target.write_text("".join(line + "\n" for line in access_log()), encoding="ascii")
