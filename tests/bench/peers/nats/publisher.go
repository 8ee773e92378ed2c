// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// publisher sends messages to one subject in order; close waits until all are acknowledged.
type publisher interface {
	send(message []byte)
	close()
}

func newPublisher(subject string) publisher {
	switch *publish {
	case "atomic":
		return &atomicPublisher{js: connected(), subject: subject}
	case "fast":
		js := connected(jetstream.WithPublishAsyncMaxPending(*pending))
		out, err := jetstreamext.NewFastPublisher(js, jetstreamext.WithFastPublisherErrorHandler(must),
			jetstreamext.FastPublishFlowControl{Flow: uint16(*pending), MaxOutstandingAcks: 2})
		must(err)
		return fastPublisher{js, subject, out}
	default:
		js := connected(jetstream.WithPublishAsyncMaxPending(*pending),
			jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { must(err) }))
		return asyncPublisher{js, subject}
	}
}

// asyncPublisher has an acknowledgement a message, and so many messages on their way.
type asyncPublisher struct {
	js      jetstream.JetStream
	subject string
}

func (p asyncPublisher) send(message []byte) {
	for {
		_, err := p.js.PublishAsync(p.subject, message)
		if err != jetstream.ErrTooManyStalledMsgs {
			must(err)
			return
		}
	}
}

func (p asyncPublisher) close() {
	<-p.js.PublishAsyncComplete()
	p.js.Conn().Close()
}

// fastPublisher has an acknowledgement for many messages, each stored as it comes.
type fastPublisher struct {
	js      jetstream.JetStream
	subject string
	out     jetstreamext.FastPublisher
}

func (p fastPublisher) send(message []byte) {
	_, err := p.out.Add(p.subject, message)
	must(err)
}

func (p fastPublisher) close() {
	_, err := p.out.Close(context.Background())
	must(err)
	p.js.Conn().Close()
}

// atomicPublisher sends batches of as many messages as a server takes, each stored and synced as a whole, one at a time.
type atomicPublisher struct {
	js      jetstream.JetStream
	subject string
	batch   jetstreamext.BatchPublisher
	held    []byte // one message is kept back, since the last of a batch is sent with its commit
}

const atomicMost = 1000

func (p *atomicPublisher) send(message []byte) {
	if p.held != nil {
		if p.batch == nil {
			var err error
			p.batch, err = jetstreamext.NewBatchPublisher(p.js, jetstreamext.BatchFlowControl{AckFirst: false})
			must(err)
		}
		if p.batch.Size() == atomicMost-1 {
			p.commit()
		} else {
			must(p.batch.Add(p.subject, p.held))
		}
	}
	p.held = append(p.held[:0], message...)
}

func (p *atomicPublisher) commit() {
	_, err := p.batch.Commit(context.Background(), p.subject, p.held)
	must(err)
	p.batch = nil
}

func (p *atomicPublisher) close() {
	if p.batch != nil {
		p.commit()
	} else if p.held != nil {
		_, err := p.js.Publish(context.Background(), p.subject, p.held)
		must(err)
	}
	p.js.Conn().Close()
}
