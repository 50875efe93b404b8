// The TPM part's private header: commands, the context with its thread, and what crosses between them.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <tss2/tss2_esys.h>

#define TSS_MAX_NUMBERS 5
#define TSS_MAX_BUFFERS 3

struct tss_bytes {
  uint8_t *data;
  size_t length;
};

// The connection to the TPM; only the context's thread touches it.
struct tss_link {
  ESYS_CONTEXT *esys;
  TSS2_TCTI_CONTEXT *tcti;
};

struct tss_job;

// A kind of command: how many numbers and buffers it takes, and how it is carried out (commands.c).
struct tss_command {
  const char *name;
  uint8_t numbers;
  uint8_t objects;  // bit i: numbers[i] is an ESYS object, never ESYS_TR_NONE (which ESYS would dereference)
  uint8_t buffers;
  size_t largest;  // longest buffer taken
  TSS2_RC (*run)(struct tss_link *link, struct tss_job *job);
};

// One command on its way: arguments in, answer out. Buffers are in TPM wire format.
struct tss_job {
  struct tss_job *next;
  const struct tss_command *command;
  uint32_t numbers[TSS_MAX_NUMBERS];
  struct tss_bytes buffers[TSS_MAX_BUFFERS];
  TSS2_RC rc;
  uint32_t given_numbers[TSS_MAX_NUMBERS];
  size_t given_number_count;
  struct tss_bytes given[TSS_MAX_BUFFERS];
  size_t given_count;
  // Called once, on the TPM thread or inside tss_stop; takes the job over.
  void (*finish)(struct tss_job *job);
  void *owner;     // of the one who finishes it
  void *deferred;  // napi.c: the promise
};

// commands.c
const struct tss_command *tss_command_named(const char *name);
TSS2_RC tss_run(struct tss_link *link, struct tss_job *job);
void tss_disconnect(struct tss_link *link);

// job.c
struct tss_job *tss_job_new(const struct tss_command *command);
bool tss_job_buffer(struct tss_job *job, size_t index, const void *data, size_t length);
void tss_job_free(struct tss_job *job);
TSS2_RC tss_give_number(struct tss_job *job, uint32_t number);
TSS2_RC tss_give_bytes(struct tss_job *job, const void *data, size_t length);

// context.c: a thread that carries out jobs one after the other. Every user holds a reference; the thread
// ends when the last one is released or the context is stopped.
struct tss_context;
struct tss_context *tss_context_new(void);
void tss_context_retain(struct tss_context *context);
void tss_context_release(struct tss_context *context);
// False, and the job stays the caller's, once the context is stopped.
bool tss_submit(struct tss_context *context, struct tss_job *job);
// Drops what waits, lets the running command end, disconnects, ends the thread; `farewell` is finished after that.
void tss_stop(struct tss_context *context, struct tss_job *farewell);
// Waits for the thread's end, at most so long.
void tss_await_end(struct tss_context *context, uint32_t timeout_ms);
// False once stopped, or when the connection to the TPM failed: then it must be opened anew in another context.
bool tss_alive(struct tss_context *context);

// blocking.c: carries out a job and waits for it, at most so long. The job is finished or given up: do not touch it
// after a failure. On success the caller frees it. A time-out stops the context, for its thread is stuck.
TSS2_RC tss_run_blocking(struct tss_context *context, struct tss_job *job, uint32_t timeout_ms);

// deadline.c: conditions and deadlines by CLOCK_MONOTONIC.
void tss_condition(pthread_cond_t *condition);
struct timespec tss_deadline(uint32_t timeout_ms);
