// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/// The records of `weir bench` (topologies/bench/README.md, "The records"). A framed record is key, length of the value
/// in two bytes, value.
enum {
  kKeyBytes = 8,
  kNumberAt = 4,
  kFramedHeaderBytes = kKeyBytes + 2,
  kFramedBytesMax = 512,
  kBatchBytes = 64 * 1024
};

/// Makes records by changing bytes of one. Thread: one.
struct Workload {
  uint64_t records;
  uint64_t keys;
  size_t value_bytes;
  unsigned char framed[kFramedBytesMax];
};

static inline struct Workload make_workload(uint64_t records, uint64_t keys, unsigned pad) {
  struct Workload made = {.records = records, .keys = keys, .value_bytes = kNumberAt + 2 + 4 + 2 + pad};
  const unsigned char head[] = {0x82, 0xa1, 'n', 0xcd, 0, 0, 0xa3, 'p', 'a', 'd', 0xd9, (unsigned char)pad};
  memset(made.framed, 'x', sizeof made.framed);
  made.framed[0] = 'k';
  made.framed[kKeyBytes] = (unsigned char)(made.value_bytes >> 8);
  made.framed[kKeyBytes + 1] = (unsigned char)made.value_bytes;
  memcpy(made.framed + kFramedHeaderBytes, head, sizeof head);
  return made;
}

static inline size_t framed_bytes(const struct Workload* workload) {
  return kFramedHeaderBytes + workload->value_bytes;
}

/// Makes `framed` that of record i.
static inline void make_record(struct Workload* workload, uint64_t i) {
  uint64_t x = i + 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  uint64_t rest = (x ^ (x >> 31)) % workload->keys;
  for (int digit = kKeyBytes - 1; digit > 0; --digit, rest /= 10)
    workload->framed[digit] = (unsigned char)('0' + rest % 10);
  const unsigned n = 256 + (unsigned)(i % 1000);
  workload->framed[kFramedHeaderBytes + kNumberAt] = (unsigned char)(n >> 8);
  workload->framed[kFramedHeaderBytes + kNumberAt + 1] = (unsigned char)n;
}

static inline int64_t number_in(const unsigned char* value) {
  if (value[kNumberAt - 1] != 0xcd) {
    fprintf(stderr, "this is no value of the workload\n");
    exit(1);
  }
  return (int64_t)value[kNumberAt] << 8 | value[kNumberAt + 1];
}

/// How many results there were, and the sum of CRC-32 over key and value of each.
struct Digest {
  uint64_t results;
  uint64_t sum;
};

static inline void add_result(struct Digest* digest, const void* key, const void* value, size_t value_bytes) {
  digest->sum += crc32(crc32(0, key, kKeyBytes), value, (unsigned)value_bytes);
  ++digest->results;
}

/// A sum for each key. Keys are eight bytes, never all of them zero.
struct Totals {
  size_t slots;  ///< a power of two, more than twice as many as there are keys
  uint64_t* keys;
  int64_t* sums;
};

static inline struct Totals make_totals(uint64_t keys) {
  struct Totals totals = {.slots = 1024};
  while (totals.slots < 2 * keys + 1) totals.slots *= 2;
  totals.keys = calloc(totals.slots, sizeof *totals.keys);
  totals.sums = calloc(totals.slots, sizeof *totals.sums);
  if (!totals.keys || !totals.sums) abort();
  return totals;
}

static inline void add_to_total(struct Totals* totals, const unsigned char* key, int64_t number) {
  uint64_t word = 0;
  memcpy(&word, key, sizeof word);
  size_t slot = (size_t)((word * 0x9e3779b97f4a7c15) >> 20) & (totals->slots - 1);
  while (totals->keys[slot] != word && totals->keys[slot] != 0) slot = (slot + 1) & (totals->slots - 1);
  totals->keys[slot] = word;
  totals->sums[slot] += number;
}
