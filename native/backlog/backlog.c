#include "backlog.h"
#include <stdlib.h>

struct backlog_prefix {
  struct backlog_prefix *next;  // in its bucket
  struct backlog_prefix *parent;
  uint64_t bits;
  uint8_t length;
  uint32_t held, old;   // entries below it, and those of the older half
  uint64_t changed;     // when `old` changed last, in changes of the backlog
  uint32_t at;          // its index in the parent's heap
  uint32_t width, room;
  struct backlog_prefix **heap;          // the prefixes below it, the most crowded first
  struct backlog_entry *oldest, *newest;  // of a source
};

bool backlog_init(struct backlog *backlog, uint32_t expected, uint64_t seed) {
  *backlog = (struct backlog){.seed = seed, .size = 16};
  while (backlog->size < expected && backlog->size < 1u << 20) backlog->size *= 2;
  backlog->buckets = calloc(backlog->size, sizeof *backlog->buckets);
  backlog->all = calloc(1, sizeof *backlog->all);
  if (backlog->buckets != NULL && backlog->all != NULL) return true;
  backlog_free(backlog);
  return false;
}

void backlog_free(struct backlog *backlog) {
  while (backlog->oldest != NULL) backlog_remove(backlog, backlog->oldest);
  if (backlog->all != NULL) free(backlog->all->heap);
  free(backlog->all);
  free(backlog->buckets);
  *backlog = (struct backlog){0};
}

static struct backlog_prefix **bucket_of(const struct backlog *backlog, uint64_t bits, unsigned length) {
  uint64_t mixed = (bits ^ backlog->seed) + length * 0x9e3779b97f4a7c15u;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ mixed >> 27) * (backlog->seed | 1);
  return &backlog->buckets[mixed >> 32 & (backlog->size - 1)];
}

static struct backlog_prefix *find(const struct backlog *backlog, uint64_t bits, unsigned length) {
  struct backlog_prefix *prefix = *bucket_of(backlog, bits, length);
  while (prefix != NULL && (prefix->bits != bits || prefix->length != length)) prefix = prefix->next;
  return prefix;
}

static struct backlog_prefix *find_source(const struct backlog *backlog, uint64_t source) {
  return find(backlog, source, backlog_source_is_v4(source) ? 32 : 64);
}

static bool more_crowded(const struct backlog_prefix *one, const struct backlog_prefix *other) {
  return one->old != other->old ? one->old > other->old : one->changed < other->changed;
}

static void put(struct backlog_prefix **heap, uint32_t at, struct backlog_prefix *prefix) {
  heap[at] = prefix;
  prefix->at = at;
}

// Moves a prefix to where it belongs in its parent's heap.
static void sift(struct backlog_prefix *prefix) {
  struct backlog_prefix **heap = prefix->parent->heap;
  uint32_t width = prefix->parent->width, at = prefix->at;
  for (; at > 0 && more_crowded(prefix, heap[(at - 1) / 2]); at = (at - 1) / 2) put(heap, at, heap[(at - 1) / 2]);
  for (uint32_t child; (child = 2 * at + 1) < width; at = child) {
    if (child + 1 < width && more_crowded(heap[child + 1], heap[child])) child++;
    if (!more_crowded(heap[child], prefix)) break;
    put(heap, at, heap[child]);
  }
  put(heap, at, prefix);
}

static struct backlog_prefix *make(struct backlog *backlog, struct backlog_prefix *parent, uint64_t bits, uint8_t length) {
  if (parent->width == parent->room) {
    uint32_t room = parent->room == 0 ? 1 : 2 * parent->room;
    struct backlog_prefix **heap = realloc(parent->heap, room * sizeof *heap);
    if (heap == NULL) return NULL;
    parent->heap = heap;
    parent->room = room;
  }
  struct backlog_prefix *prefix = malloc(sizeof *prefix), **bucket = bucket_of(backlog, bits, length);
  if (prefix == NULL) return NULL;
  *prefix = (struct backlog_prefix){
      .next = *bucket, .parent = parent, .bits = bits, .length = length, .changed = ++backlog->changes, .at = parent->width};
  *bucket = prefix;
  parent->heap[parent->width++] = prefix;
  sift(prefix);
  return prefix;
}

// Forgets the prefixes on the way up that hold nothing any more.
static void prune(struct backlog *backlog, struct backlog_prefix *prefix) {
  while (prefix->held == 0 && prefix->parent != NULL) {
    struct backlog_prefix *parent = prefix->parent, *last = parent->heap[--parent->width];
    if (last != prefix) {
      put(parent->heap, prefix->at, last);
      sift(last);
    }
    struct backlog_prefix **link = bucket_of(backlog, prefix->bits, prefix->length);
    while (*link != prefix) link = &(*link)->next;
    *link = prefix->next;
    free(prefix->heap);
    free(prefix);
    prefix = parent;
  }
}

