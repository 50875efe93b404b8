#include "messages.h"
#include <stdlib.h>

void router_mailbox_init(struct router_mailbox *mailbox) {
  pthread_mutex_init(&mailbox->lock, NULL);
  mailbox->first = NULL;
  mailbox->last = &mailbox->first;
}

void router_mailbox_free(struct router_mailbox *mailbox) {
  for (struct router_order *order = router_mailbox_take(mailbox), *next; order != NULL; order = next) {
    next = order->next;
    router_order_free(order);
  }
  pthread_mutex_destroy(&mailbox->lock);
}

void router_mailbox_put(struct router_mailbox *mailbox, struct router_order *order) {
  order->next = NULL;
  pthread_mutex_lock(&mailbox->lock);
  *mailbox->last = order;
  mailbox->last = &order->next;
  pthread_mutex_unlock(&mailbox->lock);
}

struct router_order *router_mailbox_take(struct router_mailbox *mailbox) {
  pthread_mutex_lock(&mailbox->lock);
  struct router_order *first = mailbox->first;
  mailbox->first = NULL;
  mailbox->last = &mailbox->first;
  pthread_mutex_unlock(&mailbox->lock);
  return first;
}

void router_order_free(struct router_order *order) {
  router_peer_release(order->peer);
  free(order);
}

void router_event_free(struct router_event *event) {
  if (event == NULL) return;
  router_peer_release(event->peer);
  free(event->certificate);
  free(event);
}
