// The TPM context: one thread, one queue. ESYS blocks for as long as the chip takes, so only this thread calls it.
#include "tss.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>

#define STACK_BYTES (512 * 1024)

struct tss_context {
  pthread_mutex_t lock;
  pthread_cond_t wake;   // for the thread: a job came, or stop
  pthread_cond_t over;   // for tss_await_end
  struct tss_job *first, *last;
  struct tss_job *farewells;
  unsigned references;
  bool stopping;
  bool ended;
  bool broken;
  struct tss_link link;
};

static void destroy(struct tss_context *context) {
  pthread_cond_destroy(&context->wake);
  pthread_cond_destroy(&context->over);
  pthread_mutex_destroy(&context->lock);
  free(context);
}

static void cancel_all(struct tss_job *job) {
  while (job) {
    struct tss_job *next = job->next;
    job->rc = TSS2_ESYS_RC_BAD_SEQUENCE;
    job->finish(job);
    job = next;
  }
}

// The next job, or NULL when the context is stopped.
static struct tss_job *take_job(struct tss_context *context) {
  pthread_mutex_lock(&context->lock);
  while (!context->first && !context->stopping) pthread_cond_wait(&context->wake, &context->lock);
  struct tss_job *job = context->stopping ? NULL : context->first;
  if (job) {
    context->first = job->next;
    if (!context->first) context->last = NULL;
    job->next = NULL;
  }
  pthread_mutex_unlock(&context->lock);
  return job;
}

// The TPM was reset meanwhile: it is not started, or does not know a loaded object or session (some transports connect
// anew for each command and do not notice).
static bool tells_reset(TSS2_RC rc) {
  TSS2_RC code = rc & 0xffff;
  return code == TPM2_RC_INITIALIZE || (code >= TPM2_RC_REFERENCE_H0 && code <= TPM2_RC_REFERENCE_S6);
}

// After these nothing that is loaded can be relied upon. Anything but the TPM's own answer means that requests and
// responses may be out of step.
static bool breaks_link(TSS2_RC rc) {
  uint32_t layer = rc & TSS2_RC_LAYER_MASK;
  if (tells_reset(rc)) return true;
  if (layer == TSS2_TCTI_RC_LAYER || layer == TSS2_SYS_RC_LAYER || layer == TSS2_MU_RC_LAYER) return true;
  if (layer != TSS2_ESAPI_RC_LAYER) return false;
  // ESYS refusing an argument of ours before anything was sent leaves the link as it was.
  return rc != TSS2_ESYS_RC_BAD_TR && rc != TSS2_ESYS_RC_BAD_VALUE && rc != TSS2_ESYS_RC_BAD_SIZE;
}

static void end_thread(struct tss_context *context) {
  tss_disconnect(&context->link);
  pthread_mutex_lock(&context->lock);
  struct tss_job *farewells = context->farewells;
  context->farewells = NULL;
  context->ended = true;
  pthread_cond_broadcast(&context->over);
  bool last = context->references == 0;
  pthread_mutex_unlock(&context->lock);
  while (farewells) {
    struct tss_job *next = farewells->next;
    farewells->finish(farewells);
    farewells = next;
  }
  if (last) destroy(context);
}

static void *run_jobs(void *argument) {
  struct tss_context *context = argument;
  prctl(PR_SET_NAME, "enf-tpm");
  for (struct tss_job *job; (job = take_job(context));) {
    job->rc = tss_run(&context->link, job);
    if (job->rc && breaks_link(job->rc)) {
      pthread_mutex_lock(&context->lock);
      context->broken = true;
      pthread_mutex_unlock(&context->lock);
    }
    job->finish(job);
  }
  end_thread(context);
  return NULL;
}

struct tss_context *tss_context_new(void) {
  struct tss_context *context = calloc(1, sizeof *context);
  if (!context) return NULL;
  context->references = 1;
  pthread_mutex_init(&context->lock, NULL);
  tss_condition(&context->wake);
  tss_condition(&context->over);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  int error = pthread_create(&thread, &attributes, run_jobs, context);
  pthread_attr_destroy(&attributes);
  if (error) {
    destroy(context);
    return NULL;
  }
  return context;
}

void tss_context_retain(struct tss_context *context) {
  pthread_mutex_lock(&context->lock);
  context->references++;
  pthread_mutex_unlock(&context->lock);
}

void tss_context_release(struct tss_context *context) {
  pthread_mutex_lock(&context->lock);
  bool last = --context->references == 0;
  if (last) {
    context->stopping = true;
    pthread_cond_signal(&context->wake);
  }
  bool ended = context->ended;
  pthread_mutex_unlock(&context->lock);
  if (last && ended) destroy(context);
}

bool tss_submit(struct tss_context *context, struct tss_job *job) {
  pthread_mutex_lock(&context->lock);
  bool taken = !context->stopping;
  if (taken) {
    if (context->last) context->last->next = job;
    else context->first = job;
    context->last = job;
    pthread_cond_signal(&context->wake);
  }
  pthread_mutex_unlock(&context->lock);
  return taken;
}

void tss_stop(struct tss_context *context, struct tss_job *farewell) {
  pthread_mutex_lock(&context->lock);
  context->stopping = true;
  struct tss_job *waiting = context->first;
  context->first = context->last = NULL;
  bool ended = context->ended;
  if (farewell && !ended) {
    farewell->next = context->farewells;
    context->farewells = farewell;
  }
  pthread_cond_signal(&context->wake);
  pthread_mutex_unlock(&context->lock);
  cancel_all(waiting);
  if (farewell && ended) farewell->finish(farewell);
}

void tss_await_end(struct tss_context *context, uint32_t timeout_ms) {
  struct timespec until = tss_deadline(timeout_ms);
  pthread_mutex_lock(&context->lock);
  while (!context->ended && pthread_cond_timedwait(&context->over, &context->lock, &until) != ETIMEDOUT) continue;
  pthread_mutex_unlock(&context->lock);
}

bool tss_alive(struct tss_context *context) {
  pthread_mutex_lock(&context->lock);
  bool alive = !context->stopping && !context->broken;
  pthread_mutex_unlock(&context->lock);
  return alive;
}
