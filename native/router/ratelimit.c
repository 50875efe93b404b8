#include "ratelimit.h"
#include <endian.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { EXAMINED = 64 };  // accounts looked at for one that nobody waits in
static const double SECOND = 1e9;

struct router_account {
  struct router_account *next;            // in its bucket
  struct router_account *younger, *older;
  uint64_t source, at;
  uint32_t pending;
  double tokens;  // refusals left; negative after many at once
};

bool router_gate_init(struct router_gate *gate, const struct router_gate_limits *limits) {
  *gate = (struct router_gate){.limits = *limits, .size = 16};
  while (gate->size < limits->sources && gate->size < 1 << 20) gate->size *= 2;
  pthread_mutex_init(&gate->lock, NULL);
  gate->buckets = calloc(gate->size, sizeof(struct router_account *));
  return gate->buckets != NULL && RAND_bytes((unsigned char *)&gate->seed, sizeof gate->seed) == 1;
}

void router_gate_free(struct router_gate *gate) {
  for (struct router_account *account = gate->oldest, *next; account != NULL; account = next) {
    next = account->younger;
    free(account);
  }
  free(gate->buckets);
  pthread_mutex_destroy(&gate->lock);
  *gate = (struct router_gate){0};
}

uint64_t router_gate_source(const struct sockaddr *peer) {
  static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
  // No IPv6 address that is in use begins with 32 zero bits, except IPv4 ones in IPv6 clothes.
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

static struct router_account **bucket_of(struct router_gate *gate, uint64_t source) {
  uint64_t hash = (source ^ gate->seed) * 0xd6e8feb86659fd93u;
  return &gate->buckets[(hash ^ hash >> 32) & (gate->size - 1)];
}

static struct router_account *find(struct router_gate *gate, uint64_t source) {
  struct router_account *account = *bucket_of(gate, source);
  while (account != NULL && account->source != source) account = account->next;
  return account;
}

static void forget(struct router_gate *gate, struct router_account *account) {
  struct router_account **at = bucket_of(gate, account->source);
  while (*at != account) at = &(*at)->next;
  *at = account->next;
  if (account->older != NULL) account->older->younger = account->younger;
  else gate->oldest = account->younger;
  if (account->younger != NULL) account->younger->older = account->older;
  else gate->newest = account->older;
  gate->count--;
  free(account);
}

// The oldest account, rather one that nobody is waiting in.
static void forget_oldest(struct router_gate *gate) {
  struct router_account *account = gate->oldest;
  for (int i = 1; i < EXAMINED && account->pending > 0 && account->younger != NULL; i++) account = account->younger;
  forget(gate, account->pending > 0 ? gate->oldest : account);
}

static struct router_account *open_account(struct router_gate *gate, uint64_t source, uint64_t now) {
  struct router_account *account = malloc(sizeof *account);
  if (account == NULL) return NULL;
  if (gate->count > 0 && gate->count >= gate->limits.sources) forget_oldest(gate);
  struct router_account **bucket = bucket_of(gate, source);
  *account = (struct router_account){
      .next = *bucket, .older = gate->newest, .source = source, .at = now, .tokens = gate->limits.refusal_burst};
  *bucket = account;
  if (gate->newest != NULL) gate->newest->younger = account;
  else gate->oldest = account;
  gate->newest = account;
  gate->count++;
  return account;
}

// The source's account with what it has been forgiven so far; NULL without memory.
static struct router_account *account_of(struct router_gate *gate, uint64_t source, uint64_t now) {
  struct router_account *account = find(gate, source);
  if (account == NULL) return open_account(gate, source, now);
  if (now > account->at) account->tokens += (double)(now - account->at) / SECOND * gate->limits.refusals_per_second;
  if (account->tokens > gate->limits.refusal_burst) account->tokens = gate->limits.refusal_burst;
  account->at = now;
  return account;
}

static void tidy(struct router_gate *gate, struct router_account *account) {
  if (account->pending == 0 && account->tokens >= gate->limits.refusal_burst) forget(gate, account);
}

bool router_gate_enter(struct router_gate *gate, uint64_t source, uint64_t now) {
  pthread_mutex_lock(&gate->lock);
  struct router_account *account = account_of(gate, source, now);
  bool open = account != NULL && gate->pending < gate->limits.pending &&
              account->pending < gate->limits.pending_per_source && account->tokens >= 1;
  if (open) {
    account->pending++;
    gate->pending++;
  }
  if (account != NULL) tidy(gate, account);
  pthread_mutex_unlock(&gate->lock);
  return open;
}

void router_gate_leave(struct router_gate *gate, uint64_t source, bool refused, uint64_t now) {
  pthread_mutex_lock(&gate->lock);
  struct router_account *account = account_of(gate, source, now);
  double most = gate->limits.refusal_burst;
  gate->pending--;
  if (account != NULL) {
    if (account->pending > 0) account->pending--;
    if (refused) account->tokens = account->tokens - 1 < -most ? -most : account->tokens - 1;
    tidy(gate, account);
  }
  pthread_mutex_unlock(&gate->lock);
}
