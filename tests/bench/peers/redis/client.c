// SPDX-License-Identifier: Apache-2.0
// The client of Redis Streams: producer -> stream -> consumer of a group, which acknowledges after the effect and trims
// what it has acknowledged; for keyed_total the consumer adds up, and sends all totals through a second stream.
#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include "commands.h"
#include "workload.h"

static const char* address;
static bool batched;
static unsigned pipeline;  ///< messages in a pipeline, of which two are under way; also what the consumer asks for

struct Pass {
  char stream[64];
  char totals[64];
  struct Workload workload;
};

/// A message of one field.
static void append_message(redisContext* context, const char* stream, const void* bytes, size_t size) {
  const char* words[] = {"XADD", stream, "*", "m", bytes};
  const size_t sizes[] = {4, strlen(stream), 1, 1, size};
  append(context, 5, words, sizes);
}

/// Messages in pipelines: while the replies to one are awaited, the next is on its way.
struct Publisher {
  redisContext* context;
  const char* stream;
  unsigned appended;
  unsigned awaited;
};

static struct Publisher open_publisher(const char* stream) {
  return (struct Publisher){.context = connect_to(address), .stream = stream};
}

static void flush_publisher(struct Publisher* publisher) {
  flush_commands(publisher->context);
  drop_replies(publisher->context, publisher->awaited);
  publisher->awaited = publisher->appended;
  publisher->appended = 0;
}

static void publish(struct Publisher* publisher, const void* bytes, size_t size) {
  append_message(publisher->context, publisher->stream, bytes, size);
  if (++publisher->appended == pipeline) flush_publisher(publisher);
}

static void close_publisher(struct Publisher* publisher) {
  flush_publisher(publisher);
  flush_publisher(publisher);
  redisFree(publisher->context);
}

/// A record with its key as a field, as the API gives records.
static void publish_record(struct Publisher* publisher, const struct Workload* workload) {
  const char* words[] = {"XADD",
                         publisher->stream,
                         "*",
                         "k",
                         (const char*)workload->framed,
                         "v",
                         (const char*)workload->framed + kFramedHeaderBytes};
  const size_t sizes[] = {4, strlen(publisher->stream), 1, 1, kKeyBytes, 1, workload->value_bytes};
  append(publisher->context, 7, words, sizes);
  if (++publisher->appended == pipeline) flush_publisher(publisher);
}

static void* produce(void* argument) {
  struct Pass* pass = argument;
  struct Workload workload = pass->workload;
  struct Publisher publisher = open_publisher(pass->stream);
  static unsigned char batch[kBatchBytes];
  size_t filled = 0;
  for (uint64_t i = 0; i < workload.records; ++i) {
    make_record(&workload, i);
    if (!batched) {
      publish_record(&publisher, &workload);
      continue;
    }
    if (filled + framed_bytes(&workload) > sizeof batch) {
      publish(&publisher, batch, filled);
      filled = 0;
    }
    memcpy(batch + filled, workload.framed, framed_bytes(&workload));
    filled += framed_bytes(&workload);
  }
  if (filled > 0) publish(&publisher, batch, filled);
  close_publisher(&publisher);
  return NULL;
}

/// What takes a message's fields; true when it was the last one.
typedef bool (*Take)(void* self, size_t fields, redisReply** words);

static void append_read(redisContext* context, const char* stream) {
  char count[16];
  const int digits = snprintf(count, sizeof count, "%u", pipeline);
  const char* words[] = {"XREADGROUP", "GROUP", "group",   "consumer", "COUNT", count,
                         "BLOCK",      "1000",  "STREAMS", stream,     ">"};
  const size_t sizes[] = {10, 5, 5, 8, 5, (size_t)digits, 5, 4, 7, strlen(stream), 1};
  append(context, 11, words, sizes);
}

