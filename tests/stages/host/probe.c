/* SPDX-License-Identifier: Apache-2.0 */
/* Stages for the tests of the host, in plain C against abi.h. Values are MessagePack positive fixints (one byte). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/abi.h"

#define UNLUCKY 13

typedef struct record {
  int64_t timestamp;
  weir_bytes key;
  weir_bytes value;
} record;

/** The record at *at, which moves behind it. */
static record next_record(const weir_batch* batch, size_t* at) {
  const uint8_t* from = batch->records.data + *at;
  uint32_t key_size;
  uint32_t value_size;
  record found;
  memcpy(&key_size, from, 4);
  memcpy(&value_size, from + 4, 4);
  memcpy(&found.timestamp, from + 8, 8);
  found.key.data = from + WEIR_RECORD_HEADER_SIZE;
  found.key.size = key_size & ~WEIR_RECORD_HAS_HEADERS;
  found.value.data = found.key.data + found.key.size;
  found.value.size = value_size;
  *at += WEIR_RECORD_HEADER_SIZE + found.key.size + found.value.size;
  if (key_size & WEIR_RECORD_HAS_HEADERS) {
    uint32_t headers_size;
    memcpy(&headers_size, batch->records.data + *at, 4);
    *at += 4 + headers_size;
  }
  return found;
}

static int fail(weir_context* context, int answer, const char* text) {
  context->host->fail(context, text, strlen(text));
  return answer;
}

static int emit(weir_context* context, uint32_t port, int64_t timestamp, weir_bytes key, weir_bytes value) {
  weir_record out;
  memset(&out, 0, sizeof(out));
  out.struct_size = sizeof(out);
  out.timestamp = timestamp;
  out.key = key;
  out.value = value;
  return context->host->emit(context, port, &out);
}

typedef int (*each_record)(void* self, weir_context* context, const record* in);

static int work_off(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done,
                    each_record each) {
  size_t at = 0;
  uint32_t i = 0;
  for (; i < first; ++i) next_record(batch, &at);
  *done = first;
  for (; i < batch->count; ++i) {
    record in = next_record(batch, &at);
    int answer;
    context->record = i;
    answer = each(self, context, &in);
    if (answer != WEIR_OK) return answer;
    *done = i + 1;
    if (context->stop) break;
  }
  return WEIR_OK;
}

/* What each stage keeps of itself. */
typedef struct stage {
  char config[256];
  uint64_t failures_left;
} stage;

static void* create(weir_context* context, const char* config, size_t config_size) {
  stage* self;
  if (config_size >= sizeof(self->config)) return NULL;
  self = calloc(1, sizeof(stage));
  memcpy(self->config, config, config_size);
  if (strstr(config, "refuse") != NULL) {
    free(self);
    fail(context, WEIR_ERROR, "the configuration asks for refusal");
    return NULL;
  }
  self->failures_left = strstr(config, "twice") != NULL ? 2 : 0;
  return self;
}
static void destroy(void* self) { free(self); }

/* probe.twice: each record twice; 13 fails behind its first copy, 14 before it, 15 is fatal. */
static int twice_record(void* self, weir_context* context, const record* in) {
  stage* me = self;
  const int value = in->value.data[0];
  if (value == UNLUCKY + 1) return fail(context, WEIR_ERROR, "fourteen");
  if (value == UNLUCKY + 2) return fail(context, WEIR_FATAL, "fifteen");
  if (emit(context, 0, in->timestamp, in->key, in->value) != WEIR_OK) return WEIR_ERROR;
  if (value == UNLUCKY) {
    if (me->failures_left == 0) return fail(context, WEIR_ERROR, "thirteen");
    if (--me->failures_left != 0) return fail(context, WEIR_ERROR, "thirteen, for now");
  }
  return emit(context, 0, in->timestamp, in->key, in->value);
}
static int twice_process(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done) {
  return work_off(self, context, batch, first, done, twice_record);
}

