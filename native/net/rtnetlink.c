#include "rtnetlink.h"
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef NETLINK_CAP_ACK
#define NETLINK_CAP_ACK 10
#endif
#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

enum {
  MESSAGE = 128,             // room for one; they have 72 bytes
  ANSWER_BYTES = 32768,      // the kernel fills no larger buffers of a dump
  QUEUE_BYTES = 1024 * 1024, // of answers: one for each message of a batch, if all fail
  PATIENCE_S = 10,
  DUMP_ATTEMPTS = 8,  // while others change the table
};

struct batch {
  uint8_t bytes[RT_BATCH * MESSAGE];
  size_t length;
  uint32_t first;  // sequence number of its first message
  uint32_t count;
};

int rt_open(struct rt_table *table) {
  int on = 1, bytes = QUEUE_BYTES;
  struct timeval patience = {.tv_sec = PATIENCE_S};
  struct sockaddr_nl own = {.nl_family = AF_NETLINK};
  socklen_t size = sizeof own;
  table->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (table->fd < 0) return errno;
  // Without these (Linux 4.3, 4.20) answers are longer, and a dump has what is left out here.
  (void)setsockopt(table->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  (void)setsockopt(table->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  (void)setsockopt(table->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  if (setsockopt(table->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
      bind(table->fd, (struct sockaddr *)&own, sizeof own) == 0 && getsockname(table->fd, (struct sockaddr *)&own, &size) == 0) {
    table->port = own.nl_pid;
    return 0;
  }
  int error = errno;
  rt_close(table);
  return error;
}

void rt_close(struct rt_table *table) {
  if (table->fd >= 0) close(table->fd);
  table->fd = -1;
}

bool rt_read(const uint8_t entry[RT_ENTRY], struct rt_route *route) {
  *route = (struct rt_route){.length = entry[16], .remove = entry[17] == 1, .type = RTN_UNICAST};
  memcpy(route->address, entry, sizeof route->address);
  memcpy(&route->metric, entry + 20, sizeof route->metric);
  return route->length > 0 && route->length <= 128 && entry[17] <= 1 && entry[18] == 0 && entry[19] == 0 && route->metric > 0;
}

static void put(uint8_t *message, uint16_t type, const void *value, size_t size) {
  struct nlmsghdr *header = (struct nlmsghdr *)(void *)message;
  struct rtattr attribute = {.rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(size)};
  memcpy(message + header->nlmsg_len, &attribute, sizeof attribute);
  memcpy(message + header->nlmsg_len + RTA_LENGTH(0), value, size);
  header->nlmsg_len += (uint32_t)RTA_ALIGN(RTA_LENGTH(size));
}

// A header and the struct rtmsg behind it, without attributes.
static struct rtmsg *begin(const struct rt_table *table, uint8_t *message, uint16_t type, uint16_t flags, uint32_t sequence) {
  struct nlmsghdr *header = (struct nlmsghdr *)(void *)message;
  *header = (struct nlmsghdr){
      .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)), .nlmsg_type = type, .nlmsg_flags = flags | NLM_F_REQUEST, .nlmsg_seq = sequence};
  struct rtmsg *body = NLMSG_DATA(header);
  *body = (struct rtmsg){.rtm_family = AF_INET6, .rtm_protocol = table->protocol};
  body->rtm_table = table->table < 256 ? (unsigned char)table->table : RT_TABLE_UNSPEC;
  return body;
}

// Adds the message that changes one route to the batch.
static void append(const struct rt_table *table, struct batch *batch, const struct rt_route *route) {
  uint8_t *message = batch->bytes + batch->length;
  uint16_t flags = route->remove ? 0 : NLM_F_CREATE | NLM_F_REPLACE;
  memset(message, 0, MESSAGE);
  struct rtmsg *body = begin(table, message, route->remove ? RTM_DELROUTE : RTM_NEWROUTE, flags, batch->first + batch->count);
  body->rtm_dst_len = route->length;
  body->rtm_scope = RT_SCOPE_UNIVERSE;
  body->rtm_type = route->type;
  uint32_t device = route->remove && route->device != 0 ? route->device : table->device;
  put(message, RTA_DST, route->address, sizeof route->address);
  put(message, RTA_PRIORITY, &route->metric, sizeof route->metric);
  put(message, RTA_TABLE, &table->table, sizeof table->table);
  if (route->type == RTN_UNICAST) put(message, RTA_OIF, &device, sizeof device);
  batch->length += NLMSG_ALIGN(((struct nlmsghdr *)(void *)message)->nlmsg_len);
  batch->count++;
}

static ssize_t receive(const struct rt_table *table, uint8_t *answer) {
  for (;;) {
    struct sockaddr_nl from = {0};
    socklen_t size = sizeof from;
    ssize_t got = recvfrom(table->fd, answer, ANSWER_BYTES, 0, (struct sockaddr *)&from, &size);
    if (got < 0 && errno == EINTR) continue;
    // Any process may send to a netlink socket; only the kernel's messages count.
    if (got >= 0 && from.nl_pid != 0) continue;
    return got;
  }
}

static bool is_error(const struct nlmsghdr *header) {
  return header->nlmsg_type == NLMSG_ERROR && header->nlmsg_len >= NLMSG_LENGTH(sizeof(int));
}

static int error_in(struct nlmsghdr *header) {
  int error;
  memcpy(&error, NLMSG_DATA(header), sizeof error);
  return -error;
}

// Reads answers until that to the last message. Those that succeeded before it are not answered.
static int take_answers(const struct rt_table *table, const struct batch *batch, const struct rt_route *routes, uint8_t *outcomes) {
  uint8_t answer[ANSWER_BYTES] __attribute__((aligned(8)));
  for (bool last = false; !last;) {
    ssize_t got = receive(table, answer);
    if (got < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
    uint32_t left = (uint32_t)got;
    for (struct nlmsghdr *header = (struct nlmsghdr *)(void *)answer; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
      uint32_t which = header->nlmsg_seq - batch->first;
      if (!is_error(header) || which >= batch->count) continue;
      int error = error_in(header);
      bool gone = routes[which].remove && (error == ESRCH || error == ENODEV);
      outcomes[which] = gone ? 0 : error < 0 || error > UINT8_MAX ? EIO : (uint8_t)error;
      if (which == batch->count - 1) last = true;
    }
  }
  return 0;
}

// Sends at most RT_BATCH.
static int change_some(struct rt_table *table, struct batch *batch, const struct rt_route *routes, uint32_t count, uint8_t *outcomes) {
  *batch = (struct batch){.first = table->sequence};
  table->sequence += count;
  size_t last = 0;
  for (uint32_t i = 0; i < count; i++) {
    last = batch->length;
    append(table, batch, &routes[i]);
  }
  ((struct nlmsghdr *)(void *)(batch->bytes + last))->nlmsg_flags |= NLM_F_ACK;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  ssize_t sent;
  do sent = sendto(table->fd, batch->bytes, batch->length, 0, (struct sockaddr *)&kernel, sizeof kernel);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : take_answers(table, batch, routes, outcomes);
}

int rt_change(struct rt_table *table, const struct rt_route *routes, size_t count, uint8_t *outcomes) {
  struct batch *batch = malloc(sizeof *batch);
  if (batch == NULL) return ENOMEM;
  int error = 0;
  memset(outcomes, 0, count);
  for (size_t i = 0; i < count && error == 0; i += RT_BATCH) {
    uint32_t some = count - i < RT_BATCH ? (uint32_t)(count - i) : RT_BATCH;
    error = change_some(table, batch, routes + i, some, outcomes + i);
  }
  free(batch);
  return error;
}

// A list of routes that grows.
struct list {
  struct rt_route *routes;
  size_t count, room;
};

static bool add(struct list *list, const struct rt_route *route) {
  if (list->count == list->room) {
    size_t room = list->room == 0 ? 1024 : 2 * list->room;
    struct rt_route *routes = realloc(list->routes, room * sizeof *routes);
    if (routes == NULL) return false;
    list->routes = routes;
    list->room = room;
  }
  list->routes[list->count++] = *route;
  return true;
}

// A route in a dump. False if it is none of this table and protocol.
static bool read_route(const struct rt_table *table, struct nlmsghdr *header, struct rt_route *route) {
  if (header->nlmsg_type != RTM_NEWROUTE || header->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg))) return false;
  struct rtmsg *body = NLMSG_DATA(header);
  uint32_t number = body->rtm_table;
  int left = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof *body));
  if (body->rtm_family != AF_INET6 || body->rtm_protocol != table->protocol || (body->rtm_flags & RTM_F_CLONED) != 0) return false;
  *route = (struct rt_route){.length = body->rtm_dst_len, .type = body->rtm_type};
  for (struct rtattr *each = RTM_RTA(body); RTA_OK(each, left); each = RTA_NEXT(each, left)) {
    size_t size = RTA_PAYLOAD(each);
    if (each->rta_type == RTA_DST && size == sizeof route->address) memcpy(route->address, RTA_DATA(each), size);
    if (size != sizeof(uint32_t)) continue;
    if (each->rta_type == RTA_TABLE) memcpy(&number, RTA_DATA(each), size);
    if (each->rta_type == RTA_OIF) memcpy(&route->device, RTA_DATA(each), size);
    if (each->rta_type == RTA_PRIORITY) memcpy(&route->metric, RTA_DATA(each), size);
  }
  return number == table->table;
}

