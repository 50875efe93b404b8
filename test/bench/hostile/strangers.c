// Strangers at a server: they connect from many sources, send something or nothing, and go no further. Whoever is closed connects again.
//   strangers HOST PORT FAMILY SOURCES EACH [HEX | clienthello]
// FAMILY 4: addresses of 127.64.0.0/10, one after the other; 6: a /64 each of 2001:db8:a000::/40, which leads to this machine. EACH: connections
// of a source at a time. Prints a line when all have connected once, and ends with its input.
#include "../tunnel/common.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum { EVENTS = 256, LONGEST = 2048 };

struct stranger {
  struct sockaddr_storage own;
  int fd;
  bool came;
};

static struct sockaddr_storage server;
static socklen_t length_of_address;
static uint8_t first[LONGEST];
static size_t first_length;
static int epoll;

static void hello_of_openssl(void) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL *ssl = context == NULL ? NULL : SSL_new(context);
  BIO *sent = BIO_new(BIO_s_mem());
  if (ssl == NULL || sent == NULL) die("OpenSSL");
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), sent);
  SSL_connect(ssl);
  first_length = (size_t)BIO_read(sent, first, sizeof first);
}

static void hex(const char *text) {
  for (; text[0] != 0 && text[1] != 0 && first_length < sizeof first; text += 2) {
    char digits[3] = {text[0], text[1], 0};
    first[first_length++] = (uint8_t)strtoul(digits, NULL, 16);
  }
}

static struct sockaddr_storage source(bool four, uint32_t number) {
  struct sockaddr_storage own = {0};
  struct sockaddr_in *v4 = (void *)&own;
  struct sockaddr_in6 *v6 = (void *)&own;
  // All over the /40: 2^24 /64s, in steps that make the first thousand different /48s and /56s.
  uint32_t subnet = number * 2654435761u >> 8;
  if (four) *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f400001 + number)};
  else {
    v6->sin6_family = AF_INET6;
    uint8_t prefix[16] = {0x20, 1, 0xd, 0xb8, 0xa0, (uint8_t)(subnet >> 16), (uint8_t)(subnet >> 8), (uint8_t)subnet, [15] = 1};
    memcpy(&v6->sin6_addr, prefix, sizeof prefix);
  }
  return own;
}

static void come(struct stranger *stranger) {
  int on = 1;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = stranger};
  stranger->fd = socket(stranger->own.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (stranger->fd < 0) die("socket");
  setsockopt(stranger->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  // No interface has them; a route makes them addresses of this machine.
  if (stranger->own.ss_family == AF_INET6) setsockopt(stranger->fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
  if (bind(stranger->fd, (struct sockaddr *)&stranger->own, length_of_address) != 0) die("bind");
  if (connect(stranger->fd, (struct sockaddr *)&server, length_of_address) != 0 && errno != EINPROGRESS) die("connect");
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, stranger->fd, &event) != 0) die("epoll");
}

// True when it has connected for the first time.
static bool serve(struct stranger *stranger, uint32_t events) {
  uint8_t answer[LONGEST];
  bool new = false;
  if ((events & EPOLLOUT) != 0 && (events & (EPOLLERR | EPOLLHUP)) == 0) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = stranger};
    epoll_ctl(epoll, EPOLL_CTL_MOD, stranger->fd, &event);
    if (first_length > 0) (void)!send(stranger->fd, first, first_length, MSG_NOSIGNAL);
    new = !stranger->came;
    stranger->came = true;
  }
  if ((events & ~(uint32_t)EPOLLOUT) != 0) {
    ssize_t got = recv(stranger->fd, answer, sizeof answer, 0);
    if (got > 0 || (got < 0 && errno == EAGAIN)) return new;
    close(stranger->fd);
    come(stranger);
  }
  return new;
}

int main(int argc, char **argv) {
  struct rlimit limit;
  if (argc < 6) usage("strangers HOST PORT FAMILY SOURCES EACH [HEX | clienthello]");
  bool four = atoi(argv[3]) == 4;
  int count = atoi(argv[4]) * atoi(argv[5]), came = 0;
  struct sockaddr_in *v4 = (void *)&server;
  struct sockaddr_in6 *v6 = (void *)&server;
  if (four) *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
  else *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(argv[2]))};
  if (inet_pton(four ? AF_INET : AF_INET6, argv[1], four ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr) != 1) die(argv[1]);
  length_of_address = four ? sizeof *v4 : sizeof *v6;
  if (argc > 6 && strcmp(argv[6], "clienthello") == 0) hello_of_openssl();
  else if (argc > 6) hex(argv[6]);
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  epoll = epoll_create1(0);
  struct stranger *strangers = calloc((size_t)count, sizeof *strangers), input = {0};
  struct epoll_event events[EVENTS], ending = {.events = EPOLLIN, .data.ptr = &input};
  if (strangers == NULL || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &ending) != 0) die("epoll");
  for (int i = 0; i < count; i++) {
    strangers[i].own = source(four, (uint32_t)(i / atoi(argv[5])));
    come(&strangers[i]);
  }
  for (;;) {
    int ready = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.ptr == &input) return 0;
      if (!serve(events[i].data.ptr, events[i].events) || ++came < count) continue;
      puts("here");
      fflush(stdout);
    }
  }
}
