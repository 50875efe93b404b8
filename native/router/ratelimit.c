#include "ratelimit.h"
#include <endian.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { EXAMINED = 64 };  // accounts examined for one without pending handshakes
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
  return ratelimit->buckets != NULL && RAND_bytes((unsigned char *)&ratelimit->seed, sizeof ratelimit->seed) == 1;
}

void router_ratelimit_free(struct router_ratelimit *ratelimit) {
  for (struct router_account *account = ratelimit->oldest, *next; account != NULL; account = next) {
    next = account->younger;
    free(account);
  }
  free(ratelimit->buckets);
  pthread_mutex_destroy(&ratelimit->lock);
  *ratelimit = (struct router_ratelimit){0};
}

uint64_t router_ratelimit_source(const struct sockaddr *peer) {
  static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
  // No IPv6 address that is in use begins with 32 zero bits, except IPv4-mapped ones.
  uint32_t v4;
  uint64_t prefix;
  if (peer->sa_family == AF_INET) {
    memcpy(&v4, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, sizeof v4);
    return ntohl(v4);
  }
  const uint8_t *address = ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr.s6_addr;
  if (memcmp(address, mapped, sizeof mapped) == 0) {
    memcpy(&v4, address + sizeof mapped, sizeof v4);
    return ntohl(v4);
  }
  memcpy(&prefix, address, sizeof prefix);
  // ::1 and its like: not the account of 0.0.0.0.
  return prefix == 0 ? UINT64_MAX : be64toh(prefix);
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

bool router_ratelimit_acquire(struct router_ratelimit *ratelimit, uint64_t source, uint64_t now) {
  pthread_mutex_lock(&ratelimit->lock);
  struct router_account *account = account_of(ratelimit, source, now);
  bool open = account != NULL && ratelimit->pending < ratelimit->limits.pending &&
              account->pending < ratelimit->limits.pending_per_source && account->tokens >= 1;
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
  if (account != NULL) {
    if (account->pending > 0) account->pending--;
    if (refused) account->tokens = account->tokens - 1 < -most ? -most : account->tokens - 1;
    tidy(ratelimit, account);
  }
  pthread_mutex_unlock(&ratelimit->lock);
}
