// Secrets that a TPM keeps for its host: in, out, and no copy left behind on the way.
#include "commands.h"
#include "wire.h"
#include <string.h>
#include <tss2/tss2_sys.h>

TSS_TAKE(public, TPM2B_PUBLIC)
TSS_TAKE_BYTES(auth, TPM2B_AUTH, buffer)
TSS_TAKE_BYTES(sensitive, TPM2B_SENSITIVE_DATA, buffer)
TSS_GIVE(public, TPM2B_PUBLIC)
TSS_GIVE(private, TPM2B_PRIVATE)

// What functions that have returned left on this thread's stack: ESYS decrypts there.
static __attribute__((noinline)) void forget_stack(void) {
  uint8_t left[64 * 1024];
  explicit_bzero(left, sizeof left);
}

// ESYS keeps what it is given, to send it again, until it is given something else: it looks for the parent after that.
static void forget_sensitive(struct tss_link *link) {
  TPM2B_PUBLIC no_template = {0};
  TPM2B_SENSITIVE_CREATE nothing = {0};
  TPM2B_DATA outside = {0};
  TPML_PCR_SELECTION pcrs = {0};
  const ESYS_TR nobody = INT32_MAX;
  Esys_Create(link->esys, nobody, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &nothing, &no_template, &outside, &pcrs,
              NULL, NULL, NULL, NULL, NULL);
}

// numbers: session, parent, session that encrypts the secret on its way
TSS2_RC run_seal(struct tss_link *link, struct tss_job *job) {
  TPM2B_PUBLIC template = {0}, *public = NULL;
  TPM2B_PRIVATE *private = NULL;
  TPM2B_SENSITIVE_CREATE sealed = {0};
  TPM2B_DATA outside = {0};
  TPML_PCR_SELECTION pcrs = {0};
  TSS2_RC rc = take_public(&job->buffers[0], &template);
  if (!rc) rc = take_auth(&job->buffers[1], &sealed.sensitive.userAuth);
  if (!rc) rc = take_sensitive(&job->buffers[2], &sealed.sensitive.data);
  if (!rc) {
    rc = Esys_Create(link->esys, job->numbers[1], session_of(job), job->numbers[2], ESYS_TR_NONE, &sealed, &template,
                     &outside, &pcrs, &private, &public, NULL, NULL, NULL);
    forget_sensitive(link);
  }
  explicit_bzero(&sealed, sizeof sealed);
  forget_stack();
  if (!rc) rc = give_private(job, private);
  if (!rc) rc = give_public(job, public);
  Esys_Free(private);
  Esys_Free(public);
  return rc;
}

// The answer's first parameter, decrypted, as it lies in the buffer of the system API until the next command.
static void forget_answer(struct tss_link *link) {
  TSS2_SYS_CONTEXT *sys = NULL;
  const uint8_t *parameter = NULL;
  size_t length = 0;
  if (Esys_GetSysContext(link->esys, &sys) == TSS2_RC_SUCCESS &&
      Tss2_Sys_GetEncryptParam(sys, &length, &parameter) == TSS2_RC_SUCCESS)
    explicit_bzero((void *)parameter, length);
}

// numbers: session that fulfils the object's policy, object
TSS2_RC run_unseal(struct tss_link *link, struct tss_job *job) {
  TPM2B_SENSITIVE_DATA *data = NULL;
  TSS2_RC rc = Esys_Unseal(link->esys, job->numbers[1], session_of(job), ESYS_TR_NONE, ESYS_TR_NONE, &data);
  if (!rc) {
    rc = tss_give_bytes(job, data->buffer, data->size);
    explicit_bzero(data, sizeof *data);
    forget_answer(link);
  }
  Esys_Free(data);
  forget_stack();
  return rc;
}