/* probe.count: counts records by key in state that the host keeps; 13 fails behind the change. */
static int count_record(void* self, weir_context* context, const record* in) {
  const weir_bytes name = {(const uint8_t*)"n", 1};
  weir_bytes value;
  uint8_t count = 0;
  weir_bytes changed = {&count, 1};
  (void)self;
  if (context->host->state_get(context, name, in->key, &value) == WEIR_OK) count = value.data[0];
  ++count;
  if (context->host->state_put(context, name, in->key, changed) != WEIR_OK) return WEIR_FATAL;
  if (in->value.data[0] == UNLUCKY) return fail(context, WEIR_ERROR, "thirteen");
  if (in->value.data[0] == 0) return context->host->state_erase(context, name, in->key);
  return emit(context, 0, in->timestamp, in->key, changed);
}
static int count_process(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done) {
  return work_off(self, context, batch, first, done, count_record);
}

/* probe.burst: value x 1,000 records of 100 bytes. finish: 10 portions of one record each. */
static int burst_record(void* self, weir_context* context, const record* in) {
  uint8_t text[100];
  weir_bytes value = {text, sizeof(text)};
  int i;
  (void)self;
  memset(text, 'x', sizeof(text));
  text[0] = 0xd9;
  text[1] = sizeof(text) - 2;
  for (i = 0; i < in->value.data[0] * 1000; ++i) {
    if (emit(context, 0, in->timestamp, in->key, value) != WEIR_OK) return WEIR_ERROR;
  }
  return WEIR_OK;
}
static int burst_process(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done) {
  return work_off(self, context, batch, first, done, burst_record);
}
static int burst_finish(void* self, weir_context* context) {
  stage* me = self;
  uint8_t portion = (uint8_t)me->failures_left;
  weir_bytes value = {&portion, 1};
  weir_bytes none = {NULL, 0};
  if (emit(context, 0, 0, none, value) != WEIR_OK) return WEIR_ERROR;
  return ++me->failures_left < 10 ? WEIR_MORE : WEIR_OK;
}

/* probe.strict: hands on small numbers, fails everything else. */
static int strict_record(void* self, weir_context* context, const record* in) {
  (void)self;
  if (in->value.size != 1) return fail(context, WEIR_ERROR, "no small number");
  return emit(context, 0, in->timestamp, in->key, in->value);
}
static int strict_process(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done) {
  return work_off(self, context, batch, first, done, strict_record);
}

/* probe.ignores: goes on after a refused emit, which no stage may. */
static int ignores_record(void* self, weir_context* context, const record* in) {
  weir_bytes none = {NULL, 0};
  (void)self;
  (void)in;
  emit(context, 7, 0, none, none);
  return WEIR_OK;
}
static int ignores_finish(void* self, weir_context* context) { return ignores_record(self, context, NULL); }
static int ignores_process(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done) {
  return work_off(self, context, batch, first, done, ignores_record);
}

/* probe.careless: a source that does the same. */
static int careless_enumerate(void* self, weir_context* context, weir_split_list* list) {
  const weir_bytes all = {(const uint8_t*)"all", 3};
  (void)self;
  context->host->split_add(list, all);
  return WEIR_END;
}
static int careless_read(void* self, weir_context* context, weir_split* split) {
  context->host->split_set_position(split, context->host->split_id(split));
  return ignores_record(self, context, NULL) == WEIR_OK ? WEIR_END : WEIR_ERROR;
}

/* probe.late: drops what is late, counting it, and then fails at 13. */
static int late_record(void* self, weir_context* context, const record* in) {
  (void)self;
  context->host->count(context, "late", 1);
  return in->value.data[0] == UNLUCKY ? fail(context, WEIR_ERROR, "thirteen") : WEIR_OK;
}
static int late_process(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done) {
  return work_off(self, context, batch, first, done, late_record);
}

/* probe.named: puts state under a name of as many bytes as a thousand times its value. */
static int named_record(void* self, weir_context* context, const record* in) {
  static uint8_t text[256 * 1000];
  const weir_bytes name = {text, in->value.data[0] * 1000U};
  (void)self;
  memset(text, 'n', sizeof(text));
  return context->host->state_put(context, name, in->key, in->value);
}
static int named_process(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done) {
  return work_off(self, context, batch, first, done, named_record);
}

