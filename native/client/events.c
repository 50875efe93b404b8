#include "client.h"
#include <stdio.h>

void dp_agent_report(struct dp_agent *agent, enum dp_event_kind kind, uint32_t number, const char *text) {
  struct dp_event event = {.kind = kind, .connection = agent->connection.id, .number = number};
  snprintf(event.text, sizeof event.text, "%s", text);
  agent->report(agent->owner, &event);
}
