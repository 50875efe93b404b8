// Sends and receives over TCP and UDP, for tests of what lies between.
//   traffic tcp-receive PORT                          prints bytes and SHA-256 of one connection
//   traffic tcp-send ADDRESS PORT BYTES               random bytes in writes of random sizes; prints the same
//   traffic udp-receive PORT                          until a second of silence; prints datagrams, duplicates, damaged ones
//   traffic udp-send ADDRESS PORT BURSTS PER SIZE     PER datagrams of SIZE bytes per burst, handed to the kernel as one (UDP_SEGMENT)
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { MOST = 300001, DATAGRAMS = 1 << 20 };

static uint64_t state = 88172645463325252u;

static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int open_socket(int type, const char *address, int port, bool serve) {
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  bool old = address != NULL && strchr(address, ':') == NULL;
  int fd = socket(old ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0), one = 1, room = 64 << 20;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (type == SOCK_DGRAM) setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (serve) {
    if (bind(fd, (struct sockaddr *)&six, sizeof six) < 0) die("bind");
    return fd;
  }
  inet_pton(old ? AF_INET : AF_INET6, address, old ? (void *)&four.sin_addr : (void *)&six.sin6_addr);
  if (connect(fd, old ? (struct sockaddr *)&four : (struct sockaddr *)&six, old ? sizeof four : sizeof six) < 0) die("connect");
  return fd;
}

static void print_digest(EVP_MD_CTX *digest, size_t bytes) {
  unsigned char hash[32];
  EVP_DigestFinal_ex(digest, hash, NULL);
  printf("%zu ", bytes);
  for (size_t i = 0; i < sizeof hash; i++) printf("%02x", hash[i]);
  puts("");
}

static void tcp(int fd, size_t bytes, bool sending) {
  static uint8_t buffer[MOST + (1 << 20)];
  static const size_t sizes[] = {1, 2, 3, 100, 1207, 1208, 1209, 2417, 60000, 65535, 300001};
  EVP_MD_CTX *digest = EVP_MD_CTX_new();
  size_t done = 0;
  EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
  for (size_t i = 0; i + 8 <= sizeof buffer; i += 8) memcpy(buffer + i, &(uint64_t){next()}, 8);
  while (!sending || done < bytes) {
    uint8_t *from = sending ? buffer + next() % (1 << 20) : buffer;
    size_t size = sizes[next() % (sizeof sizes / sizeof *sizes)];
    if (sending && size > bytes - done) size = bytes - done;
    ssize_t moved = sending ? send(fd, from, size, MSG_NOSIGNAL) : recv(fd, from, size, 0);
    if (moved < 0) die("tcp");
    if (moved == 0) break;
    EVP_DigestUpdate(digest, from, (size_t)moved);
    done += (size_t)moved;
  }
  print_digest(digest, done);
  EVP_MD_CTX_free(digest);
}

static void fill(uint8_t *datagram, size_t size, uint32_t number) {
  memcpy(datagram, &number, 4);
  for (size_t i = 4; i < size; i++) datagram[i] = (uint8_t)(number * 31 + i);
}

static void udp_send(int fd, int bursts, int per, int size) {
  static uint8_t burst[65536], datagram[65536];
  uint32_t number = 0;
  if (per * size > 65000) exit(2);
  if (per > 1 && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) < 0) die("UDP_SEGMENT");
  for (int i = 0; i < bursts; i++) {
    for (int k = 0; k < per; k++, number++) {
      fill(datagram, (size_t)size, number);
      memcpy(burst + k * size, datagram, (size_t)size);
    }
    if (send(fd, burst, (size_t)(per * size), 0) < 0) die("udp");
    usleep(5000);
  }
  printf("%u\n", number);
}

static void udp_receive(int fd) {
  static uint8_t datagram[65536], expected[65536], seen[DATAGRAMS];
  unsigned count = 0, twice = 0, damaged = 0;
  struct timeval patience = {10, 0};
  for (;;) {
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssize_t got = recv(fd, datagram, sizeof datagram, 0);
    if (got < 0) break;
    patience.tv_sec = 1;
    uint32_t number = DATAGRAMS;
    if (got >= 4) memcpy(&number, datagram, 4);
    if (number >= DATAGRAMS) {
      damaged++;
      continue;
    }
    fill(expected, (size_t)got, number);
    if (memcmp(expected, datagram, (size_t)got) != 0) damaged++;
    else if (seen[number]++) twice++;
    else count++;
  }
  printf("%u %u %u\n", count, twice, damaged);
}

int main(int count, char **arguments) {
  if (count < 3) return 2;
  const char *mode = arguments[1];
  state += (uint64_t)getpid();
  if (strcmp(mode, "tcp-receive") == 0) {
    int listener = open_socket(SOCK_STREAM, NULL, atoi(arguments[2]), true);
    if (listen(listener, 1) < 0) die("listen");
    puts("ready");
    fflush(stdout);
    tcp(accept(listener, NULL, NULL), 0, false);
  } else if (strcmp(mode, "tcp-send") == 0 && count == 5) {
    tcp(open_socket(SOCK_STREAM, arguments[2], atoi(arguments[3]), false), (size_t)atoll(arguments[4]), true);
  } else if (strcmp(mode, "udp-receive") == 0) {
    int fd = open_socket(SOCK_DGRAM, NULL, atoi(arguments[2]), true);
    puts("ready");
    fflush(stdout);
    udp_receive(fd);
  } else if (strcmp(mode, "udp-send") == 0 && count == 7) {
    udp_send(open_socket(SOCK_DGRAM, arguments[2], atoi(arguments[3]), false), atoi(arguments[4]), atoi(arguments[5]), atoi(arguments[6]));
  } else {
    return 2;
  }
  return 0;
}
