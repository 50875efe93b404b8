#include "fq.h"
#include "packet/frame.h"
#include <stdlib.h>
#include <string.h>

struct dp_fq *dp_fq_new(struct dp_counters *counters, struct dp_pool *pool) {
  struct dp_fq *fq = calloc(1, sizeof *fq);
  if (fq == NULL) return NULL;
  fq->counters = counters;
  fq->pool = pool;
  fq->share.group = &pool->everyone;
  fq->limit = DP_FQ_LIMIT;
  return fq;
}

static void append_flow(struct dp_fq_list *list, struct dp_fq_flow *flow) {
  flow->next = NULL;
  if (list->tail != NULL) list->tail->next = flow;
  else list->head = flow;
  list->tail = flow;
}

static struct dp_fq_flow *shift_flow(struct dp_fq_list *list) {
  struct dp_fq_flow *flow = list->head;
  list->head = flow->next;
  if (list->head == NULL) list->tail = NULL;
  return flow;
}

static struct dp_fq_block *shift_block(struct dp_fq *fq, struct dp_fq_flow *flow) {
  struct dp_fq_block *block = flow->head;
  if (block == NULL) return NULL;
  flow->head = block->next;
  if (flow->head == NULL) flow->tail = NULL;
  flow->bytes -= block->length;
  fq->bytes -= block->length;
  fq->blocks--;
  dp_set(&fq->counters->queue_bytes, fq->bytes);
  return block;
}

static void free_block(struct dp_fq *fq, struct dp_fq_block *block) {
  if (block == NULL) return;
  size_t size = sizeof *block + block->length;
  dp_share_remove(&fq->share, size);
  dp_pool_give(fq->pool, block, size);
}

void dp_fq_free(struct dp_fq *fq) {
  if (fq == NULL) return;
  for (int i = 0; i < DP_FQ_FLOWS; i++)
    for (struct dp_fq_block *block; (block = shift_block(fq, &fq->flows[i])) != NULL;) free_block(fq, block);
  free(fq);
}

static void drop_from_fattest(struct dp_fq *fq) {
  struct dp_fq_flow *fattest = &fq->flows[0];
  for (int i = 1; i < DP_FQ_FLOWS; i++)
    if (fq->flows[i].bytes > fattest->bytes) fattest = &fq->flows[i];
  free_block(fq, shift_block(fq, fattest));
  dp_add(&fq->counters->out_overflow, 1);
}

static struct dp_fq *queue_of(struct dp_share *share) {
  return (struct dp_fq *)(void *)((char *)share - offsetof(struct dp_fq, share));
}

// A block for so many bytes of frames. While the pool is full the queue that holds most of it loses packets, which may be this one.
static struct dp_fq_block *take_block(struct dp_fq *fq, uint32_t length) {
  struct dp_share *largest;
  size_t size = sizeof(struct dp_fq_block) + length;
  while (dp_pool_left(fq->pool) < size && (largest = dp_share_largest(&fq->pool->groups)) != NULL) drop_from_fattest(queue_of(largest));
  struct dp_fq_block *block = dp_pool_take(fq->pool, size);
  if (block != NULL) dp_share_add(&fq->share, size);
  return block;
}

void dp_fq_put(struct dp_fq *fq, const uint8_t *frames, uint32_t length, uint32_t hash, uint64_t now) {
  while (fq->bytes > 0 && fq->bytes + length > fq->limit) drop_from_fattest(fq);
  struct dp_fq_block *block = length > fq->limit ? NULL : take_block(fq, length);
  if (block == NULL) {
    dp_add(&fq->counters->out_overflow, 1);
    return;
  }
  *block = (struct dp_fq_block){.since = now, .length = length};
  memcpy(block->bytes, frames, length);
  struct dp_fq_flow *flow = &fq->flows[hash % DP_FQ_FLOWS];
  if (flow->tail != NULL) flow->tail->next = block;
  else flow->head = block;
  flow->tail = block;
  flow->bytes += length;
  fq->bytes += length;
  fq->blocks++;
  if (length > fq->largest) fq->largest = length;
  dp_add(&fq->counters->queued_packets, 1);
  dp_set(&fq->counters->queue_bytes, fq->bytes);
  if (flow->state == DP_FQ_IDLE) {
    flow->state = DP_FQ_NEW;
    flow->deficit = DP_FQ_QUANTUM;
    append_flow(&fq->fresh, flow);
  }
}

