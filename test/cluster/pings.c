// Pings of one host, each again and again.
//   pings    reads lines from the standard input: "NUMBER MILLISECONDS SOURCE DESTINATION" begins one, "::" as source is any; "?" asks
// Says "NUMBER SENT" for each that nobody has answered within two seconds, or that could not be sent, SENT in milliseconds since 1970; and "= SENT ANSWERED" when asked.
// Ends when the standard input does.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1024, UNDER_WAY = 32, PATIENCE_MS = 2000, LINE = 256 };

struct way {
  bool used;
  uint64_t period, next;
  struct in6_addr source;
  struct sockaddr_in6 destination;
  uint32_t sequence;
  // When those were sent that are still waited for, by their sequence; 0: answered.
  uint64_t sent[UNDER_WAY];
};

struct payload {
  struct icmp6_hdr head;
  uint32_t number, sequence;
};

static struct way ways[MOST];
static uint64_t sent_count, answered_count;
static uint16_t own_id;

static uint64_t now(void) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  return (uint64_t)at.tv_sec * 1000 + (uint64_t)at.tv_nsec / 1000000;
}

static void lost(uint32_t number, uint64_t sent) {
  printf("%u %llu\n", number, (unsigned long long)sent);
}

static void begin(const char *line) {
  char source[LINE], destination[LINE];
  unsigned number, period;
  struct way *way;
  if (sscanf(line, "%u %u %255s %255s", &number, &period, source, destination) != 4 || number >= MOST || period == 0) exit(2);
  way = &ways[number];
  memset(way, 0, sizeof *way);
  way->destination.sin6_family = AF_INET6;
  if (inet_pton(AF_INET6, source, &way->source) != 1 || inet_pton(AF_INET6, destination, &way->destination.sin6_addr) != 1) exit(2);
  way->period = period;
  // Spread over the period.
  way->next = now() + number * 37 % period;
  way->used = true;
}

static void transmit(int fd, uint32_t number, struct way *way, uint64_t at) {
  struct payload payload = {.head = {.icmp6_type = ICMP6_ECHO_REQUEST}, .number = number, .sequence = ++way->sequence};
  struct iovec part = {.iov_base = &payload, .iov_len = sizeof payload};
  union {
    char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    struct cmsghdr align;
  } control = {0};
  struct msghdr message = {.msg_name = &way->destination, .msg_namelen = sizeof way->destination, .msg_iov = &part, .msg_iovlen = 1};
  payload.head.icmp6_id = own_id;
  if (!IN6_IS_ADDR_UNSPECIFIED(&way->source)) {
    message.msg_control = control.room;
    message.msg_controllen = sizeof control.room;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    struct in6_pktinfo info = {.ipi6_addr = way->source};
    head->cmsg_level = IPPROTO_IPV6;
    head->cmsg_type = IPV6_PKTINFO;
    head->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(head), &info, sizeof info);
  }
  sent_count++;
  if (sendmsg(fd, &message, 0) < 0)
    lost(number, at);
  else
    way->sent[way->sequence % UNDER_WAY] = at;
}

static void receive(int fd) {
  struct payload payload;
  ssize_t length;
  while ((length = recv(fd, &payload, sizeof payload, MSG_DONTWAIT)) >= 0 || errno != EAGAIN) {
    if (length != sizeof payload || payload.head.icmp6_type != ICMP6_ECHO_REPLY || payload.head.icmp6_id != own_id || payload.number >= MOST) continue;
    struct way *way = &ways[payload.number];
    uint64_t *sent = &way->sent[payload.sequence % UNDER_WAY];
    if (!way->used || way->sequence - payload.sequence >= UNDER_WAY || *sent == 0) continue;
    *sent = 0;
    answered_count++;
  }
}

static void turn(int fd) {
  uint64_t at = now();
  for (uint32_t number = 0; number < MOST; number++) {
    struct way *way = &ways[number];
    if (!way->used) continue;
    for (int i = 0; i < UNDER_WAY; i++) {
      if (way->sent[i] == 0 || at < way->sent[i] + PATIENCE_MS) continue;
      lost(number, way->sent[i]);
      way->sent[i] = 0;
    }
    if (at < way->next) continue;
    transmit(fd, number, way, at);
    way->next += way->period;
    if (way->next < at) way->next = at + way->period;
  }
  fflush(stdout);
}

int main(void) {
  int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), room = 4 << 20;
  struct icmp6_filter filter;
  char lines[4 * LINE];
  size_t held = 0;
  if (fd < 0) {
    perror("pings");
    return 1;
  }
  own_id = (uint16_t)getpid();
  ICMP6_FILTER_SETBLOCKALL(&filter);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
  setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  struct pollfd polled[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  for (;;) {
    poll(polled, 2, 10);
    if (polled[1].revents != 0) {
      ssize_t got = read(0, lines + held, sizeof lines - held - 1);
      if (got <= 0) return 0;
      held += (size_t)got;
      lines[held] = 0;
      for (char *end; (end = strchr(lines, '\n')) != NULL;) {
        *end = 0;
        if (lines[0] == '?') printf("= %llu %llu\n", (unsigned long long)sent_count, (unsigned long long)answered_count);
        else begin(lines);
        held -= (size_t)(end + 1 - lines);
        memmove(lines, end + 1, held + 1);
      }
      if (held == sizeof lines - 1) return 2;
    }
    receive(fd);
    turn(fd);
  }
}
