#include "successor.h"
#include "handshake.h"
#include "packet/clock.h"
#include <openssl/err.h>
#include <sys/epoll.h>
#include <unistd.h>

void dp_successor_close(struct dp_client *client) {
  struct dp_successor *successor = &client->successor;
  if (successor->ssl == NULL) return;
  ERR_clear_error();
  SSL_free(successor->ssl);
  // Before the close, as that of the connection.
  epoll_ctl(client->epoll, EPOLL_CTL_DEL, successor->fd, NULL);
  close(successor->fd);
  *successor = (struct dp_successor){.fd = -1};
}

static void fail(struct dp_client *client, struct dp_event event) {
  event.connection = client->successor.id;
  dp_successor_close(client);
  client->report(client->owner, &event);
}

void dp_successor_begin(struct dp_client *client, uint32_t id, SSL *ssl, int fd, uint32_t timeout_ms) {
  struct dp_pace unused;
  dp_socket_prepare(fd, &unused);
  client->successor = (struct dp_successor){.ssl = ssl,
                                            .id = id,
                                            .fd = fd,
                                            .events = EPOLLIN | EPOLLOUT,
                                            .wants_write = true,
                                            .handshake_by = dp_now() + (uint64_t)timeout_ms * DP_MILLISECOND};
  struct epoll_event event = {.events = client->successor.events, .data.fd = fd};
  if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
    fail(client, (struct dp_event){.kind = DP_EVENT_HANDSHAKE, .text = "the socket cannot be waited for"});
}

bool dp_successor_handshake(struct dp_client *client, struct dp_successor *done) {
  struct dp_successor *successor = &client->successor;
  int result = 0;
  enum dp_handshake state = dp_handshake_step(successor->ssl, &successor->again, &successor->wants_write, &result);
  if (state == DP_HANDSHAKE_FAILED) fail(client, dp_handshake_failure(client, successor->ssl, result));
  if (state != DP_HANDSHAKE_DONE) return false;
  *done = *successor;
  *successor = (struct dp_successor){.fd = -1};
  return true;
}

uint64_t dp_successor_deadline(const struct dp_client *client) {
  return client->successor.ssl == NULL ? UINT64_MAX : client->successor.handshake_by;
}

void dp_successor_check_time(struct dp_client *client, uint64_t now) {
  if (now >= dp_successor_deadline(client))
    fail(client, (struct dp_event){.kind = DP_EVENT_HANDSHAKE, .number = 1, .text = "not finished in time"});
}

void dp_successor_choose_events(struct dp_client *client) {
  struct dp_successor *successor = &client->successor;
  uint32_t events = successor->wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN;
  if (successor->ssl == NULL || events == successor->events) return;
  struct epoll_event event = {.events = events, .data.fd = successor->fd};
  epoll_ctl(client->epoll, EPOLL_CTL_MOD, successor->fd, &event);
  successor->events = events;
}