static uint64_t interval_over_root(uint32_t count) {
  double root = 1;
  for (int i = 0; i < 12; i++) root = 0.5 * (root + count / root);
  return (uint64_t)(DP_FQ_INTERVAL_NS / root);
}

// Marks every packet of the block; false if one of them cannot be marked.
static bool mark(struct dp_fq_block *block) {
  for (uint32_t offset = 0; offset < block->length;) {
    struct dp_frame frame;
    size_t size = 0;
    if (dp_frame_read(DP_WIRE_SUPER, block->bytes + offset, block->length - offset, &frame, &size) != DP_FRAME_WHOLE) return false;
    if (!dp_mark_congestion(frame.packet, frame.length)) return false;
    offset += (uint32_t)size;
  }
  return true;
}

// Have blocks of the flow waited for longer than the target for a whole interval?
static bool stands(const struct dp_fq *fq, struct dp_fq_flow *flow, const struct dp_fq_block *block, uint64_t now) {
  if (now - block->since < DP_FQ_TARGET_NS || flow->bytes < fq->largest) {
    flow->first_above = 0;
    return false;
  }
  if (flow->first_above == 0) flow->first_above = now + DP_FQ_INTERVAL_NS;
  return now >= flow->first_above;
}

// CoDel (RFC 8289): the next block of the flow to be sent, or NULL if the flow is empty.
static struct dp_fq_block *next_block(struct dp_fq *fq, struct dp_fq_flow *flow, uint64_t now) {
  for (;;) {
    struct dp_fq_block *block = shift_block(fq, flow);
    if (block == NULL) {
      flow->first_above = 0;
      flow->dropping = false;
      return NULL;
    }
    if (!stands(fq, flow, block, now)) {
      flow->dropping = false;
      return block;
    }
    if (!flow->dropping) {
      flow->dropping = true;
      flow->count = flow->count > 2 ? flow->count - 2 : 1;
      flow->drop_next = now;
    }
    if (now < flow->drop_next) return block;
    flow->drop_next = now + interval_over_root(flow->count++);
    if (mark(block)) {
      dp_add(&fq->counters->out_marked, 1);
      return block;
    }
    free_block(fq, block);
    dp_add(&fq->counters->out_late, 1);
  }
}

static void count_delay(struct dp_fq *fq, uint64_t nanoseconds) {
  uint64_t delay = nanoseconds / 1000;
  dp_set(&fq->counters->queue_delay_us, delay);
  dp_add(&fq->counters->queue_delay_total_us, delay);
  if (delay > dp_value(&fq->counters->queue_delay_max_us)) dp_set(&fq->counters->queue_delay_max_us, delay);
}

size_t dp_fq_take(struct dp_fq *fq, uint8_t *out, size_t wanted, size_t capacity, uint64_t now) {
  size_t taken = 0;
  while (taken < wanted && (fq->fresh.head != NULL || fq->old.head != NULL)) {
    struct dp_fq_list *list = fq->fresh.head != NULL ? &fq->fresh : &fq->old;
    struct dp_fq_flow *flow = list->head;
    if (flow->deficit <= 0) {
      flow->deficit += DP_FQ_QUANTUM;
      flow->state = DP_FQ_OLD;
      append_flow(&fq->old, shift_flow(list));
      continue;
    }
    if (flow->head != NULL && flow->head->length > capacity - taken) break;
    struct dp_fq_block *block = next_block(fq, flow, now);
    // CoDel may have dropped a block that fitted, and the next one does not fit.
    if (block != NULL && block->length > capacity - taken) {
      dp_add(&fq->counters->out_overflow, 1);
      free_block(fq, block);
      continue;
    }
    if (block == NULL) {
      bool was_new = list == &fq->fresh;
      shift_flow(list);
      // A new flow that ran empty is appended to the old ones once, so that it is not treated as new again at once.
      flow->state = was_new && fq->old.head != NULL ? DP_FQ_OLD : DP_FQ_IDLE;
      if (flow->state == DP_FQ_OLD) append_flow(&fq->old, flow);
      continue;
    }
    flow->deficit -= (int32_t)block->length;
    memcpy(out + taken, block->bytes, block->length);
    taken += block->length;
    count_delay(fq, now - block->since);
    free_block(fq, block);
  }
  return taken;
}
