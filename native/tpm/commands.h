// The functions of commands that are not in commands.c, whose table names them all.
#pragma once
#include "tss.h"

static inline ESYS_TR session_of(const struct tss_job *job) {
  return job->numbers[0] ? job->numbers[0] : ESYS_TR_PASSWORD;
}

// sealing.c
TSS2_RC run_seal(struct tss_link *link, struct tss_job *job);
TSS2_RC run_unseal(struct tss_link *link, struct tss_job *job);

// sessions.c
TSS2_RC run_start_session(struct tss_link *link, struct tss_job *job);
TSS2_RC run_start_policy(struct tss_link *link, struct tss_job *job);
TSS2_RC run_start_salted(struct tss_link *link, struct tss_job *job);
TSS2_RC run_policy_secret(struct tss_link *link, struct tss_job *job);
TSS2_RC run_policy_command(struct tss_link *link, struct tss_job *job);
TSS2_RC run_policy_auth_value(struct tss_link *link, struct tss_job *job);
TSS2_RC run_policy_pcr(struct tss_link *link, struct tss_job *job);
TSS2_RC run_policy_digest(struct tss_link *link, struct tss_job *job);
