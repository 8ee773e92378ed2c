// SPDX-License-Identifier: Apache-2.0

// The client of NATS JetStream: producer -> stream -> consumer, which acknowledges after the effect; for keyed_total the
// consumer adds up, and sends all totals through a second stream.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	what    = flag.String("what", "relay", "")
	framing = flag.String("framing", "record", "")
	records = flag.Uint64("records", 1, "")
	keys    = flag.Uint64("keys", 1, "")
	pad     = flag.Int("pad", 63, "")
	warmup  = flag.Uint64("warmup", 0, "")
	connect = flag.String("connect", "", "")
	_       = flag.String("folder", "", "")
	publish = flag.String("publish", "async", "async, atomic or fast: a publisher of publisher.go")
	pending = flag.Int("pending", 4096, "messages that may be on their way without an acknowledgement")
	pull    = flag.Int("pull", 5000, "messages that the consumer asks for at a time")
)

const (
	ackedEvery = 256 // messages
	pulledMost = 8 << 20
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// connected is a connection of its own.
func connected(options ...jetstream.JetStreamOpt) jetstream.JetStream {
	nc, err := nats.Connect(*connect)
	must(err)
	js, err := jetstream.New(nc, options...)
	must(err)
	return js
}

func stream(name string) {
	js := connected()
	defer js.Conn().Close()
	_, err := js.CreateStream(context.Background(), jetstream.StreamConfig{
		Name: name, Subjects: []string{name}, Storage: jetstream.FileStorage,
		AllowAtomicPublish: *publish == "atomic", AllowBatchPublish: *publish == "fast"})
	must(err)
}

// consume gives every message to take, in order, and acknowledges all that take has had, until take says that it has all.
func consume(name string, take func(message []byte) (done bool)) {
	js := connected()
	defer js.Conn().Close()
	consumer, err := js.CreateConsumer(context.Background(), name, jetstream.ConsumerConfig{
		Durable: "consumer", AckPolicy: jetstream.AckAllPolicy, MaxAckPending: 1 << 20})
	must(err)
	limit := jetstream.PullMessagesOpt(jetstream.PullMaxMessages(*pull))
	if *framing == "batch" {
		limit = jetstream.PullMaxBytes(pulledMost)
	}
	messages, err := consumer.Messages(limit)
	must(err)
	defer messages.Stop()
	for taken := 1; ; taken++ {
		message, err := messages.Next()
		must(err)
		done := take(message.Data())
		if done {
			must(message.DoubleAck(context.Background()))
			return
		}
		if taken%ackedEvery == 0 {
			must(message.Ack())
		}
	}
}

func produce(name string, w *workload) {
	out := newPublisher(name)
	if *framing == "batch" {
		for i := uint64(0); i < w.records; {
			batch, count := w.batch(i)
			out.send(batch)
			i += count
		}
	} else {
		for i := uint64(0); i < w.records; i++ {
			out.send(w.at(i))
		}
	}
	out.close()
}

// begun runs body beside the caller; what it returns is closed at its end.
func begun(body func()) chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		body()
	}()
	return done
}

func relay(name string, w *workload, begin, end func()) (d digest) {
	stream(name)
	begin()
	produced := begun(func() { produce(name, w) })
	consume(name, func(message []byte) bool {
		eachRecord(message, d.add)
		return d.results >= w.records
	})
	end()
	<-produced
	return d
}

func keyedTotal(name string, w *workload, begin, end func()) (d digest) {
	stream(name)
	stream(name + "-totals")
	begin()
	produced := begun(func() { produce(name, w) })
	summed := begun(func() { sum(name, w.records) })
	consume(name+"-totals", func(message []byte) bool {
		for ; len(message) >= keyBytes+8; message = message[keyBytes+8:] {
			d.addTotal(message[:keyBytes], int64(binary.BigEndian.Uint64(message[keyBytes:])))
		}
		return len(message) > 0 // the end is a message of one byte
	})
	end()
	<-produced
	<-summed
	return d
}

func sum(name string, records uint64) {
	totals := map[[keyBytes]byte]int64{}
	count := uint64(0)
	consume(name, func(message []byte) bool {
		count += eachRecord(message, func(key, value []byte) { totals[[keyBytes]byte(key)] += number(value) })
		return count >= records
	})
	out := newPublisher(name + "-totals")
	message := []byte{}
	for key, total := range totals {
		message = binary.BigEndian.AppendUint64(append(message, key[:]...), uint64(total))
		if *framing == "record" || len(message) >= batchBytes-keyBytes-8 {
			out.send(message)
			message = message[:0]
		}
	}
	if len(message) > 0 {
		out.send(message)
	}
	out.send([]byte{'.'})
	out.close()
}

func main() {
	flag.Parse()
	pass := relay
	if *what == "keyed_total" {
		pass = keyedTotal
	}
	if *warmup > 0 {
		pass("warmup", newWorkload(*warmup, *keys, *pad), func() {}, func() {})
	}
	var started, ended time.Time
	d := pass("measured", newWorkload(*records, *keys, *pad), func() {
		fmt.Println("begin")
		started = time.Now()
	}, func() { ended = time.Now() })
	fmt.Printf("{\"seconds\": %.6f, \"results\": %d, \"digest\": \"%d\"}\n", ended.Sub(started).Seconds(), d.results, d.sum)
	_, err := io.Copy(io.Discard, bufio.NewReader(os.Stdin)) // until the bench has looked what this process used
	must(err)
}
