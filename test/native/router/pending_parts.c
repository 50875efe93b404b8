// The router's places for connections that have proved nothing: who goes when there are too many. Ends with a line "ok", or with what was
// wrong.
#include "../../../native/router/admission/pending.h"
#include "../check.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const uint64_t SECOND = 1000000000;
enum { MOST = 64 };

// node's OpenSSL is not here.
int RAND_bytes(unsigned char *bytes, int length) {
  for (int i = 0; i < length; i++) bytes[i] = (unsigned char)rand();
  return 1;
}

static struct router_ratelimit ratelimit;
static struct router_pending pending;
static struct router_evicted evicted;
static struct router_place places[MOST];
static int used;

static uint64_t source_at(const char *text) {
  struct in6_addr address = {.s6_addr = {[10] = 0xff, 0xff}};
  CHECK(inet_pton(AF_INET, text, address.s6_addr + 12) == 1 || inet_pton(AF_INET6, text, &address) == 1);
  return backlog_source(&address);
}

static void start(struct router_ratelimit_limits limits) {
  CHECK(router_ratelimit_init(&ratelimit, &limits) && router_pending_init(&pending, &ratelimit));
  evicted = (struct router_evicted){.wake = eventfd(0, EFD_NONBLOCK)};
  used = 0;
}

static void end(void) {
  for (int i = 0; i < used; i++) router_pending_leave(&pending, &places[i], false, 0);
  CHECK(ratelimit.pending == 0 && evicted.first == NULL);
  for (int i = 0; i < ROUTER_STEPS; i++) CHECK(pending.steps[i].count == 0);
  router_pending_free(&pending);
  router_ratelimit_free(&ratelimit);
  close(evicted.wake);
}

static const struct router_ratelimit_limits PLENTY = {
    .pending = 8, .pending_per_source = 8, .refusal_burst = 100, .refusals_per_second = 1, .sources = 100};

// NULL if it was not let in.
static struct router_place *enter(uint64_t source, uint64_t now) {
  struct router_place *place = &places[used++];
  CHECK(used <= MOST);
  *place = (struct router_place){.evicted = &evicted, .source = source};
  return router_pending_enter(&pending, place, now) ? place : NULL;
}

static struct router_place *enter_from(const char *address, uint64_t now) { return enter(source_at(address), now); }

static bool advance(struct router_place *place, enum router_step step, uint64_t now) {
  return router_pending_advance(&pending, place, step, now);
}

static struct router_place *taken_away(void) { return router_pending_evicted(&pending, &evicted); }

static void the_crowd_pays_for_newcomers(void) {
  uint64_t wakes;
  start(PLENTY);
  struct router_place *alone = enter_from("198.51.100.1", 0), *crowd[7];
  for (int i = 0; i < 7; i++) crowd[i] = enter_from("192.0.2.1", 0);
  CHECK(taken_away() == NULL && read(evicted.wake, &wakes, sizeof wakes) < 0);
  for (int i = 0; i < 3; i++) {
    CHECK(enter_from("203.0.113.1", 0) != NULL && ratelimit.pending == 8);
    CHECK(taken_away() == crowd[i] && taken_away() == NULL);
  }
  CHECK(read(evicted.wake, &wakes, sizeof wakes) == sizeof wakes);
  CHECK(!advance(crowd[0], ROUTER_STEP_HANDSHAKE, 0) && advance(alone, ROUTER_STEP_HANDSHAKE, 0));
  end();
}

static void who_has_come_further_is_not_displaced_by_who_has_not(void) {
  start(PLENTY);
  struct router_place *further[5];
  for (int i = 0; i < 5; i++) CHECK(advance(further[i] = enter_from("192.0.2.1", 0), ROUTER_STEP_HANDSHAKE, 0));
  for (int i = 0; i < 3; i++) CHECK(enter_from("198.51.100.1", 0) != NULL);
  for (int i = 0; i < 9; i++) CHECK(enter_from("203.0.113.1", 0) != NULL && taken_away()->source != further[0]->source);
  for (int i = 0; i < 5; i++) CHECK(advance(further[i], ROUTER_STEP_ADMISSION, 0));
  end();
}

