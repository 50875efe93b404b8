// Lists of connections; a connection is in one at a time.
#include "router.h"

void router_list_add(struct router_list *list, struct router_connection *connection) {
  connection->list = list;
  connection->next = NULL;
  connection->previous = list->last;
  if (list->last != NULL) list->last->next = connection;
  else list->first = connection;
  list->last = connection;
}

void router_list_remove(struct router_connection *connection) {
  struct router_list *list = connection->list;
  if (connection->previous != NULL) connection->previous->next = connection->next;
  else list->first = connection->next;
  if (connection->next != NULL) connection->next->previous = connection->previous;
  else list->last = connection->previous;
}
