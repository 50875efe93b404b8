// Wakes a thread, and reports events to JavaScript.
#include "router.h"
#include <unistd.h>

void router_wake(struct router_thread *thread) {
  uint64_t one = 1;
  (void)!write(thread->wake, &one, sizeof one);
}

void router_report(struct router_thread *thread, struct router_event *event) {
  thread->router->listener.report(thread->router->listener.owner, event);
}
