#include "ratelimit.h"
#include "backlog/source.h"
#include <openssl/rand.h>
#include <stdlib.h>

enum {
  EXAMINED = 64,            // accounts examined for one without pending handshakes
  WIDE = 1 << 14, WIDE_HASHES = 2,  // cells for wide prefixes; each prefix has two, so that it hardly ever shares both
  WIDER_V4 = 16,            // a /24 may be refused so many times as often as an address
  WIDER_V6 = 4,             // a /56 than a /64, a /48 than a /56, a /40 than a /48
};
static const double SECOND = 1e9;

struct router_account {
  struct router_account *next;            // in its bucket
  struct router_account *younger, *older;
  uint64_t source, at;
  uint32_t pending;
  double tokens;  // refusals left; negative after many at once
};

bool router_ratelimit_init(struct router_ratelimit *ratelimit, const struct router_ratelimit_limits *limits) {
  *ratelimit = (struct router_ratelimit){.limits = *limits, .size = 16};
  while (ratelimit->size < limits->sources && ratelimit->size < 1 << 20) ratelimit->size *= 2;
  pthread_mutex_init(&ratelimit->lock, NULL);
  ratelimit->buckets = calloc(ratelimit->size, sizeof(struct router_account *));
  ratelimit->wide = calloc(WIDE, sizeof *ratelimit->wide);
  return ratelimit->buckets != NULL && ratelimit->wide != NULL && RAND_bytes((unsigned char *)&ratelimit->seed, sizeof ratelimit->seed) == 1;
}

void router_ratelimit_free(struct router_ratelimit *ratelimit) {
  for (struct router_account *account = ratelimit->oldest, *next; account != NULL; account = next) {
    next = account->younger;
    free(account);
  }
  free(ratelimit->buckets);
  free(ratelimit->wide);
  pthread_mutex_destroy(&ratelimit->lock);
  *ratelimit = (struct router_ratelimit){0};
}

uint64_t router_ratelimit_source(const struct sockaddr *peer) {
  struct in6_addr address = {.s6_addr = {[10] = 0xff, 0xff}};
  if (peer->sa_family == AF_INET) memcpy(address.s6_addr + 12, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
  else address = ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
  return backlog_source(&address);
}

static struct router_account **bucket_of(struct router_ratelimit *ratelimit, uint64_t source) {
  uint64_t hash = (source ^ ratelimit->seed) * 0xd6e8feb86659fd93u;
  return &ratelimit->buckets[(hash ^ hash >> 32) & (ratelimit->size - 1)];
}

static struct router_account *find(struct router_ratelimit *ratelimit, uint64_t source) {
  struct router_account *account = *bucket_of(ratelimit, source);
  while (account != NULL && account->source != source) account = account->next;
  return account;
}

static void forget(struct router_ratelimit *ratelimit, struct router_account *account) {
  struct router_account **at = bucket_of(ratelimit, account->source);
  while (*at != account) at = &(*at)->next;
  *at = account->next;
  if (account->older != NULL) account->older->younger = account->younger;
  else ratelimit->oldest = account->younger;
  if (account->younger != NULL) account->younger->older = account->older;
  else ratelimit->newest = account->older;
  ratelimit->count--;
  free(account);
}

// Forgets the oldest account, preferably one without pending handshakes.
static void forget_oldest(struct router_ratelimit *ratelimit) {
  struct router_account *account = ratelimit->oldest;
  for (int i = 1; i < EXAMINED && account->pending > 0 && account->younger != NULL; i++) account = account->younger;
  forget(ratelimit, account->pending > 0 ? ratelimit->oldest : account);
}

static struct router_account *open_account(struct router_ratelimit *ratelimit, uint64_t source, uint64_t now) {
  struct router_account *account = malloc(sizeof *account);
  if (account == NULL) return NULL;
  if (ratelimit->count > 0 && ratelimit->count >= ratelimit->limits.sources) forget_oldest(ratelimit);
  struct router_account **bucket = bucket_of(ratelimit, source);
  *account = (struct router_account){
      .next = *bucket, .older = ratelimit->newest, .source = source, .at = now, .tokens = ratelimit->limits.refusal_burst};
  *bucket = account;
  if (ratelimit->newest != NULL) ratelimit->newest->younger = account;
  else ratelimit->oldest = account;
  ratelimit->newest = account;
  ratelimit->count++;
  return account;
}

// The source's account with its tokens refilled; NULL without memory.
static struct router_account *account_of(struct router_ratelimit *ratelimit, uint64_t source, uint64_t now) {
  struct router_account *account = find(ratelimit, source);
  if (account == NULL) return open_account(ratelimit, source, now);
  if (now > account->at) account->tokens += (double)(now - account->at) / SECOND * ratelimit->limits.refusals_per_second;
  if (account->tokens > ratelimit->limits.refusal_burst) account->tokens = ratelimit->limits.refusal_burst;
  account->at = now;
  return account;
}

static void tidy(struct router_ratelimit *ratelimit, struct router_account *account) {
  if (account->pending == 0 && account->tokens >= ratelimit->limits.refusal_burst) forget(ratelimit, account);
}

static uint64_t *cell_of(const struct router_ratelimit *ratelimit, uint64_t prefix, unsigned length, unsigned hash) {
  uint64_t mixed = (prefix ^ ratelimit->seed) + (length << 1 | hash) * 0x9e3779b97f4a7c15u;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ mixed >> 27) * (ratelimit->seed | 1);
  return &ratelimit->wide[mixed >> 32 & (WIDE - 1)];
}

