// The backlog: the cases that its TypeScript sibling has, too, and a comparison of its books with a count from scratch. Arguments: the cases,
// the seed of the comparison. Ends with a line "ok", or with what was wrong.
#include "../../../native/backlog/backlog.h"
#include "../check.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096, NAME = 96 };

struct waiting {
  struct backlog_entry entry;
  char name[NAME];
  uint64_t source;
  bool there;
};

static struct backlog backlog;
static struct waiting waiting[MOST];
static int used;
static int line;

static uint64_t source_at(const char *text) {
  struct in6_addr address = {.s6_addr = {[10] = 0xff, 0xff}};
  CHECK(inet_pton(AF_INET, text, address.s6_addr + 12) == 1 || inet_pton(AF_INET6, text, &address) == 1);
  return backlog_source(&address);
}

static void add(const char *name, const char *address) {
  struct waiting *each = &waiting[used++];
  CHECK(used <= MOST);
  *each = (struct waiting){.source = source_at(address), .there = true};
  snprintf(each->name, sizeof each->name, "%s", name);
  CHECK(backlog_add(&backlog, &each->entry, each->source, (uint64_t)line));
}

static void add_many(const char *name, int count, const char *pattern) {
  for (int i = 0; i < count; i++) {
    char address[64] = "", full[NAME];
    for (const char *at = pattern; *at != 0; at++) {
      size_t length = strlen(address);
      if (*at == '%' || *at == '#') snprintf(address + length, sizeof address - length, *at == '%' ? "%d" : "%x", i);
      else snprintf(address + length, sizeof address - length, "%c", *at);
    }
    snprintf(full, sizeof full, "%s%d", name, i);
    add(full, address);
  }
}

static void is(const struct backlog_entry *entry, const char *name) {
  const char *found = entry == NULL ? "-" : ((const struct waiting *)(const void *)entry)->name;
  if (strcmp(found, name) == 0) return;
  fprintf(stderr, "line %d: expected %s, got %s\n", line, name, found);
  exit(1);
}

static void restart(uint64_t seed) {
  if (backlog.buckets != NULL) backlog_free(&backlog);
  CHECK(backlog_init(&backlog, 16, seed));
  used = 0;
}

static void obey(const char *text) {
  char word[16], first[64] = "", second[64] = "", third[64] = "";
  if (sscanf(text, "%15s %63s %63s %63s", word, first, second, third) < 1 || word[0] == '#') return;
  if (strcmp(word, "case") == 0) restart((uint64_t)line * 77);
  else if (strcmp(word, "add") == 0) add(first, second);
  else if (strcmp(word, "many") == 0) add_many(first, atoi(second), third);
  else if (strcmp(word, "oldest") == 0) is(backlog_crowded(&backlog, false), first);
  else if (strcmp(word, "newest") == 0) is(backlog_crowded(&backlog, true), first);
  else if (strcmp(word, "of") == 0) is(backlog_of(&backlog, source_at(first)), second);
  else if (strcmp(word, "crowded") == 0) CHECK(backlog_is_crowded(&backlog, source_at(first)));
  else if (strcmp(word, "free") == 0) CHECK(!backlog_is_crowded(&backlog, source_at(first)));
  else if (strcmp(word, "count") == 0) CHECK(backlog.count == (uint32_t)atoi(first));
  else if (strcmp(word, "remove") == 0) {
    for (int i = 0; i < used; i++)
      if (waiting[i].there && strcmp(waiting[i].name, first) == 0) {
        backlog_remove(&backlog, &waiting[i].entry);
        waiting[i].there = false;
        return;
      }
    CHECK(!"the name is known");
  } else CHECK(!"the word is known");
}

static void run_cases(const char *path) {
  char text[256];
  FILE *file = fopen(path, "r");
  CHECK(file != NULL);
  for (line = 1; fgets(text, sizeof text, file) != NULL; line++) obey(text);
  CHECK(line > 50);
  fclose(file);
}

// How many old ones share the first `length` bits with a source.
static uint32_t crowd(uint64_t source, unsigned length) {
  uint32_t count = 0;
  for (int i = 0; i < MOST; i++)
    count += waiting[i].there && waiting[i].entry.old && backlog_source_is_v4(waiting[i].source) == backlog_source_is_v4(source) &&
             backlog_source_prefix(waiting[i].source, length) == backlog_source_prefix(source, length);
  return count;
}

// The one that pays is in the most crowded prefix of those in the one before, at each length.
static void pays(const struct waiting *payer) {
  const uint8_t *lengths, *others;
  unsigned count = backlog_source_lengths(payer->source, &lengths);
  for (unsigned level = 0; level < count; level++)
    for (int i = 0; i < MOST; i++) {
      const struct waiting *other = &waiting[i];
      bool four = backlog_source_is_v4(other->source);
      if (!other->there || (level > 0 && (four != backlog_source_is_v4(payer->source) ||
                                          backlog_source_prefix(other->source, lengths[level - 1]) !=
                                              backlog_source_prefix(payer->source, lengths[level - 1]))))
        continue;
      CHECK(backlog_source_lengths(other->source, &others) > level);
      CHECK(crowd(other->source, others[level]) <= crowd(payer->source, lengths[level]));
    }
}

static uint64_t some_source(void) {
  uint64_t number = (uint64_t)(rand() % 3) << 24 | (uint64_t)(rand() % 3) << 16 | (uint64_t)(rand() % 3) << 8 | (uint64_t)(rand() % 3);
  return rand() % 2 == 0 ? number & 0x10f : 0x20010db800000000u | number;
}

static void books_agree(unsigned seed) {
  srand(seed);
  restart(seed);
  memset(waiting, 0, sizeof waiting);
  for (int step = 0, present = 0; step < 6000; step++) {
    struct waiting *each = &waiting[rand() % 200];
    if (each->there) backlog_remove(&backlog, &each->entry);
    else CHECK(backlog_add(&backlog, &each->entry, each->source = some_source(), (uint64_t)step));
    each->there = !each->there;
    present += each->there ? 1 : -1;
    CHECK(backlog.count == (uint32_t)present && backlog.old >= backlog.count - backlog.count / 2);
    if (step % 20 == 0 && present > 0) pays((const struct waiting *)(const void *)backlog_crowded(&backlog, false));
  }
  while (backlog.oldest != NULL) backlog_remove(&backlog, backlog.oldest);
  CHECK(backlog.count == 0 && backlog.old == 0 && backlog.newest == NULL && backlog.oldest_new == NULL);
  for (size_t i = 0; i < backlog.size; i++) CHECK(backlog.buckets[i] == NULL);
}

static void which_step_pays(void) {
  struct backlog some[3] = {{.count = 2}, {.count = 90}, {.count = 8}};
  const struct backlog *const all[] = {&some[0], &some[1], &some[2]};
  CHECK(backlog_payer(all, 3, 100) == 1);
  some[0].count = 25;
  CHECK(backlog_payer(all, 3, 100) == 1);
  some[0].count = 26;
  CHECK(backlog_payer(all, 3, 100) == 0);
  some[0].count = some[1].count = 0;
  CHECK(backlog_payer(all, 3, 100) == 2);
  some[2].count = 0;
  CHECK(backlog_payer(all, 3, 100) == -1);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  run_cases(argv[1]);
  for (unsigned seed = 1; seed <= 5; seed++) books_agree(seed);
  which_step_pays();
  backlog_free(&backlog);
  puts("ok");
  return 0;
}
