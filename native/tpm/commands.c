// What JavaScript may ask of the TPM, one function per command, and the table that names them with their arguments.
// In every command that uses an authorisation, numbers[0] is its session: 0 is the empty password session.
#include "commands.h"
#include "wire.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_sys.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

#define TCTI_LENGTH 512

TSS_TAKE(public, TPM2B_PUBLIC)
TSS_TAKE(private, TPM2B_PRIVATE)
TSS_TAKE(point, TPM2B_ECC_POINT)
TSS_TAKE(scheme, TPMT_SIG_SCHEME)
TSS_TAKE(nv_public, TPM2B_NV_PUBLIC)
TSS_TAKE(parameters, TPMT_PUBLIC_PARMS)
TSS_TAKE(id_object, TPM2B_ID_OBJECT)
TSS_TAKE(encrypted_secret, TPM2B_ENCRYPTED_SECRET)
TSS_TAKE_BYTES(digest, TPM2B_DIGEST, buffer)
TSS_TAKE_BYTES(auth, TPM2B_AUTH, buffer)
TSS_TAKE_BYTES(sensitive, TPM2B_SENSITIVE_DATA, buffer)
TSS_TAKE_BYTES(y2, TPM2B_ECC_PARAMETER, buffer)
TSS_TAKE_BYTES(nv_data, TPM2B_MAX_NV_BUFFER, buffer)
TSS_GIVE(public, TPM2B_PUBLIC)
TSS_GIVE(private, TPM2B_PRIVATE)
TSS_GIVE(point, TPM2B_ECC_POINT)
TSS_GIVE(signature, TPMT_SIGNATURE)
TSS_GIVE(nv_public, TPM2B_NV_PUBLIC)
TSS_GIVE(capability, TPMS_CAPABILITY_DATA)

