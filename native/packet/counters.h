// Counters. One thread writes them, any other may read at any time: each value is consistent by itself, not with others.
#pragma once
#include <stdatomic.h>
#include <stdint.h>

// Each counter's name in C and in JavaScript; native/client/client.ts says what it counts.
#define DP_COUNTERS(X)                              \
  X(sent_packets, "sentPackets")                    \
  X(sent_bytes, "sentBytes")                        \
  X(received_packets, "receivedPackets")            \
  X(received_bytes, "receivedBytes")                \
  X(out_malformed, "outMalformed")                  \
  X(out_foreign, "outForeign")                      \
  X(out_too_long, "outTooLong")                     \
  X(out_offline, "outOffline")                      \
  X(out_overflow, "outOverflow")                    \
  X(out_late, "outLate")                            \
  X(out_marked, "outMarked")                        \
  X(in_malformed, "inMalformed")                    \
  X(in_foreign, "inForeign")                        \
  X(in_refused, "inRefused")                        \
  X(tun_reads, "tunReads")                          \
  X(tun_writes, "tunWrites")                        \
  X(sent_bursts, "sentBursts")                      \
  X(received_bursts, "receivedBursts")              \
  X(coalesced_packets, "coalescedPackets")          \
  X(superseded_acks, "supersededAcks")              \
  X(sent_records, "sentRecords")                    \
  X(received_records, "receivedRecords")            \
  X(socket_full, "socketFull")                      \
  X(queued_packets, "queuedPackets")                \
  X(queue_delay_us, "queueDelayMicroseconds")       \
  X(queue_delay_total_us, "queueDelayTotalMicroseconds") \
  X(queue_delay_max_us, "queueDelayMaxMicroseconds") \
  X(queue_bytes, "queueBytes")                      \
  X(heartbeats, "heartbeats")                       \
  X(connections, "connections")                     \
  X(resumptions, "resumptions")

struct dp_counters {
#define DP_COUNTER_FIELD(field, name) _Atomic uint64_t field;
  DP_COUNTERS(DP_COUNTER_FIELD)
#undef DP_COUNTER_FIELD
  _Atomic uint64_t heard;       // when something was received last (dp_now)
  _Atomic uint64_t unanswered;  // when the first heartbeat was sent that is still without an answer; 0: none
};

// Only the owning thread calls these, so that no locked instruction is needed.
static inline void dp_add(_Atomic uint64_t *counter, uint64_t amount) {
  uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
  atomic_store_explicit(counter, now + amount, memory_order_relaxed);
}

static inline void dp_set(_Atomic uint64_t *counter, uint64_t value) {
  atomic_store_explicit(counter, value, memory_order_relaxed);
}

static inline uint64_t dp_value(const _Atomic uint64_t *counter) {
  return atomic_load_explicit((_Atomic uint64_t *)counter, memory_order_relaxed);
}