/* probe.clock: emits the watermark whenever it rises. */
static int clock_process(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done) {
  (void)self;
  (void)context;
  (void)first;
  *done = batch->count;
  return WEIR_OK;
}
static int clock_on_watermark(void* self, weir_context* context) {
  uint8_t shard = (uint8_t)context->shard;
  weir_bytes value = {&shard, 1};
  weir_bytes none = {NULL, 0};
  (void)self;
  return emit(context, 0, context->watermark, none, value);
}

/* probe.numbers: two splits, "a" and "b", of three records each; a read gives one. The position is the next number. */
static int numbers_enumerate(void* self, weir_context* context, weir_split_list* list) {
  const weir_bytes a = {(const uint8_t*)"a", 1};
  const weir_bytes b = {(const uint8_t*)"b", 1};
  stage* me = self;
  context->host->split_add(list, a);
  context->host->split_add(list, b);
  return strstr(me->config, "follow") != NULL ? WEIR_MORE : WEIR_END;
}
static int numbers_read(void* self, weir_context* context, weir_split* split) {
  const weir_bytes position = context->host->split_position(split);
  uint8_t next = position.size == 0 ? 0 : position.data[0];
  weir_bytes moved = {&next, 1};
  if (next == 3) return strstr(((stage*)self)->config, "follow") != NULL ? WEIR_EMPTY : WEIR_END;
  if (emit(context, 0, next, context->host->split_id(split), moved) != WEIR_OK) return WEIR_ERROR;
  context->host->watermark(context, next);
  ++next;
  context->host->split_set_position(split, moved);
  return WEIR_MORE;
}
static void numbers_on_durable(void* self, weir_context* context, const weir_split* split) {
  char line[64];
  const weir_bytes position = context->host->split_position(split);
  (void)self;
  snprintf(line, sizeof(line), "durable_%c", position.data[0] + '0');
  context->host->count(context, line, 1);
}

/* probe.ledger: a sink whose position is how many records it has written; opening it anew counts from there. */
static int ledger_open(void* self, weir_context* context, weir_bytes position) {
  (void)context;
  ((stage*)self)->failures_left = position.size == 0 ? 0 : position.data[0];
  return WEIR_OK;
}
static int ledger_record(void* self, weir_context* context, const record* in) {
  if (in->value.data[0] == UNLUCKY) return fail(context, WEIR_ERROR, "thirteen");
  ++((stage*)self)->failures_left;
  return WEIR_OK;
}
static int ledger_write(void* self, weir_context* context, const weir_batch* batch, uint32_t first, uint32_t* done) {
  return work_off(self, context, batch, first, done, ledger_record);
}
static int ledger_flush(void* self, weir_context* context, weir_bytes* position) {
  static uint8_t written;
  (void)context;
  written = (uint8_t)((stage*)self)->failures_left;
  position->data = &written;
  position->size = 1;
  return WEIR_OK;
}

/* probe.busy: as the ledger; its target is another's until it has been asked for so often as the configuration says. */
static int busy_open(void* self, weir_context* context, weir_bytes position) {
  stage* me = self;
  const int left = atoi(me->config);
  if (left == 0) return ledger_open(self, context, position);
  snprintf(me->config, sizeof(me->config), "%d", left - 1);
  return fail(context, WEIR_EMPTY, "the target is another's");
}

/* As a newer version of the boundary may describe a stage: with fields that this one does not know. */
typedef struct larger_descriptor {
  weir_descriptor known;
  void* unknown[8];
} larger_descriptor;

static const char* const kTwoOutputs[] = {"out", "rest", NULL};

#define DESCRIBED(what, label) \
  .struct_size = sizeof(weir_descriptor), .kind = what, .name = label, .create = create, .destroy = destroy

static const weir_descriptor kTwice = {DESCRIBED(WEIR_KIND_STAGE, "probe.twice"), .process = twice_process};
static const weir_descriptor kCount = {DESCRIBED(WEIR_KIND_STAGE, "probe.count"), .flags = WEIR_FLAG_KEYED,
                                       .process = count_process};
