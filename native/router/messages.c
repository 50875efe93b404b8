#include "messages.h"
#include <stdlib.h>

void router_mailbox_init(struct router_mailbox *mailbox) {
  pthread_mutex_init(&mailbox->lock, NULL);
  mailbox->first = NULL;
  mailbox->last = &mailbox->first;
  atomic_init(&mailbox->count, 0);
}

void router_mailbox_free(struct router_mailbox *mailbox) {
  for (struct router_command *command = router_mailbox_take(mailbox), *next; command != NULL; command = next) {
    next = command->next;
    router_command_free(command);
  }
  pthread_mutex_destroy(&mailbox->lock);
}

uint32_t router_mailbox_put(struct router_mailbox *mailbox, struct router_command *command) {
  command->next = NULL;
  pthread_mutex_lock(&mailbox->lock);
  *mailbox->last = command;
  mailbox->last = &command->next;
  uint32_t count = atomic_fetch_add(&mailbox->count, 1) + 1;
  pthread_mutex_unlock(&mailbox->lock);
  return count;
}

struct router_command *router_mailbox_take(struct router_mailbox *mailbox) {
  if (atomic_load(&mailbox->count) == 0) return NULL;
  pthread_mutex_lock(&mailbox->lock);
  struct router_command *first = mailbox->first;
  mailbox->first = NULL;
  mailbox->last = &mailbox->first;
  atomic_store(&mailbox->count, 0);
  pthread_mutex_unlock(&mailbox->lock);
  return first;
}

void router_command_free(struct router_command *command) {
  router_peer_release(command->peer);
  router_networks_release(command->networks);
  router_rules_release(command->rules);
  router_rates_release(command->rates);
  SSL_CTX_free(command->tls);
  free(command->message);
  free(command);
}

void router_event_free(struct router_event *event) {
  if (event == NULL) return;
  router_peer_release(event->peer);
  free(event->certificate);
  free(event->chain);
  free(event->facts);
  free(event);
}
