// Sessions, and the policies that they fulfil.
#include "commands.h"
#include "wire.h"

TSS_TAKE(pcrs, TPML_PCR_SELECTION)

static TSS2_RC start_session(struct tss_link *link, struct tss_job *job, TPM2_SE kind) {
  TPMT_SYM_DEF plain = {.algorithm = TPM2_ALG_NULL};
  ESYS_TR session = ESYS_TR_NONE;
  TSS2_RC rc = Esys_StartAuthSession(link->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                     NULL, kind, &plain, TPM2_ALG_SHA256, &session);
  if (rc) return rc;
  rc = Esys_TRSess_SetAttributes(link->esys, session, TPMA_SESSION_CONTINUESESSION, 0xff);
  return rc ? rc : tss_give_number(job, session);
}

// An HMAC session: the password it proves does not cross the bus.
TSS2_RC run_start_session(struct tss_link *link, struct tss_job *job) {
  return start_session(link, job, TPM2_SE_HMAC);
}

// A session that fulfils the policy of a key.
TSS2_RC run_start_policy(struct tss_link *link, struct tss_job *job) {
  return start_session(link, job, TPM2_SE_POLICY);
}

// numbers: key that a secret is sent to, TPM2_SE, what the session encrypts (TPMA_SESSION). Who only listens on the bus does not
// learn what is encrypted with that secret.
TSS2_RC run_start_salted(struct tss_link *link, struct tss_job *job) {
  TPMT_SYM_DEF aes = {.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
  ESYS_TR session = ESYS_TR_NONE;
  if (job->numbers[1] > TPM2_SE_TRIAL || job->numbers[2] > UINT8_MAX) return TSS2_ESYS_RC_BAD_VALUE;
  TSS2_RC rc = Esys_StartAuthSession(link->esys, job->numbers[0], ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                     ESYS_TR_NONE, NULL, (TPM2_SE)job->numbers[1], &aes, TPM2_ALG_SHA256, &session);
  if (rc) return rc;
  rc = Esys_TRSess_SetAttributes(link->esys, session, (TPMA_SESSION)(TPMA_SESSION_CONTINUESESSION | job->numbers[2]),
                                 0xff);
  return rc ? rc : tss_give_number(job, session);
}

// numbers: policy session, command that it is for
TSS2_RC run_policy_command(struct tss_link *link, struct tss_job *job) {
  return Esys_PolicyCommandCode(link->esys, job->numbers[0], ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, job->numbers[1]);
}

// The object's password has to be proven, too.
TSS2_RC run_policy_auth_value(struct tss_link *link, struct tss_job *job) {
  return Esys_PolicyAuthValue(link->esys, job->numbers[0], ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE);
}

// With the values that the registers have now.
TSS2_RC run_policy_pcr(struct tss_link *link, struct tss_job *job) {
  TPM2B_DIGEST present = {0};
  TPML_PCR_SELECTION pcrs = {0};
  TSS2_RC rc = take_pcrs(&job->buffers[0], &pcrs);
  return rc ? rc : Esys_PolicyPCR(link->esys, job->numbers[0], ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &present, &pcrs);
}

TSS2_RC run_policy_digest(struct tss_link *link, struct tss_job *job) {
  TPM2B_DIGEST *digest = NULL;
  TSS2_RC rc = Esys_PolicyGetDigest(link->esys, job->numbers[0], ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest);
  if (!rc) rc = tss_give_bytes(job, digest->buffer, digest->size);
  Esys_Free(digest);
  return rc;
}

// numbers: session, entity whose password is proven, policy session
TSS2_RC run_policy_secret(struct tss_link *link, struct tss_job *job) {
  TPM2B_NONCE any_nonce = {0}, no_reference = {0};
  TPM2B_DIGEST any_command = {0};
  return Esys_PolicySecret(link->esys, job->numbers[1], job->numbers[2], session_of(job), ESYS_TR_NONE, ESYS_TR_NONE,
                           &any_nonce, &any_command, &no_reference, 0, NULL, NULL);
}
