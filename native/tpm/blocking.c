// For OpenSSL, which signs synchronously: submit a job and wait with a deadline.
#include "tss.h"
#include <errno.h>
#include <stdlib.h>

struct waiting {
  pthread_mutex_t lock;
  pthread_cond_t ready;
  bool done;
  bool given_up;
};

static void dispose(struct waiting *waiting) {
  pthread_cond_destroy(&waiting->ready);
  pthread_mutex_destroy(&waiting->lock);
  free(waiting);
}

static void arrived(struct tss_job *job) {
  struct waiting *waiting = job->owner;
  pthread_mutex_lock(&waiting->lock);
  bool given_up = waiting->given_up;
  waiting->done = true;
  pthread_cond_signal(&waiting->ready);
  pthread_mutex_unlock(&waiting->lock);
  if (given_up) {
    dispose(waiting);
    tss_job_free(job);
  }
}

static struct waiting *new_waiting(void) {
  struct waiting *waiting = calloc(1, sizeof *waiting);
  if (!waiting) return NULL;
  tss_condition(&waiting->ready);
  pthread_mutex_init(&waiting->lock, NULL);
  return waiting;
}

static bool wait_until(struct waiting *waiting, uint32_t timeout_ms) {
  struct timespec until = tss_deadline(timeout_ms);
  pthread_mutex_lock(&waiting->lock);
  while (!waiting->done && pthread_cond_timedwait(&waiting->ready, &waiting->lock, &until) != ETIMEDOUT) continue;
  bool done = waiting->done;
  waiting->given_up = !done;
  pthread_mutex_unlock(&waiting->lock);
  return done;
}

TSS2_RC tss_run_blocking(struct tss_context *context, struct tss_job *job, uint32_t timeout_ms) {
  struct waiting *waiting = new_waiting();
  if (!waiting) {
    tss_job_free(job);
    return TSS2_ESYS_RC_MEMORY;
  }
  job->owner = waiting;
  job->finish = arrived;
  if (!tss_submit(context, job)) {
    dispose(waiting);
    tss_job_free(job);
    return TSS2_ESYS_RC_BAD_SEQUENCE;
  }
  if (!wait_until(waiting, timeout_ms)) {
    tss_stop(context, NULL);
    return TSS2_ESYS_RC_TRY_AGAIN;
  }
  dispose(waiting);
  TSS2_RC rc = job->rc;
  if (rc) tss_job_free(job);
  return rc;
}
