// SPDX-License-Identifier: Apache-2.0
package main

import (
	"hash/crc32"
	"math/bits"
	"strconv"
)

const (
	keyBytes          = 8
	numberAt          = 4
	framedHeaderBytes = keyBytes + 2 // key, length of the value
	batchBytes        = 64 * 1024
)

// workload makes the records of `weir bench` (topologies/bench/README.md, "The records") as messages: key, length of the
// value, value.
type workload struct {
	records, keys uint64
	message       []byte
}

func newWorkload(records, keys uint64, pad int) *workload {
	w := &workload{records: records, keys: keys, message: make([]byte, framedHeaderBytes+numberAt+2+4+2+pad)}
	for i := range w.message {
		w.message[i] = 'x'
	}
	value := len(w.message) - framedHeaderBytes
	w.message[0] = 'k'
	w.message[keyBytes] = byte(value >> 8)
	w.message[keyBytes+1] = byte(value)
	copy(w.message[framedHeaderBytes:], []byte{0x82, 0xa1, 'n', 0xcd, 0, 0, 0xa3, 'p', 'a', 'd', 0xd9, byte(pad)})
	return w
}

// at returns the message of record i, valid until the next call.
func (w *workload) at(i uint64) []byte {
	x := i + 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	_, number := bits.Div64(0, x^(x>>31), w.keys)
	for digit := keyBytes - 1; digit > 0; digit-- {
		w.message[digit] = byte('0' + number%10)
		number /= 10
	}
	n := 256 + i%1000
	w.message[framedHeaderBytes+numberAt] = byte(n >> 8)
	w.message[framedHeaderBytes+numberAt+1] = byte(n)
	return w.message
}

// batch returns the messages of as many records from `first` on as 64 KiB hold, one behind the other, and their number.
func (w *workload) batch(first uint64) ([]byte, uint64) {
	count := min(w.records-first, uint64(batchBytes/len(w.message)))
	batch := make([]byte, 0, int(count)*len(w.message))
	for i := uint64(0); i < count; i++ {
		batch = append(batch, w.at(first+i)...)
	}
	return batch, count
}

// eachRecord calls take with key and value of each record of a message, and returns how many there were.
func eachRecord(message []byte, take func(key, value []byte)) uint64 {
	count := uint64(0)
	for len(message) > 0 {
		end := framedHeaderBytes + (int(message[keyBytes])<<8 | int(message[keyBytes+1]))
		take(message[:keyBytes], message[framedHeaderBytes:end])
		message = message[end:]
		count++
	}
	return count
}

// number is the number in a value.
func number(value []byte) int64 {
	if value[numberAt-1] != 0xcd {
		panic("this is no value of the workload")
	}
	return int64(value[numberAt])<<8 | int64(value[numberAt+1])
}

// digest is how many results there were, and the sum of CRC-32 over key and value of each.
type digest struct {
	results, sum uint64
}

func (d *digest) add(key, value []byte) {
	d.sum += uint64(crc32.Update(crc32.ChecksumIEEE(key), crc32.IEEETable, value))
	d.results++
}

// addTotal adds a total as its decimal digits.
func (d *digest) addTotal(key []byte, total int64) {
	d.add(key, strconv.AppendInt(nil, total, 10))
}