// Has one of the prefixes that are wider than the source been refused too often? If `refuse`, they are refused once more.
static bool wide_shut(struct router_ratelimit *ratelimit, uint64_t source, bool refuse, uint64_t now) {
  const uint8_t *lengths;
  unsigned count = backlog_source_lengths(source, &lengths), times = 1;
  bool shut = false;
  if (ratelimit->limits.refusals_per_second == 0) return false;
  for (unsigned i = count - 1; i-- > 0;) {
    times *= backlog_source_is_v4(source) ? WIDER_V4 : WIDER_V6;
    uint64_t period = (uint64_t)SECOND / ((uint64_t)ratelimit->limits.refusals_per_second * times);
    uint64_t most = period * ratelimit->limits.refusal_burst * times;
    unsigned full = 0;
    for (unsigned hash = 0; hash < WIDE_HASHES; hash++) {
      uint64_t *until = cell_of(ratelimit, backlog_source_prefix(source, lengths[i]), lengths[i], hash);
      full += *until > now && *until - now > most - period;
      if (!refuse) continue;
      *until = (*until > now ? *until : now) + period;
      if (*until - now > 2 * most) *until = now + 2 * most;
    }
    shut |= full == WIDE_HASHES;
  }
  return shut;
}

bool router_ratelimit_shut(struct router_ratelimit *ratelimit, uint64_t source, uint64_t now) {
  pthread_mutex_lock(&ratelimit->lock);
  struct router_account *account = account_of(ratelimit, source, now);
  bool shut = account == NULL || account->tokens < 1 || wide_shut(ratelimit, source, false, now);
  if (account != NULL) tidy(ratelimit, account);
  pthread_mutex_unlock(&ratelimit->lock);
  return shut;
}

bool router_ratelimit_crowded(struct router_ratelimit *ratelimit, uint64_t source) {
  pthread_mutex_lock(&ratelimit->lock);
  const struct router_account *account = find(ratelimit, source);
  bool crowded = account != NULL && account->pending >= ratelimit->limits.pending_per_source;
  pthread_mutex_unlock(&ratelimit->lock);
  return crowded;
}

bool router_ratelimit_acquire(struct router_ratelimit *ratelimit, uint64_t source, uint64_t now) {
  pthread_mutex_lock(&ratelimit->lock);
  struct router_account *account = account_of(ratelimit, source, now);
  bool open = account != NULL && ratelimit->pending < ratelimit->limits.pending &&
              account->pending < ratelimit->limits.pending_per_source && account->tokens >= 1 &&
              !wide_shut(ratelimit, source, false, now);
  if (open) {
    account->pending++;
    ratelimit->pending++;
  }
  if (account != NULL) tidy(ratelimit, account);
  pthread_mutex_unlock(&ratelimit->lock);
  return open;
}

void router_ratelimit_release(struct router_ratelimit *ratelimit, uint64_t source, bool refused, uint64_t now) {
  pthread_mutex_lock(&ratelimit->lock);
  struct router_account *account = account_of(ratelimit, source, now);
  double most = ratelimit->limits.refusal_burst;
  ratelimit->pending--;
  if (refused) wide_shut(ratelimit, source, true, now);
  if (account != NULL) {
    if (account->pending > 0) account->pending--;
    if (refused) account->tokens = account->tokens - 1 < -most ? -most : account->tokens - 1;
    tidy(ratelimit, account);
  }
  pthread_mutex_unlock(&ratelimit->lock);
}
