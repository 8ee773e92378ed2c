// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "weir/config.h"
#include "weir/context.h"
#include "weir/partial.h"
#include "weir/record.h"

namespace weir {

/// Reserved: timers are not built in this version of Weir.
class Timer;

/// One step of a topology: takes records, emits records, may keep state per key. Derive, override what is needed, and
/// name the class at the end of one source file with WEIR_STAGE or WEIR_LIBRARY. A complete library:
///
///     #include <weir/stage.h>
///
///     // Running total per key.
///     class Sum final : public weir::Stage {
///      public:
///       void process(const weir::RecordView& in, weir::Context& out) override {
///         auto& total = out.state<std::int64_t>();  // this key's state: loaded, tracked and committed by the worker
///         total += in.value<std::int64_t>();
///         out.emit(in.key(), total);
///       }
///     };
///     WEIR_STAGE(Sum, "sum");
///
/// A class that takes a configuration has a constructor from `const weir::Config&` and a JSON Schema (draft-07) in
/// `kSchema`; a constructor that throws refuses the configuration with the exception's sentence.
///
/// What is known of a class before it runs are static members, each with a default:
///
///     static constexpr std::string_view kSchema = R"({...})";  // none: takes no configuration
///     static constexpr std::array kInputs{"in"};               // port names
///     static constexpr std::array kOutputs{"out"};
///     static constexpr bool kKeyed = true;                     // calls state(): needs a keyed input
///     static constexpr bool kKeyPreserving = false;            // emits under the key that the record came with
///     static constexpr bool kMergeable = true;                 // has merge(): its input's hot keys may be split
///     static constexpr bool kDeterministic = true;             // the same input gives the same output
///
/// kKeyed need not be said: a stage that does not say it is keyed if anything in its library uses state. In a library
/// with several stages those that keep no state should therefore say `kKeyed = false`; a stage that says so and calls
/// state() all the same ends its worker with a sentence.
///
/// Thread: all calls to one instance come from one thread, one at a time. Each worker has its own instance; what is to
/// survive it belongs into state. An exception out of a call undoes what the call emitted and did to state, also
/// through references; members of the class are the stage's own care.
class Stage {
 public:
  Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage() = default;

  /// One record. An exception makes it an error of this record: a retry, a dead letter or what the topology says.
  virtual void process(const RecordView& in, Context& out) = 0;

  /// For input whose hot keys are split ("hot_keys": "split" in a topology). process() is called as ever, but of a hot
  /// key wherever its records lie: state() is then empty after each commit, and out.partial() says so. What it has
  /// become since is a partial result, which comes here, to the worker that has the key's own state:
  ///
  ///     void merge(const weir::PartialView& partial, weir::Context& out) override {
  ///       auto& total = out.state<std::int64_t>();               // of partial.key()
  ///       total += partial.state<std::int64_t>().value_or(0);
  ///       out.emit(partial.key(), total);
  ///     }
  ///
  /// Results must not depend on how records were shared out, nor on their order: merging partial results must give what
  /// processing their records would have. Only for keys that are not hot, and here, is what a stage emits kept. An
  /// exception makes the partial result an error, as one in process does a record.
  virtual void merge(const PartialView& partial, Context& out) {
    static_cast<void>(partial);
    static_cast<void>(out);
  }

  /// Event time of out.shard() has come to out.watermark(): what is at or before it has been processed. Not called for
  /// input without keys: its records are shared out in ranges, and belong to no shard of this worker's.
  virtual void on_watermark(Context& out) { static_cast<void>(out); }

  /// The input of out.shard() has ended. Called once, and again in further transactions as long as a call ends with
  /// drain_state cut short or with call_again(). An exception ends the topology.
  virtual void finish(Context& out) { static_cast<void>(out); }

  /// Not built in this version of Weir: a class that overrides it does not compile.
  virtual void on_timer(const Timer& timer, Context& out) {
    static_cast<void>(timer);
    static_cast<void>(out);
  }
};

}  // namespace weir

#include "weir/library.h"  // WEIR_STAGE, WEIR_LIBRARY
