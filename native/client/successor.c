#include "successor.h"
#include "connection.h"
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

void dp_successor_handshake(struct dp_client *client, uint64_t now) {
  struct dp_successor *successor = &client->successor;
  struct dp_pipe *pipe = dp_pipe_of(successor->ssl);
  ERR_clear_error();
  dp_pipe_allow(pipe, DP_TURN_RECORDS, DP_TURN_BYTES, dp_now() + DP_TURN_NS);
  int result = SSL_do_handshake(successor->ssl);
  successor->again = dp_pipe_is_spent(pipe);
  if (result == 1) {
    struct dp_successor done = *successor;
    *successor = (struct dp_successor){.fd = -1};
    dp_connection_replace(client, &done, now);
    return;
  }
  int error = SSL_get_error(successor->ssl, result);
  successor->wants_write = error == SSL_ERROR_WANT_WRITE;
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
    fail(client, dp_handshake_failure(client, successor->ssl, result));
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