static const weir_descriptor kUnkeyed = {DESCRIBED(WEIR_KIND_STAGE, "probe.unkeyed"), .process = count_process};
static const weir_descriptor kBurst = {DESCRIBED(WEIR_KIND_STAGE, "probe.burst"), .process = burst_process,
                                       .finish = burst_finish};
static const weir_descriptor kStrict = {DESCRIBED(WEIR_KIND_STAGE, "probe.strict"), .process = strict_process};
static const weir_descriptor kIgnores = {DESCRIBED(WEIR_KIND_STAGE, "probe.ignores"), .process = ignores_process,
                                         .finish = ignores_finish};
static const weir_descriptor kCareless = {DESCRIBED(WEIR_KIND_SOURCE, "probe.careless"),
                                          .enumerate = careless_enumerate, .read = careless_read};
static const weir_descriptor kLate = {DESCRIBED(WEIR_KIND_STAGE, "probe.late"), .process = late_process};
static const weir_descriptor kNamed = {DESCRIBED(WEIR_KIND_STAGE, "probe.named"), .flags = WEIR_FLAG_KEYED,
                                       .process = named_process};
static const weir_descriptor kClock = {DESCRIBED(WEIR_KIND_STAGE, "probe.clock"),
                                       .flags = WEIR_FLAG_KEYED | WEIR_FLAG_KEY_PRESERVING, .process = clock_process,
                                       .on_watermark = clock_on_watermark};
static const weir_descriptor kNumbers = {DESCRIBED(WEIR_KIND_SOURCE, "probe.numbers"), .enumerate = numbers_enumerate,
                                         .read = numbers_read, .on_durable = numbers_on_durable};
static const weir_descriptor kLedger = {DESCRIBED(WEIR_KIND_SINK, "probe.ledger"), .sharing = WEIR_SHARING_SINGLE,
                                        .open = ledger_open, .write = ledger_write, .flush = ledger_flush};
static const weir_descriptor kLedgers = {DESCRIBED(WEIR_KIND_SINK, "probe.ledgers"), .sharing = WEIR_SHARING_SHARD,
                                         .open = ledger_open, .write = ledger_write, .flush = ledger_flush};
static const weir_descriptor kBusy = {DESCRIBED(WEIR_KIND_SINK, "probe.busy"), .sharing = WEIR_SHARING_SINGLE,
                                      .open = busy_open, .write = ledger_write, .flush = ledger_flush};
static const weir_descriptor kPorts = {DESCRIBED(WEIR_KIND_STAGE, "probe.ports"), .outputs = kTwoOutputs,
                                       .schema = "{\"type\": \"object\"}", .process = twice_process};
static const larger_descriptor kNewer = {.known = {.struct_size = sizeof(larger_descriptor),
                                                   .kind = WEIR_KIND_STAGE,
                                                   .name = "probe.newer",
                                                   .create = create,
                                                   .destroy = destroy,
                                                   .process = twice_process},
                                         .unknown = {NULL}};
/* As an older version described one: nothing behind on_watermark. What follows here must never be looked at. */
static const weir_descriptor kOlder = {.struct_size = offsetof(weir_descriptor, on_timer),
                                       .kind = WEIR_KIND_STAGE,
                                       .name = "probe.older",
                                       .create = create,
                                       .destroy = destroy,
                                       .process = twice_process,
                                       .finish = burst_finish};

static const weir_descriptor* const kStages[] = {&kTwice,       &kCount,   &kUnkeyed,  &kBurst,   &kStrict, &kIgnores,
                                                 &kClock,       &kNumbers, &kLedger,   &kLedgers, &kBusy,   &kPorts,
                                                 &kNewer.known, &kOlder,   &kCareless, &kLate,    &kNamed};
static const weir_library kLibrary = {sizeof(weir_library), WEIR_ABI_MINOR, "plain C",
                                      sizeof(kStages) / sizeof(kStages[0]), kStages};

WEIR_EXPORT const weir_library* weir_library_v1(void) { return &kLibrary; }
