// Says which routes of a table come and go in this host's kernel.
//   routes TABLE    "+ PROTOCOL METRIC ADDRESS GATEWAY TIME" for each /128 that is there now, "-" for each that is gone; "::" as gateway is none, TIME in microseconds since 1970
// Ends when the standard input does, with 1 if the kernel had more to say than could be read.
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static unsigned long long now(void) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  return (unsigned long long)at.tv_sec * 1000000 + (unsigned long long)at.tv_nsec / 1000;
}

static void tell(struct nlmsghdr *message, unsigned wanted, unsigned long long at) {
  struct rtmsg *route = NLMSG_DATA(message);
  unsigned table = route->rtm_table, metric = 0;
  struct in6_addr destination = {0}, gateway = {0};
  char name[INET6_ADDRSTRLEN], way[INET6_ADDRSTRLEN];
  int left = (int)RTM_PAYLOAD(message);
  if (route->rtm_family != AF_INET6 || route->rtm_dst_len != 128) return;
  for (struct rtattr *part = RTM_RTA(route); RTA_OK(part, left); part = RTA_NEXT(part, left)) {
    if (part->rta_type == RTA_TABLE) memcpy(&table, RTA_DATA(part), sizeof table);
    if (part->rta_type == RTA_PRIORITY) memcpy(&metric, RTA_DATA(part), sizeof metric);
    if (part->rta_type == RTA_DST) memcpy(&destination, RTA_DATA(part), sizeof destination);
    if (part->rta_type == RTA_GATEWAY) memcpy(&gateway, RTA_DATA(part), sizeof gateway);
  }
  if (table != wanted) return;
  inet_ntop(AF_INET6, &destination, name, sizeof name);
  inet_ntop(AF_INET6, &gateway, way, sizeof way);
  printf("%c %u %u %s %s %llu\n", message->nlmsg_type == RTM_NEWROUTE ? '+' : '-', route->rtm_protocol, metric, name, way, at);
}

int main(int argc, char **argv) {
  static _Alignas(struct nlmsghdr) char buffer[1 << 20];
  int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), room = 32 << 20;
  struct sockaddr_nl own = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV6_ROUTE};
  if (argc != 2) return 2;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) != 0) {
    perror("routes");
    return 1;
  }
  struct pollfd polled[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  for (;;) {
    poll(polled, 2, -1);
    if (polled[1].revents != 0) return 0;
    ssize_t length = recv(fd, buffer, sizeof buffer, 0);
    unsigned long long at = now();
    if (length < 0) {
      perror("routes");
      return 1;
    }
    for (struct nlmsghdr *message = (struct nlmsghdr *)buffer; NLMSG_OK(message, (size_t)length); message = NLMSG_NEXT(message, length))
      if (message->nlmsg_type == RTM_NEWROUTE || message->nlmsg_type == RTM_DELROUTE) tell(message, (unsigned)atoi(argv[1]), at);
    fflush(stdout);
  }
}
