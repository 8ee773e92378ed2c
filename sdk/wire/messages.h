// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"
#include "sdk/base/result.h"
#include "sdk/wire/commit.h"
#include "sdk/wire/frame.h"

namespace weir::wire {

/// Goes up with every new message and every change of a layout; peers of another version are refused at hello.
inline constexpr std::uint16_t kWireVersion = 10;

/// Messages between the broker and a worker, one ZeroMQ frame each (WIRE.md). Numbers are never reused.
enum class MessageType : std::uint16_t {
  // worker to broker
  kReady = 1,     ///< the first message: both sockets are connected
  kCommit = 2,    ///< a transaction (commit.h)
  kCredit = 3,    ///< how much the worker can take, as running totals
  kReleased = 4,  ///< a lease that was asked back has been let go
  kBeat = 5,      ///< numbered heartbeat with measurements
  kPulse = 6,     ///< unnumbered sign of life while a record takes long
  kDrained = 7,   ///< after kDrain: everything begun is committed
  kFailed = 8,    ///< the worker gives up, with a sentence
  kLocal = 10,    ///< which state of granted shards lies on the worker's own disk
  kTaken = 12,    ///< state that came ahead of its lease is here, whole: its leases of kAhead
  kLeaving = 9,   ///< the worker was asked to go: it wants to be drained, and what it holds given to others
  kRouted = 11,   ///< a kPeers is in force: nothing more goes to, or is taken from, those that it leaves out
  // broker to worker
  kGrant = 33,      ///< leases given
  kState = 34,      ///< state of a granted shard
  kDeliver = 35,    ///< records
  kCommitted = 36,  ///< how far the worker's transactions are accepted and settled
  kPublish = 37,    ///< how much the worker may publish, as a running total
  kRevoke = 38,     ///< a lease is asked back
  kFinish = 39,     ///< the input of a shard has ended and is consumed: call finish
  kDrain = 40,      ///< stop reading, commit or drop what is open, say kDrained
  kStop = 41,       ///< exit
  kFenced = 42,     ///< the incarnation has lost its rights: exit, nothing more is accepted
  kBeatDown = 43,   ///< numbered heartbeat
  kRequeued = 44,   ///< a dead letter's record, to be worked on again
  kCondemned = 45,  ///< a record that follows has killed too many workers: it is not tried any more
  kDurable = 46,    ///< how far a worker's transactions are on disk, to one that keeps state on its own
  kPeers = 47,  ///< the workers that records go to, or come from, past the broker (direct.h): all that there are now
  kSuspect =
      48,  ///< a record that may come past the broker has killed a worker: it is to be taken alone, or not at all
  // worker to worker (direct.h)
  kRecords = 65,        ///< records of a stream that does not go through the broker
  kRecordsCredit = 66,  ///< how much of them the sender of this can take, as a running total
  kRecordsDone = 67,    ///< how many of them it has processed and committed, as a running total
  kRecordsLast = 68,    ///< the last record of each key, to one that takes from now on
};

/// Starts every message. `number` counts the sender's messages to this peer from 1; a beat repeats the last number sent
/// (it takes none itself), so that a lost last message is noticed too; a pulse has 0.
struct MessageHeader {
  MessageType type{};
  std::uint16_t version = kWireVersion;
  std::uint32_t reserved = 0;
  Incarnation::number_type incarnation = 0;
  std::uint64_t number = 0;
};
static_assert(sizeof(MessageHeader) == 24);

/// What is large is written once, where it is sent from: a message begins as room for its header, its body is appended,
/// and put_header() fills in the room when the message is numbered.
inline Bytes message_room() { return Bytes(sizeof(MessageHeader)); }
void put_header(Bytes& message, const MessageHeader& header);

/// What a lease is the right to.
enum class LeaseKind : std::uint8_t {
  kShard = 0,      ///< consume a whole shard of every input, and own its state
  kSplit = 1,      ///< read one split of a source
  kEnumerate = 2,  ///< name a source's splits
  kRanges = 3,     ///< take offset ranges as they are delivered (unkeyed input); `shard` is 0
  kAhead = 4,      ///< no right to anything: state of a shard that may be leased to it next comes ahead; `epoch` is the
                   ///< copy's number. Asked back it is dropped, without an answer
};

struct Lease {
  LeaseKind kind = LeaseKind::kShard;
  std::uint32_t shard = 0;  ///< or split
  std::uint32_t epoch = 0;
  /// The shard's state follows in kState messages; deliveries come behind the last of them.
  bool state_follows = false;
  Timestamp watermark = INT64_MIN;  ///< how far on_watermark of this shard (the read of this split) had come
  std::string split;                ///< the split's id
  BytesView position;               ///< the split's position
};

/// A part of a granted shard's state: changes (all puts) of one hosted stage. Parts come in the order of their age, so
/// a later one overrides.
struct StatePart {
  std::uint32_t stage = 0;
  std::uint32_t shard = 0;
  bool last = false;  ///< nothing follows for this shard, of any stage
  BytesView changes;
  /// It comes on top of what the worker said it has, on its own disk (kLocal) or ahead of its lease (kTaken); else
  /// that is void.
  bool on_top = false;
  /// With the last part, where the worker keeps state on its own disk: it is that of all entries before this sequence.
  std::uint64_t through = 0;
  std::uint32_t ahead = 0;  ///< it comes ahead of its lease, as the copy of this number; 0: of a granted shard
};

/// State of a granted shard on the worker's own disk: that of all entries before `through`, as it was written in
/// `reign`. 0, 0: none.
struct LocalState {
  std::uint32_t shard = 0;
  std::uint32_t reign = 0;
  std::uint64_t through = 0;
};
static_assert(sizeof(LocalState) == 16);

/// What is asked of a stage's worker about records that failed before.
enum class Requeue : std::uint8_t {
  kLetter = 0,      ///< the record of a dead letter comes in front of its stage again
  kParkedKey = 1,   ///< the parked records of a key are worked off in turn, until one fails again
  kDropParked = 2,  ///< some parked records of a key are dropped
};
/// Such a wish on its way. The transaction that has done it erases `number` in Space::kRequeued of (stage, shard).
struct Requeued {
  std::uint64_t number = 0;
  std::uint32_t stage = 0;
  std::uint32_t shard = 0;  ///< as the unit leases it
  Requeue what = Requeue::kLetter;
  BytesView key;     ///< kLetter: of the dead letter, which gets the same if it fails again; else the records' key
  BytesView letter;  ///< kLetter: encode(DeadLetter); kDropParked: the ParkedNames one behind the other
};

/// A record that killed its workers: whoever gets it applies `on_error` instead of processing it.
struct Condemned {
  std::uint32_t stream = 0;
  std::uint32_t shard = 0;
  std::uint64_t offset = 0;
  std::uint64_t requeued = 0;  ///< number of a requeued one; of the place only `offset` matters then, as in FatalRecord
  std::uint32_t attempts = 0;
  std::string reason;
};

/// A record of a `send_receive` stream that killed its worker, and comes again.
struct Suspect {
  std::uint32_t stream = 0;
  Incarnation producer;
  std::uint64_t offset = 0;    ///< among all that the producer sends to the stream
  std::uint32_t attempts = 0;  ///< 0: it is tried, alone; else it is given up, for this reason
  std::string reason;
};

/// A worker on the other side of streams that go from worker to worker.
struct Peer {
  Incarnation incarnation;
  std::string inbox;                ///< endpoint of its bound PULL socket
  std::vector<std::uint32_t> to;    ///< streams whose records it is sent
  std::vector<std::uint32_t> from;  ///< streams whose records it sends
  friend bool operator==(const Peer&, const Peer&) = default;
};
/// kPeers: all peers that there are from now on. `version` counts those told to this worker, from 1.
struct Peers {
  std::uint64_t version = 0;
  std::vector<Peer> peers;
};
/// kRouted: how many records the sender of this ever sent to a worker that `version` has left out.
struct Sent {
  std::uint32_t stream = 0;
  Incarnation to;
  std::uint64_t records = 0;
};
struct Routed {
  std::uint64_t version = 0;
  std::vector<Sent> sent;
};

/// What a producer has seen of the keys of a stream whose hot keys are split: of about so many records lately, how many
/// were of each key that it takes for hot.
struct HotKeysSeen {
  struct Key {
    Bytes key;  ///< empty where it is too long to be told
    std::uint64_t records = 0;
  };
  std::uint32_t stream = 0;
  std::uint64_t records = 0;
  std::vector<Key> keys;
};

/// Measurements that a beat carries; ratios are of the time since the last beat.
struct Measured {
  float busy_ratio = 0;
  float blocked_ratio = 0;
  std::uint64_t state_bytes = 0;
  /// Sampled seconds per record: counts by bucket, see kProcessBucketsUs, since the last beat; the last bucket is open.
  std::vector<std::uint64_t> process_buckets;
  double process_seconds = 0;
  /// End to end at a sink, by the same buckets.
  std::vector<std::uint64_t> end_to_end_buckets;
  double end_to_end_seconds = 0;
  std::vector<HotKeysSeen> hot_keys;
};
/// Upper bounds of the histogram buckets, in microseconds.
inline constexpr std::uint64_t kBucketsUs[] = {1,      2,      5,       10,      20,      50,       100,     200,
                                               500,    1000,   2000,    5000,    10000,   20000,    50000,   100000,
                                               200000, 500000, 1000000, 2000000, 5000000, 10000000, 60000000};
inline constexpr std::size_t kBucketCount = std::size(kBucketsUs) + 1;

/// Encoders: each returns a whole message with its header; decoders take the body behind the header and borrow it.
Bytes message(const MessageHeader& header, BytesView body = {});
std::optional<MessageHeader> decode_header(BytesView message);
inline BytesView body_of(BytesView message) { return message.subspan(sizeof(MessageHeader)); }

Bytes encode_leases(const std::vector<Lease>& leases);  ///< kGrant, kRevoke, kReleased
Result<std::vector<Lease>> decode_leases(BytesView body);

Bytes encode_state(const StatePart& part);
Result<StatePart> decode_state(BytesView body);

Bytes encode_local(const std::vector<LocalState>& states);  ///< kLocal
Result<std::vector<LocalState>> decode_local(BytesView body);

Bytes encode_requeued(const Requeued& requeued);
Result<Requeued> decode_requeued(BytesView body);

Bytes encode_condemned(const Condemned& condemned);
Result<Condemned> decode_condemned(BytesView body);
Bytes encode_suspect(const Suspect& suspect);
Result<Suspect> decode_suspect(BytesView body);

Bytes encode_peers(const Peers& peers);
Result<Peers> decode_peers(BytesView body);

Bytes encode_routed(const Routed& routed);
Result<Routed> decode_routed(BytesView body);

/// Two running totals: kCredit (bytes, records), kCommitted (accepted, settled: transaction numbers), kPublish (bytes,
/// bytes at once), kDurable (transaction number, sequence behind its entry).
struct Totals {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  friend bool operator==(const Totals&, const Totals&) = default;
};
Bytes encode_totals(const Totals& totals);
Result<Totals> decode_totals(BytesView body);

Bytes encode_measured(const Measured& measured);  ///< kBeat
Result<Measured> decode_measured(BytesView body);

/// kFinish: shards; kFailed, kFenced: a sentence.
Bytes encode_shards(const std::vector<std::uint32_t>& shards);
Result<std::vector<std::uint32_t>> decode_shards(BytesView body);
Bytes encode_sentence(std::string_view sentence);
Result<std::string> decode_sentence(BytesView body);

/// A delivery: u32 count, that many DeliveryHeader, then the batches' bytes in the same order.
struct DeliveryView {
  std::vector<DeliveryHeader> batches;
  std::vector<BytesView> records;
};
Result<DeliveryView> decode_delivery(BytesView body);

/// Said by a worker to the broker's ROUTER; one MessagePack map, as everything on that socket (WIRE.md).
struct WorkerHello {
  std::string stage;
  std::int64_t worker = -1;  ///< its number in the stage, or -1: any free one
  std::int64_t pid = 0;
  std::string host;   ///< the name of its machine
  std::string inbox;  ///< endpoint of its bound PULL socket
  std::int64_t wire_version = kWireVersion;
  /// What it runs (library_hash.h); "": whatever it was started with, by somebody who does not say.
  std::string libraries;
  /// It is no worker: it is given the state of every shard of its stages, one after the other, to see whether they
  /// could go on with it, each as a lease of kAhead to be answered by kTaken; a grant of nothing ends it.
  bool trial = false;
};
struct WorkerWelcome {
  Incarnation incarnation;
  std::uint32_t worker = 0;
  std::string commits;                   ///< endpoint of the broker's PULL socket
  std::string news;                      ///< endpoint of the broker's PUB socket
  std::string journal;                   ///< names the journal: state of another one is void
  std::string state_dir;                 ///< where workers of the broker's own host keep state on disk
  std::string host;                      ///< of the worker, as ids of splits name it (split_id.h)
  std::string topology;                  ///< as encode_resolved gives it
  std::string libraries;                 ///< what it is to run, as far as anybody has wanted anything
  std::chrono::microseconds beat{0};     ///< how often to send kBeat
  std::chrono::microseconds silence{0};  ///< after so long without a word the other side counts as dead
};
Bytes encode(const WorkerHello& hello);
Bytes encode(const WorkerWelcome& welcome);
/// What a refusal asks of the one who asked; its name is the "code" of the answer.
enum class Refusal : std::uint8_t {
  kInvalid,  ///< "invalid": the request is wrong and stays so
  kUnknown,  ///< "unknown": what it names does not exist here
  kAgain,    ///< "again": not now; send the same again in a while
  kClosed,   ///< "closed": the session has ended; open a new one and go on behind "last"
  kOrder,    ///< "order": an earlier number is missing; go on behind the last one acknowledged
  kTaken,    ///< "taken": somebody else has the name, or all places are taken
  kEnded,    ///< "ended": the stream takes nothing from outside any more
  kLate,     ///< "late": to a worker: there is nothing left to work for
};
std::string_view to_string(Refusal refusal);
/// {"op": "refused", "code": name, "error": sentence}, and "number" of the message that it concerns, unless 0.
Bytes encode_refusal(Refusal refusal, std::string_view sentence, std::uint64_t number = 0);
Result<WorkerHello> decode_worker_hello(BytesView message);
/// Errors: kRefused with the broker's sentence; kNotFound if there is nothing left to work for.
Result<WorkerWelcome> decode_worker_welcome(BytesView message);

}  // namespace weir::wire
