// The agent's connection from handshake to end.
#include "loop.h"
#include "dataplane/bytes.h"
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MILLISECOND = 1000000, VERDICT = 0xf1, VERDICT_BYTES = 6, RETRY_AFTER = 4, QUESTION = 0xf2, ABOUT_YOURSELF = 1 };

void dp_order_free(struct dp_order *order) {
  if (order == NULL) return;
  if (order->fd >= 0) close(order->fd);
  if (order->key != NULL) OPENSSL_cleanse(order->key, strlen(order->key));
  free(order->key);
  free(order->roots);
  free(order->names);
  free(order->certificate);
  free(order);
}

static void report(struct dp_agent *agent, enum dp_event_kind kind, uint32_t number, const char *text) {
  struct dp_event event = {.kind = kind, .connection = agent->connection.id, .number = number};
  snprintf(event.text, sizeof event.text, "%s", text);
  agent->report(agent->owner, &event);
}

void dp_connection_close(struct dp_agent *agent, bool orderly) {
  struct dp_connection *connection = &agent->connection;
  if (!agent->connected) return;
  agent->connected = false;
  ERR_clear_error();
  if (connection->established) {
    if (orderly && dp_link_flush(&connection->link, dp_now()) == DP_DONE) SSL_shutdown(connection->ssl);
    dp_link_free(&connection->link);
    // OpenSSL would not resume the session of a connection that the network has cut.
    SSL_set_shutdown(connection->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
  ERR_clear_error();
  SSL_free(connection->ssl);
  close(connection->fd);  // leaves epoll, too
  connection->ssl = NULL;
  connection->fd = -1;
}

void dp_connection_end(struct dp_agent *agent, enum dp_event_kind kind, uint32_t number, const char *text) {
  char copy[DP_REASON];
  if (!agent->connected) return;
  snprintf(copy, sizeof copy, "%s", text);  // closing the link wipes its reason
  dp_connection_close(agent, kind == DP_EVENT_OVERSIZED || kind == DP_EVENT_CLOSED);
  report(agent, kind, number, copy);
}

bool dp_connection_is_over(struct dp_agent *agent, enum dp_status status) {
  struct dp_connection *connection = &agent->connection;
  switch (status) {
    case DP_CLOSED: dp_connection_end(agent, DP_EVENT_CLOSED, connection->answered, ""); return true;
    case DP_BROKEN: dp_connection_end(agent, DP_EVENT_BROKEN, connection->answered, connection->link.reason); return true;
    case DP_OVERSIZED: dp_connection_end(agent, DP_EVENT_OVERSIZED, connection->answered, connection->link.reason); return true;
    default: return !agent->connected;
  }
}

void dp_agent_adopt(struct dp_agent *agent, uint32_t id, SSL *ssl, int fd, uint32_t timeout_ms) {
  struct dp_pace unused;
  dp_connection_close(agent, true);
  dp_socket_prepare(fd, &unused);
  agent->connected = true;
  agent->read_again = false;
  agent->connection = (struct dp_connection){
      .id = id, .ssl = ssl, .fd = fd, .wants_write = true, .handshake_by = dp_now() + (uint64_t)timeout_ms * MILLISECOND};
  agent->socket_events = EPOLLIN | EPOLLOUT;
  struct epoll_event event = {.events = agent->socket_events, .data.fd = fd};
  if (epoll_ctl(agent->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
    dp_connection_end(agent, DP_EVENT_HANDSHAKE, 0, "the socket cannot be waited for");
}

static bool same_identity(const struct dp_order *one, const struct dp_order *other) {
  return one != NULL && strcmp(one->roots, other->roots) == 0 && strcmp(one->key, other->key) == 0 && strcmp(one->names, other->names) == 0 &&
         one->super == other->super && one->certificate_length == other->certificate_length &&
         memcmp(one->certificate, other->certificate, one->certificate_length) == 0;
}

// A client is kept as long as the identity stays the same, and with it the session to resume.
static enum dp_tls_wrong prepare_client(struct dp_agent *agent, struct dp_order *order, char *reason) {
  if (same_identity(agent->identity, order)) {
    dp_order_free(order);
    return DP_TLS_FINE;
  }
  dp_tls_client_close(&agent->client);
  dp_order_free(agent->identity);
  agent->identity = NULL;
  bool super = order->super && agent->tun.offload != DP_OFFLOAD_NONE;
  enum dp_tls_wrong wrong = dp_tls_client_open(&agent->client, order->roots, order->certificate, order->certificate_length,
                                               order->key, super, order->names, reason);
  if (wrong == DP_TLS_FINE) agent->identity = order;
  else dp_order_free(order);
  return wrong;
}

void dp_agent_connect(struct dp_agent *agent, struct dp_order *order) {
  char reason[DP_REASON] = "";
  uint32_t id = order->id, timeout_ms = order->timeout_ms;
  int fd = order->fd;
  dp_connection_close(agent, true);
  order->fd = -1;
  agent->connection = (struct dp_connection){.id = id, .fd = -1};
  enum dp_tls_wrong wrong = prepare_client(agent, order, reason);
  SSL *ssl = wrong == DP_TLS_FINE ? dp_tls_client_connect(&agent->client, fd) : NULL;
  if (ssl != NULL) {
    dp_agent_adopt(agent, id, ssl, fd, timeout_ms);
    return;
  }
  close(fd);
  if (wrong == DP_TLS_BAD_ROOT) report(agent, DP_EVENT_BAD_ROOT, 0, reason);
  else if (wrong == DP_TLS_BAD_CREDENTIALS) report(agent, DP_EVENT_BAD_CREDENTIALS, 0, reason);
  else report(agent, DP_EVENT_HANDSHAKE, 0, "out of memory");
}

void dp_agent_disconnect(struct dp_agent *agent) { dp_connection_close(agent, true); }

static void beat(struct dp_agent *agent, uint64_t now) {
  struct dp_connection *connection = &agent->connection;
  uint8_t heartbeat[DP_HEARTBEAT_BYTES];
  dp_silence_beat(&connection->silence, now);
  if (agent->rules.filter.any) return;  // an end without an address
  dp_heartbeat_write(agent->rules.filter.own, heartbeat);
  // No room: the last one has not even left yet.
  if (dp_link_urgent(&connection->link, heartbeat, sizeof heartbeat)) dp_add(&agent->counters->heartbeats, 1);
}

static void establish(struct dp_agent *agent, uint64_t now) {
  struct dp_connection *connection = &agent->connection;
  connection->established = true;
  dp_link_init(&connection->link, connection->ssl, connection->fd, &agent->workspace, agent->counters);
  dp_silence_start(&connection->silence, agent->rules.heartbeat_period_ms, agent->rules.heartbeat_timeout_ms, now);
  dp_add(&agent->counters->connections, 1);
  if (SSL_session_reused(connection->ssl)) dp_add(&agent->counters->resumptions, 1);
  agent->read_again = true;  // the handshake may have read more than its own
  // TLS 1.3 ends our handshake before the router has judged us: only an answer says that we are in.
  beat(agent, now);
}

void dp_agent_probe(struct dp_agent *agent) {
  if (!agent->connected || !agent->connection.established) return;
  uint64_t now = dp_now();
  beat(agent, now);
  dp_silence_hurry(&agent->connection.silence, now);
}

static bool is_date(long verified) {
  return verified == X509_V_ERR_CERT_NOT_YET_VALID || verified == X509_V_ERR_CERT_HAS_EXPIRED ||
         verified == X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD || verified == X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD;
}

static void fail_handshake(struct dp_agent *agent, int result) {
  SSL *ssl = agent->connection.ssl;
  char reason[DP_REASON];
  long verified = SSL_get_verify_result(ssl);
  int error = SSL_get_error(ssl, result);
  bool closed = error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0 && result == 0);
  dp_tls_reason(ssl, result, reason);
  if (closed) snprintf(reason, sizeof reason, "the server closed the connection");
  if (is_date(verified)) dp_connection_end(agent, DP_EVENT_CLOCK, 0, X509_verify_cert_error_string(verified));
  else if (verified != X509_V_OK)
    dp_connection_end(agent, DP_EVENT_UNTRUSTED, dp_tls_is_name(verified), X509_verify_cert_error_string(verified));
  else dp_connection_end(agent, DP_EVENT_HANDSHAKE, 0, reason);
}

void dp_connection_handshake(struct dp_agent *agent, uint64_t now) {
  struct dp_connection *connection = &agent->connection;
  ERR_clear_error();
  int result = SSL_do_handshake(connection->ssl);
  if (result == 1) {
    establish(agent, now);
    return;
  }
  int error = SSL_get_error(connection->ssl, result);
  connection->wants_write = error == SSL_ERROR_WANT_WRITE;
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) fail_handshake(agent, result);
}

// The router's word (protocol/tunnel/verdict.ts); one of a later version is ignored. True if the connection is over with it.
static bool take_verdict(struct dp_agent *agent, const struct dp_frame *frame) {
  const uint8_t *packet = frame->packet;
  if (agent->connection.link.wire == DP_WIRE_PLAIN || frame->length != VERDICT_BYTES || packet[0] != VERDICT) return false;
  struct dp_event event = {
      .kind = DP_EVENT_VERDICT, .connection = agent->connection.id, .verdict = packet[1], .number = dp_get32(packet + 2)};
  if (event.verdict == 0 || event.verdict > RETRY_AFTER || (event.verdict != RETRY_AFTER && event.number != 0)) return false;
  agent->report(agent->owner, &event);
  return true;
}

// The router's question (protocol/tunnel/report.ts). Whoever asks on and on is heard once.
static bool take_question(struct dp_agent *agent, const struct dp_frame *frame) {
  struct dp_connection *connection = &agent->connection;
  if (connection->link.wire == DP_WIRE_PLAIN || frame->length != 2 || frame->packet[0] != QUESTION) return false;
  if (frame->packet[1] != ABOUT_YOURSELF || connection->asked) return false;
  connection->asked = true;
  report(agent, DP_EVENT_ASKED, 0, "");
  return true;
}

void dp_agent_tell(struct dp_agent *agent, uint32_t id, const uint8_t *packet, uint32_t length) {
  struct dp_connection *connection = &agent->connection;
  if (agent->connected && connection->asked && connection->id == id) (void)dp_link_urgent(&connection->link, packet, length);
}

struct reading {
  struct dp_agent *agent;
  uint64_t now;
};

static bool on_packet(void *owner, struct dp_frame *frame) {
  struct reading *reading = owner;
  struct dp_agent *agent = reading->agent;
  struct dp_connection *connection = &agent->connection;
  if (frame->control) return take_question(agent, frame) || !take_verdict(agent, frame);
  dp_silence_heard(&connection->silence, reading->now);
  if (!connection->answered) {
    char peer[DP_REASON];
    connection->answered = true;
    dp_socket_peer(connection->fd, peer, sizeof peer);
    report(agent, DP_EVENT_UP, connection->link.wire, peer);
  }
  if (!dp_heartbeat_is_reply(agent->rules.filter.own, frame->packet, frame->length)) dp_ingress_take(&agent->ingress, frame);
  return true;
}

static void on_end(void *owner) { dp_ingress_flush(&((struct reading *)owner)->agent->ingress); }

void dp_connection_receive(struct dp_agent *agent, uint64_t now) {
  struct reading reading = {agent, now};
  struct dp_sink sink = {&reading, on_packet, on_end};
  enum dp_status status = dp_link_receive(&agent->connection.link, &sink, now);
  agent->read_again = status == DP_AGAIN;
  if (status == DP_STOPPED) dp_connection_close(agent, true);
  else dp_connection_is_over(agent, status);
}

uint64_t dp_connection_deadline(const struct dp_agent *agent) {
  const struct dp_connection *connection = &agent->connection;
  if (!agent->connected) return UINT64_MAX;
  return connection->established ? dp_silence_next(&connection->silence) : connection->handshake_by;
}

void dp_connection_check_time(struct dp_agent *agent, uint64_t now) {
  struct dp_connection *connection = &agent->connection;
  if (!agent->connected || now < dp_connection_deadline(agent)) return;
  if (!connection->established) dp_connection_end(agent, DP_EVENT_HANDSHAKE, 1, "not finished in time");
  else if (now >= connection->silence.answer_by) dp_connection_end(agent, DP_EVENT_SILENT, connection->answered, "");
  else beat(agent, now);
}