// The errno of opening a device, which the TCTI does not return: absent, not permitted and busy need different actions.
static int probe_device(const char *tcti) {
  static const char prefix[] = "device:";
  if (strncmp(tcti, prefix, sizeof prefix - 1) != 0) return 0;
  int device = open(tcti + sizeof prefix - 1, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (device < 0) return errno;
  close(device);
  return 0;
}

static TSS2_RC run_open(struct tss_link *link, struct tss_job *job) {
  char tcti[TCTI_LENGTH + 1] = {0};
  if (link->esys) return TSS2_ESYS_RC_BAD_SEQUENCE;
  memcpy(tcti, job->buffers[0].data, job->buffers[0].length);
  int error = probe_device(tcti);
  if (error) {
    tss_give_number(job, (uint32_t)error);
    return TSS2_TCTI_RC_IO_ERROR;
  }
  TSS2_RC rc = Tss2_TctiLdr_Initialize(tcti, &link->tcti);
  if (rc) {
    link->tcti = NULL;
    return rc;
  }
  rc = Esys_Initialize(&link->esys, link->tcti, NULL);
  if (rc) tss_disconnect(link);
  return rc;
}

void tss_disconnect(struct tss_link *link) {
  if (link->esys) Esys_Finalize(&link->esys);
  if (link->tcti) Tss2_TctiLdr_Finalize(&link->tcti);
  link->esys = NULL;
  link->tcti = NULL;
}

static TSS2_RC run_startup(struct tss_link *link, struct tss_job *job) {
  (void)job;
  TSS2_RC rc = Esys_Startup(link->esys, TPM2_SU_CLEAR);
  // The firmware, the kernel or another program has started it already.
  return rc == TPM2_RC_INITIALIZE ? TSS2_RC_SUCCESS : rc;
}

static TSS2_RC run_capability(struct tss_link *link, struct tss_job *job) {
  TPMI_YES_NO more = 0;
  TPMS_CAPABILITY_DATA *data = NULL;
  TSS2_RC rc = Esys_GetCapability(link->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, job->numbers[0],
                                  job->numbers[1], job->numbers[2], &more, &data);
  if (!rc) rc = tss_give_number(job, more);
  if (!rc) rc = give_capability(job, data);
  Esys_Free(data);
  return rc;
}

static TSS2_RC run_test_parameters(struct tss_link *link, struct tss_job *job) {
  TPMT_PUBLIC_PARMS parameters = {0};
  TSS2_RC rc = take_parameters(&job->buffers[0], &parameters);
  return rc ? rc : Esys_TestParms(link->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &parameters);
}

static TSS2_RC run_create_primary(struct tss_link *link, struct tss_job *job) {
  TPM2B_PUBLIC template = {0}, *public = NULL;
  TPM2B_SENSITIVE_CREATE sensitive = {0};
  TPM2B_DATA outside = {0};
  TPML_PCR_SELECTION pcrs = {0};
  ESYS_TR object = ESYS_TR_NONE;
  TSS2_RC rc = take_public(&job->buffers[0], &template);
  if (rc) return rc;
  rc = Esys_CreatePrimary(link->esys, job->numbers[1], session_of(job), ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                          &template, &outside, &pcrs, &object, &public, NULL, NULL, NULL);
  if (!rc) rc = tss_give_number(job, object);
  if (!rc) rc = give_public(job, public);
  Esys_Free(public);
  return rc;
}

static TSS2_RC run_create(struct tss_link *link, struct tss_job *job) {
  TPM2B_PUBLIC template = {0}, *public = NULL;
  TPM2B_PRIVATE *private = NULL;
  TPM2B_SENSITIVE_CREATE sensitive = {0};
  TPM2B_DATA outside = {0};
  TPML_PCR_SELECTION pcrs = {0};
  TSS2_RC rc = take_public(&job->buffers[0], &template);
  if (rc) return rc;
  rc = Esys_Create(link->esys, job->numbers[1], session_of(job), ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &template,
                   &outside, &pcrs, &private, &public, NULL, NULL, NULL);
  if (!rc) rc = give_private(job, private);
  if (!rc) rc = give_public(job, public);
  Esys_Free(private);
  Esys_Free(public);
  return rc;
}

static TSS2_RC run_load(struct tss_link *link, struct tss_job *job) {
  TPM2B_PRIVATE private = {0};
  TPM2B_PUBLIC public = {0};
  ESYS_TR object = ESYS_TR_NONE;
  TSS2_RC rc = take_private(&job->buffers[0], &private);
  if (!rc) rc = take_public(&job->buffers[1], &public);
  if (!rc)
    rc = Esys_Load(link->esys, job->numbers[1], session_of(job), ESYS_TR_NONE, ESYS_TR_NONE, &private, &public, &object);
  return rc ? rc : tss_give_number(job, object);
}

static TSS2_RC run_commit(struct tss_link *link, struct tss_job *job) {
  TPM2B_ECC_POINT base = {0}, *K = NULL, *L = NULL, *E = NULL;
  TPM2B_SENSITIVE_DATA s2 = {0};
  TPM2B_ECC_PARAMETER y2 = {0};
  UINT16 counter = 0;
  TSS2_RC rc = take_point(&job->buffers[0], &base);
  if (!rc) rc = take_sensitive(&job->buffers[1], &s2);
  if (!rc) rc = take_y2(&job->buffers[2], &y2);
  if (rc) return rc;
  rc = Esys_Commit(link->esys, job->numbers[1], session_of(job), ESYS_TR_NONE, ESYS_TR_NONE, &base, &s2, &y2, &K, &L,
                   &E, &counter);
  if (!rc) rc = tss_give_number(job, counter);
  if (!rc) rc = give_point(job, K);
  if (!rc) rc = give_point(job, L);
  if (!rc) rc = give_point(job, E);
  Esys_Free(K);
  Esys_Free(L);
  Esys_Free(E);
  return rc;
}

static TSS2_RC run_sign(struct tss_link *link, struct tss_job *job) {
  TPM2B_DIGEST digest = {0};
  TPMT_SIG_SCHEME scheme = {0};
  TPMT_TK_HASHCHECK unchecked = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
  TPMT_SIGNATURE *signature = NULL;
  TSS2_RC rc = take_digest(&job->buffers[0], &digest);
  if (!rc) rc = take_scheme(&job->buffers[1], &scheme);
  if (rc) return rc;
  rc = Esys_Sign(link->esys, job->numbers[1], session_of(job), ESYS_TR_NONE, ESYS_TR_NONE, &digest, &scheme,
                 &unchecked, &signature);
  if (!rc) rc = give_signature(job, signature);
  Esys_Free(signature);
  return rc;
}

// numbers: session, hierarchy, object, persistent handle
static TSS2_RC run_evict_control(struct tss_link *link, struct tss_job *job) {
  ESYS_TR persistent = ESYS_TR_NONE;
  TSS2_RC rc = Esys_EvictControl(link->esys, job->numbers[1], job->numbers[2], session_of(job), ESYS_TR_NONE,
                                 ESYS_TR_NONE, job->numbers[3], &persistent);
  return rc ? rc : tss_give_number(job, persistent);
}

static uint32_t read_u32(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

// To make an ESYS_TR, ESYS has just read the object's public area. Its serialised form (handle, TPM2B_NAME, kind,
// public area) contains that, so a slow chip need not be asked again. False if it does not look like that.
static bool give_known_public(struct tss_job *job, const uint8_t *form, size_t length, bool nv) {
  enum { KEY_KIND = 1, NV_KIND = 2 };
  if (length < 6 || read_u32(form) != job->numbers[0]) return false;
  size_t kind = 6 + (size_t)(form[4] << 8 | form[5]);
  if (length < kind + 4 || read_u32(form + kind) != (nv ? NV_KIND : KEY_KIND)) return false;
  struct tss_bytes public = {(uint8_t *)form + kind + 4, length - kind - 4};
  TPM2B_NV_PUBLIC index = {0};
  TPM2B_PUBLIC key = {0};
  if (nv ? take_nv_public(&public, &index) : take_public(&public, &key)) return false;
  return tss_give_bytes(job, public.data, public.length) == TSS2_RC_SUCCESS;
}

static TSS2_RC ask_public(struct tss_link *link, struct tss_job *job, ESYS_TR object, bool nv) {
  TPM2B_NV_PUBLIC *index = NULL;
  TPM2B_PUBLIC *key = NULL;
  TSS2_RC rc = nv ? Esys_NV_ReadPublic(link->esys, object, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &index, NULL)
                  : Esys_ReadPublic(link->esys, object, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &key, NULL, NULL);
  if (!rc) rc = nv ? give_nv_public(job, index) : give_public(job, key);
  Esys_Free(index);
  Esys_Free(key);
  return rc;
}

static TSS2_RC run_lookup(struct tss_link *link, struct tss_job *job) {
  ESYS_TR object = ESYS_TR_NONE;
  uint8_t *form = NULL;
  size_t length = 0;
  bool nv = job->numbers[0] >> TPM2_HR_SHIFT == TPM2_HT_NV_INDEX;
  if (!nv && job->numbers[0] >> TPM2_HR_SHIFT != TPM2_HT_PERSISTENT) return TSS2_ESYS_RC_BAD_VALUE;
  TSS2_RC rc = Esys_TR_FromTPMPublic(link->esys, job->numbers[0], ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object);
  if (rc) return rc;
  rc = Esys_TR_Serialize(link->esys, object, &form, &length);
  if (!rc) rc = tss_give_number(job, object);
  if (!rc && !give_known_public(job, form, length, nv)) rc = ask_public(link, job, object, nv);
  Esys_Free(form);
  return rc;
}

static TSS2_RC run_release(struct tss_link *link, struct tss_job *job) {
  ESYS_TR object = job->numbers[0];
  return Esys_TR_Close(link->esys, &object);
}

static TSS2_RC run_flush(struct tss_link *link, struct tss_job *job) {
  return Esys_FlushContext(link->esys, job->numbers[0]);
}

// By the TPM's own handle: what a killed process left behind has no ESYS_TR.
static TSS2_RC run_flush_handle(struct tss_link *link, struct tss_job *job) {
  TSS2_SYS_CONTEXT *sys = NULL;
  TSS2_RC rc = Esys_GetSysContext(link->esys, &sys);
  return rc ? rc : Tss2_Sys_FlushContext(sys, job->numbers[0]);
}

static TSS2_RC run_set_auth(struct tss_link *link, struct tss_job *job) {
  TPM2B_AUTH auth = {0};
  TSS2_RC rc = take_auth(&job->buffers[0], &auth);
  if (!rc) rc = Esys_TR_SetAuth(link->esys, job->numbers[0], &auth);
  explicit_bzero(&auth, sizeof auth);
  return rc;
}

// numbers: session, key whose name the credential is for, endorsement key, policy session for that
static TSS2_RC run_activate_credential(struct tss_link *link, struct tss_job *job) {
  TPM2B_ID_OBJECT credential = {0};
  TPM2B_ENCRYPTED_SECRET seed = {0};
  TPM2B_DIGEST *secret = NULL;
  TSS2_RC rc = take_id_object(&job->buffers[0], &credential);
  if (!rc) rc = take_encrypted_secret(&job->buffers[1], &seed);
  if (!rc)
    rc = Esys_ActivateCredential(link->esys, job->numbers[1], job->numbers[2], session_of(job), job->numbers[3],
                                 ESYS_TR_NONE, &credential, &seed, &secret);
  if (!rc) {
    rc = tss_give_bytes(job, secret->buffer, secret->size);
    explicit_bzero(secret, sizeof *secret);
  }
  Esys_Free(secret);
  return rc;
}

static TSS2_RC run_nv_define(struct tss_link *link, struct tss_job *job) {
  TPM2B_AUTH no_auth = {0};
  TPM2B_NV_PUBLIC public = {0};
  ESYS_TR index = ESYS_TR_NONE;
  TSS2_RC rc = take_nv_public(&job->buffers[0], &public);
  if (!rc)
    rc = Esys_NV_DefineSpace(link->esys, job->numbers[1], session_of(job), ESYS_TR_NONE, ESYS_TR_NONE, &no_auth,
                             &public, &index);
  return rc ? rc : tss_give_number(job, index);
}

// numbers: session, hierarchy, index
static TSS2_RC run_nv_undefine(struct tss_link *link, struct tss_job *job) {
  return Esys_NV_UndefineSpace(link->esys, job->numbers[1], job->numbers[2], session_of(job), ESYS_TR_NONE,
                               ESYS_TR_NONE);
}

// numbers: session, authorising hierarchy, index, offset
static TSS2_RC run_nv_write(struct tss_link *link, struct tss_job *job) {
  TPM2B_MAX_NV_BUFFER data = {0};
  if (job->numbers[3] > UINT16_MAX) return TSS2_ESYS_RC_BAD_VALUE;
  TSS2_RC rc = take_nv_data(&job->buffers[0], &data);
  return rc ? rc
            : Esys_NV_Write(link->esys, job->numbers[1], job->numbers[2], session_of(job), ESYS_TR_NONE, ESYS_TR_NONE,
                            &data, (UINT16)job->numbers[3]);
}

// numbers: session, index (which authorises itself), size, offset
static TSS2_RC run_nv_read(struct tss_link *link, struct tss_job *job) {
  TPM2B_MAX_NV_BUFFER *data = NULL;
  if (job->numbers[2] > UINT16_MAX || job->numbers[3] > UINT16_MAX) return TSS2_ESYS_RC_BAD_VALUE;
  TSS2_RC rc = Esys_NV_Read(link->esys, job->numbers[1], job->numbers[1], session_of(job), ESYS_TR_NONE, ESYS_TR_NONE,
                            (UINT16)job->numbers[2], (UINT16)job->numbers[3], &data);
  if (!rc) rc = tss_give_bytes(job, data->buffer, data->size);
  Esys_Free(data);
  return rc;
}

// numbers: index (which authorises itself with an empty password), size, offset. Without an ESYS object for the index the
// TPM is not asked for its public area first.
static TSS2_RC run_nv_read_known(struct tss_link *link, struct tss_job *job) {
  TSS2L_SYS_AUTH_COMMAND password = {.count = 1, .auths = {{.sessionHandle = TPM2_RS_PW}}};
  TSS2L_SYS_AUTH_RESPONSE answered = {0};
  TPM2B_MAX_NV_BUFFER data = {0};
  TSS2_SYS_CONTEXT *sys = NULL;
  uint32_t index = job->numbers[0], size = job->numbers[1], offset = job->numbers[2];
  if (index >> TPM2_HR_SHIFT != TPM2_HT_NV_INDEX || size > TPM2_MAX_NV_BUFFER_SIZE || offset > UINT16_MAX)
    return TSS2_ESYS_RC_BAD_VALUE;
  TSS2_RC rc = Esys_GetSysContext(link->esys, &sys);
  if (!rc) rc = Tss2_Sys_NV_Read(sys, index, index, &password, (UINT16)size, (UINT16)offset, &data, &answered);
  return rc ? rc : tss_give_bytes(job, data.buffer, data.size);
}

// name, numbers, which of them are ESYS objects (bit i: numbers[i]), buffers, longest buffer, function
static const struct tss_command commands[] = {
    {"open", 0, 0x0, 1, TCTI_LENGTH, run_open},
    {"startup", 0, 0x0, 0, 0, run_startup},
    {"capability", 3, 0x0, 0, 0, run_capability},
    {"testParameters", 0, 0x0, 1, sizeof(TPMT_PUBLIC_PARMS), run_test_parameters},
    {"createPrimary", 2, 0x3, 1, sizeof(TPM2B_PUBLIC), run_create_primary},
    {"create", 2, 0x3, 1, sizeof(TPM2B_PUBLIC), run_create},
    {"seal", 3, 0x7, 3, sizeof(TPM2B_PUBLIC), run_seal},
    {"unseal", 2, 0x3, 0, 0, run_unseal},
    {"load", 2, 0x3, 2, sizeof(TPM2B_PRIVATE), run_load},
    {"commit", 2, 0x3, 3, sizeof(TPM2B_ECC_POINT), run_commit},
    {"sign", 2, 0x3, 2, sizeof(TPMT_SIG_SCHEME) + sizeof(TPM2B_DIGEST), run_sign},
    {"evictControl", 4, 0x7, 0, 0, run_evict_control},
    {"lookup", 1, 0x0, 0, 0, run_lookup},
    {"release", 1, 0x1, 0, 0, run_release},
    {"flush", 1, 0x1, 0, 0, run_flush},
    {"flushHandle", 1, 0x0, 0, 0, run_flush_handle},
    {"setAuth", 1, 0x1, 1, sizeof(TPM2B_AUTH), run_set_auth},
    {"startSession", 0, 0x0, 0, 0, run_start_session},
    {"startPolicy", 0, 0x0, 0, 0, run_start_policy},
    {"startSalted", 3, 0x1, 0, 0, run_start_salted},
    {"policyCommand", 2, 0x1, 0, 0, run_policy_command},
    {"policyAuthValue", 1, 0x1, 0, 0, run_policy_auth_value},
    {"policyPcr", 1, 0x1, 1, sizeof(TPML_PCR_SELECTION), run_policy_pcr},
    {"policyDigest", 1, 0x1, 0, 0, run_policy_digest},
    {"policySecret", 3, 0x7, 0, 0, run_policy_secret},
    {"activateCredential", 4, 0xf, 2, sizeof(TPM2B_ENCRYPTED_SECRET), run_activate_credential},
    {"nvDefine", 2, 0x3, 1, sizeof(TPM2B_NV_PUBLIC), run_nv_define},
    {"nvUndefine", 3, 0x7, 0, 0, run_nv_undefine},
    {"nvWrite", 4, 0x7, 1, TPM2_MAX_NV_BUFFER_SIZE, run_nv_write},
    {"nvRead", 4, 0x3, 0, 0, run_nv_read},
    {"nvReadKnown", 3, 0x0, 0, 0, run_nv_read_known},
};

const struct tss_command *tss_command_named(const char *name) {
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    if (strcmp(commands[i].name, name) == 0) return &commands[i];
  return NULL;
}

TSS2_RC tss_run(struct tss_link *link, struct tss_job *job) {
  if (!link->esys && job->command->run != run_open) return TSS2_ESYS_RC_BAD_SEQUENCE;
  return job->command->run(link, job);
}