static int ask_dump(struct rt_table *table) {
  uint8_t message[MESSAGE] __attribute__((aligned(8))) = {0};
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  begin(table, message, RTM_GETROUTE, NLM_F_DUMP, table->sequence);
  put(message, RTA_TABLE, &table->table, sizeof table->table);
  size_t length = ((struct nlmsghdr *)(void *)message)->nlmsg_len;
  return sendto(table->fd, message, length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0 ? errno : 0;
}

// The routes that the kernel has; `*torn` if somebody has changed the table meanwhile. A table that never had a route is none: ENOENT.
static int dump_once(struct rt_table *table, struct list *found, bool *torn) {
  uint8_t answer[ANSWER_BYTES] __attribute__((aligned(8)));
  uint32_t sequence = table->sequence;
  int error = ask_dump(table);
  bool memory = true;
  table->sequence++;
  while (error == 0) {
    ssize_t got = receive(table, answer);
    if (got < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
    uint32_t left = (uint32_t)got;
    for (struct nlmsghdr *header = (struct nlmsghdr *)(void *)answer; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
      struct rt_route route;
      if (header->nlmsg_seq != sequence) continue;
      if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) *torn = true;
      if (is_error(header)) return error_in(header) == ENOENT ? 0 : error_in(header);
      if (header->nlmsg_type == NLMSG_DONE) return memory ? 0 : ENOMEM;
      // Without memory the dump is read to its end, or its rest would be taken for answers.
      if (memory && read_route(table, header, &route)) memory = add(found, &route);
    }
  }
  return error;
}

static int dump(struct rt_table *table, struct list *found) {
  bool torn = true;
  int error = 0;
  for (int i = 0; i < DUMP_ATTEMPTS && torn && error == 0; i++) {
    torn = false;
    found->count = 0;
    error = dump_once(table, found, &torn);
  }
  return error != 0 ? error : torn ? EAGAIN : 0;
}

static int compare(const void *one, const void *other) {
  const struct rt_route *a = one, *b = other;
  int order = memcmp(a->address, b->address, sizeof a->address);
  if (order != 0) return order;
  if (a->length != b->length) return a->length < b->length ? -1 : 1;
  return a->metric < b->metric ? -1 : a->metric > b->metric;
}

// What is to be added, and what is to be removed, of two sorted lists.
static bool differences(const struct rt_table *table, const struct rt_route *wanted, size_t count, const struct list *found, struct list *missing,
                        struct list *surplus) {
  bool memory = true;
  size_t i = 0, k = 0;
  while (memory && (i < count || k < found->count)) {
    int order = i == count ? 1 : k == found->count ? -1 : compare(&wanted[i], &found->routes[k]);
    if (order < 0) {
      memory = add(missing, &wanted[i++]);
      continue;
    }
    struct rt_route has = found->routes[k++];
    bool right = has.type == RTN_UNICAST && has.device == table->device;
    if (order == 0 && right) i++;
    // One that leads elsewhere is removed first: its place is then taken.
    if (order == 0 && right) continue;
    has.remove = true;
    memory = add(surplus, &has);
  }
  return memory;
}

static int apply(struct rt_table *table, const struct list *list, uint32_t *done, struct rt_reconciled *result) {
  uint8_t *outcomes = malloc(list->count + 1);
  if (outcomes == NULL) return ENOMEM;
  int error = rt_change(table, list->routes, list->count, outcomes);
  for (size_t i = 0; i < list->count && error == 0; i++) {
    if (outcomes[i] == 0) {
      ++*done;
      continue;
    }
    if (result->failed++ == 0) result->error = outcomes[i];
  }
  free(outcomes);
  return error;
}

int rt_reconcile(struct rt_table *table, struct rt_route *wanted, size_t count, struct rt_reconciled *result) {
  struct list found = {0}, missing = {0}, surplus = {0};
  *result = (struct rt_reconciled){0};
  int error = dump(table, &found);
  if (count > 0) qsort(wanted, count, sizeof *wanted, compare);
  if (found.count > 0) qsort(found.routes, found.count, sizeof *found.routes, compare);
  if (error == 0 && !differences(table, wanted, count, &found, &missing, &surplus)) error = ENOMEM;
  if (error == 0) error = apply(table, &surplus, &result->removed, result);
  if (error == 0) error = apply(table, &missing, &result->added, result);
  free(found.routes);
  free(missing.routes);
  free(surplus.routes);
  return error;
}
