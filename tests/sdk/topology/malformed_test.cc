// SPDX-License-Identifier: Apache-2.0
// What a person sees for each mistake. The base is a topology without findings; each case changes it in one place.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

constexpr std::string_view kBase = R"({
  "name": "wordcount",
  "broker": {},
  "http": {},
  "streams": {
    "lines":  {},
    "words":  { "partition": { "by": "hash" }, "shards": 32 },
    "counts": {}
  },
  "stages": {
    "read":  { "plugin": "file.lines", "output": "lines", "config": { "path": "in" } },
    "split": { "plugin": "text.words", "input": "lines", "output": "words", "workers": 2 },
    "count": { "plugin": "keyed.count", "input": "words", "output": "counts", "on_error": {} },
    "write": { "plugin": "file.write", "input": "counts", "config": { "path": "out" } }
  }
})";

struct Case {
  const char* from;  ///< what of the base is replaced
  const char* to;
  const char* findings;  ///< all of them
};

const Case kCases[] = {
    // The example of the contract.
    {R"("input": "words")", R"("input": "wrods")",
     "t.json:13: /stages/count/input: no stream \"wrods\"; did you mean \"words\"? (streams: counts, lines, words)\n"},

    // Fields.
    {R"("broker": {})", R"("borker": {})",
     "t.json:3: /borker: no field \"borker\"; did you mean \"broker\"? (fields: $schema, broker, description, engine, "
     "http, libraries, name, stages, streams)\n"},
    {R"("lines":  {})", R"("lines":  {"shard": 4})",
     "t.json:6: /streams/lines/shard: no field \"shard\"; did you mean \"shards\"? (fields: compression, dispatch, "
     "durability, external, key, last_values, loop, max_backlog, partition, priority, retention, shards, transport)\n"},
    {R"("on_error": {})", R"("on_error": {"retires": 1})",
     "t.json:13: /stages/count/on_error/retires: no field \"retires\"; did you mean \"retries\"? (fields: "
     "kept_bytes_max, parked_bytes_max, retries, then)\n"},
    {R"("broker": {})", R"("name": "x")",
     "t.json:3: /name: this field stands twice in its object; the first is in line 2\n"},
    {R"("lines":  {})", "\"lines\": {},\n\"lines\": {}",
     "t.json:7: /streams/lines: this field stands twice in its object; the first is in line 6\n"},

    // Names.
    {R"("name": "wordcount")", R"("name": "Wordcount")",
     "t.json:2: /name: \"Wordcount\" is no name; a name is [a-z][a-z0-9_-]{0,62}\n"},
    {R"("name": "wordcount")", R"("description": "d")", "t.json:1: /name: is missing; every topology has a name\n"},
    {R"("name": "wordcount")", R"("name": 7)", "t.json:2: /name: must be a string, not a number\n"},
    {R"("read":)", R"("2read":)", "t.json:11: /stages/2read: \"2read\" is no name; a name is [a-z][a-z0-9_-]{0,62}\n"},

    // Types, sizes, durations, numbers.
    {R"("broker": {})", R"("broker": [])", "t.json:3: /broker: must be an object, not a list\n"},
    {R"("broker": {})", R"("broker": {"memory": "1GB"})",
     "t.json:3: /broker/memory: \"1GB\" is no size; write one like \"64MiB\" (B, KiB, MiB, GiB, TiB)\n"},
    {R"("broker": {})", R"("broker": {"interval": 50})",
     "t.json:3: /broker/interval: must be a string, not a number\n"},
    {R"("broker": {})", R"("broker": {"interval": "50"})",
     "t.json:3: /broker/interval: \"50\" is no duration; write one like \"50ms\" (us, ms, s, m, h)\n"},
    {R"("broker": {})", R"("broker": {"interval": "0s"})", "t.json:3: /broker/interval: must be above zero\n"},
    {R"("broker": {})", R"("broker": {"segment_size": "1KiB"})",
     "t.json:3: /broker/segment_size: must be at least 64KiB\n"},
    {R"("broker": {})", R"("broker": {"segment_size": "16MiB", "transaction_bytes_max": "5MiB"})",
     "t.json:3: /broker/transaction_bytes_max: must be at most a quarter of segment_size, that is 4MiB\n"},
    {R"("broker": {})", R"("broker": {"durability": "fsinc"})",
     "t.json:3: /broker/durability: no durability \"fsinc\"; did you mean \"fsync\"? (durability: fsync, interval, "
     "none)\n"},
    {R"("broker": {})", R"("broker": {"listen": "ipc://x"})",
     "t.json:3: /broker/listen: \"ipc://x\" is no address; write one like \"tcp://0.0.0.0:7411\" (the two ports above "
     "are taken too, port 0 takes free ones)\n"},
    {R"("broker": {})", R"("broker": {"listen": "tcp://x:65534"})",
     "t.json:3: /broker/listen: \"tcp://x:65534\" is no address; write one like \"tcp://0.0.0.0:7411\" (the two ports "
     "above are taken too, port 0 takes free ones)\n"},
    {R"("http": {})", R"("http": {"listen": "9464"})",
     "t.json:4: /http/listen: \"9464\" is no address; write one like \"127.0.0.1:9464\"\n"},
    {R"("workers": 2)", R"("workers": 0)", "t.json:12: /stages/split/workers: must be a whole number from 1 to 1024\n"},
    {R"("workers": 2)", R"("workers": 1.5)",
     "t.json:12: /stages/split/workers: must be a whole number from 1 to 1024\n"},
    {R"("workers": 2)", R"("workers": "two")",
     "t.json:12: /stages/split/workers: must be a whole number from 1 to 1024, not a string\n"},
    {R"("workers": 2)", R"("workers": 99999999999999999999)",
     "t.json:12: /stages/split/workers: must be a whole number from 1 to 1024\n"},
    {R"("shards": 32)", R"("shards": -1)", "t.json:7: /streams/words/shards: must be a whole number from 1 to 65536\n"},
    {R"("broker": {})", R"("libraries": ["", 7])",
     "t.json:3: /libraries/0: must name a stage library\nt.json:3: /libraries/1: must be a string, not a number\n"},
    {R"("shards": 32)", R"("key": "user")",
     "t.json:7: /streams/words/key: \"user\" is no JSON Pointer into the value; write one like \"/user/id\"\n"},
    {R"("shards": 32)", R"("key": [])", "t.json:7: /streams/words/key: must name at least one field\n"},

    // Variables.
    {R"("workers": 2)", R"("workers": "${N}")",
     "t.json:12: /stages/split/workers: the environment has no N; set it, or write ${N:-default}\n"},
    {R"({ "path": "in" })", R"({ "path": "${DIR}/x" })",
     "t.json:11: /stages/read/config/path: the environment has no DIR; set it, or write ${DIR:-default}\n"},

    // Plugins and their configuration.
    {R"("plugin": "keyed.count")", R"("plugin": "keyed.cuont")",
     "t.json:13: /stages/count/plugin: no plugin \"keyed.cuont\"; did you mean \"keyed.count\"? (plugins: "
     "console.print, "
     "file.lines, file.write, filter, generate.sequence, generate.values, join, keyed.count, keyed.reduce, keyed.sum, "
     "select, test.clock, text.json, text.regex, text.words)\n"},
    {R"("plugin": "text.words", )", "", "t.json:12: /stages/split/plugin: is missing; every stage has a plugin\n"},
    {R"({ "path": "in" })", "{}", "t.json:11: /stages/read/config: \"path\" is missing\n"},
    {R"({ "path": "in" })", "[]", "t.json:11: /stages/read/config: must be an object, not a list\n"},
    {R"({ "path": "in" })", R"({ "path": 5 })",
     "t.json:11: /stages/read/config/path: must be of type string or array, not a number\n"},
    {R"({ "path": "in" })", "{ \"path\": [\"a\",\n5] }",
     "t.json:12: /stages/read/config/path/1: must be of type string, not a number\n"},
    {R"({ "path": "in" })", "{ \"path\": \"a\",\n\n\"folow\": true }",
     "t.json:13: /stages/read/config/folow: no field \"folow\"; did you mean \"follow\"? (fields: follow, "
     "line_bytes_max, "
     "path)\n"},
    {R"("on_error": {})", R"("config": {"emit": "fnal"})",
     "t.json:13: /stages/count/config/emit: no emit \"fnal\"; did you mean \"final\"? (emit: every, final)\n"},
    {R"("on_error": {})", R"("config": {"emit": 1})",
     "t.json:13: /stages/count/config/emit: must be one of every, final\n"},
    {R"("plugin": "text.words", )", R"("plugin": "text.json", "config": {"a": 1}, )",
     "t.json:12: /stages/split/config: plugin \"text.json\" takes no configuration\n"},

    // Ends of streams.
    {R"("input": "lines", "output": "words")", R"("input": "lines", "inputs": {"in": "lines"}, "output": "words")",
     "t.json:12: /stages/split/inputs: a stage has \"input\" or \"inputs\", not both\n"},
    {R"("input": "lines")", R"("inputs": "lines")",
     "t.json:12: /stages/split/inputs: must be an object of streams by port, not a string; or write \"input\"\n"},
    {R"("input": "lines")", R"("inputs": {"inn": "lines"})",
     "t.json:12: /stages/split/inputs/inn: plugin \"text.words\" has no input port \"inn\"; did you mean \"in\"? "
     "(ports: "
     "in)\n"},
    {R"("input": "lines")", R"("input": ["lines", "lines"])",
     "t.json:12: /stages/split/input/1: stream \"lines\" is an input of this stage twice\n"},
    {R"("input": "lines")", R"("input": [])",
     "t.json:12: /stages/split/input: must name at least one stream\n"
     "t.json:6: /streams/lines: no stage reads stream \"lines\"; make it the input of one, or write \"external\": "
     "\"out\" if programs outside read it\n"},
    {R"("output": "words")", R"("output": ["words"])",
     "t.json:12: /stages/split/output: must be a string: a port writes "
     "to one stream\n"},
    {R"("input": "counts")", R"("input": "counts", "output": "lines")",
     "t.json:14: /stages/write/output: plugin \"file.write\" is a sink and takes no output\n"},
    {R"("output": "lines")", R"("input": "counts", "output": "lines")",
     "t.json:11: /stages/read/input: plugin \"file.lines\" is a source and takes no input\n"},
    {R"("input": "counts", )", "",
     "t.json:14: /stages/write/input: port \"in\" of plugin \"file.write\" is joined to no "
     "stream; write \"input\": \"STREAM\"\n"
     "t.json:8: /streams/counts: no stage reads stream \"counts\"; make it the input of one, or write \"external\": "
     "\"out\" if programs outside read it\n"},
    {R"("counts": {})", R"("counts": {}, "more": {})",
     "t.json:8: /streams/more: no stage writes stream \"more\"; make it the output of one, or write \"external\": "
     "\"in\" "
     "if its records come from outside\n"
     "t.json:8: /streams/more: no stage reads stream \"more\"; make it the input of one, or write \"external\": "
     "\"out\" "
     "if programs outside read it\n"},
    {R"("input": "lines")", R"("input": ["lines", "counts"])",
     "t.json:8: /streams/counts: stream \"counts\" closes a cycle of the stages split, count; if its records are "
     "to come round again, write \"loop\": true\n"},

    // Keys.
    {R"({ "partition": { "by": "hash" }, "shards": 32 })", "{}",
     "t.json:13: /stages/count/input: plugin \"keyed.count\" keeps state per key, but stream \"words\" is not keyed; "
     "give "
     "it \"partition\": {\"by\": \"hash\"}\n"},
    {R"("plugin": "text.words", "input": "lines")",
     R"("plugin": "text.words", "on_error": {"then": "park_key"}, "input": "lines")",
     "t.json:12: /stages/split/input: \"park_key\" of stage \"split\" keeps records per key, but stream \"lines\" is "
     "not "
     "keyed; give it \"partition\": {\"by\": \"hash\"}\n"},
    {R"("input": "words")", R"("input": ["words", "lines"])",
     "t.json:13: /stages/count/input/1: plugin \"keyed.count\" keeps state per key, but stream \"lines\" is not keyed; "
     "give it \"partition\": {\"by\": \"hash\"}\n"},
    {R"("input": "counts")", R"("input": ["counts", "words"])",
     "t.json:14: /stages/write/input/1: the inputs of a stage must agree: \"counts\" is partitioned by none into 1 "
     "shard, "
     "\"words\" is partitioned by hash into 32 shards\n"},

    // Sinks.
    {R"("input": "counts")", R"("input": "counts", "workers": 2)",
     "t.json:14: /stages/write/workers: plugin \"file.write\" takes one worker here, since its target cannot be "
     "shared; "
     "for more, write {shard} into path\n"},

    // Ranges.
    {R"("by": "hash" }, "shards": 32)", R"("by": "range" })",
     "t.json:7: /streams/words/partition: \"range\" needs \"boundaries\": where the second and each later shard "
     "begins, like [100, 200]\n"},
    {R"("by": "hash" }, "shards": 32)", R"("by": "range", "boundaries": "auto" }, "shards": 257)",
     "t.json:7: /streams/words/shards: \"boundaries\": \"auto\" divides keys into 2 to 256 shards, not 257\n"},
    {R"("by": "hash" }, "shards": 32)", R"("by": "range", "boundaries": "auto" }, "shards": 1)",
     "t.json:7: /streams/words/shards: \"boundaries\": \"auto\" divides keys into 2 to 256 shards, not 1\n"},
    {R"("by": "hash" }, "shards": 32)", R"("by": "hash", "boundaries": "auto" })",
     "t.json:7: /streams/words/partition/boundaries: only \"by\": \"range\" has boundaries; write that, or leave them "
     "out\n"},
    {R"("by": "hash" }, "shards": 32)", R"("by": "range", "boundaries": 7 })",
     "t.json:7: /streams/words/partition/boundaries: must be a list of numbers or of strings in rising order, like "
     "[100, 200], or \"auto\", not a number\n"},
    {R"("by": "hash" }, "shards": 32)", R"("by": "range", "boundaries": [] })",
     "t.json:7: /streams/words/partition/boundaries: must hold at least one boundary: one makes two shards\n"},
    {R"("by": "hash" }, "shards": 32)", R"("by": "range", "boundaries": [1, 3, 2.5, 2.5] })",
     "t.json:7: /streams/words/partition/boundaries/2: 2.5 behind 3: boundaries stand in rising order\n"
     "t.json:7: /streams/words/partition/boundaries/3: 2.5 behind 2.5: between equal boundaries lies no key; leave one "
     "out\n"},
    {R"("by": "hash" }, "shards": 32)",
     R"("by": "range", "boundaries": [9007199254740993, 9007199254740992.0, 1, 1.0] })",
     "t.json:7: /streams/words/partition/boundaries/1: 9.007199254740992e+15 behind 9007199254740993: boundaries stand "
     "in "
     "rising order\n"
     "t.json:7: /streams/words/partition/boundaries/2: 1 behind 9.007199254740992e+15: boundaries stand in rising "
     "order\n"
     "t.json:7: /streams/words/partition/boundaries/3: 1.0 behind 1: between equal boundaries lies no key; leave one "
     "out\n"},
    {R"("by": "hash" }, "shards": 32)", R"("by": "range", "boundaries": [1, "m"] })",
     "t.json:7: /streams/words/partition/boundaries/1: \"m\" behind 1: boundaries are all numbers or all strings, as "
     "the keys are\n"},
    {R"("by": "hash" }, "shards": 32)", R"("by": "range", "boundaries": ["a", null, "${NOTSET}"] })",
     "t.json:7: /streams/words/partition/boundaries/1: a boundary is a number or a string, not null\n"
     "t.json:7: /streams/words/partition/boundaries/2: the environment has no NOTSET; set it, or "
     "write ${NOTSET:-default}\n"},
    {R"("by": "hash" }, "shards": 32)", R"("by": "range", "boundaries": [1, 2] }, "shards": 32)",
     "t.json:7: /streams/words/shards: 2 boundaries make 3 shards; write that, or leave it out\n"},
    {R"("by": "hash" }, "shards": 32)", R"("by": "hash", "boundaries": [1] })",
     "t.json:7: /streams/words/partition/boundaries: only \"by\": \"range\" has boundaries; write that, or leave them "
     "out\n"},
    {R"("by": "hash" }, "shards": 32)", R"("by": "range", "boundaries": ["m"] }, "key": ["/a"])",
     "t.json:7: /streams/words/key: a list of fields makes the key an array, which \"range\" cannot put in order; name "
     "one field, or partition by \"hash\"\n"},

    // Priority.
    {R"("lines":  {})", R"("lines":  {"priority": {}})",
     "t.json:6: /streams/lines/priority: only \"dispatch\": \"priority\" has levels; write that, or leave them out\n"},
    {R"("lines":  {})", R"("lines":  {"dispatch": "priority", "partition": {"by": "hash"}})",
     "t.json:6: /streams/lines/dispatch: under \"priority\" a lane is a shard, so that no key can choose it; leave "
     "\"partition\" out\n"},
    {R"("lines":  {})", R"("lines":  {"dispatch": "priority", "shards": 4})",
     "t.json:6: /streams/lines/shards: 3 levels make 3 shards; write that, or leave it out\n"},
    {R"("lines":  {})", R"("lines":  {"dispatch": "priority", "priority": {"levels": 1}})",
     "t.json:6: /streams/lines/priority/levels: must be a whole number from 2 to 8\n"},
    {R"("lines":  {})", R"("lines":  {"dispatch": "priority", "priority": {"levels": 2, "weights": [9, 3, 1]}})",
     "t.json:6: /streams/lines/priority/levels: 3 weights make 3 levels; write that, or leave it out\n"},
    {R"("lines":  {})", R"("lines":  {"dispatch": "priority", "priority": {"weights": [1, 4]}})",
     "t.json:6: /streams/lines/priority/weights/1: 4 behind 1: a level weighs no more than the one before it, which is "
     "more urgent\n"},
    {R"("lines":  {})", R"("lines":  {"dispatch": "priority", "priority": {"weights": [4, 0]}})",
     "t.json:6: /streams/lines/priority/weights/1: must be a whole number from 1 to 65536: a level without weight "
     "would starve\n"},
    {R"("lines":  {})", R"("lines":  {"dispatch": "priority", "priority": {"weights": 4}})",
     "t.json:6: /streams/lines/priority/weights: must be a list of 2 to 8 whole numbers, one a level, the most urgent "
     "first, like [16, 4, 1]\n"},
    {R"("lines":  {})", R"("lines":  {"dispatch": "priority", "priority": {"field": "p", "default": 3, "fields": 1}})",
     "t.json:6: /streams/lines/priority/default: must be a whole number from 0 to 2\n"
     "t.json:6: /streams/lines/priority/field: \"p\" is no JSON Pointer into the value; write one like \"/priority\"\n"
     "t.json:6: /streams/lines/priority/fields: no field \"fields\"; did you mean \"field\"? (fields: default, field, "
     "levels, weights)\n"},

    // What later versions build.
    {R"("by": "hash")", R"("by": "hash", "hot_keys": "merge")",
     "t.json:7: /streams/words/partition/hot_keys: no hot_keys \"merge\" (hot_keys: none, split)\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "pub_sub", "partition": {"by": "hash"}})",
     "t.json:6: /streams/lines/partition: a pub_sub stream takes no \"partition\": every worker that reads it gets "
     "each "
     "of its records; for records by key use a queue\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "pub_sub", "shards": 2})",
     "t.json:6: /streams/lines/shards: a pub_sub stream takes no \"shards\": every worker that reads it gets each of "
     "its "
     "records; for records by key use a queue\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "pub_sub", "dispatch": "round_robin"})",
     "t.json:6: /streams/lines/dispatch: a pub_sub stream takes no \"dispatch\": there is nothing to choose, since "
     "every "
     "worker that reads it gets each of its records\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "pub_sub", "retention": {"size": "1MiB"}})",
     "t.json:6: /streams/lines/retention: a pub_sub stream takes no \"retention\": nothing of it is kept\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "pub_sub", "external": "both"})",
     "t.json:6: /streams/lines/external: a pub_sub stream goes from stage to stage; programs outside need a queue\n"},
    {R"("lines":  {})", R"("lines":  {"last_values": "1MiB"})",
     "t.json:6: /streams/lines/last_values: only a pub_sub stream has readers that missed what came before them; a "
     "queue keeps records until they are consumed\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "pub_sub", "last_values": "100MiB"})",
     "t.json:6: /streams/lines/last_values: is more than a quarter of the \"memory\" of stage \"read\", which keeps "
     "them; raise that, or keep less\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "push_pull", "partition": {"by": "hash"}})",
     "t.json:6: /streams/lines/partition: a push_pull stream takes no \"partition\": its records go to whatever worker "
     "is "
     "free; for records by key use a queue\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "push_pull", "shards": 4})",
     "t.json:6: /streams/lines/shards: a push_pull stream takes no \"shards\": its records go to whatever worker is "
     "free; for records by key use a queue\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "push_pull", "key": "/a"})",
     "t.json:6: /streams/lines/key: a push_pull stream takes no \"key\": its records go to whatever worker is free; "
     "for "
     "records by key use a queue\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "push_pull", "retention": "consumed"})",
     "t.json:6: /streams/lines/retention: a push_pull stream takes no \"retention\": nothing of it is kept\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "push_pull", "max_backlog": "1MiB"})",
     "t.json:6: /streams/lines/max_backlog: a push_pull stream takes no \"max_backlog\": nothing of it is kept\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "push_pull", "external": "both"})",
     "t.json:6: /streams/lines/external: a push_pull stream goes from stage to stage; programs outside need a queue\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "push_pull", "loop": true})",
     "t.json:6: /streams/lines/loop: a push_pull stream cannot close a loop: what goes round needs a queue\n"
     "t.json:6: /streams/lines/loop: stream \"lines\" closes no cycle: nothing that its readers emit comes back to "
     "read\n"},
    {R"("lines":  {})", R"("lines":  {"transport": "push_pull", "dispatch": "priority"})",
     "t.json:6: /streams/lines/dispatch: a push_pull stream has no lanes; \"priority\" needs a queue\n"},
    {R"("lines":  {})", R"("lines":  {"retention": "7d"})",
     "t.json:6: /streams/lines/retention: a bound stands in an object; write {\"time\": \"7d\"}\n"},
    {R"("lines":  {})", R"("lines":  {"retention": {"time": "7d", "size": "1GB", "sizes": 1}})",
     "t.json:6: /streams/lines/retention/size: \"1GB\" is no size; write one like \"64MiB\" (B, KiB, MiB, GiB, "
     "TiB)\n"
     "t.json:6: /streams/lines/retention/sizes: no field \"sizes\"; did you mean \"size\"? (fields: size, time)\n"
     "t.json:6: /streams/lines/retention/time: \"7d\" is no duration; write one like \"50ms\" (us, ms, s, m, h)\n"},
    {R"("lines":  {})", R"("lines":  {"retention": {}})",
     "t.json:6: /streams/lines/retention: bounds nothing; write {\"time\": \"1h\"}, {\"size\": \"1GiB\"} or both\n"},
    {R"("lines":  {})", R"("lines":  {"compression": "gzip"})",
     "t.json:6: /streams/lines/compression: \"gzip\" is not built in this version of Weir\n"},
    {R"("lines":  {})", R"("lines":  {"external": "inout"})",
     "t.json:6: /streams/lines/external: no external \"inout\" (external: both, in, out)\n"},
    {R"("lines":  {})", R"("lines":  {"loop": true})",
     "t.json:6: /streams/lines/loop: stream \"lines\" closes no cycle: nothing that its readers emit comes back to "
     "read\n"},
    {R"("lines":  {})", R"("lines":  {"loop": "yes"})",
     "t.json:6: /streams/lines/loop: must be true or false, not a string\n"},
    {R"("on_error": {})", R"("on_error": {"then": "park_key", "parked_bytes_max": "0B"})",
     "t.json:13: /stages/count/on_error/parked_bytes_max: must be at least 1B\n"},
    {R"("on_error": {})", R"("deadline": "999us", "idle_after": "1s")",
     "t.json:13: /stages/count/deadline: must be at least 1ms\n"
     "t.json:13: /stages/count/idle_after: \"idle_after\" is not built in this version of Weir\n"},
    {R"("on_error": {})", R"("state": {"path": "there"})",
     "t.json:13: /stages/count/state/path: is where a \"rocksdb\" store lies; this one has none\n"},
    {R"("workers": 2)", R"("workers": {"min": 3, "max": 2})",
     "t.json:12: /stages/split/workers/max: is less than \"min\", which is 3\n"},
    {R"("workers": 2)", R"("workers": {"min": 0, "maks": 2000})",
     "t.json:12: /stages/split/workers/maks: no field \"maks\" (fields: max, min)\n"
     "t.json:12: /stages/split/workers/max: is missing; a number that follows the load has a most\n"
     "t.json:12: /stages/split/workers/min: must be a whole number from 1 to 1024\n"},
    {R"("workers": 2)", R"("workers": {"max": 1025})",
     "t.json:12: /stages/split/workers/max: must be a whole number from 1 to 1024\n"},
    {R"("workers": 2)", R"("workers": "auto")",
     "t.json:12: /stages/split/workers: \"auto\" is not built in this version of Weir\n"},
    {R"("input": "counts")", R"("input": "counts", "workers": {"max": 2})",
     "t.json:14: /stages/write/workers: plugin \"file.write\" takes one worker here, since its target cannot be "
     "shared; for more, write {shard} into path\n"},
    {R"("broker": {})", R"("engine": {"type": "kafka", "bootstrap": "host:9092"})",
     "t.json:3: /engine/type: \"kafka\" is not built in this version of Weir\n"},
    {R"("broker": {})", R"("engine": {"type": "kafak"})", "t.json:3: /engine/type: no type \"kafak\" (type: broker)\n"},

    // JSON.
    {R"("broker": {},)", R"("broker": {})",
     "t.json:4: this is no valid JSON: syntax error while parsing object - unexpected string literal; expected '}'\n"},
};