static void who_stops_after_its_hello_pays_when_there_is_nobody_silent(void) {
  start(PLENTY);
  struct router_place *stopped[8];
  for (int i = 0; i < 8; i++) CHECK(advance(stopped[i] = enter_from("192.0.2.1", 0), ROUTER_STEP_HANDSHAKE, 0));
  // Newcomers keep a quarter of the places for their hello.
  struct router_place *first = enter_from("198.51.100.1", 0), *second = enter_from("198.51.100.2", 0);
  CHECK(taken_away() == stopped[1] && taken_away() == stopped[0]);
  CHECK(enter_from("198.51.100.3", 0) != NULL && taken_away() == stopped[2]);
  CHECK(advance(first, ROUTER_STEP_HANDSHAKE, 0) && advance(second, ROUTER_STEP_HANDSHAKE, 0));
  end();
}

// Each handshake costs a signature: a crowd may exchange them only every few seconds.
static void a_crowd_does_not_exchange_its_own_handshakes(void) {
  struct router_ratelimit_limits limits = PLENTY;
  limits.pending_per_source = 100;
  start(limits);
  struct router_place *stopped[8];
  for (int i = 0; i < 8; i++) CHECK(advance(stopped[i] = enter_from("192.0.2.1", 0), ROUTER_STEP_HANDSHAKE, 0));
  CHECK(enter(stopped[0]->source, 3 * SECOND - 1) == NULL);
  CHECK(taken_away() == NULL);
  CHECK(enter_from("198.51.100.1", 3 * SECOND - 1) != NULL && taken_away() == stopped[0]);
  CHECK(enter(stopped[0]->source, 3 * SECOND) != NULL && taken_away() == stopped[1]);
  end();
}

static void the_newest_of_those_that_wait_for_javascript_pays(void) {
  start(PLENTY);
  struct router_place *waiting[8];
  for (int i = 0; i < 8; i++) CHECK(advance(waiting[i] = enter_from("192.0.2.1", 0), ROUTER_STEP_ADMISSION, 0));
  CHECK(enter_from("198.51.100.1", 0) != NULL && taken_away() == waiting[7]);
  end();
}

static void a_source_that_has_all_it_may_have_pays_itself(void) {
  struct router_ratelimit_limits limits = PLENTY;
  limits.pending_per_source = 3;
  start(limits);
  enter_from("198.51.100.1", 0);
  struct router_place *silent = enter_from("192.0.2.1", 0), *hello = enter_from("192.0.2.1", 0);
  CHECK(enter_from("192.0.2.1", 0) != NULL && advance(hello, ROUTER_STEP_HANDSHAKE, 0));
  CHECK(enter_from("192.0.2.1", SECOND - 1) == NULL && taken_away() == NULL);
  CHECK(enter_from("192.0.2.1", SECOND) != NULL && taken_away() == silent);
  CHECK(enter_from("192.0.2.1", SECOND) != NULL && taken_away()->source == silent->source);
  CHECK(enter_from("192.0.2.1", SECOND) == NULL);
  CHECK(enter_from("192.0.2.1", 3 * SECOND - 1) != NULL && enter_from("192.0.2.1", 3 * SECOND - 1) != NULL);
  while (taken_away() != NULL) {}
  CHECK(advance(hello, ROUTER_STEP_ADMISSION, 3 * SECOND - 1));
  end();
}

static void who_stops_for_long_pays_for_its_own_source(void) {
  struct router_ratelimit_limits limits = PLENTY;
  limits.pending_per_source = 1;
  start(limits);
  struct router_place *hello = enter_from("192.0.2.1", 0);
  CHECK(advance(hello, ROUTER_STEP_HANDSHAKE, 0));
  CHECK(enter_from("192.0.2.1", 3 * SECOND - 1) == NULL);
  CHECK(enter_from("192.0.2.1", 3 * SECOND) != NULL && taken_away() == hello);
  end();
}

