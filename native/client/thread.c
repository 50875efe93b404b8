#include "thread.h"
#include "connection.h"
#include "control.h"
#include "loop.h"
#include "dataplane/schedule.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

// A control message that is to be sent, and over which connection.
struct outgoing {
  uint32_t id, length;
  uint8_t packet[DP_MAX_CONTROL];
};

// One for reports, one for everything else: a newer message of the same kind takes the place of one that was not sent yet.
enum { KINDS = 2 };

struct dp_thread {
  pthread_t thread;
  struct dp_listener listener;
  struct dp_counters counters;
  struct dp_client client;  // only the thread uses it
  pthread_mutex_t lock;   // of the members below
  struct dp_connect_options *options;
  bool disconnect, probe, quit;
  bool has_prefix;
  uint8_t prefix[8];
  struct outgoing outgoing[KINDS];
};

static void on_report(void *owner, const struct dp_event *event) {
  struct dp_thread *thread = owner;
  thread->listener.report(thread->listener.owner, event);
}

static void on_local(void *owner, const uint8_t *packet, uint32_t length) {
  struct dp_thread *thread = owner;
  thread->listener.local(thread->listener.owner, packet, length);
}

static void on_control(void *owner, uint32_t id, const uint8_t *packet, uint32_t length) {
  struct dp_thread *thread = owner;
  thread->listener.control(thread->listener.owner, id, packet, length);
}

static bool take_commands(void *owner, struct dp_client *client) {
  struct dp_thread *thread = owner;
  pthread_mutex_lock(&thread->lock);
  struct dp_connect_options *options = thread->options;
  bool disconnect = thread->disconnect, probe = thread->probe, quit = thread->quit;
  struct outgoing outgoing[KINDS];
  memcpy(outgoing, thread->outgoing, sizeof outgoing);
  client->rules.filter.has_prefix = thread->has_prefix;
  memcpy(client->rules.filter.prefix, thread->prefix, sizeof thread->prefix);
  thread->options = NULL;
  thread->disconnect = thread->probe = false;
  for (int i = 0; i < KINDS; i++) thread->outgoing[i].length = 0;
  pthread_mutex_unlock(&thread->lock);
  if (disconnect || quit) dp_client_disconnect(client);
  if (quit) dp_connect_options_free(options);
  else if (options != NULL) dp_client_connect(client, options);
  else if (probe) dp_client_probe(client);
  for (int i = 0; i < KINDS; i++)
    if (outgoing[i].length > 0) dp_client_send_control(client, outgoing[i].id, outgoing[i].packet, outgoing[i].length);
  return !quit;
}

static void *run(void *argument) {
  struct dp_thread *thread = argument;
  dp_schedule_short_slices();
  dp_client_run(&thread->client);
  dp_client_free(&thread->client);
  OPENSSL_thread_stop();
  thread->listener.ended(thread->listener.owner);
  return NULL;
}

// Signals are the main thread's.
static int start_thread(struct dp_thread *thread) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread->thread, NULL, run, thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error == 0) pthread_setname_np(thread->thread, "enf-dataplane");
  return error;
}

int dp_thread_start(const struct dp_rules *rules, int tun, enum dp_offload offload, struct dp_listener listener,
                    struct dp_thread **out) {
  struct dp_thread *thread = calloc(1, sizeof *thread);
  if (thread == NULL) return ENOMEM;
  int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  pthread_mutex_init(&thread->lock, NULL);
  thread->listener = listener;
  thread->client = (struct dp_client){.rules = *rules,
                                    .counters = &thread->counters,
                                    .owner = thread,
                                    .report = on_report,
                                    .local = listener.local == NULL ? NULL : on_local,
                                    .control = on_control,
                                    .commands = take_commands,
                                    .tun = {.fd = tun, .offload = offload},
                                    .wake = wake};
  int error = wake < 0 ? errno : dp_client_init(&thread->client);
  if (error == 0 && (error = start_thread(thread)) != 0) dp_client_free(&thread->client);
  if (error == 0) {
    *out = thread;
    return 0;
  }
  if (wake >= 0) close(wake);
  pthread_mutex_destroy(&thread->lock);
  free(thread);
  return error;
}

static void wake(struct dp_thread *thread) {
  uint64_t one = 1;
  (void)!write(thread->client.wake, &one, sizeof one);
}

void dp_thread_connect(struct dp_thread *thread, struct dp_connect_options *options) {
  pthread_mutex_lock(&thread->lock);
  struct dp_connect_options *former = thread->options;
  thread->options = options;
  pthread_mutex_unlock(&thread->lock);
  dp_connect_options_free(former);
  wake(thread);
}

void dp_thread_disconnect(struct dp_thread *thread) {
  pthread_mutex_lock(&thread->lock);
  struct dp_connect_options *former = thread->options;
  thread->options = NULL;
  thread->disconnect = true;
  pthread_mutex_unlock(&thread->lock);
  dp_connect_options_free(former);
  wake(thread);
}

void dp_thread_probe(struct dp_thread *thread) {
  pthread_mutex_lock(&thread->lock);
  thread->probe = true;
  pthread_mutex_unlock(&thread->lock);
  wake(thread);
}

void dp_thread_set_prefix(struct dp_thread *thread, const uint8_t *prefix) {
  pthread_mutex_lock(&thread->lock);
  thread->has_prefix = prefix != NULL;
  if (prefix != NULL) memcpy(thread->prefix, prefix, sizeof thread->prefix);
  pthread_mutex_unlock(&thread->lock);
  wake(thread);
}

void dp_thread_send_control(struct dp_thread *thread, uint32_t id, const uint8_t *packet, uint32_t length) {
  if (length > DP_MAX_CONTROL) return;
  pthread_mutex_lock(&thread->lock);
  struct outgoing *outgoing = &thread->outgoing[length > 0 && packet[0] == WIRE_REPORT_TYPE ? 0 : 1];
  outgoing->id = id;
  outgoing->length = length;
  memcpy(outgoing->packet, packet, length);
  pthread_mutex_unlock(&thread->lock);
  wake(thread);
}

// The caller writes, not the thread: one write is one packet, so both may write at a time.
bool dp_thread_deliver(struct dp_thread *thread, const uint8_t *packet, size_t length) {
  struct dp_virtio virtio = {0};
  struct iovec parts[2] = {[1] = {(void *)packet, length}};
  struct dp_counters uncounted = {0};  // the thread's have one writer
  struct dp_tun tun = {.fd = thread->client.tun.fd, .offload = thread->client.tun.offload, .counters = &uncounted};
  return dp_tun_write(&tun, &virtio, parts, 2);
}

void dp_thread_stop(struct dp_thread *thread) {
  // The thread goes on using the descriptor's number, which join closes; but it no longer stands for the device, which is closed now.
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing >= 0) {
    (void)dup3(nothing, thread->client.tun.fd, O_CLOEXEC);
    close(nothing);
  }
  pthread_mutex_lock(&thread->lock);
  thread->quit = true;
  pthread_mutex_unlock(&thread->lock);
  wake(thread);
}

void dp_thread_join(struct dp_thread *thread) {
  pthread_join(thread->thread, NULL);
  close(thread->client.tun.fd);
  close(thread->client.wake);
  dp_connect_options_free(thread->options);
  pthread_mutex_destroy(&thread->lock);
  free(thread);
}

const struct dp_counters *dp_thread_counters(const struct dp_thread *thread) { return &thread->counters; }
