// A command's arguments and answer. Whatever may be secret is wiped when the job is freed.
#include "tss.h"
#include <stdlib.h>
#include <string.h>

struct tss_job *tss_job_new(const struct tss_command *command) {
  struct tss_job *job = calloc(1, sizeof *job);
  if (job) job->command = command;
  return job;
}

static bool copy_bytes(struct tss_bytes *to, const void *data, size_t length) {
  to->data = malloc(length ? length : 1);
  if (!to->data) return false;
  if (length) memcpy(to->data, data, length);
  to->length = length;
  return true;
}

static void free_bytes(struct tss_bytes *bytes) {
  if (bytes->data) explicit_bzero(bytes->data, bytes->length);
  free(bytes->data);
}

bool tss_job_buffer(struct tss_job *job, size_t index, const void *data, size_t length) {
  return index < TSS_MAX_BUFFERS && !job->buffers[index].data && copy_bytes(&job->buffers[index], data, length);
}

void tss_job_free(struct tss_job *job) {
  for (size_t i = 0; i < TSS_MAX_BUFFERS; i++) {
    free_bytes(&job->buffers[i]);
    free_bytes(&job->given[i]);
  }
  free(job);
}

TSS2_RC tss_give_number(struct tss_job *job, uint32_t number) {
  if (job->given_number_count == TSS_MAX_NUMBERS) return TSS2_ESYS_RC_GENERAL_FAILURE;
  job->given_numbers[job->given_number_count++] = number;
  return TSS2_RC_SUCCESS;
}

TSS2_RC tss_give_bytes(struct tss_job *job, const void *data, size_t length) {
  if (job->given_count == TSS_MAX_BUFFERS) return TSS2_ESYS_RC_GENERAL_FAILURE;
  if (!copy_bytes(&job->given[job->given_count], data, length)) return TSS2_ESYS_RC_MEMORY;
  job->given_count++;
  return TSS2_RC_SUCCESS;
}