static void who_is_shut_out_takes_nobodys_place(void) {
  struct router_ratelimit_limits limits = PLENTY;
  limits.refusal_burst = 1;
  start(limits);
  router_pending_leave(&pending, enter_from("203.0.113.1", 0), true, 0);
  for (int i = 0; i < 8; i++) CHECK(enter_from("192.0.2.1", 0) != NULL);
  CHECK(enter_from("203.0.113.1", 0) == NULL && taken_away() == NULL && ratelimit.pending == 8);
  CHECK(enter_from("203.0.113.1", 2 * SECOND) != NULL);
  end();
}

// Who is evicted for its silence has cost nothing: devices behind the same NAT are not shut out for it.
static void silence_is_no_refusal(void) {
  struct router_ratelimit_limits limits = PLENTY;
  limits.refusal_burst = 1;
  limits.pending = 1;
  start(limits);
  for (int i = 0; i < 8; i++) CHECK(enter_from("192.0.2.1", 0) != NULL);
  CHECK(advance(&places[7], ROUTER_STEP_HANDSHAKE, 0));
  CHECK(enter_from("198.51.100.1", 0) != NULL && enter_from("192.0.2.1", 0) == NULL);
  end();
}

static void few_linger(void) {
  start(PLENTY);
  for (int i = 0; i < 12; i++) {
    struct router_place *place = enter_from("192.0.2.1", 0);
    router_pending_leave(&pending, place, false, 0);
    CHECK(router_pending_linger(&pending, place, 0) && (taken_away() == NULL) == (i < 8));
    CHECK(pending.steps[ROUTER_STEP_LEAVING].count <= 8 && ratelimit.pending == 0);
  }
  end();
}

enum { TURNS = 20000, OWN = 24 };

// A thread with its connections, as the router has them.
static void *come_and_go(void *argument) {
  unsigned seed = *(unsigned *)argument;
  struct router_evicted mine = {.wake = eventfd(0, EFD_NONBLOCK)};
  struct router_place own[OWN] = {0};
  bool there[OWN] = {0};
  for (int turn = 0; turn < TURNS; turn++) {
    int at = rand_r(&seed) % OWN;
    struct router_place *place = &own[at];
    if (!there[at]) {
      *place = (struct router_place){.evicted = &mine, .source = (uint64_t)(rand_r(&seed) % 600)};
      there[at] = router_pending_enter(&pending, place, (uint64_t)turn);
    } else if (rand_r(&seed) % 2 == 0) {
      there[at] = router_pending_advance(&pending, place, rand_r(&seed) % 2 ? ROUTER_STEP_HANDSHAKE : ROUTER_STEP_ADMISSION, (uint64_t)turn);
      if (!there[at]) router_pending_leave(&pending, place, false, (uint64_t)turn);
    } else {
      router_pending_leave(&pending, place, false, (uint64_t)turn);
      there[at] = false;
    }
    for (struct router_place *gone; (gone = router_pending_evicted(&pending, &mine)) != NULL;) {
      router_pending_leave(&pending, gone, false, (uint64_t)turn);
      there[gone - own] = false;
    }
  }
  for (int i = 0; i < OWN; i++)
    if (there[i]) router_pending_leave(&pending, &own[i], false, TURNS);
  close(mine.wake);
  return NULL;
}

static void threads_share_the_places(void) {
  pthread_t threads[2];
  unsigned seeds[2] = {1, 2};
  struct router_ratelimit_limits limits = PLENTY;
  limits.pending = 16;
  limits.refusal_burst = 1000000;
  start(limits);
  for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, come_and_go, &seeds[i]) == 0);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  end();
}

int main(void) {
  the_crowd_pays_for_newcomers();
  who_has_come_further_is_not_displaced_by_who_has_not();
  who_stops_after_its_hello_pays_when_there_is_nobody_silent();
  a_crowd_does_not_exchange_its_own_handshakes();
  the_newest_of_those_that_wait_for_javascript_pays();
  a_source_that_has_all_it_may_have_pays_itself();
  who_stops_for_long_pays_for_its_own_source();
  who_is_shut_out_takes_nobodys_place();
  silence_is_no_refusal();
  few_linger();
  threads_share_the_places();
  puts("ok");
  return 0;
}