std::string changed(const Case& change) {
  std::string text(kBase);
  const std::size_t at = text.find(change.from);
  WEIR_CHECK(at != std::string::npos, change.from);
  return text.replace(at, std::string_view(change.from).size(), change.to);
}

/// Lines in any order: the table lists what belongs together, the program prints by line.
std::vector<std::string> sorted_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  std::ranges::sort(lines);
  return lines;
}

TEST(Malformed, IsRefusedWithExactlyTheseSentences) {
  ASSERT_EQ(findings(load(kBase)), "");
  for (const Case& change : kCases) {
    const Loaded loaded = load(changed(change));
    EXPECT_FALSE(loaded.topology) << change.to;
    EXPECT_EQ(loaded.resolved, "") << change.to;
    EXPECT_EQ(sorted_lines(findings(loaded)), sorted_lines(change.findings)) << change.to;
  }
}

TEST(Malformed, IsReportedAllAtOnceByLine) {
  EXPECT_EQ(
      findings(load(R"({
  "name": "x",
  "streams": { "numbers": {"shards": 0}, "b": {} },
  "stages": {
    "n": { "plugin": "generate.sequence", "output": "numbers", "config": {"step": "x"} },
    "p": { "plugin": "console.print", "input": "number", "memory": "x" }
  },
  "brokre": {}
})")),
      "t.json:3: /streams/numbers/shards: must be a whole number from 1 to 65536\n"
      "t.json:3: /streams/b: no stage writes stream \"b\"; make it the output of one, or write \"external\": \"in\" "
      "if its records come from outside\n"
      "t.json:3: /streams/b: no stage reads stream \"b\"; make it the input of one, or write \"external\": \"out\" if "
      "programs outside read it\n"
      "t.json:5: /stages/n/config/step: must be of type integer, not a string\n"
      "t.json:6: /stages/p/input: no stream \"number\"; did you mean \"numbers\"? (streams: b, numbers)\n"
      "t.json:6: /stages/p/memory: \"x\" is no size; write one like \"64MiB\" (B, KiB, MiB, GiB, TiB)\n"
      "t.json:8: /brokre: no field \"brokre\"; did you mean \"broker\"? (fields: $schema, broker, description, "
      "engine, http, libraries, name, stages, streams)\n");
}

TEST(Malformed, IsPrintedAsJsonToo) {
  EXPECT_EQ(to_json(load(R"({"name": "x"})").diagnostics), R"([
  {
    "severity": "error",
    "file": "t.json",
    "line": 1,
    "pointer": "/stages",
    "message": "is missing; a topology has at least one stage"
  }
])");
  EXPECT_EQ(to_json({}), "[]");
}

}  // namespace
}  // namespace weir
