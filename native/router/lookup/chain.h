// Doubly linked lists through members of their elements: circular, with a head of the same type.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct router_chain {
  struct router_chain *previous, *next;
};

// The element of that type whose `member` is the link.
#define ROUTER_CHAINED(type, member, link) ((type *)(void *)((char *)(link) - offsetof(type, member)))

static inline void router_chain_init(struct router_chain *head) { head->previous = head->next = head; }

static inline bool router_chain_empty(const struct router_chain *head) { return head->next == head; }

static inline void router_chain_append(struct router_chain *head, struct router_chain *link) {
  link->previous = head->previous;
  link->next = head;
  head->previous->next = link;
  head->previous = link;
}

static inline void router_chain_remove(struct router_chain *link) {
  link->previous->next = link->next;
  link->next->previous = link->previous;
}

// Moves all elements of one list behind those of another.
static inline void router_chain_move(struct router_chain *from, struct router_chain *to) {
  if (router_chain_empty(from)) return;
  from->next->previous = to->previous;
  from->previous->next = to;
  to->previous->next = from->next;
  to->previous = from->previous;
  router_chain_init(from);
}
