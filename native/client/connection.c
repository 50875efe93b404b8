// The client's connection from handshake to end.
#include "connection.h"
#include "control.h"
#include "handshake.h"
#include "successor.h"
#include "packet/clock.h"
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

void dp_connect_options_free(struct dp_connect_options *options) {
  if (options == NULL) return;
  if (options->fd >= 0) close(options->fd);
  if (options->key != NULL) OPENSSL_cleanse(options->key, strlen(options->key));
  free(options->key);
  EVP_PKEY_free(options->token_key);
  free(options->roots);
  free(options->names);
  free(options->certificate);
  free(options);
}

void dp_connection_close(struct dp_client *client, bool orderly) {
  struct dp_connection *connection = &client->connection;
  if (!client->connected) return;
  client->connected = false;
  dp_set(&client->counters->unanswered, 0);
  ERR_clear_error();
  if (connection->established) {
    if (orderly && dp_link_flush(&connection->link, dp_now()) == DP_DONE) SSL_shutdown(connection->ssl);
    dp_link_free(&connection->link);
    // OpenSSL would not resume the session of a connection that the network has cut.
    SSL_set_shutdown(connection->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
  ERR_clear_error();
  SSL_free(connection->ssl);
  // Before the close: while a child process holds the same socket, closing it takes nothing out of the epoll set.
  epoll_ctl(client->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
  close(connection->fd);
  connection->ssl = NULL;
  connection->fd = -1;
}

void dp_connection_end(struct dp_client *client, enum dp_event_kind kind, uint32_t number, const char *text) {
  char copy[DP_REASON];
  if (!client->connected) return;
  snprintf(copy, sizeof copy, "%s", text);  // closing the link wipes its reason
  dp_connection_close(client, kind == DP_EVENT_OVERSIZED || kind == DP_EVENT_CLOSED);
  dp_client_report(client, kind, number, copy);
}

bool dp_connection_is_over(struct dp_client *client, enum dp_status status) {
  struct dp_connection *connection = &client->connection;
  switch (status) {
    case DP_CLOSED: dp_connection_end(client, DP_EVENT_CLOSED, connection->answered, ""); return true;
    case DP_BROKEN: dp_connection_end(client, DP_EVENT_BROKEN, connection->answered, connection->link.reason); return true;
    case DP_OVERSIZED: dp_connection_end(client, DP_EVENT_OVERSIZED, connection->answered, connection->link.reason); return true;
    default: return !client->connected;
  }
}

void dp_client_adopt(struct dp_client *client, uint32_t id, SSL *ssl, int fd, uint32_t timeout_ms) {
  struct dp_pace unused;
  dp_connection_close(client, true);
  dp_socket_prepare(fd, &unused);
  client->connected = true;
  client->read_again = false;
  client->connection = (struct dp_connection){
      .id = id, .ssl = ssl, .fd = fd, .wants_write = true, .handshake_by = dp_now() + (uint64_t)timeout_ms * DP_MILLISECOND};
  client->socket_events = EPOLLIN | EPOLLOUT;
  struct epoll_event event = {.events = client->socket_events, .data.fd = fd};
  if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
    dp_connection_end(client, DP_EVENT_HANDSHAKE, 0, "the socket cannot be waited for");
}

static bool same_identity(const struct dp_connect_options *one, const struct dp_connect_options *other) {
  return one != NULL && strcmp(one->roots, other->roots) == 0 && strcmp(one->key, other->key) == 0 &&
         one->token_key == other->token_key &&
         strcmp(one->names, other->names) == 0 &&
         one->super == other->super && one->certificate_length == other->certificate_length &&
         memcmp(one->certificate, other->certificate, one->certificate_length) == 0;
}

// A client is kept as long as the identity stays the same, and with it the session to resume.
static enum dp_tls_wrong prepare_client(struct dp_client *client, struct dp_connect_options *options, char *reason) {
  if (same_identity(client->identity, options)) {
    dp_connect_options_free(options);
    return DP_TLS_FINE;
  }
  dp_tls_client_close(&client->tls);
  dp_connect_options_free(client->identity);
  client->identity = NULL;
  bool super = options->super && client->tun.offload != DP_OFFLOAD_NONE;
  enum dp_tls_wrong wrong = dp_tls_client_open(&client->tls, options->roots, options->certificate, options->certificate_length,
                                               options->key, options->token_key, super, options->names, reason);
  if (wrong == DP_TLS_FINE) client->identity = options;
  else dp_connect_options_free(options);
  return wrong;
}

void dp_client_connect(struct dp_client *client, struct dp_connect_options *options) {
  struct dp_event event = {.kind = DP_EVENT_HANDSHAKE, .connection = options->id, .text = "out of memory"};
  char reason[DP_REASON] = "";
  uint32_t id = options->id, timeout_ms = options->timeout_ms;
  bool beside = options->beside && client->connected && client->connection.established;
  int fd = options->fd;
  dp_successor_close(client);
  if (!beside) {
    dp_connection_close(client, true);
    client->connection = (struct dp_connection){.id = id, .fd = -1};
  }
  options->fd = -1;
  enum dp_tls_wrong wrong = prepare_client(client, options, reason);
  SSL *ssl = wrong == DP_TLS_FINE ? dp_tls_client_connect(&client->tls, fd) : NULL;
  if (ssl != NULL && beside) dp_successor_begin(client, id, ssl, fd, timeout_ms);
  else if (ssl != NULL) dp_client_adopt(client, id, ssl, fd, timeout_ms);
  if (ssl != NULL) return;
  close(fd);
  if (wrong != DP_TLS_FINE) {
    event.kind = wrong == DP_TLS_BAD_ROOT ? DP_EVENT_BAD_ROOT : DP_EVENT_BAD_CREDENTIALS;
    memcpy(event.text, reason, sizeof event.text);
  }
  client->report(client->owner, &event);
}

void dp_client_disconnect(struct dp_client *client) {
  dp_successor_close(client);
  dp_connection_close(client, true);
}

static void beat(struct dp_client *client, uint64_t now) {
  struct dp_connection *connection = &client->connection;
  uint8_t heartbeat[WIRE_HEARTBEAT_LENGTH];
  if (!dp_silence_awaits(&connection->silence)) {
    dp_set(&client->counters->heard, connection->silence.heard);
    dp_set(&client->counters->unanswered, now);
  }
  dp_silence_beat(&connection->silence, now);
  if (client->rules.filter.any) return;  // no address of its own to send a heartbeat from
  dp_heartbeat_write(client->rules.filter.own, heartbeat);
  // No room means that the last one has not left yet.
  if (dp_link_urgent(&connection->link, heartbeat, sizeof heartbeat)) dp_add(&client->counters->heartbeats, 1);
}

static void establish(struct dp_client *client, uint64_t now) {
  struct dp_connection *connection = &client->connection;
  connection->established = true;
  dp_link_init(&connection->link, connection->ssl, connection->fd, &client->workspace, client->counters);
  dp_silence_start(&connection->silence, client->rules.heartbeat_period_ms, client->rules.heartbeat_timeout_ms, now);
  dp_add(&client->counters->connections, 1);
  if (SSL_session_reused(connection->ssl)) dp_add(&client->counters->resumptions, 1);
  client->read_again = true;  // OpenSSL may have read frames together with the handshake
  // TLS 1.3 ends our handshake before the router has authorised us: only an answer to a heartbeat shows that it has.
  beat(client, now);
}

void dp_connection_replace(struct dp_client *client, const struct dp_successor *successor, uint64_t now) {
  dp_connection_close(client, true);
  client->connected = true;
  client->connection = (struct dp_connection){.id = successor->id, .ssl = successor->ssl, .fd = successor->fd};
  client->socket_events = successor->events;
  establish(client, now);
}

void dp_client_probe(struct dp_client *client) {
  if (!client->connected || !client->connection.established) return;
  uint64_t now = dp_now();
  beat(client, now);
  dp_silence_hurry(&client->connection.silence, now);
}

void dp_connection_handshake(struct dp_client *client, uint64_t now) {
  struct dp_connection *connection = &client->connection;
  int result = 0;
  enum dp_handshake state = dp_handshake_step(connection->ssl, &client->read_again, &connection->wants_write, &result);
  if (state == DP_HANDSHAKE_DONE) establish(client, now);
  if (state != DP_HANDSHAKE_FAILED) return;
  struct dp_event event = dp_handshake_failure(client, connection->ssl, result);
  dp_connection_end(client, event.kind, event.number, event.text);
}

struct reading {
  struct dp_client *client;
  uint64_t now;
};

static bool on_packet(void *owner, struct dp_frame *frame) {
  struct reading *reading = owner;
  struct dp_client *client = reading->client;
  struct dp_connection *connection = &client->connection;
  if (frame->control) return dp_control_take(client, frame);
  if (dp_silence_awaits(&connection->silence)) dp_set(&client->counters->unanswered, 0);
  dp_silence_heard(&connection->silence, reading->now);
  if (!connection->answered) {
    char peer[DP_REASON];
    connection->answered = true;
    dp_socket_peer(connection->fd, peer, sizeof peer);
    dp_client_report(client, DP_EVENT_UP, connection->link.wire, peer);
  }
  if (!dp_heartbeat_is_reply(client->rules.filter.own, frame->packet, frame->length)) dp_ingress_take(&client->ingress, frame);
  return true;
}

static void on_end(void *owner) { dp_ingress_flush(&((struct reading *)owner)->client->ingress); }

void dp_connection_receive(struct dp_client *client, uint64_t now) {
  struct reading reading = {client, now};
  struct dp_sink sink = {&reading, on_packet, on_end};
  enum dp_status status = dp_link_receive(&client->connection.link, &sink, now);
  client->read_again = status == DP_AGAIN;
  if (status == DP_STOPPED) dp_connection_close(client, true);
  else dp_connection_is_over(client, status);
}

uint64_t dp_connection_deadline(const struct dp_client *client) {
  const struct dp_connection *connection = &client->connection;
  if (!client->connected) return UINT64_MAX;
  return connection->established ? dp_silence_next(&connection->silence) : connection->handshake_by;
}

void dp_connection_check_time(struct dp_client *client, uint64_t now) {
  struct dp_connection *connection = &client->connection;
  if (!client->connected || now < dp_connection_deadline(client)) return;
  if (!connection->established) dp_connection_end(client, DP_EVENT_HANDSHAKE, 1, "not finished in time");
  else if (now >= connection->silence.answer_by) dp_connection_end(client, DP_EVENT_SILENT, connection->answered, "");
  else beat(client, now);
}
