/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Runs one stage of a library in a unit test, without a broker: the worker's own code, with memory in place of the
 * journal. In C, so that tests outlive compilers as stages do; C++ programs include <weir/testing.h>. Link with
 * libweir_testing.so.
 *
 * The stage has one input stream per input port, of the same number of shards, and one output stream per output port.
 * What is fed waits until something needs it: weir_testing_run and every call that says so work it off and commit.
 *
 * Structures begin with their size as their writer knew it, as in abi.h. What a call answers in borrowed bytes is valid
 * until the next call that works something off. Nothing here throws. Thread: one at a time.
 */
#ifndef WEIR_TESTING_ABI_H
#define WEIR_TESTING_ABI_H

#include "weir/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_testing weir_testing;

enum { WEIR_TESTING_DEAD_LETTER = 0, WEIR_TESTING_SKIP = 1, WEIR_TESTING_FAIL = 2 };

typedef struct weir_testing_options {
  uint32_t struct_size;
  uint32_t shards;                /* of each input stream; 0: 1 */
  uint32_t retries;               /* on_error.retries */
  uint32_t then;                  /* on_error.then: WEIR_TESTING_... */
  uint64_t transaction_bytes_max; /* 0: 8 MiB */
  uint32_t hot_keys;              /* not 0: of a mergeable stage; then weir_testing_feed_hot feeds it */
} weir_testing_options;

/** A record that the stage has emitted and committed. */
typedef struct weir_testing_output {
  uint32_t struct_size;
  uint32_t port; /* index into the stage's outputs */
  int64_t timestamp;
  weir_bytes key;
  weir_bytes value;
  weir_bytes headers; /* no bytes: none */
} weir_testing_output;

/** A record that the stage could not process. */
typedef struct weir_testing_dead_letter {
  uint32_t struct_size;
  uint32_t attempts;
  uint32_t port; /* index into the stage's inputs */
  uint32_t shard;
  uint64_t offset;
  int64_t timestamp;
  weir_bytes key;
  weir_bytes value;
  weir_bytes headers;
  weir_bytes reason; /* text */
} weir_testing_dead_letter;

/** An entry of committed state. */
typedef struct weir_testing_state {
  uint32_t struct_size;
  uint32_t shard;
  weir_bytes name;
  weir_bytes key;
  weir_bytes value;
} weir_testing_state;

/** A split of a source, as committed. */
typedef struct weir_testing_split {
  uint32_t struct_size;
  uint32_t ended;
  weir_bytes id;
  weir_bytes position;
} weir_testing_split;

/**
 * Starts the stage `plugin` of the library at `library` with `config` (JSON; not checked against the schema, null: {}).
 * Never null; where it could not start, weir_testing_failure says why. `options` may be null.
 */
WEIR_EXPORT weir_testing* weir_testing_open(const char* library, const char* plugin, const char* config,
                                            const weir_testing_options* options);
WEIR_EXPORT void weir_testing_close(weir_testing* testing);

/**
 * Null, or the sentence with which the worker gave up. From then on calls work nothing off, until
 * weir_testing_restart.
 */
WEIR_EXPORT const char* weir_testing_failure(weir_testing* testing);

/** Adds a record to shard `shard` of the input `port`; WEIR_ERROR where there is no such port or shard. */
WEIR_EXPORT int weir_testing_feed(weir_testing* testing, const char* port, uint32_t shard, const weir_record* record);
/**
 * The same for a record of a hot key, which may lie in any shard: the stage processes it into a partial result, which
 * is merged in the key's own shard. WEIR_ERROR also without the option `hot_keys`.
 */
WEIR_EXPORT int weir_testing_feed_hot(weir_testing* testing, const char* port, uint32_t shard,
                                      const weir_record* record);
/** The shard that a stream partitioned by hash has for `key`, one MessagePack value; -1 where it cannot be a key. */
WEIR_EXPORT int64_t weir_testing_shard(weir_testing* testing, weir_bytes key);
/** Works off what was fed, or for a source one round: names its splits, and reads each until it is empty or ended. */
WEIR_EXPORT void weir_testing_run(weir_testing* testing);
/** Runs, then says that event time of all inputs has come to `time`. */
WEIR_EXPORT void weir_testing_advance(weir_testing* testing, int64_t time);
/** Runs, then ends all inputs: finish is called for every shard. */
WEIR_EXPORT void weir_testing_finish(weir_testing* testing);
/** Runs, stops the worker as Ctrl-C does, and starts another from what is committed. */
WEIR_EXPORT void weir_testing_restart(weir_testing* testing);
/**
 * Works off what was fed, or reads one round, but kills the worker before anything of it is committed, and starts
 * another from what is committed: a record that was fed comes again.
 */
WEIR_EXPORT void weir_testing_crash(weir_testing* testing);

/* Runs, then: what was committed since the beginning, or since weir_testing_forget_outputs. */
WEIR_EXPORT size_t weir_testing_output_count(weir_testing* testing);
WEIR_EXPORT int weir_testing_output_at(weir_testing* testing, size_t index, weir_testing_output* output);
WEIR_EXPORT void weir_testing_forget_outputs(weir_testing* testing);
WEIR_EXPORT size_t weir_testing_dead_letter_count(weir_testing* testing);
WEIR_EXPORT int weir_testing_dead_letter_at(weir_testing* testing, size_t index, weir_testing_dead_letter* letter);
/** By shard, name and key. */
WEIR_EXPORT size_t weir_testing_state_count(weir_testing* testing);
WEIR_EXPORT int weir_testing_state_at(weir_testing* testing, size_t index, weir_testing_state* state);
WEIR_EXPORT size_t weir_testing_split_count(weir_testing* testing);
WEIR_EXPORT int weir_testing_split_at(weir_testing* testing, size_t index, weir_testing_split* split);
/** What a sink's last flush gave for `shard` (0 where its target is not by shard). */
WEIR_EXPORT weir_bytes weir_testing_position(weir_testing* testing, uint32_t shard);
/** Errors of records by cause ("process", "key", "size"), or records dropped by cause ("skipped", and what the stage
 * counts). */
WEIR_EXPORT uint64_t weir_testing_errors(weir_testing* testing, const char* cause);
WEIR_EXPORT uint64_t weir_testing_dropped(weir_testing* testing, const char* cause);
/** Transactions committed so far. */
WEIR_EXPORT uint64_t weir_testing_transactions(weir_testing* testing);
/** Whether all inputs' shards are finished, or all splits have ended and no others will come. */
WEIR_EXPORT int weir_testing_finished(weir_testing* testing);

#ifdef __cplusplus
}
#endif

#endif /* WEIR_TESTING_ABI_H */