/// Acknowledges what `entries` holds, and lets the stream forget it.
static void append_acknowledgement(redisContext* context, const char* stream, redisReply* entries) {
  const size_t count = entries->elements;
  const char** words = malloc((count + 3) * sizeof *words);
  size_t* sizes = malloc((count + 3) * sizeof *sizes);
  if (!words || !sizes) abort();
  words[0] = "XACK", words[1] = stream, words[2] = "group";
  sizes[0] = 4, sizes[1] = strlen(stream), sizes[2] = 5;
  for (size_t i = 0; i < count; ++i) {
    words[i + 3] = entries->element[i]->element[0]->str;
    sizes[i + 3] = entries->element[i]->element[0]->len;
  }
  append(context, (int)count + 3, words, sizes);
  const char* trim[] = {"XTRIM", stream, "MINID", "~", words[count + 2]};
  const size_t trim_sizes[] = {5, sizes[1], 5, 1, sizes[count + 2]};
  append(context, 5, trim, trim_sizes);
  free(words);
  free(sizes);
}

/// Gives every message to `take`, in order, and acknowledges those that it has had.
static void consume(const char* stream, Take take, void* self) {
  redisContext* context = connect_to(address);
  append_read(context, stream);
  for (bool ended = false; !ended;) {
    redisReply* reply = take_reply(context);
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0) {
      redisReply* entries = reply->element[0]->element[1];
      for (size_t i = 0; i < entries->elements; ++i) {
        redisReply* fields = entries->element[i]->element[1];
        ended = take(self, fields->elements, fields->element);
      }
      append_acknowledgement(context, stream, entries);
      if (!ended) append_read(context, stream);
      drop_replies(context, 2);
    } else {
      append_read(context, stream);
    }
    freeReplyObject(reply);
  }
  redisFree(context);
}

/// What takes a record; both sides count.
typedef void (*TakeRecord)(void* self, const unsigned char* key, const unsigned char* value, size_t value_bytes);

static uint64_t each_record(size_t fields, redisReply** words, TakeRecord take, void* self) {
  if (fields == 4) {
    take(self, (unsigned char*)words[1]->str, (unsigned char*)words[3]->str, words[3]->len);
    return 1;
  }
  uint64_t count = 0;
  const unsigned char* at = (unsigned char*)words[1]->str;
  for (const unsigned char* end = at + words[1]->len; at < end; ++count) {
    const size_t value_bytes = (size_t)at[kKeyBytes] << 8 | at[kKeyBytes + 1];
    take(self, at, at + kFramedHeaderBytes, value_bytes);
    at += kFramedHeaderBytes + value_bytes;
  }
  return count;
}

struct Relayed {
  struct Digest digest;
  uint64_t records;
};

static void digest_record(void* self, const unsigned char* key, const unsigned char* value, size_t value_bytes) {
  add_result(self, key, value, value_bytes);
}

static bool take_relayed(void* self, size_t fields, redisReply** words) {
  struct Relayed* relayed = self;
  each_record(fields, words, digest_record, &relayed->digest);
  return relayed->digest.results >= relayed->records;
}

struct Summed {
  struct Totals totals;
  uint64_t rest;
};

static void sum_record(void* self, const unsigned char* key, const unsigned char* value, size_t value_bytes) {
  (void)value_bytes;
  add_to_total(self, key, number_in(value));
}

static bool take_summed(void* self, size_t fields, redisReply** words) {
  struct Summed* summed = self;
  summed->rest -= each_record(fields, words, sum_record, &summed->totals);
  return summed->rest == 0;
}

enum { kTotalBytes = kKeyBytes + sizeof(int64_t) };

static void* sum(void* argument) {
  struct Pass* pass = argument;
  struct Summed summed = {.totals = make_totals(pass->workload.keys), .rest = pass->workload.records};
  consume(pass->stream, take_summed, &summed);
  struct Publisher publisher = open_publisher(pass->totals);
  static unsigned char message[kBatchBytes];
  const size_t most = batched ? sizeof message - kTotalBytes : 0;
  size_t filled = 0;
  for (size_t slot = 0; slot < summed.totals.slots; ++slot) {
    if (summed.totals.keys[slot] == 0) continue;
    memcpy(message + filled, &summed.totals.keys[slot], kKeyBytes);
    memcpy(message + filled + kKeyBytes, &summed.totals.sums[slot], sizeof(int64_t));
    filled += kTotalBytes;
    if (filled > most) {
      publish(&publisher, message, filled);
      filled = 0;
    }
  }
  if (filled > 0) publish(&publisher, message, filled);
  publish(&publisher, ".", 1);  // the end
  close_publisher(&publisher);
  free(summed.totals.keys);
  free(summed.totals.sums);
  return NULL;
}