// The prefix of a source, made with those above it if need be; NULL without memory.
static struct backlog_prefix *make_source(struct backlog *backlog, uint64_t source) {
  const uint8_t *lengths;
  struct backlog_prefix *prefix = backlog->all;
  unsigned count = backlog_source_lengths(source, &lengths);
  for (unsigned i = 0; i < count; i++) {
    uint64_t bits = backlog_source_prefix(source, lengths[i]);
    struct backlog_prefix *next = find(backlog, bits, lengths[i]);
    if (next == NULL) next = make(backlog, prefix, bits, lengths[i]);
    if (next == NULL) {
      prune(backlog, prefix);
      return NULL;
    }
    prefix = next;
  }
  return prefix;
}

static void set_old(struct backlog *backlog, struct backlog_entry *entry, bool old) {
  entry->old = old;
  backlog->old += old ? 1 : -1u;
  backlog->changes++;
  for (struct backlog_prefix *prefix = entry->source; prefix->parent != NULL; prefix = prefix->parent) {
    prefix->old += old ? 1 : -1u;
    prefix->changed = backlog->changes;
    sift(prefix);
  }
}

// Half of all are old, at least.
static void age(struct backlog *backlog) {
  while (backlog->old < (backlog->count + 1) / 2) {
    struct backlog_entry *entry = backlog->oldest_new;
    backlog->oldest_new = entry->newer;
    set_old(backlog, entry, true);
  }
}

bool backlog_add(struct backlog *backlog, struct backlog_entry *entry, uint64_t source, uint64_t since) {
  struct backlog_prefix *prefix = make_source(backlog, source);
  if (prefix == NULL) return false;
  *entry = (struct backlog_entry){.older = backlog->newest, .older_here = prefix->newest, .source = prefix, .since = since};
  if (backlog->newest != NULL) backlog->newest->newer = entry;
  else backlog->oldest = entry;
  backlog->newest = entry;
  if (prefix->newest != NULL) prefix->newest->newer_here = entry;
  else prefix->oldest = entry;
  prefix->newest = entry;
  if (backlog->oldest_new == NULL) backlog->oldest_new = entry;
  backlog->count++;
  for (; prefix != NULL; prefix = prefix->parent) prefix->held++;
  age(backlog);
  return true;
}

void backlog_remove(struct backlog *backlog, struct backlog_entry *entry) {
  struct backlog_prefix *source = entry->source;
  if (entry->old) set_old(backlog, entry, false);
  else if (backlog->oldest_new == entry) backlog->oldest_new = entry->newer;
  if (entry->older != NULL) entry->older->newer = entry->newer;
  else backlog->oldest = entry->newer;
  if (entry->newer != NULL) entry->newer->older = entry->older;
  else backlog->newest = entry->older;
  if (entry->older_here != NULL) entry->older_here->newer_here = entry->newer_here;
  else source->oldest = entry->newer_here;
  if (entry->newer_here != NULL) entry->newer_here->older_here = entry->older_here;
  else source->newest = entry->older_here;
  backlog->count--;
  for (struct backlog_prefix *prefix = source; prefix != NULL; prefix = prefix->parent) prefix->held--;
  prune(backlog, source);
  age(backlog);
}

struct backlog_entry *backlog_crowded(const struct backlog *backlog, bool newest) {
  const struct backlog_prefix *prefix = backlog->all;
  while (prefix->width > 0) prefix = prefix->heap[0];
  return newest ? prefix->newest : prefix->oldest;
}

bool backlog_is_crowded(const struct backlog *backlog, uint64_t source) {
  const uint8_t *lengths;
  const struct backlog_prefix *prefix = backlog->all;
  unsigned count = backlog_source_lengths(source, &lengths);
  for (unsigned i = 0; i < count; i++) {
    const struct backlog_prefix *own = find(backlog, backlog_source_prefix(source, lengths[i]), lengths[i]);
    uint32_t most = prefix->width == 0 ? 0 : prefix->heap[0]->old;
    if ((own == NULL ? 0 : own->old) < most) return false;
    if (own == NULL) return true;
    prefix = own;
  }
  return true;
}

struct backlog_entry *backlog_of(const struct backlog *backlog, uint64_t source) {
  const struct backlog_prefix *prefix = find_source(backlog, source);
  return prefix == NULL ? NULL : prefix->oldest;
}

uint32_t backlog_count(const struct backlog *backlog, uint64_t source) {
  const struct backlog_prefix *prefix = find_source(backlog, source);
  return prefix == NULL ? 0 : prefix->held;
}

int backlog_payer(const struct backlog *const *backlogs, int count, uint32_t most) {
  int first = -1;
  for (int i = count - 1; i >= 0; i--)
    if (backlogs[i]->count > 0) first = i;
  for (int i = 0; i < count; i++)
    if (backlogs[i]->count > most / 4) return i;
  return first;
}
