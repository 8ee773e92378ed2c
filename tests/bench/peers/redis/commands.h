// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/// Connections and pipelines over hiredis. Whatever goes wrong ends the program with 1 and a sentence.

static inline void fail(const char* what, const char* why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

/// `address` is the path of a socket.
static inline redisContext* connect_to(const char* address) {
  redisContext* context = redisConnectUnix(address);
  if (!context || context->err) fail(address, context ? context->errstr : "no memory");
  return context;
}

/// The next reply of a pipeline; an error is fatal. OWNERSHIP: the caller frees it.
static inline redisReply* take_reply(redisContext* context) {
  redisReply* reply = NULL;
  if (redisGetReply(context, (void**)&reply) != REDIS_OK) fail("redis", context->errstr);
  if (reply->type == REDIS_REPLY_ERROR) fail("redis", reply->str);
  return reply;
}

static inline void drop_replies(redisContext* context, size_t count) {
  for (; count > 0; --count) freeReplyObject(take_reply(context));
}

/// Sends what was appended without waiting for replies.
static inline void flush_commands(redisContext* context) {
  for (int done = 0; !done;) {
    if (redisBufferWrite(context, &done) != REDIS_OK) fail("redis", context->errstr);
  }
}

static inline void append(redisContext* context, int count, const char** words, const size_t* sizes) {
  if (redisAppendCommandArgv(context, count, words, sizes) != REDIS_OK) fail("redis", context->errstr);
}