static bool take_totals(void* self, size_t fields, redisReply** words) {
  (void)fields;
  const char* at = words[1]->str;
  for (size_t rest = words[1]->len; rest >= kTotalBytes; rest -= kTotalBytes, at += kTotalBytes) {
    int64_t total = 0;
    memcpy(&total, at + kKeyBytes, sizeof total);
    char digits[24];
    const int count = snprintf(digits, sizeof digits, "%" PRId64, total);
    add_result(self, at, digits, (size_t)count);
  }
  return words[1]->len == 1;
}

static void make_group(const char* stream) {
  redisContext* context = connect_to(address);
  redisReply* reply = redisCommand(context, "XGROUP CREATE %s group 0 MKSTREAM", stream);
  if (!reply || reply->type == REDIS_REPLY_ERROR) fail("redis", reply ? reply->str : context->errstr);
  freeReplyObject(reply);
  redisFree(context);
}

static pthread_t start(void* (*body)(void*), struct Pass* pass) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, body, pass) != 0) fail("thread", "it cannot be started");
  return thread;
}

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct Digest run(struct Pass* pass, bool totals, bool told, double* seconds) {
  make_group(pass->stream);
  make_group(pass->totals);
  if (told) puts("begin"), fflush(stdout);
  const double started = seconds_now();
  const pthread_t producer = start(produce, pass);
  struct Relayed relayed = {.records = pass->workload.records};
  if (totals) {
    const pthread_t summing = start(sum, pass);
    consume(pass->totals, take_totals, &relayed.digest);
    pthread_join(summing, NULL);
  } else {
    consume(pass->stream, take_relayed, &relayed);
  }
  *seconds = seconds_now() - started;
  pthread_join(producer, NULL);
  return relayed.digest;
}

static const char* option(int count, char** arguments, const char* name) {
  for (int i = 1; i + 1 < count; i += 2) {
    if (strcmp(arguments[i] + 2, name) == 0) return arguments[i + 1];
  }
  fail(name, "is missing");
  return NULL;
}

int main(int count, char** arguments) {
  address = option(count, arguments, "connect");
  batched = strcmp(option(count, arguments, "framing"), "batch") == 0;
  pipeline = (unsigned)strtoul(option(count, arguments, "pipeline"), NULL, 10);
  const bool totals = strcmp(option(count, arguments, "what"), "keyed_total") == 0;
  const uint64_t keys = strtoull(option(count, arguments, "keys"), NULL, 10);
  const unsigned pad = (unsigned)strtoul(option(count, arguments, "pad"), NULL, 10);
  const uint64_t warmup = strtoull(option(count, arguments, "warmup"), NULL, 10);
  const uint64_t records = strtoull(option(count, arguments, "records"), NULL, 10);
  double seconds = 0;
  if (warmup > 0) {
    struct Pass pass = {.stream = "warmup", .totals = "warmup-totals", .workload = make_workload(warmup, keys, pad)};
    run(&pass, totals, false, &seconds);
  }
  struct Pass pass = {.stream = "measured", .totals = "measured-totals", .workload = make_workload(records, keys, pad)};
  const struct Digest digest = run(&pass, totals, true, &seconds);
  printf("{\"seconds\": %.6f, \"results\": %" PRIu64 ", \"digest\": \"%" PRIu64 "\"}\n", seconds, digest.results,
         digest.sum);
  fflush(stdout);
  while (getchar() != EOF) continue;  // until the bench has looked what this process used
  return 0;
}
