/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The boundary between Weir and a stage library, in C, so that libraries outlive compilers and other languages can
 * write them. C++ programs include <weir/stage.h>, which is built on this file.
 *
 * A library exports one function, weir_library_v1 (the ABI's major version is in the name), which returns the
 * description of its stages. Structures grow only at their end and begin with their size as their writer knew it: a
 * reader looks at no field behind that size. Numbers are never reused. Unless said otherwise pointers are borrowed for
 * the call, strings end with a zero byte, and no function may be null.
 *
 * Threads: all calls to one instance come from one thread, one at a time. A process hosts several instances only if
 * their stages are joined by fused streams. Functions of the host may be called only within a call from the host that
 * passed the context, on the same thread.
 *
 * Bytes of records. A batch is records one behind the other, little endian, unaligned:
 *
 *     u32 key_size      bytes of the key; bit 31 set: headers follow the value
 *     u32 value_size    bytes of the value
 *     i64 timestamp     event time, microseconds since 1970-01-01T00:00:00Z
 *     key, value        one MessagePack value each; no key is nil (one byte, 0xc0)
 *     [u32 headers_size, headers]  one MessagePack map, only with bit 31
 */
#ifndef WEIR_ABI_H
#define WEIR_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_ABI_MAJOR 1
#define WEIR_ABI_MINOR 3
#define WEIR_LIBRARY_SYMBOL "weir_library_v1"

#if defined(__GNUC__)
#define WEIR_EXPORT __attribute__((visibility("default")))
#else
#define WEIR_EXPORT
#endif

#define WEIR_RECORD_HEADER_SIZE 16u
#define WEIR_RECORD_HAS_HEADERS 0x80000000u

/** Event time before everything, and behind everything. */
#define WEIR_TIME_MIN INT64_MIN
#define WEIR_TIME_MAX INT64_MAX

typedef struct weir_bytes {
  const uint8_t* data; /* may be null where size is 0 */
  size_t size;
} weir_bytes;

/** What a call of the library answers. */
enum {
  WEIR_OK = 0,     /* done */
  WEIR_MORE = 1,   /* done so far; call again (read, on_watermark, finish) */
  WEIR_EMPTY = 2,  /* nothing there at the moment; ask again later (read) */
  WEIR_END = 3,    /* nothing will come any more (read) */
  WEIR_ERROR = -1, /* failed; the sentence was given to weir_host.fail */
  WEIR_FATAL = -2  /* the worker cannot go on; the sentence was given to weir_host.fail */
};

enum { WEIR_KIND_SOURCE = 1, WEIR_KIND_STAGE = 2, WEIR_KIND_SINK = 3 };
enum { WEIR_SHARING_SINGLE = 0, WEIR_SHARING_SHARD = 1, WEIR_SHARING_ANY = 2 };
enum { WEIR_LOG_DEBUG = 0, WEIR_LOG_INFO = 1, WEIR_LOG_WARNING = 2, WEIR_LOG_ERROR = 3 };

/** Properties of a stage, in weir_descriptor.flags. */
enum {
  WEIR_FLAG_KEYED = 1u,            /* keeps state per key: needs a keyed input */
  WEIR_FLAG_KEY_PRESERVING = 2u,   /* emits each record under the key that it came with */
  WEIR_FLAG_MERGEABLE = 4u,        /* has merge() */
  WEIR_FLAG_NONDETERMINISTIC = 8u, /* the same input need not give the same output */
  WEIR_FLAG_LOCAL = 16u,         /* sources: what a split names (a file, a device) is only on the host that found it */
  WEIR_FLAG_STATE_IN_PARTS = 32u /* with state_load: a shard's state may come in parts, with other calls between them,
                                    and a later value of a key takes the place of an earlier one */
};

/** A record to emit. Null data of key: nil. Null data of headers: none. */
typedef struct weir_record {
  uint32_t struct_size;
  uint32_t reserved;
  int64_t timestamp;
  weir_bytes key;     /* one MessagePack value */
  weir_bytes value;   /* one MessagePack value */
  weir_bytes headers; /* one MessagePack map */
} weir_record;

/** Records of one shard, in order. */
typedef struct weir_batch {
  uint32_t struct_size;
  uint32_t count;  /* records in `records` */
  uint32_t port;   /* index into the descriptor's inputs */
  uint32_t shard;  /* the shard of the input stream */
  uint64_t offset; /* of the first record; later ones count up */
  weir_bytes records;
  const char* stream; /* name of the input stream */
} weir_batch;

typedef struct weir_context weir_context;
typedef struct weir_split weir_split;
typedef struct weir_split_list weir_split_list;

/** What the host offers. One table for the process; lives as long as the library is loaded. */
typedef struct weir_host {
  uint32_t struct_size;
  uint32_t abi_minor;

  /**
   * Emits a record at an output port (index into the descriptor's outputs); the bytes are copied. WEIR_OK, or
   * WEIR_ERROR: the record cannot be taken (its key does not suit the stream, or one record's outputs exceed a
   * transaction) and the stage must fail the record that it works on; the sentence is already with the host. Sources,
   * stages: in read, process, on_watermark, on_timer and finish.
   */
  int (*emit)(weir_context* context, uint32_t port, const weir_record* record);

  /** Says why the call is about to answer WEIR_ERROR or WEIR_FATAL. The last sentence counts. */
  void (*fail)(weir_context* context, const char* text, size_t size);

  /** A line of diagnostics on the worker's standard error. */
  void (*log)(weir_context* context, int level, const char* text, size_t size);

  /**
   * State of the instance under (shard of the context, name, key), kept by the host for stages without state_load. The
   * bytes that get gives are valid until the next call of a state function. get: WEIR_OK, or WEIR_EMPTY where there is
   * none. Changes take effect with the transaction; those of a record that fails are undone.
   * For stages with state_load: put and erase only from state_flush, where they write the changelog and nothing else;
   * get only where the host has called state_on_demand, of what was flushed. Then get may also answer WEIR_FATAL: the
   * worker cannot go on, and has said why.
   */
  int (*state_get)(weir_context* context, weir_bytes name, weir_bytes key, weir_bytes* value);
  int (*state_put)(weir_context* context, weir_bytes name, weir_bytes key, weir_bytes value);
  int (*state_erase)(weir_context* context, weir_bytes name, weir_bytes key);

  /** Sources, in read: no later record of this split will have a timestamp at or before `time`. Never goes back. */
  void (*watermark)(weir_context* context, int64_t time);

  /** Sources, in enumerate: adds a split. An id that is known already is left as it is. */
  int (*split_add)(weir_split_list* list, weir_bytes id);
  /** Sources, in read and on_durable: the split's id, and its position as last set (empty at first). */
  weir_bytes (*split_id)(const weir_split* split);
  weir_bytes (*split_position)(const weir_split* split);
  /** Sources, in read: where to go on; committed together with what read emitted. */
  void (*split_set_position)(weir_split* split, weir_bytes position);

  /** Stages, sources: adds to the counter of dropped records or errors, cause `name` ([a-z_]+), without failing
   * anything. */
  void (*count)(weir_context* context, const char* name, uint64_t by);

  /**
   * Since minor version 1, for stages whose state_on_demand was called: of the state under `name` the first key behind
   * `after` in the order of bytes, or the first of all where after.data is null, with its value. Both are valid until
   * the next call of a state function. WEIR_OK; WEIR_EMPTY where there is no other; WEIR_FATAL as with state_get.
   */
  int (*state_next)(weir_context* context, weir_bytes name, weir_bytes after, weir_bytes* key, weir_bytes* value);
} weir_host;

/**
 * The shard of a context, to mergeable stages only: the record's key is hot, its records are shared out among workers,
 * and the state is a partial one, empty at first. It is handed over and dropped with the transaction. What is emitted
 * is dropped too.
 */
#define WEIR_SHARD_PARTIAL 0xffffffffu

/** Passed to every call; belongs to the host. */
struct weir_context {
  uint32_t struct_size;
  /**
   * Index in the batch of the record that the stage works on. process sets it before each record: what is emitted and
   * changed belongs to that record and is undone with it. The host reads it from a thread of its own, to see whether
   * the stage gets on.
   */
  uint32_t record;
  /** Set by the host when the transaction is full: return behind the current record. */
  uint32_t stop;
  /** The shard whose state the state functions mean, or WEIR_SHARD_PARTIAL. */
  uint32_t shard;
  const weir_host* host;
  /** The watermark of this shard's inputs, WEIR_TIME_MIN before there is one. */
  int64_t watermark;
  /** The instance's worker number within its stage, and how many the stage was to have when this one started. */
  uint32_t worker;
  uint32_t workers;
};

/**
 * One stage. Which calls matter depends on the kind; those of other kinds are null. Where a call may be null, null
 * means that there is nothing to do.
 */
typedef struct weir_descriptor {
  uint32_t struct_size;
  uint32_t kind;              /* WEIR_KIND_... */
  const char* name;           /* "keyed.sum": what a topology calls it; [a-z][a-z0-9_.-]* */
  const char* schema;         /* JSON Schema draft-07 of the configuration, or null: takes none */
  const char* const* inputs;  /* port names, ending with null; null: "in", or none for a source */
  const char* const* outputs; /* port names, ending with null; null: "out", or none for a sink */
  uint32_t flags;             /* WEIR_FLAG_... */
  uint32_t sharing;           /* sinks: WEIR_SHARING_... */

  /** A new instance; `config` is JSON that fits the schema. Null: failed, the sentence given to host->fail. */
  void* (*create)(weir_context* context, const char* config, size_t config_size);
  void (*destroy)(void* self);

  /**
   * Stages: works off the batch from record `first` on. For each record: sets context->record, does the work, and
   * returns behind it if context->stop is set. Answers WEIR_OK with *done = index behind the last finished record, or
   * WEIR_ERROR with context->record the one that failed and *done the same; what that record did to typed state
   * (state_load) the stage has undone itself, everything else the host undoes.
   */
  int (*process)(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done);

  /** Stages, may be null: event time of context->shard has come to context->watermark. WEIR_OK or WEIR_MORE. */
  int (*on_watermark)(void* self, weir_context* context);

  /** Reserved for timers; null. */
  int (*on_timer)(void* self, weir_context* context, weir_bytes key, int64_t time);

  /** Stages, may be null: the input of context->shard has ended. WEIR_MORE: call again in the next transaction. */
  int (*finish)(void* self, weir_context* context);

  /**
   * Stages that keep their state as typed values: null together, then the host keeps it. load: a value restored for
   * context->shard. flush: called before each commit and for each shard touched; hands every change since the last
   * flush to state_put or state_erase. drop: the shard has left this worker, forget it.
   */
  int (*state_load)(void* self, weir_context* context, weir_bytes name, weir_bytes key, weir_bytes value);
  int (*state_flush)(void* self, weir_context* context);
  void (*state_drop)(void* self, uint32_t shard);
  /** With state_load: bytes that the state takes in memory, for the metric. May be null. */
  uint64_t (*state_bytes)(const void* self);

  /**
   * Sources. enumerate: names all splits known now; WEIR_END: there will be no others, WEIR_MORE: ask again later.
   * read: emits some records of the split and moves its position; WEIR_MORE, WEIR_EMPTY or WEIR_END. on_durable, may be
   * null: the position in `split` is on disk: what it stands for may be acknowledged outside.
   */
  int (*enumerate)(void* self, weir_context* context, weir_split_list* list);
  int (*read)(void* self, weir_context* context, weir_split* split);
  void (*on_durable)(void* self, weir_context* context, const weir_split* split);

  /**
   * Sinks. open: this worker now owns the target of context->shard (0 where sharing is not by shard); `position` is
   * what flush gave with the last commit, empty at first; WEIR_EMPTY: it is another's still, the sentence was given to
   * weir_host.fail, open is called again later. write: as process, but only durable records, each shard in
   * order. flush: returns when the target holds durably all that was written; *position (valid until the next call) is
   * committed with it. close, may be null: the target leaves this worker; nothing uncommitted is pending.
   */
  int (*open)(void* self, weir_context* context, weir_bytes position);
  int (*write)(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done);
  int (*flush)(void* self, weir_context* context, weir_bytes* position);
  void (*close)(void* self, weir_context* context);

  /**
   * Since minor version 1, with state_load, null together: state that is larger than memory. on_demand: called once,
   * behind create: state is not loaded, state_get and state_next of the host find it; state_load is not called.
   * evict: called now and then when everything has been flushed: forgets values until those it holds take at most
   * `bytes_max`, by its own estimate.
   */
  void (*state_on_demand)(void* self);
  void (*state_evict)(void* self, uint64_t bytes_max);

  /**
   * Since minor version 2, with WEIR_FLAG_MERGEABLE: as process, but each record is a partial result: under its key,
   * which belongs to context->shard, what state process has made elsewhere of records of that key, as a MessagePack
   * array of binaries: name, value, name, value, ... as they would be given to state_put. To be merged into the state
   * of the key, which must not depend on how its records were shared out, nor on their order. Its timestamp is the
   * greatest of theirs.
   */
  int (*merge)(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done);

  /**
   * Since minor version 2, stages with state_load, may be null: whether the stage could go on with a value that is
   * stored, perhaps by another version of it. Called before an upgrade moves anything, on an instance that is given
   * nothing else, for every value of every shard. WEIR_OK; WEIR_EMPTY: it does not know; WEIR_ERROR: it could not, the
   * sentence was given to weir_host.fail. No other function of the host may be called within.
   */
  int (*state_try)(void* self, weir_context* context, weir_bytes name, weir_bytes key, weir_bytes value);

  /**
   * Since minor version 3, with state_load, may be null: about how many bytes of keys and values state_flush would hand
   * over now, of all shards together, so that the host knows when the transaction is full. UINT64_MAX: that cannot be
   * told before, since values may have grown; the host then goes by the size of the records, as it does without this
   * call. Called after each call of process, so it must not go through the state.
   */
  uint64_t (*state_pending)(const void* self);
} weir_descriptor;

/** A library's stages. */
typedef struct weir_library {
  uint32_t struct_size;
  uint32_t abi_minor;
  const char* built_with; /* compiler and version, for people */
  uint32_t stage_count;
  const weir_descriptor* const* stages;
} weir_library;

/** The exported function. What it returns lives as long as the library is loaded. */
WEIR_EXPORT const weir_library* weir_library_v1(void);

#ifdef __cplusplus
}
#endif

#endif /* WEIR_ABI_H */
