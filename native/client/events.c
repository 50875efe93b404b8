#include "client.h"
#include <stdio.h>

void dp_client_report(struct dp_client *client, enum dp_event_kind kind, uint32_t number, const char *text) {
  struct dp_event event = {.kind = kind, .connection = client->connection.id, .number = number};
  snprintf(event.text, sizeof event.text, "%s", text);
  client->report(client->owner, &event);
}
